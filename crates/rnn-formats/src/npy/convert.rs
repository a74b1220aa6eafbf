use super::{NpyArray, Values};
use rnn_core::{HostTensor, Shape, TensorError};

/// The reason why an array could not be converted to a tensor or to lists.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// An element cannot be represented in the requested type.
    #[error("element {index} is {value}, which {target} cannot represent; rescale the array")]
    Range {
        /// Index of the element in row-major order, from 0 on.
        index: usize,
        /// Value of the element.
        value: String,
        /// The requested element type.
        target: &'static str,
    },
    /// The array has elements of another kind, or lists were requested and its shape is no matrix.
    #[error("an array of {found} and shape {shape} holds no {wanted}; pick another array")]
    Kind {
        /// The kind of its elements.
        found: &'static str,
        /// The shape of the array.
        shape: Shape,
        /// The requested kind of elements.
        wanted: &'static str,
    },
    /// The number of elements is not that of the shape.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Integers up to this magnitude are exact in f32.
const EXACT_IN_F32: i64 = 1 << 24;

impl NpyArray {
    /// Returns the array as floats of the same shape. Doubles are rounded to the nearest float;
    /// integers are exact.
    ///
    /// # Errors
    /// Fails with [`ConvertError::Range`] for an integer of a magnitude above 2^24, which f32 would
    /// round, or for a finite double beyond the range of f32; and with [`ConvertError::Kind`] for
    /// lists.
    pub fn to_f32(&self) -> Result<HostTensor, ConvertError> {
        let data = match &self.values {
            Values::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Values::F32(v) => v.clone(),
            Values::F64(v) => convert(v, "f32", |x| {
                let rounded = x as f32;
                (rounded.is_finite() || !x.is_finite()).then_some(rounded)
            })?,
            Values::I64(v) => {
                let exact = -EXACT_IN_F32..=EXACT_IN_F32;
                convert(v, "f32", |x| exact.contains(&x).then_some(x as f32))?
            }
            Values::U64(v) => {
                convert(v, "f32", |x| (x <= EXACT_IN_F32 as u64).then_some(x as f32))?
            }
            Values::Lists(_) => return Err(self.holds_no("numbers")),
        };
        Ok(HostTensor::from_f32(self.shape.clone(), data)?)
    }

    /// Returns the array as unsigned integers of the same shape.
    ///
    /// # Errors
    /// Fails with [`ConvertError::Range`] for an element outside 0..2^32, and with
    /// [`ConvertError::Kind`] for floats and lists.
    pub fn to_u32(&self) -> Result<HostTensor, ConvertError> {
        let data = match &self.values {
            Values::U8(v) => v.iter().map(|&x| u32::from(x)).collect(),
            Values::I64(v) => convert(v, "u32", |x| u32::try_from(x).ok())?,
            Values::U64(v) => convert(v, "u32", |x| u32::try_from(x).ok())?,
            _ => return Err(self.holds_no("integers")),
        };
        Ok(HostTensor::from_u32(self.shape.clone(), data)?)
    }

    /// Returns the lists of an object array, or the rows of a matrix `[rows, columns]` of integers.
    ///
    /// # Errors
    /// Fails with [`ConvertError::Kind`] for other arrays, and with [`ConvertError::Range`] for an
    /// integer of 2^63 or more.
    pub fn into_lists(self) -> Result<Vec<Vec<i64>>, ConvertError> {
        let rows = match (self.values, self.shape.dims()) {
            (Values::Lists(lists), _) => return Ok(lists),
            (Values::U8(rows), [_, _]) => rows.into_iter().map(i64::from).collect(),
            (Values::I64(rows), [_, _]) => rows,
            (Values::U64(rows), [_, _]) => convert(&rows, "i64", |v| i64::try_from(v).ok())?,
            (values, _) => return Err(Self { values, shape: self.shape }.holds_no("lists")),
        };
        Ok(rows.chunks_exact(self.shape.last().max(1)).map(<[i64]>::to_vec).collect())
    }

    fn holds_no(&self, wanted: &'static str) -> ConvertError {
        let found = match self.values {
            Values::F32(_) | Values::F64(_) => "floats",
            Values::U8(_) | Values::I64(_) | Values::U64(_) => "integers",
            Values::Lists(_) => "lists",
        };
        ConvertError::Kind { found, shape: self.shape.clone(), wanted }
    }
}

fn convert<T: Copy + ToString, U>(
    values: &[T],
    target: &'static str,
    one: impl Fn(T) -> Option<U>,
) -> Result<Vec<U>, ConvertError> {
    let convert_one = |(index, &value): (usize, &T)| {
        one(value).ok_or_else(|| ConvertError::Range { index, value: value.to_string(), target })
    };
    values.iter().enumerate().map(convert_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(values: Values, len: usize) -> NpyArray {
        NpyArray { shape: Shape::from([len]), values }
    }

    #[test]
    fn converts_within_range() {
        let integers = array(Values::I64(vec![0, 7]), 2);
        assert_eq!(integers.to_u32().unwrap().as_u32(), Ok(&[0, 7][..]));
        assert_eq!(integers.to_f32().unwrap().as_f32(), Ok(&[0.0, 7.0][..]));
        let doubles = array(Values::F64(vec![0.1, f64::INFINITY]), 2);
        assert_eq!(doubles.to_f32().unwrap().as_f32(), Ok(&[0.1, f32::INFINITY][..]));
    }

    #[test]
    fn names_the_element_out_of_range() {
        let error = array(Values::I64(vec![3, -1]), 2).to_u32().unwrap_err().to_string();
        assert_eq!(error, "element 1 is -1, which u32 cannot represent; rescale the array");
        assert!(array(Values::I64(vec![(1 << 24) + 1]), 1).to_f32().is_err());
        assert!(array(Values::U64(vec![1 << 32]), 1).to_u32().is_err());
        assert!(array(Values::F64(vec![1e300]), 1).to_f32().is_err());
    }

    #[test]
    fn keeps_kinds_apart() {
        let lists = array(Values::Lists(vec![vec![1]]), 1);
        assert!(lists.to_f32().unwrap_err().to_string().contains("lists and shape [1]"));
        assert_eq!(lists.into_lists().unwrap(), [[1]]);
        let matrix = NpyArray { shape: [2, 2].into(), values: Values::U64(vec![1, 2, 3, 4]) };
        assert_eq!(matrix.into_lists().unwrap(), [[1, 2], [3, 4]]);
        assert!(array(Values::I64(vec![1]), 1).into_lists().is_err());
        assert!(array(Values::F32(vec![1.0]), 1).to_u32().is_err());
    }
}
