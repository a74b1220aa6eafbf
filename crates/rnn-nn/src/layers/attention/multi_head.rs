use super::{
    Calls, FAR_BELOW, Masks, combined, items, onnx_shares, roles, sequence, shares, shares_output,
};
use crate::layer::{Arguments, ForwardContext, MaskFlow, Numbers, Value, Weight, WeightArguments};
use crate::layers::axes::sample;
use crate::layers::dense::project;
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{BatchMatmul, Hidden, Penalty, Scale};
use serde_json::{Value as Json, json};

/// Attention of several heads side by side, each to projections of its own (Vaswani et al., 2017;
/// keras/src/layers/attention/multi_head_attention.py): query `[Q, F]`, value `[K, G]` and, if it is
/// not the value, key `[K, H]` -> `[Q, F]`.
///
/// ```text
/// q, k, v = query W_q + b_q, key W_k + b_k, value W_v + b_v, for each head
/// p(i) = softmax over j of q(i) k(j) / sqrt(key_dim)
/// y(i) = sum over heads of (sum over j of p(i, j) v(j)) W_o + b_o
/// ```
///
/// W_q and W_k are `[F, heads, key_dim]`, W_v `[G, heads, value_dim]`, W_o `[heads, value_dim, F]`.
/// Dropout acts on p. A query sees no key that is masked, nor any key if it is masked itself; a
/// query that sees none has equal shares of all keys, or, where there is dropout or the shares are an
/// output, none of any, as in Keras. The mask of the output is that of the query.
///
/// Unlike in Keras the inputs are sequences `[T, F]` alone; `use_gate` and `sliding_window` are not
/// supported.
#[derive(Clone, Debug)]
pub struct MultiHeadAttention {
    heads: usize,
    key_dim: usize,
    value_dim: Option<usize>,
    output_shape: Option<Vec<usize>>,
    dropout: f32,
    use_bias: bool,
    kernel: WeightArguments,
    bias: WeightArguments,
    activity_regularizer: Option<Penalty>,
    calls: Calls,
}

const EXPECTED: &str = "a query [Q, F], a value [K, G] and, if it is another, a key [K, H]";

/// A projection by Keras's names of the layer within and of the attribute that holds it.
const PROJECTIONS: [(&str, &str); 4] = [
    ("query", "query_dense"),
    ("key", "key_dense"),
    ("value", "value_dense"),
    ("attention_output", "output_dense"),
];

impl MultiHeadAttention {
    /// Creates an attention of `heads` heads, whose queries and keys have the width `key_dim`, with
    /// biases and without dropout. Values have that width too, and the output that of the query. A
    /// number of 0 is refused when a model adds the layer.
    pub fn new(heads: usize, key_dim: usize) -> Self {
        Self {
            heads,
            key_dim,
            value_dim: None,
            output_shape: None,
            dropout: 0.0,
            use_bias: true,
            kernel: Initializer::GlorotUniform.into(),
            bias: Initializer::Zeros.into(),
            activity_regularizer: None,
            calls: Calls::default(),
        }
    }

    /// Sets the width of the values of a head.
    pub fn value_dim(mut self, width: usize) -> Self {
        self.value_dim = Some(width);
        self
    }

    /// Sets the extents of a step of the output, in place of the width of the query.
    pub fn output_shape(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.output_shape = Some(shape.into());
        self
    }

    /// Sets the fraction of the shares p that training drops, from 0, the default, to below 1.
    pub fn dropout(mut self, rate: f32) -> Self {
        self.dropout = rate;
        self
    }

    /// Leaves out the biases, which the layer has by default.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Sets the penalty on each of the four projections that is added to the loss; there is none by
    /// default.
    pub fn activity_regularizer(mut self, regularizer: Penalty) -> Self {
        self.activity_regularizer = Some(regularizer);
        self
    }

    /// Hides the steps behind its own place from each query: Keras's `use_causal_mask=True`.
    pub fn use_causal_mask(mut self) -> Self {
        self.calls.use_causal_mask = true;
        self
    }

    /// Makes the layer output p, `[heads, Q, K]`, after its output: Keras's
    /// `return_attention_scores=True`.
    pub fn return_attention_scores(mut self) -> Self {
        self.calls.return_attention_scores = true;
        self
    }

    weight_arguments!(kernel, kernel_initializer, kernel_regularizer, kernel_constraint);
    weight_arguments!(bias, bias_initializer, bias_regularizer, bias_constraint);

    fn value_width(&self) -> usize {
        self.value_dim.unwrap_or(self.key_dim)
    }

    /// The shapes of all outputs.
    fn of(&self, inputs: &[&[usize]]) -> Option<Vec<Vec<usize>>> {
        let [&[queries, width], &[values, _], &[keys, _]] = roles(inputs)? else { return None };
        let step = self.output_shape.clone().unwrap_or_else(|| vec![width]);
        let shares = self.calls.return_attention_scores.then(|| vec![self.heads, queries, keys]);
        let output = [vec![queries], step].concat();
        (values == keys).then(|| [output].into_iter().chain(shares).collect())
    }

    /// x W + b of the projection `index`, whose kernel, of any shape, has a row for each column of x.
    fn projected(
        &self,
        cx: &mut ForwardContext<'_>,
        x: TensorId,
        w: &[TensorId],
        index: usize,
    ) -> Result<TensorId, GraphError> {
        let own: Vec<TensorId> =
            w.chunks(1 + usize::from(self.use_bias)).nth(index).unwrap_or_default().to_vec();
        let rows = cx.graph.shape(x).last();
        let columns = cx.graph.shape(own[0]).len() / rows;
        let kernel = cx.graph.reshape(own[0], [rows, columns])?;
        let bias = own.get(1).map(|&bias| cx.graph.reshape(bias, [columns])).transpose()?;
        let y = project(cx, x, kernel, bias)?;
        cx.regularize(y, self.activity_regularizer.as_ref())?;
        Ok(y)
    }

    /// The same in ONNX, of x with the axes `[T, rows]`.
    fn onnx_projected(
        &self,
        cx: &mut OnnxContext<'_>,
        x: &ValueName,
        rows: usize,
        index: usize,
    ) -> Result<ValueName, ExportError> {
        let name = PROJECTIONS[index].0;
        let matrix = |cx: &mut OnnxContext<'_>, part: &str, rows: Option<usize>| {
            let weight = cx.weight(&format!("{name}/{part}"))?.clone();
            let elements = cx.floats(&weight)?.to_vec();
            let columns = elements.len() / rows.unwrap_or(1).max(1);
            let dims: Vec<usize> = rows.into_iter().chain([columns]).collect();
            let matrix = cx.tensor(dims, elements)?;
            Ok::<_, ExportError>(cx.graph.tensor(&format!("{name}_{part}"), &matrix))
        };
        let kernel = matrix(cx, "kernel", Some(rows))?;
        let mut y = cx.node("MatMul", &[x, &kernel], &[]);
        if self.use_bias {
            let bias = matrix(cx, "bias", None)?;
            y = cx.node("Add", &[&y, &bias], &[]);
        }
        Ok(y)
    }
}

impl Layer for MultiHeadAttention {
    fn class(&self) -> &'static str {
        "MultiHeadAttention"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        self.weights_of(&[input, input])
    }

    fn weights_of(&self, inputs: &[&[usize]]) -> Result<Vec<Weight>, LayerError> {
        let outputs = self.output_shapes(inputs)?;
        let misfit = || LayerError::of(self.class(), EXPECTED, inputs);
        let [query, value, key] = roles(inputs).ok_or_else(misfit)?;
        let width = |input: &[usize]| vec![input[1]];
        let (keys, values) = ([self.heads, self.key_dim], [self.heads, self.value_width()]);
        let parts = [
            (width(query), keys.to_vec()),
            (width(key), keys.to_vec()),
            (width(value), values.to_vec()),
            (values.to_vec(), outputs[0][1..].to_vec()),
        ];
        let mut all = Vec::new();
        for ((name, part), (from, to)) in PROJECTIONS.into_iter().zip(parts) {
            let weight = |of: &str, shape: &[usize], arguments| {
                Weight::new(&format!("{name}/{of}"), shape, arguments).of(part)
            };
            let inputs = from.iter().product();
            let kernel = weight("kernel", &[from, to.clone()].concat(), &self.kernel);
            all.push(kernel.of_terms(inputs));
            all.extend(self.use_bias.then(|| weight("bias", &to, &self.bias)));
        }
        Ok(all)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        Err(LayerError::of(self.class(), EXPECTED, &[input]))
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        _: &[TensorId],
    ) -> Result<Value, GraphError> {
        Err(cx.misfit(self.class(), input.tensor, EXPECTED))
    }

    fn output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>, LayerError> {
        self.of(inputs).ok_or_else(|| LayerError::of(self.class(), EXPECTED, inputs))
    }

    fn forward_all(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: &[Value],
        w: &[TensorId],
    ) -> Result<Vec<Value>, GraphError> {
        let examples: Vec<Vec<usize>> =
            inputs.iter().map(|input| sample(cx, input.tensor)).collect();
        let shapes = self.of(&examples.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let misfit = || cx.misfit(self.class(), inputs[0].tensor, EXPECTED);
        let ([query, value, key], shapes) = roles(inputs).zip(shapes).ok_or_else(misfit)?;
        let mut projected = Vec::new();
        for (index, input) in [query, key, value].into_iter().enumerate() {
            let x = self.projected(cx, input.tensor, w, index)?;
            projected.push(items(cx, x, self.heads)?);
        }
        let product = BatchMatmul { transpose_a: false, transpose_b: true };
        let scores = cx.graph.apply(product, &projected[..2])?;
        let scores = cx.graph.apply(Scale(1.0 / (self.key_dim as f32).sqrt()), &[scores])?;
        let mut keys: Vec<TensorId> = value.mask.into_iter().collect();
        keys.extend(key.mask.filter(|mask| inputs.len() > 2 && !keys.contains(mask)));
        let causal = self.calls.use_causal_mask;
        let masks = Masks { causal, queries: query.mask, keys };
        let scores = masks.hide(cx, scores, Hidden::Replaced(-FAR_BELOW))?;
        let mut shares = shares(cx, scores)?;
        if self.dropout > 0.0 || self.calls.return_attention_scores {
            shares = masks.hide(cx, shares, Hidden::Replaced(0.0))?;
        }
        let dropped = cx.drop(self.dropout, shares)?;
        let output = combined(cx, dropped, projected[2])?;
        let output = sequence(cx, output, self.heads)?;
        let output = self.projected(cx, output, w, 3)?;
        let batch = cx.graph.shape(output).dims()[1];
        let extents = [&[shapes[0][0], batch], &shapes[0][1..]].concat();
        let tensor = cx.graph.reshape(output, extents)?;
        let mut outputs = vec![Value { tensor, mask: query.mask }];
        if self.calls.return_attention_scores {
            outputs.push(shares_output(cx, dropped, Some(self.heads))?);
        }
        Ok(outputs)
    }

    fn separates(&self) -> bool {
        true
    }

    fn switches(&self) -> Vec<&'static str> {
        self.calls.switches()
    }

    fn mask_flow(&self) -> MaskFlow {
        MaskFlow::Passes
    }

    fn uses_mask(&self) -> bool {
        true
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let refused = || cx.refuse(format!("it takes {EXPECTED}"));
        let inputs: Vec<&OnnxTensor> = cx.inputs.iter().collect();
        let roles = roles(&inputs).ok_or_else(refused)?;
        let [query, value, key] = roles.map(|input| (input.value.clone(), input.dims.clone()));
        let mut projected = Vec::new();
        let orders: [&[i64]; 3] = [&[0, 2, 1, 3], &[0, 2, 3, 1], &[0, 2, 1, 3]];
        for (index, (x, dims)) in [&query, &key, &value].into_iter().enumerate() {
            let &[steps, rows] = &dims[..] else {
                return Err(cx.refuse(format!("it takes {EXPECTED}")));
            };
            let y = self.onnx_projected(cx, x, rows, index)?;
            let width = if index == 2 { self.value_width() } else { self.key_dim };
            let y = cx.reshape(&y, &[steps, self.heads, width]);
            projected.push(cx.transpose(&y, orders[index]));
        }
        let (queries, keys) = (query.1[0], key.1[0]);
        let scores = cx.node("MatMul", &[&projected[0], &projected[1]], &[]);
        let scale = cx.tensor([1], vec![1.0 / (self.key_dim as f32).sqrt()])?;
        let scale = cx.graph.tensor("scale", &scale);
        let scores = cx.node("Mul", &[&scores, &scale], &[]);
        let shares = onnx_shares(cx, scores, [queries, keys], self.calls.use_causal_mask)?;
        let output = cx.node("MatMul", &[&shares, &projected[2]], &[]);
        let output = cx.transpose(&output, &[0, 2, 1, 3]);
        let columns = self.heads * self.value_width();
        let output = cx.reshape(&output, &[queries, columns]);
        let mut output = self.onnx_projected(cx, &output, columns, 3)?;
        let dims = cx.output().to_vec();
        if dims.len() != 2 {
            output = cx.reshape(&output, &dims);
        }
        let shares = self.calls.return_attention_scores.then_some(shares);
        Ok([output].into_iter().chain(shares).collect())
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("num_heads", &mut self.heads)?;
        a.required("key_dim", &mut self.key_dim)?;
        a.optional("value_dim", &mut self.value_dim)?;
        a.number("dropout", &mut self.dropout, Numbers::Rate)?;
        a.optional("use_bias", &mut self.use_bias)?;
        a.optional("output_shape", &mut self.output_shape)?;
        // Keras writes the axes that it found where none are given.
        a.fixed("attention_axes", json!([1]))?;
        a.fixed("sliding_window", Json::Null)?;
        a.fixed("use_gate", false)?;
        a.ignored(&["flash_attention", "seed"]);
        a.weight("kernel", &mut self.kernel)?;
        a.weight("bias", &mut self.bias)?;
        a.in_training("activity_regularizer", &mut self.activity_regularizer)?;
        self.calls.arguments(a)
    }
}
