use crate::Shape;
use std::fmt;

/// Element type of a tensor: `f32`, `f16` or `u32`; the default is `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// IEEE 754 half precision. It exists only on a device, between ops; on the host it is widened
    /// to f32.
    F16,
    /// Unsigned integers of 32 bits: token ids, classes, masks, indices, random keys, sort orders.
    U32,
}

impl DType {
    /// Returns the size of an element on a device, in bytes: 2 for `F16`, 4 for the others.
    pub fn bytes(self) -> usize {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::F16 => 2,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::U32 => "u32",
        })
    }
}

/// The elements of a [`HostTensor`], row-major. Half precision does not exist on the host.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Floats.
    F32(Vec<f32>),
    /// Unsigned integers.
    U32(Vec<u32>),
}

impl Data {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::U32(v) => v.len(),
        }
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor in host memory: a shape and its elements, row-major, of `f32` or `u32`.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    shape: Shape,
    data: Data,
}

/// The reason for which a [`HostTensor`] could not be created or read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TensorError {
    /// The number of elements differs from the product of the extents.
    #[error("{len} elements do not fill a tensor of shape {shape}")]
    Length {
        /// The requested shape.
        shape: Shape,
        /// The number of elements.
        len: usize,
    },
    /// The tensor holds another element type.
    #[error("expected a tensor of {expected}, found {found} of shape {shape}")]
    DType {
        /// The requested type.
        expected: DType,
        /// The tensor's type.
        found: DType,
        /// The tensor's shape.
        shape: Shape,
    },
}

impl HostTensor {
    /// Creates a tensor of floats from its elements, row-major.
    ///
    /// # Errors
    /// Fails with [`TensorError::Length`] if `data.len()` differs from the product of the extents.
    pub fn from_f32(shape: impl Into<Shape>, data: Vec<f32>) -> Result<Self, TensorError> {
        Self::new(shape, Data::F32(data))
    }

    /// Creates a tensor of unsigned integers from its elements, row-major.
    ///
    /// # Errors
    /// Fails with [`TensorError::Length`] if `data.len()` differs from the product of the extents.
    pub fn from_u32(shape: impl Into<Shape>, data: Vec<u32>) -> Result<Self, TensorError> {
        Self::new(shape, Data::U32(data))
    }

    /// Creates a tensor from its shape and its elements of either type, row-major.
    ///
    /// # Errors
    /// Fails with [`TensorError::Length`] if `data.len()` differs from the product of the extents.
    pub fn new(shape: impl Into<Shape>, data: Data) -> Result<Self, TensorError> {
        let shape = shape.into();
        if shape.len() != data.len() {
            return Err(TensorError::Length { shape, len: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// Creates a tensor of this shape in which every element is 0. The elements are integers for
    /// [`DType::U32`] and f32 for both other types, since half precision does not exist on the
    /// host.
    pub fn zeros(shape: impl Into<Shape>, dtype: DType) -> Self {
        let shape = shape.into();
        let data = match dtype {
            DType::F32 | DType::F16 => Data::F32(vec![0.0; shape.len()]),
            DType::U32 => Data::U32(vec![0; shape.len()]),
        };
        Self { shape, data }
    }

    /// Creates a float tensor of shape `[]`, whose only element is `value`.
    pub fn scalar(value: f32) -> Self {
        Self { shape: Shape::default(), data: Data::F32(vec![value]) }
    }

    /// Returns the shape: the extents, slowest-varying axis first.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the element type of the host values, [`DType::F32`] or [`DType::U32`].
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::U32(_) => DType::U32,
        }
    }

    /// Returns the elements, row-major.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Returns the elements as floats, row-major.
    ///
    /// # Errors
    /// Fails with [`TensorError::DType`] if the tensor holds integers.
    pub fn as_f32(&self) -> Result<&[f32], TensorError> {
        match &self.data {
            Data::F32(v) => Ok(v),
            Data::U32(_) => Err(self.wrong(DType::F32)),
        }
    }

    /// Returns the elements as unsigned integers, row-major.
    ///
    /// # Errors
    /// Fails with [`TensorError::DType`] if the tensor holds floats.
    pub fn as_u32(&self) -> Result<&[u32], TensorError> {
        match &self.data {
            Data::U32(v) => Ok(v),
            Data::F32(_) => Err(self.wrong(DType::U32)),
        }
    }

    /// Returns the elements as they lie in memory: row-major, four bytes each, in the byte order of
    /// the machine.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.data {
            Data::F32(v) => bytemuck::cast_slice(v),
            Data::U32(v) => bytemuck::cast_slice(v),
        }
    }

    /// Returns true if no element is NaN or infinite; always true for integers.
    pub fn is_finite(&self) -> bool {
        match &self.data {
            Data::F32(values) => values.iter().all(|value| value.is_finite()),
            Data::U32(_) => true,
        }
    }

    /// Returns the given rows of the leading axis, in the order of `rows` and with repetitions:
    /// `[rows.len(), ..]`. Returns `None` if an index is not less than the leading extent, or if
    /// the tensor is a scalar.
    pub fn rows(&self, rows: &[u32]) -> Option<Self> {
        fn gather<T: Copy>(all: &[T], rows: &[u32], width: usize) -> Option<Vec<T>> {
            let mut some = Vec::with_capacity(rows.len() * width);
            for &row in rows {
                let from = row as usize * width;
                some.extend_from_slice(all.get(from..from + width)?);
            }
            Some(some)
        }
        let (&count, row) = self.shape.dims().split_first()?;
        let width = row.iter().product();
        let data = match &self.data {
            Data::F32(v) => Data::F32(gather(v, rows, width)?),
            Data::U32(v) => Data::U32(gather(v, rows, width)?),
        };
        let exist = rows.iter().all(|&row| (row as usize) < count);
        exist.then(|| Self { shape: [&[rows.len()], row].concat().into(), data })
    }

    /// Returns the same elements, row-major, under another shape, without copying them.
    ///
    /// # Errors
    /// Fails with [`TensorError::Length`] if the shape has another number of elements.
    pub fn reshape(self, shape: impl Into<Shape>) -> Result<Self, TensorError> {
        Self::new(shape, self.data)
    }

    fn wrong(&self, expected: DType) -> TensorError {
        TensorError::DType { expected, found: self.dtype(), shape: self.shape.clone() }
    }
}
