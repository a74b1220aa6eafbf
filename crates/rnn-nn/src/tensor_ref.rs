/// A reference to a tensor of a model: an input, or an output of a call of a layer. It is valid for
/// the model that returned it, and for clones of that model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorRef {
    /// The input of this number, counted from 0 in the order in which inputs were added.
    Input(usize),
    /// An output of a call of a layer.
    Output {
        /// The number of the call, from 0 on in the order of the calls.
        call: usize,
        /// The number of the output among those of the call, from 0 on.
        index: usize,
    },
}
