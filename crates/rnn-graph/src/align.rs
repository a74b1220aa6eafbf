//! Alignment of bindings: a tensor that begins at an offset which the device cannot bind is read,
//! changed or written through an aligned copy.

use crate::{
    Access, Binding, Graph, Grid, InPlace, Launch, Node, OpError, Operand, Shader, TensorId, Work,
};
use rnn_core::DType;
use rnn_shaders::shared::ELEMENTWISE;

static COPY: Shader = Shader::new("copy", &[ELEMENTWISE, rnn_shaders::COPY]);
const THREADS: usize = rnn_shaders::constant(ELEMENTWISE, "THREADS");

/// Returns a launch that copies `words` words of four bytes.
///
/// # Errors
/// Fails if the grid exceeds WebGPU's limits.
pub(crate) fn copy(from: Operand, to: Operand, words: usize) -> Result<Launch, OpError> {
    let launch = Launch::new(&COPY, "copy", Grid::cover(words.div_ceil(THREADS))?);
    Ok(launch.bind("x", from).bind("out", to).param("count", words))
}

/// Routes the unaligned tensors of a node through scratch buffers.
///
/// Applies to each tensor that begins at an unaligned word and is read, changed or written, unless
/// the kernel takes it where it begins: a kernel does so if it declares a parameter
/// `<binding>_offset`. Inputs, and tensors changed in place, are copied to the scratch buffer
/// before the first launch; changed and written ones are copied back after the last.
///
/// # Errors
/// Fails if a written half-precision tensor ends within a word, or a shader is invalid.
pub(crate) fn align(graph: &Graph, node: &Node, mut work: Work) -> Result<Work, OpError> {
    let mut copies: Vec<(Operand, TensorId, Operand)> = Vec::new();
    for launch in &work.launches {
        for &(name, operand) in &launch.bindings {
            let Some(tensor) = tensor(node, operand) else { continue };
            let copied = copies.iter().any(|&(known, ..)| known == operand);
            if !copied && begins_unaligned(graph, tensor) && !takes(launch, name)? {
                copies.push((operand, tensor, Operand::Scratch(work.scratch.len() + copies.len())));
            }
        }
    }
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for &(operand, tensor, scratch) in &copies {
        let ty = &graph[tensor].ty;
        let words = ty.words();
        work.scratch.push(words);
        if !matches!(operand, Operand::Input(_)) {
            if ty.dtype == DType::F16 && !ty.len().is_multiple_of(2) {
                return Err(OpError::Limit(format!(
                    "{ty}, written at an unaligned offset, ends within a word"
                )));
            }
            last.push(copy(scratch, operand, words)?);
        }
        match (operand, node.op.in_place()) {
            (Operand::Output(at), Some(InPlace { input, output })) if at == output => {
                first.push(copy(Operand::Input(input), scratch, words)?);
            }
            (Operand::Output(_), _) => {}
            _ => first.push(copy(operand, scratch, words)?),
        }
    }
    for launch in &mut work.launches {
        for (_, operand) in &mut launch.bindings {
            if let Some((.., scratch)) = copies.iter().find(|(known, ..)| known == operand) {
                *operand = *scratch;
            }
        }
    }
    work.launches.splice(0..0, first);
    work.launches.append(&mut last);
    Ok(work)
}

/// Returns true if the tensor begins at a word that is no multiple of [`Binding::ALIGNMENT`].
pub(crate) fn begins_unaligned(graph: &Graph, tensor: TensorId) -> bool {
    let (_, offset) = graph.root(tensor);
    !(offset * graph[tensor].ty.dtype.bytes() / 4).is_multiple_of(Binding::ALIGNMENT)
}

fn tensor(node: &Node, operand: Operand) -> Option<TensorId> {
    match operand {
        Operand::Input(i) => node.operands.inputs.get(i).copied(),
        Operand::Update(i) => node.operands.updates.get(i).copied(),
        Operand::Output(i) => node.operands.outputs.get(i).copied(),
        Operand::Scratch(_) => None,
    }
}

/// Returns true if the kernel reads the binding `name` and declares its `<name>_offset`.
fn takes(launch: &Launch, name: &str) -> Result<bool, OpError> {
    let entry = launch.shader.entry_point(launch.entry)?;
    let read = entry.storage.iter().any(|s| s.name == name && s.access == Access::Read);
    let members = entry.params.iter().flat_map(|block| &block.members);
    let offset =
        members.map(|(member, ..)| member).any(|m| m.strip_suffix("_offset") == Some(name));
    Ok(read && offset)
}
