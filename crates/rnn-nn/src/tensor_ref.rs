/// A tensor between the layers of a model: an input, or an output of a call of a layer. It is valid
/// for that model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorRef {
    /// The input of this number, from 0 on in the order in which inputs were added.
    Input(usize),
    /// An output of a call of a layer.
    Output {
        /// The number of the call, from 0 on in the order of the calls.
        call: usize,
        /// The number of the output among those of the call, from 0 on.
        index: usize,
    },
}
