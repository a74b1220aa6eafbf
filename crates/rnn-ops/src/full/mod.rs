//! Cases of the sizes of real training runs: hundreds of steps, more rows of batch times time than
//! 65,535, more workgroups than one axis of a grid holds. Where rows are independent, the reference
//! definition computes a few of them; see [`crate::Rows`].

mod extremes;
mod products;
mod recurrent;
mod rowwise;
mod sums;
mod windows;

use crate::{Case, RowAxis, Sample, Tier};

/// Steps of a long sequence.
const STEPS: usize = 500;
/// Batch size for which STEPS * BATCH exceeds 65,535.
const BATCH: usize = 132;
/// A number of rows beyond 65,535.
const MANY: usize = 70_001;
/// Columns for which MANY rows need more than 65,535 workgroups of 256 threads.
const WIDE: usize = 257;
/// Elements that need more than 65,535 workgroups of 256 threads.
const ELEMENTS: usize = 16_800_001;
/// Distinct rows of long columns; a prime.
const DISTINCT: usize = 1009;
/// Marks an operand that all rows share.
const SHARED: Option<RowAxis> = None;

/// Marks an operand whose rows lie along `axis`.
fn along(axis: usize) -> Option<RowAxis> {
    Some(RowAxis::new(axis))
}

/// Marks an operand whose rows lie along `axis` in `blocks` blocks.
fn in_blocks(axis: usize, blocks: usize) -> Option<RowAxis> {
    Some(RowAxis::new(axis).blocks(blocks))
}

fn normal(shape: &[usize]) -> Sample {
    Sample::Normal(shape.to_vec())
}

fn uniform(shape: &[usize], low: f32, high: f32) -> Sample {
    Sample::Uniform(shape.to_vec(), low, high)
}

/// Returns the cases of [`Tier::Full`], those of the most used ops first.
pub fn cases() -> Vec<Case> {
    let lists = [
        recurrent::cases,
        windows::cases,
        products::cases,
        rowwise::cases,
        sums::cases,
        extremes::cases,
    ];
    lists.iter().flat_map(|cases| cases()).map(|case| case.tier(Tier::Full)).collect()
}
