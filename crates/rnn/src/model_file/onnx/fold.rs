//! Operators of constants, which are computed while a model is read.

use super::super::Result;
use super::value::{axis_of, refuse};
use rnn_formats::onnx::{Array, Elements};

fn pick<T: Copy>(values: &[T], places: &[usize]) -> Option<Vec<T>> {
    places.iter().map(|&place| values.get(place).copied()).collect()
}

/// The elements of `array` at these places, with these extents.
fn picked(array: &Array, dims: Vec<usize>, places: &[usize]) -> Result<Array> {
    let elements = match &array.elements {
        Elements::Floats(values) => pick(values, places).map(Elements::Floats),
        Elements::Ints(values) => pick(values, places).map(Elements::Ints),
    };
    match elements {
        Some(elements) => Ok(Array { dims, elements }),
        None => refuse("it reads beyond the end of a constant"),
    }
}

fn strides(dims: &[usize]) -> Vec<usize> {
    (0..dims.len()).map(|axis| dims[axis + 1..].iter().product()).collect()
}

/// The places of a tensor of the extents `dims`, whose axes are these far apart.
fn places(dims: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (&extent, &stride) in dims.iter().zip(strides) {
        places = places.iter().flat_map(|p| (0..extent).map(move |i| p + i * stride)).collect();
    }
    places
}

/// Axis i of the result is axis `order[i]`.
pub(super) fn transpose(array: &Array, order: &[usize]) -> Result<Array> {
    let strides = strides(&array.dims);
    let misfit = order.len() != array.dims.len() || order.iter().any(|&i| i >= strides.len());
    if misfit {
        return refuse(format!("a transposition of {:?} by {order:?}", array.dims));
    }
    let dims: Vec<usize> = order.iter().map(|&axis| array.dims[axis]).collect();
    let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    picked(array, dims.clone(), &places(&dims, &strides))
}

/// The same elements with other extents: -1 stands for what is left, 0 for the extent before.
pub(super) fn reshape(array: &Array, shape: &[i64], keep_zero: bool) -> Result<Array> {
    let before = |(axis, &n): (usize, &i64)| match n {
        0 if !keep_zero => array.dims.get(axis).map_or(0, |&n| n as i64),
        n => n,
    };
    let shape: Vec<i64> = shape.iter().enumerate().map(before).collect();
    let count = array.elements.len();
    let known = shape.iter().filter(|n| **n >= 0).try_fold(1i64, |p, n| p.checked_mul(*n));
    let known = known.unwrap_or(0).max(0) as usize;
    let left = count.checked_div(known).unwrap_or(0);
    let dims: Vec<usize> = shape.iter().map(|&n| usize::try_from(n).unwrap_or(left)).collect();
    match dims.iter().try_fold(1usize, |p, n| p.checked_mul(*n)) == Some(count) {
        true => Ok(Array { dims, elements: array.elements.clone() }),
        false => refuse(format!("a constant of shape {:?} reshaped to {shape:?}", array.dims)),
    }
}

/// The rows `rows` along an axis.
pub(super) fn gather(array: &Array, axis: usize, rows: &[usize]) -> Result<Array> {
    let Some(&extent) = array.dims.get(axis) else { return refuse("an axis that is not there") };
    if rows.iter().any(|&row| row >= extent) {
        return refuse("it reads beyond the end of a constant");
    }
    let (outer, inner): (usize, usize) =
        (array.dims[..axis].iter().product(), array.dims[axis + 1..].iter().product());
    let places: Vec<usize> = (0..outer)
        .flat_map(|o| rows.iter().map(move |row| (o * extent + row) * inner))
        .flat_map(|start| start..start + inner)
        .collect();
    let mut dims = array.dims.clone();
    dims[axis] = rows.len();
    picked(array, dims, &places)
}

pub(super) fn concat(arrays: &[&Array], axis: i64) -> Result<Array> {
    let Some(first) = arrays.first() else { return refuse("nothing to concatenate") };
    let axis = axis_of(axis, first.dims.len())?;
    let mut dims = first.dims.clone();
    dims[axis] = arrays.iter().map(|array| array.dims.get(axis).copied().unwrap_or(0)).sum();
    let outer: usize = first.dims[..axis].iter().product();
    let (mut floats, mut ints) = (vec![], vec![]);
    for row in 0..outer {
        for array in arrays {
            let size = array.elements.len() / outer;
            let range = row * size..(row + 1) * size;
            match &array.elements {
                Elements::Floats(values) => floats.extend_from_slice(&values[range]),
                Elements::Ints(values) => ints.extend_from_slice(&values[range]),
            }
        }
    }
    let elements = if ints.is_empty() { Elements::Floats(floats) } else { Elements::Ints(ints) };
    match dims.iter().product::<usize>() == elements.len() {
        true => Ok(Array { dims, elements }),
        false => refuse("constants that do not fit together are concatenated"),
    }
}

/// The extents of two constants that are repeated along axes of extent 1 to fit each other.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    let each = |i| match (at(a, i), at(b, i)) {
        (1, n) | (n, 1) => Some(n),
        (m, n) => (m == n).then_some(m),
    };
    match (0..rank).map(each).collect() {
        Some(dims) => Ok(dims),
        None => refuse(format!("constants of shapes {a:?} and {b:?}")),
    }
}

/// The elements of a constant that is repeated to these extents.
pub(super) fn expand(array: &Array, dims: &[usize]) -> Result<Array> {
    let missing = dims.len().saturating_sub(array.dims.len());
    let own = [vec![1; missing], array.dims.clone()].concat();
    let own_strides = strides(&own);
    let fits = own.len() == dims.len() && own.iter().zip(dims).all(|(&m, &n)| m == n || m == 1);
    if !fits {
        return refuse(format!("a constant of shape {:?} expanded to {dims:?}", array.dims));
    }
    let steps = own.iter().zip(&own_strides).map(|(&n, &step)| if n == 1 { 0 } else { step });
    picked(array, dims.to_vec(), &places(dims, &steps.collect::<Vec<_>>()))
}

/// An operator of two constants, element by element.
pub(super) fn binary(operator: &str, a: &Array, b: &Array) -> Result<Option<Array>> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let (a, b) = (expand(a, &dims)?, expand(b, &dims)?);
    let elements = match (&a.elements, &b.elements) {
        (Elements::Floats(a), Elements::Floats(b)) => {
            let of: fn(f32, f32) -> f32 = match operator {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Pow" => f32::powf,
                _ => return Ok(None),
            };
            Elements::Floats(a.iter().zip(b).map(|(&a, &b)| of(a, b)).collect())
        }
        (Elements::Ints(a), Elements::Ints(b)) => {
            let of: fn(i64, i64) -> i64 = match operator {
                "Add" => i64::wrapping_add,
                "Sub" => i64::wrapping_sub,
                "Mul" => i64::wrapping_mul,
                "Div" => |a, b| a.checked_div(b).unwrap_or(0),
                "Max" => Ord::max,
                "Min" => Ord::min,
                "Equal" => |a, b| i64::from(a == b),
                "Less" => |a, b| i64::from(a < b),
                "Greater" => |a, b| i64::from(a > b),
                _ => return Ok(None),
            };
            Elements::Ints(a.iter().zip(b).map(|(&a, &b)| of(a, b)).collect())
        }
        _ => return Ok(None),
    };
    Ok(Some(Array { dims, elements }))
}

/// An operator of one constant of floats, element by element.
pub(super) fn unary(operator: &str, array: &Array) -> Option<Array> {
    let Elements::Floats(values) = &array.elements else { return None };
    let of: fn(f32) -> f32 = match operator {
        "Neg" => |v| -v,
        "Sqrt" => f32::sqrt,
        "Reciprocal" => |v| 1.0 / v,
        "Exp" => f32::exp,
        _ => return None,
    };
    let elements = Elements::Floats(values.iter().map(|&v| of(v)).collect());
    Some(Array { dims: array.dims.clone(), elements })
}

/// A constant as the element type `to`, as ONNX numbers them.
pub(super) fn cast(array: &Array, to: i64) -> Array {
    let floats = matches!(to, 1 | 10 | 11 | 16);
    let elements = match (&array.elements, floats) {
        (Elements::Floats(values), false) => Elements::Ints(
            values.iter().map(|&v| if to == 9 { (v != 0.0).into() } else { v as i64 }).collect(),
        ),
        (Elements::Ints(values), true) => {
            Elements::Floats(values.iter().map(|&v| v as f32).collect())
        }
        (same, _) => same.clone(),
    };
    Array { dims: array.dims.clone(), elements }
}
