use crate::Case;
use rnn_core::{Data, HostTensor, Shape};
use rnn_graph::DeviceKind;
use std::ops::Range;

/// The axis of an operand along which a case's independent rows lie. The axis holds `blocks`
/// consecutive blocks of all rows: the axis of `[T B, ..]` is T blocks of B rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAxis {
    /// Index of the axis in the operand's shape, from 0 on.
    pub axis: usize,
    /// Number of blocks along it.
    pub blocks: usize,
}

impl RowAxis {
    /// Returns the axis of that index, with one block: one row per position.
    pub fn new(axis: usize) -> Self {
        Self { axis, blocks: 1 }
    }

    /// Sets the number of blocks of rows along the axis; the default is 1.
    pub fn blocks(self, blocks: usize) -> Self {
        Self { blocks, ..self }
    }

    /// Returns the number of rows of an operand of this shape.
    fn rows(self, shape: &Shape) -> usize {
        shape.dims()[self.axis] / self.blocks
    }

    /// Returns the shape with another number of rows.
    fn shape(self, shape: &Shape, rows: usize) -> Shape {
        let mut dims = shape.dims().to_vec();
        dims[self.axis] = self.blocks * rows;
        Shape::new(dims)
    }

    /// Returns the elements of the given rows of an operand, in the given order. `values` are the
    /// operand's elements, row-major, and `shape` its shape. In an axis of several blocks, the rows
    /// are taken from each block.
    ///
    /// # Panics
    /// Panics if the operand has no such axis, or a row does not exist.
    pub fn take<T: Copy>(
        self,
        (values, shape): (&[T], &Shape),
        rows: impl Iterator<Item = usize> + Clone,
    ) -> Vec<T> {
        let run: usize = shape.dims()[self.axis + 1..].iter().product();
        let block = run * self.rows(shape);
        let blocks = values.chunks_exact(block.max(1));
        let of_block = |block| rows.clone().map(move |row| (block, row));
        let runs = blocks.flat_map(of_block);
        runs.flat_map(|(block, row)| block[row * run..(row + 1) * run].iter().copied()).collect()
    }
}

/// Repetition of the independent rows of a large case.
///
/// The samples of the case hold a few distinct rows, for which the reference computes the results.
/// Row r of the device's operands is row r mod distinct, and so must be row r of its results. The
/// number of distinct rows is odd, so that a kernel that confuses rows 2^k apart, for example by an
/// overflow of an index, yields another row's result.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Number of rows on a device.
    pub count: usize,
    /// Number of rows on an emulated graphics API, where all of them would take minutes.
    pub on_software: usize,
    /// Row axis of each input; `None` for an input that all rows share.
    pub inputs: Vec<Option<RowAxis>>,
    /// Row axis of each tensor changed in place.
    pub updates: Vec<Option<RowAxis>>,
    /// Row axis of each output.
    pub outputs: Vec<Option<RowAxis>>,
}

impl Rows {
    /// Returns an operand with all [`Rows::count`] rows, repeated in order from the distinct rows
    /// in `few`. With `None` as `axis`, as for an operand that all rows share, it is returned
    /// unchanged.
    pub fn grow(&self, axis: Option<RowAxis>, few: &HostTensor) -> HostTensor {
        let Some(axis) = axis else { return few.clone() };
        let distinct = axis.rows(few.shape()).max(1);
        let rows = (0..self.count).map(|row| row % distinct);
        let data = match few.data() {
            Data::F32(values) => Data::F32(axis.take((values, few.shape()), rows)),
            Data::U32(values) => Data::U32(axis.take((values, few.shape()), rows)),
        };
        let grown = HostTensor::new(self.shape(Some(axis), few.shape()), data);
        grown.unwrap_or_else(|_| few.clone())
    }

    /// Returns the shape that [`Rows::grow`] gives to an operand of shape `few`; with `None` as
    /// `axis`, as for an operand that all rows share, `few` itself.
    pub fn shape(&self, axis: Option<RowAxis>, few: &Shape) -> Shape {
        axis.map_or_else(|| few.clone(), |axis| axis.shape(few, self.count))
    }

    /// Iterates over the row ranges, within [`Rows::count`], that each repeat the distinct rows of
    /// an operand of shape `few`; the last may be shorter.
    pub fn repetitions(&self, axis: RowAxis, few: &Shape) -> impl Iterator<Item = Range<usize>> {
        let (count, distinct) = (self.count, axis.rows(few).max(1));
        (0..count).step_by(distinct).map(move |first| first..(first + distinct).min(count))
    }
}

impl Case {
    /// Repeats the rows of the samples until there are `count`, or `on_software` on an emulated
    /// graphics API; see [`Rows`]. `inputs` and `outputs` hold the row axis of each operand, `None`
    /// for operands that all rows share.
    pub fn rows(
        mut self,
        [count, on_software]: [usize; 2],
        inputs: &[Option<RowAxis>],
        outputs: &[Option<RowAxis>],
    ) -> Self {
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        self.rows = Some(Rows { count, on_software, inputs, updates: vec![], outputs });
        self
    }

    /// Sets the row axes of the tensors that the op changes in place; `None` for tensors that all
    /// rows share. Does nothing before [`Case::rows`].
    pub fn update_rows(mut self, updates: &[Option<RowAxis>]) -> Self {
        if let Some(rows) = &mut self.rows {
            rows.updates = updates.to_vec();
        }
        self
    }

    /// Returns the case with the number of rows for a class of device. For an emulated graphics API
    /// that is `on_software`; if this is smaller than `count`, the name says so. For other devices,
    /// and without [`Case::rows`], the case stays as it is.
    pub fn sized_for(&self, kind: DeviceKind) -> Self {
        let mut sized = self.clone();
        if let (Some(rows), DeviceKind::SoftwareGpu) = (&mut sized.rows, kind)
            && rows.on_software < rows.count
        {
            sized.name += &format!(", {} of {} rows", rows.on_software, rows.count);
            rows.count = rows.on_software;
        }
        sized
    }
}

#[cfg(test)]
mod tests {
    use super::{RowAxis, Rows};
    use rnn_core::HostTensor;

    #[test]
    fn rows_repeat_along_their_axis() {
        let axis = Some(RowAxis::new(1));
        let rows = Rows {
            count: 5,
            on_software: 5,
            inputs: vec![axis],
            updates: vec![],
            outputs: vec![axis],
        };
        // Two steps of three rows of one element.
        let few = HostTensor::from_f32([2, 3, 1], vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
        let few = few.expect("six numbers");
        let grown = rows.grow(axis, &few);
        assert_eq!(grown.shape().dims(), [2, 5, 1]);
        let wanted = [0.0, 1.0, 2.0, 0.0, 1.0, 10.0, 11.0, 12.0, 10.0, 11.0];
        assert_eq!(grown.as_f32().expect("floats"), wanted);
        let repetitions: Vec<_> = rows.repetitions(RowAxis::new(1), few.shape()).collect();
        assert_eq!(repetitions, [0..3, 3..5]);

        // Steps and rows on one axis.
        let axis = RowAxis::new(0).blocks(2);
        let flat = few.reshape([6, 1]).expect("six numbers");
        let grown = rows.grow(Some(axis), &flat);
        assert_eq!(grown.shape().dims(), [10, 1]);
        assert_eq!(grown.as_f32().expect("floats"), wanted);
        let taken = axis.take((grown.as_f32().expect("floats"), grown.shape()), 3..5);
        assert_eq!(taken, [0.0, 1.0, 10.0, 11.0]);
    }
}
