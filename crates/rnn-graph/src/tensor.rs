use crate::TensorType;

/// Handle to a tensor of one [`Graph`](crate::Graph), valid for that graph alone. Ids grow in the
/// order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub(crate) u32);

impl TensorId {
    /// Returns the position in the graph's list of tensors.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The memory in which a tensor's values lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Written by a node and dead after its last reader; the planner assigns it a place in the
    /// arena.
    Transient,
    /// Uploaded from the host before each run.
    Input,
    /// Stays on the device as long as the session lives; programs of a session share it by name.
    Resident,
    /// A contiguous range of another tensor's elements. It has no memory of its own and costs
    /// nothing.
    View {
        /// The viewed tensor, which may be a view itself: gradients follow the chain.
        base: TensorId,
        /// Index of the view's first element in `base`.
        offset: usize,
    },
}

/// A value in the graph: its name, type and storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Name in dumps and errors. Residents are looked up by it.
    pub name: String,
    /// Shape and element type.
    pub ty: TensorType,
    /// The memory that holds the values.
    pub storage: Storage,
    /// Index of the node that writes the tensor; `None` for inputs, residents and the results of
    /// [`Graph::view`](crate::Graph::view).
    pub producer: Option<usize>,
}
