use super::{BATCH, MANY, SHARED, STEPS, along, in_blocks, normal, uniform};
use crate::{
    Activation, BatchMatmul, Case, DropoutMatmul, DropoutMatmulInput, DropoutMatmulWeights, Matmul,
    MatmulWeights,
};
use rnn_core::DType;

/// Products with very many rows or very many columns, with the operands in either order.
fn products() -> Vec<Case> {
    let tanh = Matmul { bias: true, activation: Activation::Tanh, ..Matmul::default() };
    let of_rows = |rows: usize, k: usize, n: usize| {
        let inputs = vec![normal(&[7, k]), uniform(&[k, n], -0.3, 0.3), normal(&[n])];
        Case::new(format!("matmul {rows}x{k} {k}x{n} bias tanh"), tanh.clone(), inputs)
            .tolerance(1e-5)
            .rows([rows, rows], &[along(0), SHARED, SHARED], &[along(0)])
    };
    let of_columns = |m: usize, k: usize, columns: usize| {
        let inputs = vec![normal(&[m, k]), normal(&[k, 7])];
        Case::new(format!("matmul {m}x{k} {k}x{columns}"), Matmul::default(), inputs).rows(
            [columns, columns],
            &[SHARED, along(1)],
            &[along(1)],
        )
    };
    let back = Matmul { transpose_b: true, ..Matmul::default() };
    let inputs = vec![normal(&[7, 384]), normal(&[32, 384])];
    vec![
        of_rows(STEPS * BATCH, 32, 480),
        of_rows(MANY, 128, 128),
        // More than 65,535 tiles of 64 rows, and of 64 columns.
        of_rows(4_200_001, 4, 5),
        of_columns(2, 3, 4_200_001),
        // More than 65,535 workgroups.
        Case::new(
            format!("batch_matmul {MANY} of 4x8 8x64"),
            BatchMatmul::default(),
            vec![normal(&[7, 4, 8]), normal(&[7, 8, 64])],
        )
        .rows([MANY, MANY], &[along(0), along(0)], &[along(0)]),
        Case::new(format!("matmul {MANY}x384 (32x384)^T"), back, inputs).tolerance(5e-6).rows(
            [MANY, MANY],
            &[along(0), SHARED],
            &[along(0)],
        ),
    ]
}

/// Sums of very many terms. Rounding grows with the root of their number.
fn long_sums() -> Vec<Case> {
    let rows = STEPS * BATCH;
    let gradient = Matmul { transpose_a: true, ..Matmul::default() };
    let of_columns = |k: usize| vec![normal(&[rows, k]), normal(&[rows, 3])];
    let axes = [SHARED, along(1)];
    let weights = format!("({rows}x128)^T {rows}x480");
    let halves = Case::new(format!("matmul {weights} halves"), gradient.clone(), of_columns(128));
    vec![
        Case::new("matmul 33x300007 300007x17", Matmul::default(), {
            vec![normal(&[33, 300_007]), normal(&[300_007, 17])]
        })
        .tolerance(2e-5),
        Case::new(format!("matmul {weights}"), gradient, of_columns(128)).tolerance(2e-5).rows(
            [480, 480],
            &axes,
            &[along(1)],
        ),
        halves.half(&[0, 1]).tolerance(2e-5).rows([480, 480], &axes, &[along(1)]),
        Case::new(format!("matmul_weights {weights}"), MatmulWeights, of_columns(128))
            .tolerance(2e-5)
            .rows([480, 480], &axes, &[along(1), along(0)]),
    ]
}

/// Products whose gates each have a dropout of their own, with factors that repeat at every step.
fn dropped() -> Vec<Case> {
    let (few, k, gates, width) = (3, 32, 4, 96);
    let columns = gates * width;
    let factors = |rows: usize| uniform(&[gates, rows, k], 0.0, 2.0);
    let w = uniform(&[k, columns], -0.3, 0.3);
    let op = DropoutMatmul { bias: true, output: DType::F32 };
    let size = format!("T {STEPS} B {BATCH} {k} to {gates}x{width}");
    let inputs = vec![normal(&[STEPS, few, k]), w.clone(), factors(few), normal(&[columns])];
    // Three columns per gate.
    let weights =
        vec![normal(&[STEPS, BATCH, k]), normal(&[STEPS, BATCH, gates * 3]), factors(BATCH)];
    vec![
        Case::new(format!("dropout_matmul {size}"), op, inputs).tolerance(5e-6).rows(
            [BATCH, BATCH],
            &[along(1), SHARED, along(1), SHARED],
            &[along(1)],
        ),
        Case::new(
            format!("dropout_matmul_input {size}"),
            DropoutMatmulInput,
            vec![normal(&[STEPS, few, columns]), w, factors(few)],
        )
        .tolerance(5e-6)
        .rows([BATCH, BATCH], &[along(1), SHARED, along(1)], &[along(1)]),
        // 66,000 terms.
        Case::new(format!("dropout_matmul_weights {size}"), DropoutMatmulWeights, weights)
            .tolerance(2e-5)
            .rows([width, width], &[SHARED, in_blocks(2, gates), SHARED], &[in_blocks(1, gates)]),
    ]
}

/// Returns the cases of [`Tier::Full`](crate::Tier::Full) of products: [`Matmul`],
/// [`MatmulWeights`], [`DropoutMatmul`] and its gradients.
pub fn cases() -> Vec<Case> {
    [products(), long_sums(), dropped()].concat()
}
