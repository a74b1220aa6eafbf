/// A tensor between the layers of a model: an input, or an output of a call of a layer. It is valid
/// for that model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorRef {
    /// The input of this number.
    Input(usize),
    /// An output of a call of a layer.
    Output {
        /// The number of the call.
        call: usize,
        /// Which of its outputs.
        index: usize,
    },
}
