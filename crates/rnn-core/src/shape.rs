use std::fmt;

/// The extents of a tensor, slowest-varying axis first. `[]` is the shape of a scalar, which has
/// one element.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Creates a shape from its extents, slowest-varying axis first. An empty list makes the shape
    /// of a scalar.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Self(dims.into())
    }

    /// Returns the extents, slowest-varying axis first.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Returns the number of axes; 0 for a scalar.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Returns the number of elements, the product of the extents; 1 for a scalar.
    pub fn len(&self) -> usize {
        self.0.iter().product()
    }

    /// Returns true if there is no element, that is if an extent is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the extent of the last axis; 1 for a scalar.
    pub fn last(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// Returns the number of rows when the data are read as a matrix whose rows are the last axis:
    /// the product of all extents but the last; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.0.split_last().map_or(1, |(_, rest)| rest.iter().product())
    }

    /// Returns the indices, one for each axis, of the element `at` in row-major order; `at` is less
    /// than [`Shape::len`].
    pub fn indices(&self, at: usize) -> Vec<usize> {
        let mut rest = at;
        let mut all: Vec<usize> = self
            .0
            .iter()
            .rev()
            .map(|&extent| {
                let index = rest % extent.max(1);
                rest /= extent.max(1);
                index
            })
            .collect();
        all.reverse();
        all
    }

    /// Returns the shape with `last` in place of its last extent; `[last]` for a scalar.
    pub fn with_last(&self, last: usize) -> Self {
        let mut dims = self.0.clone();
        match dims.last_mut() {
            Some(d) => *d = last,
            None => dims.push(last),
        }
        Self(dims)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Self(dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { "x" })?;
        }
        write!(f, "]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
