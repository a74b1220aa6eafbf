//! Keras's layers of rectifiers with arguments (keras/src/layers/activations).

use crate::layer::{Arguments, ForwardContext, Numbers, Value};
use crate::onnx::{ExportError, OnnxContext};
use crate::{ConfigError, Layer, LayerError};
use rnn_formats::onnx::Attribute::Float;
use rnn_formats::onnx::ValueName;
use rnn_graph::{GraphError, TensorId};
use rnn_ops::Rectify;
use serde_json::json;

/// The rectified linear unit with a largest value, a slope below and a threshold
/// (keras/src/layers/activations/relu.py). The output has the shape of the input.
///
/// ```text
/// y = min(x, max_value)                  where x > threshold
/// y = negative_slope (x - threshold)     elsewhere
/// ```
///
/// A mask is passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Relu {
    max_value: Option<f32>,
    negative_slope: f32,
    threshold: f32,
}

impl Relu {
    /// Creates a layer with Keras's defaults: y = max(x, 0).
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest value of the output, 0 or more, of which there is none by default.
    pub fn max_value(mut self, max_value: f32) -> Self {
        self.max_value = Some(max_value);
        self
    }

    /// Sets the slope below the threshold, 0 or more; the default is 0.
    pub fn negative_slope(mut self, negative_slope: f32) -> Self {
        self.negative_slope = negative_slope;
        self
    }

    /// Sets the number, 0 or more, above which x passes; the default is 0.
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }
}

/// The rectified linear unit that leaks (keras/src/layers/activations/leaky_relu.py): y = x where x
/// > 0, else negative_slope x. The output has the shape of the input. A mask is passed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu {
    negative_slope: f32,
}

impl LeakyRelu {
    /// Creates a layer with the slope 0.3 below 0, as in Keras.
    pub fn new() -> Self {
        Self { negative_slope: 0.3 }
    }

    /// Sets the slope below 0, which is 0 or more.
    pub fn negative_slope(mut self, negative_slope: f32) -> Self {
        self.negative_slope = negative_slope;
        self
    }
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self::new()
    }
}

/// The exponential linear unit (Clevert et al., 2016; keras/src/layers/activations/elu.py): y = x
/// where x > 0, else alpha (e^x - 1). The output has the shape of the input. A mask is passed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    alpha: f32,
}

impl Elu {
    /// Creates a layer with alpha = 1, as in Keras.
    pub fn new() -> Self {
        Self { alpha: 1.0 }
    }

    /// Sets alpha, the distance of the smallest values from 0.
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = alpha;
        self
    }
}

impl Default for Elu {
    fn default() -> Self {
        Self::new()
    }
}

/// Implements the methods of [`Layer`] that all have in common.
macro_rules! rectifier {
    ($class:literal) => {
        fn class(&self) -> &'static str {
            $class
        }

        fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
            Ok(input.to_vec())
        }

        fn forward(
            &self,
            cx: &mut ForwardContext<'_>,
            input: Value,
            _: &[TensorId],
        ) -> Result<Value, GraphError> {
            let tensor = cx.graph.apply(self.op(), &[input.tensor])?;
            Ok(Value { tensor, ..input })
        }
    };
}

impl Relu {
    fn op(&self) -> Rectify {
        Rectify {
            threshold: self.threshold,
            slope: self.negative_slope,
            highest: self.max_value.unwrap_or(f32::INFINITY),
            curved: false,
        }
    }
}

impl Layer for Relu {
    rectifier!("ReLU");

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        let mut y = match self.threshold {
            0.0 => cx.node("Relu", &[&x], &[]),
            threshold => {
                let (threshold, zero) = (cx.scalar(threshold), cx.scalar(0.0));
                let passes = cx.node("Greater", &[&x, &threshold], &[]);
                cx.node("Where", &[&passes, &x, &zero], &[])
            }
        };
        if let Some(max_value) = self.max_value {
            y = cx.clip(&y, 0.0, max_value);
        }
        if self.negative_slope != 0.0 {
            let threshold = cx.scalar(self.threshold);
            let below = cx.node("Sub", &[&threshold, &x], &[]);
            let below = cx.node("Relu", &[&below], &[]);
            let below = cx.times(&below, self.negative_slope);
            y = cx.node("Sub", &[&y, &below], &[]);
        }
        Ok(vec![y])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("max_value", &mut self.max_value)?;
        if let Some(odd) = self.max_value.filter(|&max| !Numbers::NotNegative.contain(max)) {
            let supported = format!("null, {}", Numbers::NotNegative.supported());
            return Err(a.refuse("max_value", &json!(odd), supported));
        }
        a.number("negative_slope", &mut self.negative_slope, Numbers::NotNegative)?;
        a.number("threshold", &mut self.threshold, Numbers::NotNegative)
    }
}

impl LeakyRelu {
    fn op(&self) -> Rectify {
        Rectify { slope: self.negative_slope, ..Rectify::default() }
    }
}

impl Layer for LeakyRelu {
    rectifier!("LeakyReLU");

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("LeakyRelu", &[&x], &[("alpha", Float(self.negative_slope))])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.renamed(["negative_slope", "alpha"], &mut self.negative_slope)?;
        a.number("negative_slope", &mut self.negative_slope, Numbers::NotNegative)
    }
}

impl Elu {
    fn op(&self) -> Rectify {
        Rectify { slope: self.alpha, curved: true, ..Rectify::default() }
    }
}

impl Layer for Elu {
    rectifier!("ELU");

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let x = cx.x()?;
        Ok(vec![cx.node("Elu", &[&x], &[("alpha", Float(self.alpha))])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.optional("alpha", &mut self.alpha)
    }
}
