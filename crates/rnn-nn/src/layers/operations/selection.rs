//! Operations that choose by a condition, or by tokens.

use super::laid::{Laid, bounded, together};
use super::operand::{OPERANDS, Operands};
use super::{Compute, Misfit, Operation};
use crate::ConfigError;
use crate::layer::{Arguments, ForwardContext};
use crate::layers::LayerTable;
use crate::onnx::{ExportError, OnnxContext};
use rnn_core::{DType, HostTensor};
use rnn_formats::onnx::{Attribute::Int, ValueName};
use rnn_ops::{self as ops, Select, Slice};

pub(super) static TABLE: &LayerTable = &[
    ("OneHot", || Box::new(Operation(OneHot { classes: 1 }))),
    ("Where", || Box::new(Operation(Where { operands: Operands::tensors(3) }))),
];

/// y = a where the condition holds, else b; all are broadcast as in NumPy.
#[derive(Clone, Debug)]
struct Where {
    operands: Operands,
}

impl Compute for Where {
    fn class(&self) -> &'static str {
        "Where"
    }

    fn expected(&self) -> &'static str {
        "a condition and two operands, of which each axis has one extent or is 1, with the batch as \
         the first axis of all tensors"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let ranks: Vec<usize> = inputs.iter().map(Laid::rank).collect();
        let most = ranks.iter().max().copied().unwrap_or(0);
        let all = self.operands.laid(cx, inputs)?;
        let fits = ranks.iter().all(|&rank| rank == most) && all.iter().all(|x| x.rank() <= most);
        if !fits {
            return Err(Misfit::Inputs);
        }
        Ok(vec![together(cx, Select, all)?])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let all = self.operands.onnx(cx)?;
        let [condition, a, b] =
            <[ValueName; 3]>::try_from(all).map_err(|_| cx.refuse("three operands"))?;
        let condition = cx.node("Cast", &[&condition], &[("to", Int(9))]);
        Ok(vec![cx.node("Where", &[&condition, &a, &b], &[])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required(OPERANDS, &mut self.operands)?;
        match self.operands.0.len() {
            3 => Ok(()),
            count => Err(a.refuse(OPERANDS, &count.into(), "a condition and two operands".into())),
        }
    }

    fn operands(&self) -> Option<&Operands> {
        Some(&self.operands)
    }
}

/// y[.., c] = 1 where the token is c, else 0.
#[derive(Clone, Debug)]
struct OneHot {
    classes: usize,
}

impl Compute for OneHot {
    fn class(&self) -> &'static str {
        "OneHot"
    }

    fn module(&self) -> &'static str {
        "keras.src.ops.nn"
    }

    fn expected(&self) -> &'static str {
        "an input of tokens [T]"
    }

    fn compute(&self, cx: &mut ForwardContext<'_>, inputs: Vec<Laid>) -> Result<Vec<Laid>, Misfit> {
        let [tokens] = <[Laid; 1]>::try_from(inputs).map_err(|_| Misfit::Inputs)?;
        let dims = cx.graph.shape(tokens.tensor).dims().to_vec();
        let axis = tokens.rank();
        bounded(&[&tokens.dims(cx)[..], &[self.classes]].concat())?;
        let wide = tokens.clone().with(cx, axis)?;
        if cx.graph[tokens.tensor].ty.dtype != DType::U32 {
            // The shape alone: a model gives tokens.
            return Ok(vec![wide.slice(cx, axis, Slice::repeat(self.classes))?]);
        }
        let marks = cx.graph.apply(ops::OneHot { classes: self.classes }, &[tokens.tensor])?;
        let tensor = cx.graph.reshape(marks, [&dims[..], &[self.classes]].concat())?;
        Ok(vec![wide.like(tensor)])
    }

    fn onnx(&self, cx: &mut OnnxContext<'_>) -> Result<Vec<ValueName>, ExportError> {
        let tokens = cx.x()?;
        // onnxruntime has the operator for 64 bits alone.
        let tokens = cx.node("Cast", &[&tokens], &[("to", Int(7))]);
        let depth = cx.graph.ints("depth", &[self.classes as i64]);
        let values = HostTensor::from_f32([2], vec![0.0, 1.0]);
        let values = values.map_err(|error| cx.refuse(error.to_string()))?;
        let values = cx.graph.tensor("values", &values);
        Ok(vec![cx.node("OneHot", &[&tokens, &depth, &values], &[("axis", Int(-1))])])
    }

    fn arguments(&mut self, a: &mut Arguments<'_>) -> Result<(), ConfigError> {
        a.required("num_classes", &mut self.classes)?;
        a.fixed("axis", -1)?;
        a.fixed("dtype", "float32")?;
        a.fixed("sparse", false)
    }

    fn vocabulary(&self) -> Option<usize> {
        Some(self.classes)
    }
}
