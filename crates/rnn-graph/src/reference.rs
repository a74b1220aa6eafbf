use crate::{Graph, InPlace, Op, Signature, Storage, TensorId, TensorType};
use rnn_core::{DType, Data, HostTensor};
use std::collections::HashMap;

/// A floating-point type in which reference definitions are evaluated: `f32` or `f64`.
pub trait Real:
    num_traits::Float + num_traits::FromPrimitive + std::iter::Sum + Send + Sync + 'static
{
    /// Converts a constant, rounding to the nearest value.
    fn of(value: f64) -> Self {
        Self::from_f64(value).unwrap_or_else(Self::nan)
    }

    /// Runs the op's reference definition in this precision.
    fn run(op: &dyn Op, io: &mut Io<'_, Self>);
}

impl Real for f64 {
    fn run(op: &dyn Op, io: &mut Io<'_, Self>) {
        op.reference_f64(io);
    }
}

impl Real for f32 {
    fn run(op: &dyn Op, io: &mut Io<'_, Self>) {
        op.reference_f32(io);
    }
}

/// Elements of an input of a reference definition, row-major.
#[derive(Clone, Copy, Debug)]
pub enum Slice<'a, F> {
    /// Floats.
    Float(&'a [F]),
    /// Unsigned integers.
    Uint(&'a [u32]),
}

/// Elements of an output or update of a reference definition, row-major.
#[derive(Debug)]
pub enum SliceMut<'a, F> {
    /// Floats.
    Float(&'a mut [F]),
    /// Unsigned integers.
    Uint(&'a mut [u32]),
}

/// Operands of one node while its reference definition runs on the host.
///
/// The methods panic if an op requests floats of an integer tensor, or integers of a float tensor.
#[derive(Debug)]
pub struct Io<'a, F> {
    /// Types of all operands.
    pub signature: &'a Signature,
    /// Elements of the inputs.
    pub inputs: Vec<Slice<'a, F>>,
    /// Elements of the tensors changed in place.
    pub updates: Vec<SliceMut<'a, F>>,
    /// Elements of the outputs.
    pub outputs: Vec<SliceMut<'a, F>>,
}

impl<'a, F> Io<'a, F> {
    /// Returns the elements of the input `index`, row-major.
    ///
    /// # Panics
    /// Panics if there is no such input, or it holds integers.
    pub fn input(&self, index: usize) -> &'a [F] {
        match self.inputs[index] {
            Slice::Float(values) => values,
            Slice::Uint(_) => panic!("input {index} holds integers"),
        }
    }

    /// Returns the elements of the integer input `index`, row-major.
    ///
    /// # Panics
    /// Panics if there is no such input, or it holds floats.
    pub fn uints(&self, index: usize) -> &'a [u32] {
        match self.inputs[index] {
            Slice::Uint(values) => values,
            Slice::Float(_) => panic!("input {index} holds floats"),
        }
    }

    /// Returns the extents of the input `index`, slowest-varying axis first.
    ///
    /// # Panics
    /// Panics if there is no such input.
    pub fn dims(&self, index: usize) -> &'a [usize] {
        self.signature.inputs[index].dims()
    }

    /// Returns the elements of the only output, row-major.
    ///
    /// # Panics
    /// Panics if there is another number of outputs, or the output holds integers.
    pub fn output(&mut self) -> &mut [F] {
        let [output] = self.outputs();
        output
    }

    /// Returns the elements of all outputs, row-major.
    ///
    /// # Panics
    /// Panics if there are not `N` outputs, or one holds integers.
    pub fn outputs<const N: usize>(&mut self) -> [&mut [F]; N] {
        floats(&mut self.outputs)
    }

    /// Returns the elements of all tensors that the node changes in place, row-major.
    ///
    /// # Panics
    /// Panics if there are not `N` of them, or one holds integers.
    pub fn updates<const N: usize>(&mut self) -> [&mut [F]; N] {
        floats(&mut self.updates)
    }

    /// Returns the elements of all tensors that the node changes in place, however many there are,
    /// row-major.
    ///
    /// # Panics
    /// Panics if one holds integers.
    pub fn all_updates(&mut self) -> Vec<&mut [F]> {
        all_floats(&mut self.updates)
    }

    /// Returns the integer elements of all outputs, row-major.
    ///
    /// # Panics
    /// Panics if there are not `N` outputs, or one holds floats.
    pub fn uint_outputs<const N: usize>(&mut self) -> [&mut [u32]; N] {
        let all: Vec<&mut [u32]> = self
            .outputs
            .iter_mut()
            .map(|s| match s {
                SliceMut::Uint(values) => &mut **values,
                SliceMut::Float(_) => panic!("an output holds floats"),
            })
            .collect();
        all.try_into().unwrap_or_else(|v: Vec<_>| panic!("{} outputs, asked for {N}", v.len()))
    }
}

fn floats<'s, F, const N: usize>(slices: &'s mut [SliceMut<'_, F>]) -> [&'s mut [F]; N] {
    let all = all_floats(slices);
    all.try_into().unwrap_or_else(|v: Vec<_>| panic!("{} tensors, asked for {N}", v.len()))
}

fn all_floats<'s, F>(slices: &'s mut [SliceMut<'_, F>]) -> Vec<&'s mut [F]> {
    let floats = |s: &'s mut SliceMut<'_, F>| match s {
        SliceMut::Float(values) => &mut **values,
        SliceMut::Uint(_) => panic!("asked for floats of an integer tensor"),
    };
    slices.iter_mut().map(floats).collect()
}

/// Elements of a tensor during an evaluation on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<F> {
    /// Floats.
    Float(Vec<F>),
    /// Unsigned integers.
    Uint(Vec<u32>),
}

impl<F: Real> Values<F> {
    /// Converts the elements of a host tensor: floats to `F`, exactly; integers unchanged.
    pub fn from_host(tensor: &HostTensor) -> Self {
        match tensor.data() {
            Data::F32(v) => Self::Float(v.iter().map(|&x| F::of(x.into())).collect()),
            Data::U32(v) => Self::Uint(v.clone()),
        }
    }

    /// Returns initial elements for memory that a definition must overwrite: NaN, or the largest
    /// integer. An element that is not written then shows in the results.
    pub fn poison(ty: &TensorType) -> Self {
        match ty.dtype {
            DType::F32 | DType::F16 => Self::Float(vec![F::nan(); ty.len()]),
            DType::U32 => Self::Uint(vec![u32::MAX; ty.len()]),
        }
    }

    /// Rounds floats to the precision in which a tensor of type `dtype` stores them.
    fn rounded(mut self, dtype: DType) -> Self {
        if let (Self::Float(values), DType::F16) = (&mut self, dtype) {
            let round = |v: F| half::f16::from_f64(v.to_f64().unwrap_or(f64::NAN)).to_f64();
            values.iter_mut().for_each(|v| *v = F::of(round(*v)));
        }
        self
    }

    /// Returns the floats; an empty slice if the elements are integers.
    pub fn floats(&self) -> &[F] {
        match self {
            Self::Float(v) => v,
            Self::Uint(_) => &[],
        }
    }

    fn part(&self, offset: usize, len: usize) -> Slice<'_, F> {
        match self {
            Self::Float(v) => Slice::Float(&v[offset..offset + len]),
            Self::Uint(v) => Slice::Uint(&v[offset..offset + len]),
        }
    }

    fn part_mut(&mut self, offset: usize, len: usize) -> SliceMut<'_, F> {
        match self {
            Self::Float(v) => SliceMut::Float(&mut v[offset..offset + len]),
            Self::Uint(v) => SliceMut::Uint(&mut v[offset..offset + len]),
        }
    }

    fn store(&mut self, offset: usize, values: Self) {
        match (self, values) {
            (Self::Float(to), Self::Float(from)) => {
                to[offset..offset + from.len()].copy_from_slice(&from)
            }
            (Self::Uint(to), Self::Uint(from)) => {
                to[offset..offset + from.len()].copy_from_slice(&from)
            }
            _ => panic!("element types differ"),
        }
    }
}

/// Evaluates every node of the graph by its reference definition, in the precision `F`. Returns the
/// values of all tensors that are not views, by id.
///
/// `given` holds the values of inputs and residents. Residents that are not given start at zero;
/// inputs that are not given hold NaN or the largest integer. Tensors of half precision are rounded
/// when they are stored.
///
/// # Panics
/// Panics if given values have too few elements or another element type than their tensor.
pub fn evaluate<F: Real>(
    graph: &Graph,
    given: HashMap<TensorId, Values<F>>,
) -> HashMap<TensorId, Values<F>> {
    let mut memory = given;
    for (id, tensor) in graph.tensors() {
        if !matches!(tensor.storage, Storage::View { .. }) {
            memory.entry(id).or_insert_with(|| match tensor.storage {
                Storage::Resident => {
                    Values::from_host(&HostTensor::zeros(tensor.ty.shape.clone(), tensor.ty.dtype))
                }
                _ => Values::poison(&tensor.ty),
            });
        }
    }
    for node in graph.nodes() {
        let signature = graph.signature(node);
        let o = &node.operands;
        let copy = |id: TensorId| {
            let (root, offset) = graph.root(id);
            match memory[&root].part(offset, graph[id].ty.len()) {
                Slice::Float(v) => Values::Float(v.to_vec()),
                Slice::Uint(v) => Values::Uint(v.to_vec()),
            }
        };
        let inputs: Vec<Values<F>> = o.inputs.iter().map(|&t| copy(t)).collect();
        let mut updates: Vec<Values<F>> = o.updates.iter().map(|&t| copy(t)).collect();
        let mut outputs: Vec<Values<F>> = signature.outputs.iter().map(Values::poison).collect();
        if let Some(InPlace { input, output }) = node.op.in_place() {
            outputs[output] = inputs[input].clone();
        }
        let mut io = Io {
            signature: &signature,
            inputs: inputs.iter().zip(&signature.inputs).map(|(v, t)| v.part(0, t.len())).collect(),
            updates: updates
                .iter_mut()
                .zip(&signature.updates)
                .map(|(v, t)| v.part_mut(0, t.len()))
                .collect(),
            outputs: outputs
                .iter_mut()
                .zip(&signature.outputs)
                .map(|(v, t)| v.part_mut(0, t.len()))
                .collect(),
        };
        F::run(&*node.op, &mut io);
        for (&id, values) in
            o.updates.iter().chain(&o.outputs).zip(updates.into_iter().chain(outputs))
        {
            let (root, offset) = graph.root(id);
            if let Some(to) = memory.get_mut(&root) {
                to.store(offset, values.rounded(graph[id].ty.dtype));
            }
        }
    }
    memory
}
