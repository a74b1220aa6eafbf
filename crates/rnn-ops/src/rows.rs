use crate::Case;
use rnn_core::{Data, HostTensor, Shape};
use rnn_graph::DeviceKind;
use std::ops::Range;

/// Where the rows of an operand lie. The axis holds `blocks` times as many places as there are
/// rows, one block of all rows behind another: the steps of `[T B, ..]` are T blocks of B rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAxis {
    /// The axis.
    pub axis: usize,
    /// Blocks of rows along it.
    pub blocks: usize,
}

impl RowAxis {
    /// Each place along the axis is a row.
    pub fn new(axis: usize) -> Self {
        Self { axis, blocks: 1 }
    }

    /// The axis has so many blocks of rows.
    pub fn blocks(self, blocks: usize) -> Self {
        Self { blocks, ..self }
    }

    /// How many rows an operand of this shape has.
    fn rows(self, shape: &Shape) -> usize {
        shape.dims()[self.axis] / self.blocks
    }

    /// The shape of an operand of so many rows in place of those that it has.
    fn shape(self, shape: &Shape, rows: usize) -> Shape {
        let mut dims = shape.dims().to_vec();
        dims[self.axis] = self.blocks * rows;
        Shape::new(dims)
    }

    /// Some rows of the elements of an operand of this shape, in the order given.
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

/// Rows of a large case that do not depend on each other. The samples of the case hold a few
/// distinct rows, of which the definition computes the results. Row r of what a device is given is
/// row r mod distinct of them, and so must every row of its results be. The number of distinct
/// rows is odd: a kernel that takes a row for another, 2^k of them apart, as one does whose index
/// overflows, gives the row another's result.
#[derive(Clone, Debug)]
pub struct Rows {
    /// How many a device is given.
    pub count: usize,
    /// How many an emulated graphics API is given, which would take minutes for all of them.
    pub on_software: usize,
    /// Where they lie in each input; an input without an axis belongs to all rows.
    pub inputs: Vec<Option<RowAxis>>,
    /// Where they lie in each tensor changed in place.
    pub updates: Vec<Option<RowAxis>>,
    /// Where they lie in each output.
    pub outputs: Vec<Option<RowAxis>>,
}

impl Rows {
    /// A tensor with as many rows as a device is given, made of one with the distinct rows.
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

    /// The shape of a tensor with as many rows as a device is given.
    pub fn shape(&self, axis: Option<RowAxis>, few: &Shape) -> Shape {
        axis.map_or_else(|| few.clone(), |axis| axis.shape(few, self.count))
    }

    /// The rows of each repetition of the distinct rows of a tensor; the last may be cut short.
    pub fn repetitions(&self, axis: RowAxis, few: &Shape) -> impl Iterator<Item = Range<usize>> {
        let (count, distinct) = (self.count, axis.rows(few).max(1));
        (0..count).step_by(distinct).map(move |first| first..(first + distinct).min(count))
    }
}

impl Case {
    /// Repeats the rows of the samples until there are `count`, or `on_software` on an emulated
    /// graphics API; see [`Rows`]. The axis of each input and output is given, none for those that
    /// belong to all rows.
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

    /// Says where the rows of the tensors changed in place lie.
    pub fn update_rows(mut self, updates: &[Option<RowAxis>]) -> Self {
        if let Some(rows) = &mut self.rows {
            rows.updates = updates.to_vec();
        }
        self
    }

    /// The case as a kind of device is given it. The name says where that is less than all rows.
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
        // Two steps of three rows of one number.
        let few = HostTensor::from_f32([2, 3, 1], vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
        let few = few.expect("six numbers");
        let grown = rows.grow(axis, &few);
        assert_eq!(grown.shape().dims(), [2, 5, 1]);
        let wanted = [0.0, 1.0, 2.0, 0.0, 1.0, 10.0, 11.0, 12.0, 10.0, 11.0];
        assert_eq!(grown.as_f32().expect("floats"), wanted);
        let repetitions: Vec<_> = rows.repetitions(RowAxis::new(1), few.shape()).collect();
        assert_eq!(repetitions, [0..3, 3..5]);

        // The same with the steps and rows on one axis.
        let axis = RowAxis::new(0).blocks(2);
        let flat = few.reshape([6, 1]).expect("six numbers");
        let grown = rows.grow(Some(axis), &flat);
        assert_eq!(grown.shape().dims(), [10, 1]);
        assert_eq!(grown.as_f32().expect("floats"), wanted);
        let taken = axis.take((grown.as_f32().expect("floats"), grown.shape()), 3..5);
        assert_eq!(taken, [0.0, 1.0, 10.0, 11.0]);
    }
}
