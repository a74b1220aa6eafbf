//! The inert values that the machine handles.

/// A value on the stack. Containers lie in the machine's arenas, so that copies are cheap and a
/// shared list stays shared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A string or bytes: a range of the input.
    Text {
        start: u32,
        len: u32,
    },
    /// A range of the tuple arena.
    Tuple {
        start: u32,
        len: u32,
    },
    /// An index of the list arena.
    List(u32),
    Global(Global),
    /// The data type of Python objects.
    ObjectType,
    /// The array under construction; a pickle may hold only one.
    Array,
}

impl Value {
    /// Returns a word for the kind of the value, for error messages.
    pub fn kind(self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Text { .. } => "a string",
            Value::Tuple { .. } => "a tuple",
            Value::List(_) => "a list",
            Value::Global(_) => "a callable",
            Value::ObjectType => "a data type",
            Value::Array => "an array",
        }
    }
}

/// The callables with which NumPy's pickles rebuild an object array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// `numpy.core.multiarray._reconstruct`, an empty array to be filled by BUILD.
    Reconstruct,
    /// `numpy.ndarray`, an argument of the former.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// `_codecs.encode`, by which Python 3 writes bytes in protocols 0 to 2.
    Encode,
}

impl Global {
    /// Returns the callable with this module and name; `None` if NumPy's pickles of object arrays
    /// do not use it.
    pub fn find(module: &[u8], name: &[u8]) -> Option<Self> {
        match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
                Some(Self::Reconstruct)
            }
            (b"numpy", b"ndarray") => Some(Self::NdArray),
            (b"numpy", b"dtype") => Some(Self::Dtype),
            (b"_codecs", b"encode") => Some(Self::Encode),
            _ => None,
        }
    }
}

/// A list: of integers for as long as nothing else is appended, which keeps millions of them
/// compact.
#[derive(Debug)]
pub(super) enum List {
    Ints(Vec<i64>),
    Values(Vec<Value>),
}

impl List {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::Ints(Vec::new())
    }

    /// Returns the number of items of the list.
    pub fn len(&self) -> usize {
        match self {
            List::Ints(ints) => ints.len(),
            List::Values(values) => values.len(),
        }
    }

    /// Appends the items to the list, in order.
    pub fn extend(&mut self, items: &[Value]) {
        if let List::Ints(ints) = self {
            let before = ints.len();
            ints.extend(items.iter().map_while(|v| match v {
                Value::Int(i) => Some(*i),
                _ => None,
            }));
            if ints.len() - before == items.len() {
                return;
            }
            ints.truncate(before);
            *self = List::Values(ints.iter().map(|&i| Value::Int(i)).collect());
        }
        if let List::Values(values) = self {
            values.extend_from_slice(items);
        }
    }
}
