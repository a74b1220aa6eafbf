use super::{
    Calls, FAR_BELOW, Masks, combined, items, onnx_shares, roles, sequence, shares, shares_output,
};
use crate::layer::{
    Argument, Arguments, Dialect, ForwardContext, MaskFlow, Numbers, Reader, Value, Weight,
};
use crate::layers::axes::sample;
use crate::layers::merging::mask_steps;
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{Activate, Activation, BatchMatmul, Binary, Fill, Hidden, Matmul, TransposeLeading};
use serde_json::json;

/// Attention of each step of a sequence, the query, to the steps of another: query `[Q, D]`, value
/// `[K, V]` and, if it is not the value, key `[K, D]` -> `[Q, V]`
/// (keras/src/layers/attention/attention.py; Luong et al., 2015).
///
/// ```text
/// s(q, k) = sum over d of query(q, d) key(k, d)
/// y(q) = sum over k of p(q, k) value(k),  p(q) = softmax of s(q, k) over k
/// ```
///
/// With [`Self::concat`] s(q, k) = w sum over d of tanh(query(q, d) + key(k, d)), with a learnt
/// number w. Dropout acts on p. 1e9 is subtracted from the scores of values that are masked, and the
/// output is 0 where the query is masked; its mask is that of the query. The mask of the key has no
/// effect, as in Keras.
///
/// [`AdditiveAttention`] creates this layer with other scores.
#[derive(Clone, Debug)]
pub struct Attention {
    scores: Scores,
    use_scale: bool,
    dropout: f32,
    calls: Calls,
}

/// How a query and a key are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scores {
    Dot,
    Concat,
    Additive,
}

const EXPECTED: &str = "a query [Q, D], a value [K, V] and, if V is not D, a key [K, D]";

/// Creates an attention whose scores are s(q, k) = sum over d of scale(d) tanh(query(q, d) + key(k,
/// d)), with a learnt scale `[D]` (keras/src/layers/attention/additive_attention.py; Bahdanau et
/// al., 2015).
#[allow(non_snake_case, reason = "named as Keras's layer, which it makes")]
pub fn AdditiveAttention() -> Attention {
    Attention { scores: Scores::Additive, use_scale: true, ..Attention::new() }
}

impl Attention {
    /// Creates an attention whose scores are products, without a scale and without dropout.
    pub fn new() -> Self {
        Self { scores: Scores::Dot, use_scale: false, dropout: 0.0, calls: Calls::default() }
    }

    /// Compares queries and keys by tanh(query + key) with one learnt weight: Keras's
    /// `score_mode="concat"`. Of an [`AdditiveAttention`] it makes an attention of Keras's class
    /// `Attention`.
    pub fn concat(mut self) -> Self {
        self.scores = Scores::Concat;
        self
    }

    /// Sets whether scores, or with [`Self::concat`] the sums in the tanh, are multiplied by a learnt
    /// number, which they are not by default; an [`AdditiveAttention`] has its scale by default.
    pub fn use_scale(mut self, use_scale: bool) -> Self {
        self.use_scale = use_scale;
        self
    }

    /// Sets the fraction of the shares p that training drops, from 0, the default, to below 1.
    pub fn dropout(mut self, rate: f32) -> Self {
        self.dropout = rate;
        self
    }

    /// Hides the steps behind its own place from each query: Keras's `use_causal_mask=True`.
    pub fn use_causal_mask(mut self) -> Self {
        self.calls.use_causal_mask = true;
        self
    }

    /// Makes the layer output p, `[Q, K]`, after its output: Keras's
    /// `return_attention_scores=True`.
    pub fn return_attention_scores(mut self) -> Self {
        self.calls.return_attention_scores = true;
        self
    }

    /// The shapes of all outputs.
    fn of(&self, inputs: &[&[usize]]) -> Option<Vec<Vec<usize>>> {
        let [&[queries, d], &[values, width], &[keys, of_key]] = roles(inputs)? else {
            return None;
        };
        let shares = self.calls.return_attention_scores.then(|| vec![queries, keys]);
        let fits = d == of_key && values == keys;
        fits.then(|| [vec![queries, width]].into_iter().chain(shares).collect())
    }

    /// The scores of all pairs, `[B, Q, K]`, of a query `[Q, B, D]` and a key `[K, B, D]`.
    fn scores(
        &self,
        cx: &mut ForwardContext<'_>,
        [query, key]: [TensorId; 2],
        w: &[TensorId],
    ) -> Result<TensorId, GraphError> {
        let scale = w.first().copied().filter(|_| self.use_scale);
        if self.scores == Scores::Dot {
            let (query, key) = (items(cx, query, 1)?, items(cx, key, 1)?);
            let product = BatchMatmul { transpose_a: false, transpose_b: true };
            let scores = cx.graph.apply(product, &[query, key])?;
            return multiplied(cx, scores, scale);
        }
        let [queries, batch, d] = [0, 1, 2].map(|axis| cx.graph.shape(query).dims()[axis]);
        let keys = cx.graph.shape(key).dims()[0];
        // The sum of each pair, [Q, K, B, D].
        let zeros = Fill { shape: [keys, queries, batch, d].into(), value: 0.0 };
        let zeros = cx.graph.apply(zeros, &[])?;
        let repeated = cx.graph.apply(Binary::Add, &[zeros, query])?;
        let repeated = cx.graph.apply(TransposeLeading, &[repeated])?;
        let mut pairs = cx.graph.apply(Binary::Add, &[repeated, key])?;
        if self.scores == Scores::Concat {
            pairs = multiplied(cx, pairs, scale)?;
        }
        let pairs = cx.graph.apply(Activate(Activation::Tanh), &[pairs])?;
        let column = match scale.filter(|_| self.scores == Scores::Additive) {
            Some(scale) => cx.graph.reshape(scale, [d, 1])?,
            None => cx.graph.apply(Fill { shape: [d, 1].into(), value: 1.0 }, &[])?,
        };
        let scores = cx.graph.apply(Matmul::default(), &[pairs, column])?;
        let scores = cx.graph.reshape(scores, [queries * keys, batch])?;
        let scores = cx.graph.apply(TransposeLeading, &[scores])?;
        let scores = cx.graph.reshape(scores, [batch, queries, keys])?;
        let weight = w.last().copied().filter(|_| self.scores == Scores::Concat);
        multiplied(cx, scores, weight)
    }

    /// The same for one example in ONNX, `[.., Q, K]`.
    fn onnx_scores(
        &self,
        cx: &mut OnnxContext<'_>,
        [query, key]: [&ValueName; 2],
        [queries, keys, d]: [usize; 3],
    ) -> Result<ValueName, ExportError> {
        let scale = self.use_scale.then(|| cx.constant_weight("scale")).transpose()?;
        let times =
            |cx: &mut OnnxContext<'_>, x: ValueName, factor: Option<&ValueName>| match factor {
                Some(factor) => cx.node("Mul", &[&x, factor], &[]),
                None => x,
            };
        if self.scores == Scores::Dot {
            let key = cx.transpose(key, &[0, 2, 1]);
            let scores = cx.node("MatMul", &[query, &key], &[]);
            return Ok(times(cx, scores, scale.as_ref()));
        }
        let query = cx.reshape(query, &[queries, 1, d]);
        let key = cx.reshape(key, &[1, keys, d]);
        let mut pairs = cx.node("Add", &[&query, &key], &[]);
        if self.scores == Scores::Concat {
            pairs = times(cx, pairs, scale.as_ref());
        }
        let mut pairs = cx.node("Tanh", &[&pairs], &[]);
        if self.scores == Scores::Additive {
            pairs = times(cx, pairs, scale.as_ref());
        }
        let ones = cx.tensor([d, 1], vec![1.0; d])?;
        let ones = cx.graph.tensor("ones", &ones);
        let scores = cx.node("MatMul", &[&pairs, &ones], &[]);
        let scores = cx.reshape(&scores, &[queries, keys]);
        if self.scores != Scores::Concat {
            return Ok(scores);
        }
        let weight = cx.constant_weight("concat_score_weight")?;
        Ok(times(cx, scores, Some(&weight)))
    }
}

/// x times a number, if there is one.
fn multiplied(
    cx: &mut ForwardContext<'_>,
    x: TensorId,
    factor: Option<TensorId>,
) -> Result<TensorId, GraphError> {
    match factor {
        Some(factor) => cx.graph.apply(Binary::Mul, &[x, factor]),
        None => Ok(x),
    }
}

impl Default for Attention {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for Attention {
    fn class(&self) -> &'static str {
        match self.scores {
            Scores::Additive => "AdditiveAttention",
            Scores::Dot | Scores::Concat => "Attention",
        }
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let number = |name: &str| Weight::new(name, &[], &Initializer::Ones.into());
        let d = input.last().copied().unwrap_or(0);
        let scale = match self.scores {
            Scores::Additive => Weight::new("scale", &[d], &Initializer::GlorotUniform.into()),
            Scores::Dot | Scores::Concat => number("scale"),
        };
        let concat = (self.scores == Scores::Concat).then(|| number("concat_score_weight"));
        Ok(self.use_scale.then_some(scale).into_iter().chain(concat).collect())
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
        let fits = self.of(&examples.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let roles = roles(inputs).filter(|_| fits.is_some());
        let misfit = || cx.misfit(self.class(), inputs[0].tensor, EXPECTED);
        let [query, value, key] = roles.ok_or_else(misfit)?;
        let scores = self.scores(cx, [query.tensor, key.tensor], w)?;
        let causal = self.calls.use_causal_mask;
        let masks = Masks { causal, queries: None, keys: value.mask.into_iter().collect() };
        let scores = masks.hide(cx, scores, Hidden::Lowered(FAR_BELOW))?;
        let shares = shares(cx, scores)?;
        let shares = cx.drop(self.dropout, shares)?;
        let values = items(cx, value.tensor, 1)?;
        let output = combined(cx, shares, values)?;
        let mut tensor = sequence(cx, output, 1)?;
        if let Some(mask) = query.mask {
            tensor = mask_steps(cx, tensor, mask)?;
        }
        let mut outputs = vec![Value { tensor, mask: query.mask }];
        if self.calls.return_attention_scores {
            outputs.push(shares_output(cx, shares, None)?);
        }
        Ok(outputs)
    }

    fn merges(&self) -> bool {
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
        let inputs: Vec<_> = cx.inputs.iter().collect();
        let roles = roles(&inputs).map(|roles| roles.map(Clone::clone));
        let [query, value, key] = roles.ok_or_else(|| cx.refuse(format!("it takes {EXPECTED}")))?;
        let (&[queries, d], &[keys, _]) = (&query.dims[..], &key.dims[..]) else {
            return Err(cx.refuse(format!("it takes {EXPECTED}")));
        };
        let scores = self.onnx_scores(cx, [&query.value, &key.value], [queries, keys, d])?;
        let shares = onnx_shares(cx, scores, [queries, keys], self.calls.use_causal_mask)?;
        let output = cx.node("MatMul", &[&shares, &value.value], &[]);
        let shares = self.calls.return_attention_scores.then_some(shares);
        Ok([output].into_iter().chain(shares).collect())
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("use_scale", &mut self.use_scale)?;
        if self.scores != Scores::Additive {
            a.optional("score_mode", &mut self.scores)?;
        }
        a.number("dropout", &mut self.dropout, Numbers::Rate)?;
        a.ignored(&["seed"]);
        self.calls.arguments(a)
    }
}

impl Argument for Scores {
    fn supported() -> String {
        "dot, concat".into()
    }

    fn read(value: &serde_json::Value, _: Dialect) -> Option<Self> {
        match value.as_str()? {
            "dot" => Some(Self::Dot),
            "concat" => Some(Self::Concat),
            _ => None,
        }
    }

    fn write(&self, _: Reader) -> Option<serde_json::Value> {
        Some(json!(if *self == Self::Concat { "concat" } else { "dot" }))
    }
}
