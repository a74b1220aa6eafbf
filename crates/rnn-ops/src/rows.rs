use crate::Case;
use rnn_core::{Data, HostTensor, Shape};
use rnn_graph::DeviceKind;
use std::ops::Range;

/// The axis of an operand along which the independent rows of a case lie. The axis consists of
/// `blocks` consecutive blocks, each of which holds all rows once. For example, the first axis of
/// `[T B, ..]` has T blocks of B rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAxis {
    /// Index of the axis in the operand's shape, from 0 on.
    pub axis: usize,
    /// Number of blocks along the axis, at least 1.
    pub blocks: usize,
}

impl RowAxis {
    /// Returns the row axis with index `axis` and one block, so that each position is one row.
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

    /// Returns the elements of the rows with the given indices, from 0 on, in the given order.
    /// `values` are the operand's elements, row-major, and `shape` is its shape. If the axis has
    /// several blocks, the rows are taken from each block in turn.
    ///
    /// # Panics
    /// Panics if the operand has no such axis, `blocks` is 0, or a row does not exist.
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
/// Row r of an operand on the device is the distinct row r mod D, where D is the number of distinct
/// rows; row r of a result must be the reference's result for that row. D should be odd. Then a
/// kernel that confuses rows 2^k apart, for example by an overflow of an index, yields another
/// row's result.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Number of rows on a device, except on an emulated graphics API.
    pub count: usize,
    /// Number of rows on an emulated graphics API, which would take minutes for [`Rows::count`]
    /// rows.
    pub on_software: usize,
    /// Row axis of each input; `None` for an input that all rows share.
    pub inputs: Vec<Option<RowAxis>>,
    /// Row axis of each tensor changed in place; `None` for a tensor that all rows share.
    pub updates: Vec<Option<RowAxis>>,
    /// Row axis of each output; `None` for an output that all rows share.
    pub outputs: Vec<Option<RowAxis>>,
}

impl Rows {
    /// Returns the operand with [`Rows::count`] rows: the distinct rows in `few`, repeated in order
    /// along `axis`. If `axis` is `None`, as for an operand that all rows share, returns `few`
    /// unchanged.
    ///
    /// # Panics
    /// Panics if `few` has no such axis.
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

    /// Returns the shape that [`Rows::grow`] gives an operand of shape `few`. If `axis` is `None`,
    /// as for an operand that all rows share, this is `few`.
    ///
    /// # Panics
    /// Panics if `few` has no such axis.
    pub fn shape(&self, axis: Option<RowAxis>, few: &Shape) -> Shape {
        axis.map_or_else(|| few.clone(), |axis| axis.shape(few, self.count))
    }

    /// Iterates over consecutive ranges of rows that together are `0..count`, see [`Rows::count`].
    /// Each range holds one repetition of the distinct rows of an operand of shape `few`; the last
    /// may be shorter.
    ///
    /// # Panics
    /// Panics if `few` has no such axis.
    pub fn repetitions(&self, axis: RowAxis, few: &Shape) -> impl Iterator<Item = Range<usize>> {
        let (count, distinct) = (self.count, axis.rows(few).max(1));
        (0..count).step_by(distinct).map(move |first| first..(first + distinct).min(count))
    }
}

impl Case {
    /// Repeats the rows of the samples until there are `count` rows, or `on_software` rows on an
    /// emulated graphics API; see [`Rows`]. `inputs` and `outputs` hold the row axis of each
    /// operand, and `None` for an operand that all rows share. [`Case::update_rows`] has to be
    /// called after this method.
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

    /// Sets the row axis of each tensor that the op changes in place, and `None` for a tensor that
    /// all rows share. Without an earlier call of [`Case::rows`] it does nothing.
    pub fn update_rows(mut self, updates: &[Option<RowAxis>]) -> Self {
        if let Some(rows) = &mut self.rows {
            rows.updates = updates.to_vec();
        }
        self
    }

    /// Returns the case with the number of rows for a class of device. For
    /// [`DeviceKind::SoftwareGpu`] the number is [`Rows::on_software`]; if this is smaller than
    /// [`Rows::count`], it becomes the count and a remark is appended to the name. For other
    /// devices, and without [`Case::rows`], the case is unchanged.
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
