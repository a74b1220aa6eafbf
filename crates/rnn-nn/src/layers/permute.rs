use crate::layer::{Arguments, ForwardContext, MaskFlow, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::TransposeLeading;
use serde_json::json;

const EXPECTED: &str = "as many axes as its dims name";

/// Puts the axes of an example in another order: `[A_1, .., A_N]` -> `[A_d1, .., A_dN]`, where
/// `dims` is (d1, .., dN) and has each number from 1 to N once
/// (keras/src/layers/reshaping/permute.py).
///
/// ```text
/// y(i_d1, .., i_dN) = x(i_1, .., i_N)
/// ```
///
/// As in Keras axes are counted from 1 on, because the batch is axis 0 and keeps its place. A mask
/// ends here.
#[derive(Clone, Debug)]
pub struct Permute {
    dims: Vec<usize>,
}

impl Permute {
    /// Creates a layer whose output has the axis `dims[i]` of its input as axis `i + 1`:
    /// `Permute::new([2, 1])` makes `[F, T]` of a sequence `[T, F]`. If `dims` does not have each
    /// number from 1 to its length once, it is refused when a model adds the layer.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Self { dims: dims.into() }
    }

    fn has_each_axis_once(&self) -> bool {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        !sorted.is_empty() && sorted.into_iter().eq(1..=self.dims.len())
    }
}

impl Layer for Permute {
    fn class(&self) -> &'static str {
        "Permute"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let extents = self.dims.iter().map(|dim| input.get(dim.checked_sub(1)?).copied());
        match extents.collect::<Option<Vec<usize>>>() {
            Some(extents) if extents.len() == input.len() => Ok(extents),
            _ => Err(LayerError::new("Permute", EXPECTED, input)),
        }
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        let rank = cx.graph.shape(input.tensor).rank();
        if rank != self.dims.len() + 1 || !self.has_each_axis_once() {
            return Err(cx.misfit("Permute", input.tensor, EXPECTED));
        }
        // In a graph the batch, Keras's axis 0, and axis 1 stand in each other's place.
        let swapped = |axis: usize| [1, 0].get(axis).copied().unwrap_or(axis);
        let sources = [&[0], &self.dims[..]].concat();
        let order: Vec<usize> = (0..rank).map(|axis| swapped(sources[swapped(axis)])).collect();
        Ok(permuted(cx, input.tensor, &order)?.into())
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Ends
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let order: Vec<i64> = [0].into_iter().chain(self.dims.iter().map(|&d| d as i64)).collect();
        Ok(vec![cx.transpose(&x, &order)])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("dims", &mut self.dims)?;
        if !self.has_each_axis_once() {
            let supported = "each axis once, counted from 1 on".into();
            return Err(a.refuse("dims", &json!(self.dims), supported));
        }
        Ok(())
    }
}

/// x with axis `order[i]` as axis i; `order` has each axis once.
///
/// From the last place to the first, the axis that belongs there is brought to it by swapping the
/// block of axes that ends with it and the block behind, which leaves the places that are done.
pub(super) fn permuted(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    order: &[usize],
) -> Result<TensorId, GraphError> {
    if order.iter().copied().eq(0..order.len()) {
        return Ok(x);
    }
    let extents = cx.graph.shape(x).dims().to_vec();
    let of = |axes: &[usize]| axes.iter().map(|&axis| extents[axis]).collect::<Vec<usize>>();
    let mut axes: Vec<usize> = (0..order.len()).collect();
    let mut result = x;
    for end in (1..=order.len()).rev() {
        let block = 1 + axes.iter().take_while(|&&axis| axis != order[end - 1]).count();
        if block == end {
            continue;
        }
        let parts = [&axes[..block], &axes[block..end], &axes[end..]];
        let parts = parts.map(|part| of(part).iter().product::<usize>());
        // A block of one element passes any other.
        if !parts[..2].contains(&1) {
            let rows = cx.graph.reshape(result, parts)?;
            result = cx.graph.apply(TransposeLeading, &[rows])?;
        }
        axes[..end].rotate_left(block);
    }
    cx.graph.reshape(result, of(&axes))
}

/// The order that undoes `order`, which has each axis once.
pub(crate) fn inverse(order: &[usize]) -> Vec<usize> {
    let place = |axis: usize| order.iter().take_while(|&&other| other != axis).count();
    (0..order.len()).map(place).collect()
}
