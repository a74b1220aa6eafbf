use crate::Shape;
use std::fmt;

/// The element type of a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// IEEE 754 half precision, between ops on a device: on the host it is widened.
    F16,
    /// Unsigned integers: token ids, random keys, sort orders.
    U32,
}

impl DType {
    /// Bytes of an element on a device.
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

/// The elements of a [`HostTensor`], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Floats.
    F32(Vec<f32>),
    /// Unsigned integers.
    U32(Vec<u32>),
}

impl Data {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::U32(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor in host memory: a shape and its elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    shape: Shape,
    data: Data,
}

/// Why a [`HostTensor`] could not be made or read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TensorError {
    /// The number of elements is not the product of the extents.
    #[error("{len} elements do not fill a tensor of shape {shape}")]
    Length {
        /// The shape asked for.
        shape: Shape,
        /// The elements given.
        len: usize,
    },
    /// The tensor holds another element type.
    #[error("expected a tensor of {expected}, found {found} of shape {shape}")]
    DType {
        /// What the caller asked for.
        expected: DType,
        /// What the tensor holds.
        found: DType,
        /// Its shape.
        shape: Shape,
    },
}

impl HostTensor {
    /// A tensor of floats.
    pub fn from_f32(shape: impl Into<Shape>, data: Vec<f32>) -> Result<Self, TensorError> {
        Self::new(shape, Data::F32(data))
    }

    /// A tensor of unsigned integers.
    pub fn from_u32(shape: impl Into<Shape>, data: Vec<u32>) -> Result<Self, TensorError> {
        Self::new(shape, Data::U32(data))
    }

    /// A tensor from elements of either type.
    pub fn new(shape: impl Into<Shape>, data: Data) -> Result<Self, TensorError> {
        let shape = shape.into();
        if shape.len() != data.len() {
            return Err(TensorError::Length { shape, len: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Shape>, dtype: DType) -> Self {
        let shape = shape.into();
        let data = match dtype {
            DType::F32 | DType::F16 => Data::F32(vec![0.0; shape.len()]),
            DType::U32 => Data::U32(vec![0; shape.len()]),
        };
        Self { shape, data }
    }

    /// A scalar float.
    pub fn scalar(value: f32) -> Self {
        Self { shape: Shape::default(), data: Data::F32(vec![value]) }
    }

    /// The extents.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::U32(_) => DType::U32,
        }
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements as floats, or an error naming what the tensor holds instead.
    pub fn as_f32(&self) -> Result<&[f32], TensorError> {
        match &self.data {
            Data::F32(v) => Ok(v),
            Data::U32(_) => Err(self.wrong(DType::F32)),
        }
    }

    /// The elements as unsigned integers, or an error naming what the tensor holds instead.
    pub fn as_u32(&self) -> Result<&[u32], TensorError> {
        match &self.data {
            Data::U32(v) => Ok(v),
            Data::F32(_) => Err(self.wrong(DType::U32)),
        }
    }

    /// The elements as they lie in memory, four bytes each.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.data {
            Data::F32(v) => bytemuck::cast_slice(v),
            Data::U32(v) => bytemuck::cast_slice(v),
        }
    }

    /// Whether no element is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        match &self.data {
            Data::F32(values) => values.iter().all(|value| value.is_finite()),
            Data::U32(_) => true,
        }
    }

    /// These rows of the leading axis, in this order; `None` if one does not exist.
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

    /// The same elements under another shape.
    pub fn reshape(self, shape: impl Into<Shape>) -> Result<Self, TensorError> {
        Self::new(shape, self.data)
    }

    fn wrong(&self, expected: DType) -> TensorError {
        TensorError::DType { expected, found: self.dtype(), shape: self.shape.clone() }
    }
}
