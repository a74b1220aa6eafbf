use super::axes::{AxisSet, Gathered};
use super::gamma_beta::{GammaBeta, affine_arguments};
use crate::layer::{Arguments, Dialect, ForwardContext, Numbers, Value, Weight};
use crate::onnx::{ExportError, OnnxContext, OnnxTensor};
use crate::{ConfigError, Initializer, Layer, LayerError};
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::{BatchNormalize, Fill, InverseRoot, MovingAverage, TransposeLeading};
use std::sync::Arc;

/// Batch normalization: `[.., F]` -> `[.., F]`. In training each feature gets zero mean and unit
/// variance over the batch and all other axes, then gamma and beta act. At inference the moving
/// averages stand for mean and variance; they are weights that gradients do not change.
///
/// ```text
/// y = gamma (x - mean) / sqrt(var + epsilon) + beta,  gamma, beta, moving_mean, moving_var [F]
/// moving = momentum moving + (1 - momentum) batch,            after each step of training
/// ```
///
/// As in Keras 3, var and moving_var are the biased variance
/// (keras/src/layers/normalization/batch_normalization.py). Keras 2 differs:
/// [`corrected_variance`](BatchNormalization::corrected_variance) and, for some versions,
/// [`zero_debiased`](BatchNormalization::zero_debiased). Masked steps do not count in mean and
/// variance, but are normalized. Within [`TimeDistributed`](crate::TimeDistributed) each step has
/// its own mean and variance in training, and the moving averages follow one step after the other.
/// Where the features are not the last axis, a mask of steps is refused in training, and so is the
/// layer within TimeDistributed.
#[derive(Clone, Debug)]
pub struct BatchNormalization {
    momentum: f32,
    epsilon: f32,
    corrected: bool,
    debiased: bool,
    affine: GammaBeta,
    moving_mean: Initializer,
    moving_variance: Initializer,
}

impl BatchNormalization {
    /// Creates a layer with Keras's defaults: momentum 0.99, epsilon 0.001, gamma and the moving
    /// variance of ones, beta and the moving mean of zeros.
    pub fn new() -> Self {
        Self {
            momentum: 0.99,
            epsilon: 1e-3,
            corrected: false,
            debiased: false,
            affine: GammaBeta::new(),
            moving_mean: Initializer::Zeros,
            moving_variance: Initializer::Ones,
        }
    }

    /// Sets the fraction of the moving averages that is kept at each step, in 0..=1; the default is
    /// 0.99.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets the number that is added to the variance, above 0; the default is 0.001.
    pub fn epsilon(mut self, epsilon: f32) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Makes the moving variance follow the batch's variance times n / (n - 1 - epsilon), where n
    /// is the number of rows that the batch's mean is over, as in Keras 2
    /// (keras/layers/normalization.py of 2.2.4). As there, masked steps count like others, and all
    /// steps within [`TimeDistributed`](crate::TimeDistributed) are one batch.
    pub fn corrected_variance(mut self) -> Self {
        self.corrected = true;
        self
    }

    /// Makes the moving averages begin at zero and be divided by 1 - momentum^t after t steps, as
    /// in Keras 2.1.3 to 2.2.5 with TensorFlow (moving_average_update in
    /// keras/backend/tensorflow_backend.py of 2.2.4). The divisor is kept on the device. It is part
    /// of a [`TrainerState`](crate::TrainerState), but not of the model, so that a training that
    /// continues from a model file begins both averages anew, as there.
    pub fn zero_debiased(mut self) -> Self {
        self.debiased = true;
        self
    }

    /// x of zero mean and unit variance, `[rows, steps F]` where several steps stand side by side;
    /// the averages, `[F]`, follow one step after the other.
    fn train(
        &self,
        cx: &mut ForwardContext<'_>,
        (x, mask): (TensorId, Option<TensorId>),
        averages: [TensorId; 2],
    ) -> Result<TensorId, GraphError> {
        let inputs: Vec<TensorId> = [x].into_iter().chain(mask).collect();
        let out = cx.graph.push(BatchNormalize { epsilon: self.epsilon }, &inputs)?;
        let width = cx.graph.shape(averages[0]).len();
        let (rows, steps) = (cx.graph.shape(x).rows() as f32, cx.graph.shape(x).last() / width);
        let correction = if self.corrected { rows / (rows - 1.0 - self.epsilon) } else { 1.0 };
        let weight = self.debiased.then(|| cx.debias_weight());
        let [mean, variance] = [out[2], out[3]];
        let [mean, variance] = match steps {
            1 => [mean, variance],
            _ => [
                cx.graph.reshape(mean, [steps, width])?,
                cx.graph.reshape(variance, [steps, width])?,
            ],
        };
        self.follow(cx, [Some(mean), weight], averages[0], 1.0)?;
        self.follow(cx, [Some(variance), weight], averages[1], correction)?;
        if let Some(weight) = weight {
            let ones = cx.graph.apply(Fill { shape: [steps, 1].into(), value: 1.0 }, &[])?;
            self.follow(cx, [Some(ones), None], weight, 1.0)?;
        }
        Ok(out[0])
    }

    /// Moves an average by values, whose weight so far there may be.
    fn follow(
        &self,
        cx: &mut ForwardContext<'_>,
        inputs: [Option<TensorId>; 2],
        average: TensorId,
        factor: f32,
    ) -> Result<(), GraphError> {
        let inputs: Vec<TensorId> = inputs.into_iter().flatten().collect();
        let follow = MovingAverage { momentum: self.momentum, factor };
        cx.graph.push_node(Arc::new(follow), &inputs, &[average])?;
        Ok(())
    }

    /// Weights of gamma and beta, and the two moving averages.
    fn parts<'w>(
        &self,
        cx: &ForwardContext<'_>,
        x: TensorId,
        w: &'w [TensorId],
    ) -> Result<(&'w [TensorId], [TensorId; 2]), GraphError> {
        match w.split_last_chunk() {
            Some((affine, moving)) => Ok((affine, *moving)),
            None => Err(cx.misfit(self.class(), x, "a moving mean and variance")),
        }
    }

    affine_arguments!();

    /// Sets the axis of the features, with the batch as axis 0, which it is not; -1 is the last, and
    /// the default.
    pub fn axis(mut self, axis: isize) -> Self {
        self.affine.axes = AxisSet::of([axis]);
        self
    }

    /// In training, steps are known apart and masked only in front of features that are last.
    fn check_last(
        &self,
        cx: &ForwardContext<'_>,
        x: TensorId,
        what: &str,
    ) -> Result<(), GraphError> {
        let rank = cx.graph.shape(x).rank() - 1;
        match self.affine.axes.places(rank).is_some_and(|places| places == [rank - 1]) {
            true => Ok(()),
            false => Err(cx.misfit(self.class(), x, &format!("its features last, {what}"))),
        }
    }
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for BatchNormalization {
    fn class(&self) -> &'static str {
        "BatchNormalization"
    }

    fn weights(&self, input: &[usize]) -> Result<Vec<Weight>, LayerError> {
        let shape = self.affine.shape(self.class(), input)?;
        let moving = |name: &str, first: &Initializer| {
            Weight::new(name, &shape, &first.clone().into()).not_trained()
        };
        let mut all = self.affine.weights(self.class(), input)?;
        all.push(moving("moving_mean", &self.moving_mean));
        all.push(moving("moving_variance", &self.moving_variance));
        Ok(all)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.affine.places(self.class(), input)?;
        Ok(input.to_vec())
    }

    fn forward(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Value, GraphError> {
        let gathered = Gathered::new(cx, self.class(), input.tensor, self.affine.axes)?;
        let x = gathered.tensor;
        let (affine, [mean, variance]) = self.parts(cx, x, w)?;
        let tensor = if cx.trains() {
            let mask = input.mask.filter(|_| !self.corrected);
            if mask.is_some() {
                self.check_last(cx, input.tensor, "as steps are masked")?;
            }
            let items = mask.map(|mask| cx.graph.reshape(mask, [cx.graph.shape(mask).len(), 1]));
            let normal = self.train(cx, (x, items.transpose()?), [mean, variance])?;
            self.affine.apply(cx, normal, affine)?
        } else {
            let scale = cx.graph.apply(InverseRoot { epsilon: self.epsilon }, &[variance])?;
            self.affine.apply_fixed(cx, (x, mean, scale), affine)?
        };
        Ok(Value { tensor: gathered.back(cx, tensor)?, ..input })
    }

    /// Steps side by side are columns of their own: `[T, B, .., F]` as `[B .., T F]`.
    fn steps(
        &self,
        cx: &mut ForwardContext<'_>,
        input: Value,
        w: &[TensorId],
    ) -> Result<Option<Value>, GraphError> {
        if !cx.trains() || !self.sees_batch() {
            return Ok(None);
        }
        let x = input.tensor;
        self.check_last(cx, x, "within TimeDistributed")?;
        let (affine, averages) = self.parts(cx, x, w)?;
        let shape = cx.graph.shape(x).clone();
        let (steps, width) = (shape.dims()[0], shape.last());
        let rows = shape.len() / (steps * width);
        let x = cx.graph.reshape(x, [steps, rows, width])?;
        let x = cx.graph.apply(TransposeLeading, &[x])?;
        let x = cx.graph.reshape(x, [rows, steps * width])?;
        let mask = input.mask.map(|mask| cx.graph.apply(TransposeLeading, &[mask])).transpose()?;
        let normal = self.train(cx, (x, mask), averages)?;
        let normal = cx.graph.reshape(normal, [rows, steps, width])?;
        let normal = cx.graph.apply(TransposeLeading, &[normal])?;
        let normal = cx.graph.reshape(normal, shape)?;
        Ok(Some(Value { tensor: self.affine.apply(cx, normal, affine)?, ..input }))
    }

    fn sees_batch(&self) -> bool {
        !self.corrected
    }

    /// With the moving averages, y = x s + t: s = gamma / sqrt(variance + epsilon),
    /// t = beta - mean s.
    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let weight = |name: &str| -> Result<Vec<f32>, ExportError> {
            Ok(cx.floats(cx.weight(name)?)?.to_vec())
        };
        let optional = |there: bool, name: &str| there.then(|| weight(name)).transpose();
        let (mean, variance) = (weight("moving_mean")?, weight("moving_variance")?);
        let gamma = optional(self.affine.scale, "gamma")?;
        let beta = optional(self.affine.center, "beta")?;
        let at = |of: &Option<Vec<f32>>, i: usize, or: f64| of.as_ref().map_or(or, |w| w[i].into());
        let epsilon = f64::from(self.epsilon);
        let scale = |i: usize| at(&gamma, i, 1.0) / (f64::from(variance[i]) + epsilon).sqrt();
        let shift = |i: usize| at(&beta, i, 0.0) - f64::from(mean[i]) * scale(i);
        let OnnxTensor { value: x, dims } = cx.input()?;
        let places = self.affine.axes.places(dims.len()).unwrap_or_default();
        let behind = places.first().map_or(0, |place| dims.len() - 1 - place);
        let shape = [&[mean.len()][..], &vec![1; behind]].concat();
        let mut constant = |name: &str, of: &dyn Fn(usize) -> f64| {
            let values = (0..mean.len()).map(|i| of(i) as f32).collect();
            let values = cx.tensor(shape.clone(), values)?;
            Ok::<_, ExportError>(cx.graph.tensor(name, &values))
        };
        let (scale, shift) = (constant("scale", &scale)?, constant("shift", &shift)?);
        let scaled = cx.node("Mul", &[&x, &scale], &[]);
        Ok(vec![cx.node("Add", &[&scaled, &shift], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        self.corrected |= a.dialect().before_keras_3();
        self.debiased |= a.dialect() == Dialect::Keras2018;
        a.ours("corrected_variance", &mut self.corrected)?;
        a.ours("zero_debiased", &mut self.debiased)?;
        a.number("momentum", &mut self.momentum, Numbers::Fraction)?;
        a.number("epsilon", &mut self.epsilon, Numbers::NotNegative)?;
        a.in_training("moving_mean_initializer", &mut self.moving_mean)?;
        a.in_training("moving_variance_initializer", &mut self.moving_variance)?;
        a.ignored(&["fused", "renorm_momentum"]);
        self.affine.arguments_of_one_axis(a)
    }
}
