use crate::common::{dims, ensure};
use crate::{Padding, Window};
use rnn_graph::{Launch, OpError, TensorType};

/// Windows over the three axes D, H and W of a tensor `[N, D, H, W, C]`: N items of D x H x W
/// pixels of C channels. Layers with fewer axes use axes of extent 1. If `leading` is true, the
/// tensor is `[D, N, H, W, C]`, a time-major sequence whose time axis D is windowed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Windows over D, H and W.
    pub axes: [Window; 3],
    /// True if the D axis precedes the batch axis, false if the batch axis comes first.
    pub leading: bool,
}

/// The pixels of a tensor `[N, D, H, W, C]`, or `[D, N, H, W, C]` if `leading`: N items with three
/// spatial axes. The indices of pixels follow the order in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// N, the number of items.
    pub items: usize,
    /// The extents D, H and W.
    pub extents: [usize; 3],
    /// True if the D axis precedes the batch axis, false if the batch axis comes first.
    pub leading: bool,
}

impl Pixels {
    /// Returns the number of pixels of all items, N D H W.
    pub fn len(&self) -> usize {
        self.items * self.per_item()
    }

    /// Returns true if there is no pixel, that is if an extent is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of pixels of one item, D H W.
    pub fn per_item(&self) -> usize {
        self.extents.iter().product()
    }

    /// Returns the index of the pixel at `[d, h, w]` of item `item`, among the pixels of all items.
    /// The position is not checked to be within the extents.
    pub fn at(&self, item: usize, [d, h, w]: [usize; 3]) -> usize {
        let [depth, height, width] = self.extents;
        let slice = if self.leading { d * self.items + item } else { item * depth + d };
        (slice * height + h) * width + w
    }

    /// Returns the item and the position `[d, h, w]` of the pixel with index `pixel`; see
    /// [`Self::at`]. The index is not checked to be below [`Self::len`].
    ///
    /// # Panics
    /// Panics if an extent that it divides by is 0.
    pub fn place(&self, pixel: usize) -> (usize, [usize; 3]) {
        let [depth, height, width] = self.extents;
        let (slice, h, w) = (pixel / (height * width), pixel / width % height, pixel % width);
        match self.leading {
            true => (slice % self.items, [slice / self.items, h, w]),
            false => (slice / depth, [slice % depth, h, w]),
        }
    }

    /// Iterates over all pixels, in the order of their indices. Yields the item and the position
    /// `[d, h, w]` of each.
    pub fn places(self) -> impl Iterator<Item = (usize, [usize; 3])> {
        (0..self.len()).map(move |pixel| self.place(pixel))
    }

    /// Returns the single-precision type of a tensor with these pixels and `channels` channels:
    /// `[N, D, H, W, channels]`, or `[D, N, H, W, channels]` if `leading`.
    pub fn ty(&self, channels: usize) -> TensorType {
        let [depth, height, width] = self.extents;
        let slices = if self.leading { [depth, self.items] } else { [self.items, depth] };
        TensorType::f32([slices[0], slices[1], height, width, channels])
    }
}

impl Windows {
    /// Returns windows over the `extents` D, H and W, in pixels. `shapes` holds the size, the
    /// stride and the dilation of a window along each axis, `padding` applies to all three axes,
    /// and `leading` becomes [`Windows::leading`]. `None` if [`Window::over`] returns `None` for an
    /// axis: a window does not fit, or one of these numbers is 0.
    pub fn over(
        extents: [usize; 3],
        shapes: [(usize, usize, usize); 3],
        padding: Padding,
        leading: bool,
    ) -> Option<Self> {
        let [d, h, w] = [0, 1, 2].map(|i| Window::over(extents[i], shapes[i], padding));
        Some(Self { axes: [d?, h?, w?], leading })
    }

    /// Returns the number of taps of a window: the product of its sizes along the three axes.
    pub fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product()
    }

    /// Returns the pixels and the number of channels of `x`, the tensor under the windows.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if `x` does not have five axes or has no elements, or if the
    /// windows do not lie within it and its padding.
    pub fn sources(&self, x: &TensorType) -> Result<(Pixels, usize), OpError> {
        let (pixels, channels) = pixels(x, self.leading)?;
        for (axis, &extent) in self.axes.iter().zip(&pixels.extents) {
            axis.check(extent)?;
        }
        Ok((pixels, channels))
    }

    /// Returns the pixels of a result for `items` items: one pixel per window.
    pub fn targets(&self, items: usize) -> Pixels {
        Pixels { items, extents: self.axes.map(|axis| axis.windows), leading: self.leading }
    }

    /// Returns the pixels and the number of channels of the result `y`, which has one pixel per
    /// window.
    ///
    /// # Errors
    /// Fails with [`OpError::Shape`] if `y` does not have five axes or has no elements, or if its
    /// extents are not the numbers of windows.
    pub fn results(&self, y: &TensorType) -> Result<(Pixels, usize), OpError> {
        let (pixels, channels) = pixels(y, self.leading)?;
        ensure(pixels == self.targets(pixels.items), || format!("{y} for the windows {self:?}"))?;
        Ok((pixels, channels))
    }

    /// Iterates over the taps of one window that see a pixel of the input; taps that see padding
    /// are left out. `target` is the position `[d, h, w]` of the window's pixel in the result, and
    /// `extents` are D, H and W of the input. Yields the index of each tap and the position
    /// `[d, h, w]` of the input that it sees.
    pub fn seen(
        &self,
        target: [usize; 3],
        extents: [usize; 3],
    ) -> impl Iterator<Item = (usize, [usize; 3])> + use<> {
        let axes = self.axes;
        let [_, height, width] = axes.map(|axis| axis.size);
        (0..self.taps()).filter_map(move |tap| {
            let taps = [tap / (height * width), tap / width % height, tap % width];
            let [d, h, w] = [0, 1, 2].map(|i| axes[i].source(target[i], taps[i], extents[i]));
            Some((tap, [d?, h?, w?]))
        })
    }

    /// Sets the constants of `windows.wgsl`.
    pub(crate) fn describe(&self, launch: Launch, source: [usize; 3]) -> Launch {
        const NAMES: [[&str; 6]; 3] = [
            ["SIZE_D", "STRIDE_D", "DILATION_D", "BEFORE_D", "SOURCE_D", "TARGET_D"],
            ["SIZE_H", "STRIDE_H", "DILATION_H", "BEFORE_H", "SOURCE_H", "TARGET_H"],
            ["SIZE_W", "STRIDE_W", "DILATION_W", "BEFORE_W", "SOURCE_W", "TARGET_W"],
        ];
        let launch = launch.constant("LEADING", u8::from(self.leading));
        self.axes.iter().zip(source).zip(NAMES).fold(launch, |launch, ((axis, extent), names)| {
            let Window { size, stride, dilation, before, windows } = *axis;
            let values = [size, stride, dilation, before, extent, windows];
            let named = names.into_iter().zip(values);
            named.fold(launch, |launch, (name, value)| launch.constant(name, value as u32))
        })
    }
}

/// Returns the pixels and the number of channels of a tensor, whose axes are those of [`Pixels`].
///
/// # Errors
/// Fails with [`OpError::Shape`] if it does not have five axes or has no elements.
pub(crate) fn pixels(ty: &TensorType, leading: bool) -> Result<(Pixels, usize), OpError> {
    let [first, second, height, width, channels] = dims(ty)?;
    let (items, depth) = if leading { (second, first) } else { (first, second) };
    ensure(!ty.is_empty(), || format!("{ty} has no pixels"))?;
    Ok((Pixels { items, extents: [depth, height, width], leading }, channels))
}
