//! Rows of data that hold NaN or an infinity.

use anyhow::Result;
use rnn::HostTensor;
use rnn::nn::{Dataset, Trainer};
use std::fmt;

/// A count of rows of data and of those among them that hold NaN or an infinity.
#[derive(Clone, Copy, Debug)]
pub struct FiniteRows {
    what: &'static str,
    rows: usize,
    broken: usize,
    /// Counted from 0.
    first: Option<usize>,
}

impl FiniteRows {
    /// Returns a count of no rows. `what` names the contents of the rows in
    /// [`FiniteRows::warning`], such as "inputs" or "outputs".
    pub fn of(what: &'static str) -> Self {
        Self { what, rows: 0, broken: 0, first: None }
    }

    /// Adds rows to the count. All tensors must have the rows along their first axis, in the same
    /// number. A row is not finite if one of its floats in any tensor is NaN or infinite; integers
    /// are always finite. An empty list adds no rows.
    pub fn see(&mut self, tensors: &[HostTensor]) {
        let rows = tensors.iter().filter_map(|t| t.shape().dims().first().copied()).min();
        let rows = rows.unwrap_or(0);
        let floats: Vec<&[f32]> = tensors.iter().filter_map(|t| t.as_f32().ok()).collect();
        for row in 0..rows {
            let finite = floats.iter().all(|floats| {
                let width = floats.len() / rows;
                floats[row * width..][..width].iter().all(|value| value.is_finite())
            });
            if !finite {
                self.broken += 1;
                self.first.get_or_insert(self.rows + row);
            }
        }
        self.rows += rows;
    }

    /// Adds rows to the count, each given as its elements. An empty row is finite.
    pub fn see_rows<'a>(&mut self, rows: impl IntoIterator<Item = &'a [f32]>) {
        for row in rows {
            if !row.iter().all(|value| value.is_finite()) {
                self.broken += 1;
                self.first.get_or_insert(self.rows);
            }
            self.rows += 1;
        }
    }

    /// Returns a line for the user, `warning: ..`, with the number of rows that are not finite and
    /// the number of the first of them, from 0 on; `None` if all rows are finite.
    pub fn warning(&self) -> Option<String> {
        (self.broken > 0).then(|| format!("warning: {self}"))
    }
}

impl fmt::Display for FiniteRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, rows, broken, first } = self;
        let verb = if *broken == 1 { "has" } else { "have" };
        write!(f, "{broken} of {rows} rows {verb} {what} that are not finite")?;
        first.map_or(Ok(()), |first| write!(f, " (first: row {first})"))
    }
}

/// Counts the rows of `set` that are not finite: among the inputs, then among the outputs of the
/// model. `loss` is the mean loss of the set. If it is finite, the outputs are not computed, and
/// their count has no rows.
pub fn count(
    trainer: &mut Trainer,
    set: &Dataset,
    batch_size: usize,
    loss: f64,
) -> Result<[FiniteRows; 2]> {
    let [mut inputs, mut outputs] = ["inputs", "outputs"].map(FiniteRows::of);
    for batch in set.batches(batch_size) {
        let batch = batch?;
        inputs.see(&batch.inputs);
        if !loss.is_finite() {
            outputs.see(&trainer.predict_batch(&batch.inputs)?);
        }
    }
    Ok([inputs, outputs])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_over_batches_and_tensors() {
        let tensor = |shape: [usize; 2], values: Vec<f32>| HostTensor::from_f32(shape, values);
        let mut rows = FiniteRows::of("outputs");
        let whole = tensor([2, 2], vec![0.0; 4]).expect("four elements");
        rows.see(std::slice::from_ref(&whole));
        assert_eq!(rows.to_string(), "0 of 2 rows have outputs that are not finite");
        let nan = tensor([2, 1], vec![0.0, f32::NAN]).expect("two elements");
        let both = tensor([2, 2], vec![f32::INFINITY, 0.0, 0.0, 0.0]).expect("four elements");
        rows.see(&[nan, both]);
        rows.see(&[tensor([1, 1], vec![f32::NEG_INFINITY]).expect("one element")]);
        let said = rows.to_string();
        assert_eq!(said, "3 of 5 rows have outputs that are not finite (first: row 2)");
    }
}
