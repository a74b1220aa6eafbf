//! Kernels of products, one for each combination of element types.

use rnn_core::DType;
use rnn_graph::{OpError, Shader, Signature};

/// The WGSL modules of a product of A and B. Each is for one combination of the element types of A,
/// B and the result, which stand before it.
pub type ProductKernels = [([DType; 3], Shader); 5];

/// Builds [`ProductKernels`] from the parts of a WGSL text, which calls the element types of the
/// operands A, B and Out.
macro_rules! product_kernels {
    ($name:literal, $($part:expr),+ $(,)?) => {{
        use rnn_core::DType::{F16, F32};
        macro_rules! kernels {
            ($suffix:literal, $types:literal) => {
                rnn_graph::Shader::new(concat!($name, $suffix), &[$types, $($part),+])
            };
        }
        [
            ([F32, F32, F32], kernels!("", "alias A = f32; alias B = f32; alias Out = f32;")),
            (
                [F32, F32, F16],
                kernels!("_to_half", "enable f16; alias A = f32; alias B = f32; alias Out = f16;"),
            ),
            (
                [F16, F32, F32],
                kernels!("_half_a", "enable f16; alias A = f16; alias B = f32; alias Out = f32;"),
            ),
            (
                [F32, F16, F32],
                kernels!("_half_b", "enable f16; alias A = f32; alias B = f16; alias Out = f32;"),
            ),
            (
                [F16, F16, F32],
                kernels!("_halves", "enable f16; alias A = f16; alias B = f16; alias Out = f32;"),
            ),
        ]
    }};
}

/// Returns the element types of A, B and the result of a product: those of the node's first two
/// inputs and of its first output.
///
/// # Panics
/// Panics if the node has fewer than two inputs, or no output.
pub fn stored(s: &Signature) -> [DType; 3] {
    [s.inputs[0].dtype, s.inputs[1].dtype, s.outputs[0].dtype]
}

/// Returns the module of `kernels` for the element types `stored` of A, B and the result.
///
/// # Errors
/// Fails with [`OpError::Shape`] if there is no module for this combination.
pub fn find(
    kernels: &'static ProductKernels,
    stored: [DType; 3],
) -> Result<&'static Shader, OpError> {
    let found = kernels.iter().find(|(types, _)| *types == stored);
    let [a, b, result] = stored;
    let missing = || OpError::shape(format!("no product of {a} and {b} is stored as {result}"));
    found.map(|(_, shader)| shader).ok_or_else(missing)
}
