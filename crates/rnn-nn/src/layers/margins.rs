use super::axes::sample;
use crate::layer::{Argument, Arguments, Dialect, ForwardContext, MaskFlow, Reader, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Columns, Concat, Fill};
use serde_json::json;

/// What a layer does with the ends of each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cropping,
    ZeroPadding,
}

/// Cuts pixels off the ends of N axes, or adds pixels of zeros there: `[A1, .., AN, C]` -> `[A1',
/// .., AN', C]` (keras/src/layers/reshaping/cropping2d.py, zero_padding2d.py).
///
/// ```text
/// y(p, c) = x(p + before, c),  A' = A - before - after            cropping
/// y(p, c) = x(p - before, c),  A' = A + before + after            zero padding, 0 outside of x
/// ```
///
/// `before` and `after` are the numbers of pixels at the two ends of an axis. Channels come last. A
/// mask ends here, as in Keras.
#[derive(Clone, Debug)]
pub struct Margins<const N: usize> {
    kind: Kind,
    margins: Ends<N>,
}

/// The numbers of pixels at the two ends of N axes.
pub trait PerEnd<const N: usize> {
    /// Returns the numbers of pixels before and after each axis.
    fn per_end(self) -> [[usize; 2]; N];
}

/// One number for both ends of all axes.
impl<const N: usize> PerEnd<N> for usize {
    fn per_end(self) -> [[usize; 2]; N] {
        [[self; 2]; N]
    }
}

/// The two ends of each axis.
impl<const N: usize> PerEnd<N> for [[usize; 2]; N] {
    fn per_end(self) -> [[usize; 2]; N] {
        self
    }
}

macro_rules! margins {
    ($axes:literal, $cropping:ident, $padding:ident) => {
        /// Creates a layer that cuts pixels off the ends of each axis: as many at every end if
        /// `cropping` is one number, otherwise `[before, after]` of each axis. The equation is that
        /// of [`Margins`]. An input of which nothing would be left is refused when a model calls
        /// the layer.
        #[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
        pub fn $cropping(cropping: impl PerEnd<$axes>) -> Margins<$axes> {
            Margins { kind: Kind::Cropping, margins: Ends(cropping.per_end()) }
        }

        /// Creates a layer that adds zeros at the ends of each axis: as many at every end if
        /// `padding` is one number, otherwise `[before, after]` of each axis. The equation is that
        /// of [`Margins`].
        #[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
        pub fn $padding(padding: impl PerEnd<$axes>) -> Margins<$axes> {
            Margins { kind: Kind::ZeroPadding, margins: Ends(padding.per_end()) }
        }
    };
}

margins!(1, Cropping1D, ZeroPadding1D);
margins!(2, Cropping2D, ZeroPadding2D);
margins!(3, Cropping3D, ZeroPadding3D);

impl<const N: usize> Margins<N> {
    /// The extents of the output.
    fn extents(&self, extents: &[usize]) -> Option<Vec<usize>> {
        let each =
            extents.iter().zip(self.margins.0).map(|(&extent, [before, after])| match self.kind {
                Kind::Cropping => extent.checked_sub(before)?.checked_sub(after).filter(|&n| n > 0),
                Kind::ZeroPadding => extent.checked_add(before)?.checked_add(after),
            });
        each.collect::<Option<_>>().filter(|_| extents.len() == N)
    }

    /// The same at both ends of one axis of `extent` pixels, which are `width` numbers each: of
    /// rows `[.., extent width]`.
    fn one_axis(
        &self,
        cx: &mut ForwardContext<'_>,
        rows: TensorId,
        (extent, width): (usize, usize),
        [before, after]: [usize; 2],
    ) -> Result<TensorId, GraphError> {
        match self.kind {
            Kind::Cropping => {
                let left = (extent - before - after) * width;
                cx.graph.apply(Columns { start: before * width, width: left }, &[rows])
            }
            Kind::ZeroPadding => {
                let count = cx.graph.shape(rows).rows();
                let mut parts = Vec::new();
                for (pixels, behind) in [(before, Some(rows)), (after, None)] {
                    if pixels > 0 {
                        let shape = [count, pixels * width].into();
                        parts.push(cx.graph.apply(Fill { shape, value: 0.0 }, &[])?);
                    }
                    parts.extend(behind);
                }
                cx.graph.apply(Concat, &parts)
            }
        }
    }
}

impl<const N: usize> Layer for Margins<N> {
    fn class(&self) -> &'static str {
        let names = match self.kind {
            Kind::Cropping => ["Cropping1D", "Cropping2D", "Cropping3D"],
            Kind::ZeroPadding => ["ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"],
        };
        names[N - 1]
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let fit = input.split_last().and_then(|(&channels, extents)| {
            Some([self.extents(extents)?, vec![channels]].concat())
        });
        let expected = match self.kind {
            Kind::Cropping => "as many axes as it crops, longer than what it crops, and channels",
            Kind::ZeroPadding => "as many axes as it pads, and channels",
        };
        fit.ok_or_else(|| LayerError::new(self.class(), expected, input))
    }

    /// The axes from the one that changes on make up the rows of a matrix; what is left of a first
    /// axis is a view.
    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let mut shape = cx.graph.shape(input.tensor).dims().to_vec();
        let misfit = || cx.misfit(self.class(), input.tensor, "axes that are longer");
        let example = sample(cx, input.tensor);
        let extents = example.split_last().and_then(|(_, extents)| self.extents(extents));
        let extents = extents.ok_or_else(misfit)?;
        let mut tensor = input.tensor;
        for (i, (ends, target)) in self.margins.0.into_iter().zip(extents).enumerate() {
            // The first axis stands in front of the batch.
            let axis = if i == 0 { 0 } else { i + 1 };
            if ends == [0, 0] {
                continue;
            }
            let width = shape[axis + 1..].iter().product::<usize>();
            let before = shape[..axis].iter().product::<usize>();
            let extent = std::mem::replace(&mut shape[axis], target);
            tensor = if axis == 0 && self.kind == Kind::Cropping {
                cx.graph.view(tensor, ends[0] * width, shape.clone())?
            } else {
                let rows = cx.graph.reshape(tensor, [before, extent * width])?;
                let changed = self.one_axis(cx, rows, (extent, width), ends)?;
                cx.graph.reshape(changed, shape.clone())?
            };
        }
        Ok(tensor.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let [before, after] = [0, 1].map(|end| self.margins.0.map(|ends| ends[end] as i64));
        Ok(vec![match self.kind {
            Kind::Cropping => {
                // The number of pixels up to an end, where that is not the end itself.
                let ends = after.map(|n| if n == 0 { i64::MAX } else { -n });
                let axes: Vec<i64> = (1..=N as i64).collect();
                let starts = cx.graph.ints("starts", &before);
                let ends = cx.graph.ints("ends", &ends);
                let axes = cx.graph.ints("axes", &axes);
                cx.node("Slice", &[&x, &starts, &ends, &axes], &[])
            }
            Kind::ZeroPadding => {
                let pads = [&[0], &before[..], &[0, 0], &after[..], &[0]].concat();
                let pads = cx.graph.ints("pads", &pads);
                cx.node("Pad", &[&x, &pads], &[])
            }
        }])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        match self.kind {
            Kind::Cropping => a.optional("cropping", &mut self.margins),
            Kind::ZeroPadding => a.optional("padding", &mut self.margins),
        }
    }
}

/// One number for all ends; a number, or two, for each axis. Of a single axis two numbers are its
/// ends.
#[derive(Clone, Copy, Debug)]
struct Ends<const N: usize>([[usize; 2]; N]);

impl<const N: usize> Argument for Ends<N> {
    fn supported() -> String {
        match N {
            1 => "a whole number from 0 on, or two of them".into(),
            _ => format!("a whole number from 0 on, or {N} of them or of pairs of them"),
        }
    }

    fn read(value: &serde_json::Value, dialect: Dialect) -> Option<Self> {
        let number = |value: &serde_json::Value| match value.as_u64() {
            Some(0) => Some(0),
            _ => usize::read(value, dialect),
        };
        let both = |value: &serde_json::Value| match value.as_array().map(Vec::as_slice) {
            Some([before, after]) => Some([number(before)?, number(after)?]),
            Some(_) => None,
            None => number(value).map(|n| [n; 2]),
        };
        match value.as_array() {
            Some(list) if N > 1 => {
                let axes = list.iter().map(both).collect::<Option<Vec<_>>>()?;
                axes.try_into().ok().map(Self)
            }
            _ => both(value).map(|ends| Self([ends; N])),
        }
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(if N == 1 { json!(self.0[0]) } else { json!(self.0.to_vec()) })
    }
}
