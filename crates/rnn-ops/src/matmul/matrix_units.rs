//! Products on matrix units: a subgroup multiplies small matrices in one instruction.

use crate::matmul::{Extents, Product};
use rnn_core::DType;
use rnn_graph::{Grid, Launch, Limits, OpError, Shader};
use rnn_shaders::matmul::MATRIX_UNITS;

/// WGSL modules for matrix units of side 8 and 16.
static KERNELS: [(usize, Shader); 2] = [
    (
        8,
        Shader::new(
            "matrix_units_8",
            &[
                MATRIX_UNITS,
                "alias Left = coop_mat8x8<f16, A>; alias Right = coop_mat8x8<f16, B>;",
                "alias Sums = coop_mat8x8<f32, C>; const SIDE = 8u;",
            ],
        ),
    ),
    (
        16,
        Shader::new(
            "matrix_units_16",
            &[
                MATRIX_UNITS,
                "alias Left = coop_mat16x16<f16, A>; alias Right = coop_mat16x16<f16, B>;",
                "alias Sums = coop_mat16x16<f32, C>; const SIDE = 16u;",
            ],
        ),
    ),
];

/// Unit matrices along each side of a workgroup's result: blocks of 2.
const PER_WORKGROUP: usize = 2 * rnn_shaders::constant(MATRIX_UNITS, "BLOCKS");

/// Returns an upper bound on the loop iterations of a thread in a launch that [`launch`] returns,
/// for sums of `terms` terms. A thread may work on all blocks of its workgroup.
pub fn iterations(terms: usize) -> u64 {
    let blocks = PER_WORKGROUP * PER_WORKGROUP / 4;
    rnn_graph::iterations(blocks, rnn_graph::iterations(terms.div_ceil(KERNELS[0].0), 0))
}

/// Returns a launch of `product` on the device's matrix units, with each sum split into `parts`
/// parts. `None` if the device has no matrix units, or if the product does not suit them. A, B must
/// be in half precision, the result in single precision, all extents divisible by those of the
/// units; and there must be no dropout and, unless `parts` exceeds 1, no bias or activation.
///
/// Products of two half-precision factors are exact. The sums differ from those of matmul.wgsl only
/// in the order of their terms.
///
/// # Errors
/// Fails with [`OpError::Limit`] if the grid exceeds WebGPU's limits.
pub fn launch(product: &Product, parts: usize, limits: &Limits) -> Result<Option<Launch>, OpError> {
    let Extents { m, n, k } = product.extents;
    let halves = product.stored == [DType::F16, DType::F16, DType::F32];
    let plain = product.dropout.is_none() && (parts > 1 || product.ends_with_sums());
    let fits = |side: usize| m % (2 * side) == 0 && n % (2 * side) == 0 && k % side == 0;
    let unit = limits.matrix_units.filter(|_| halves && plain && k > 0);
    let unit = unit.and_then(|unit| KERNELS.iter().find(|(side, _)| *side == unit as usize));
    let Some((side, shader)) = unit.filter(|(side, _)| fits(*side)) else { return Ok(None) };
    let [columns, rows] = [n, m].map(|extent| extent.div_ceil(PER_WORKGROUP * side));
    let grid = Grid::new(columns, rows, parts)?;
    Ok(Some(Launch::new(shader, "multiply", grid).divisible()))
}
