//! Masks in descriptions. Keras 3 writes how a functional model computes its masks as operations
//! of their own, and names the result wherever a layer takes one. Layers pass masks on by
//! themselves here; this says which masks those are, so that one that is named can be compared.

use super::functional::{History, tensor};
use crate::architecture::{Architecture, Call, LayerNode, TensorRef};
use crate::layer::{Dialect, MaskFlow};
use crate::{ConfigError, Layer};
use serde_json::Value;
use std::collections::HashMap;

/// The unmasked steps of a sequence, in a form that two masks of one meaning share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mask {
    /// All of them, where others are masked.
    Whole,
    /// Those whose token is not the padding, given by its bits; of a step of floats, any element.
    Differs { of: TensorRef, padding: u64, any: bool },
    /// The steps that one of these leaves unmasked; they are sorted and unique.
    Either(Vec<Mask>),
    /// Those of sequences one behind the other.
    Joined(Vec<Mask>),
}

impl Mask {
    fn differs(of: TensorRef, padding: f64, any: bool) -> Self {
        Self::Differs { of, padding: padding.to_bits(), any }
    }

    /// The steps that one of the masks leaves unmasked.
    fn either(masks: impl IntoIterator<Item = Self>) -> Self {
        let parts = masks.into_iter().flat_map(|mask| match mask {
            Self::Either(parts) => parts,
            mask => vec![mask],
        });
        let mut parts: Vec<Self> = parts.collect();
        parts.sort();
        parts.dedup();
        match parts.as_slice() {
            _ if parts.contains(&Self::Whole) => Self::Whole,
            [one] => one.clone(),
            _ => Self::Either(parts),
        }
    }

    fn joined(masks: Vec<Self>) -> Self {
        match masks.iter().all(|mask| *mask == Self::Whole) {
            true => Self::Whole,
            false => Self::Joined(masks),
        }
    }

    /// The mask of the first output of a layer, given those of its inputs.
    fn behind(call: &Call, flow: MaskFlow, inputs: &[Option<Self>]) -> Option<Self> {
        let source = *call.inputs.first()?;
        let whole = || inputs.iter().map(|mask| mask.clone().unwrap_or(Self::Whole));
        match flow {
            MaskFlow::Passes => inputs.first()?.clone(),
            MaskFlow::Ends => None,
            MaskFlow::Tokens => Some(Self::differs(source, 0.0, false)),
            MaskFlow::Steps(padding) => Some(Self::differs(source, padding.into(), true)),
            MaskFlow::Either => {
                inputs.iter().cloned().collect::<Option<Vec<_>>>().map(Self::either)
            }
            _ if inputs.iter().all(Option::is_none) => None,
            MaskFlow::ConcatenatedFeatures => Some(Self::either(whole())),
            MaskFlow::ConcatenatedSteps => Some(Self::joined(whole().collect())),
        }
    }
}

/// The output of an operation that helps to compute a mask. All but the mask have the axes of a
/// sequence.
#[derive(Clone, Debug)]
enum Operand {
    /// For each element, true if it differs from the padding.
    Elements {
        of: TensorRef,
        padding: f64,
    },
    Mask(Mask),
    /// A mask for each feature.
    Wide(Mask),
    Zeros,
    Ones,
    ConcatenatedFeatures(Vec<Operand>),
    ConcatenatedSteps(Vec<Operand>),
}

impl Operand {
    /// As a mask `[B, T]`; of elements it is, if they are tokens.
    fn mask(self) -> Option<Mask> {
        match self {
            Self::Elements { of, padding } => Some(Mask::differs(of, padding, false)),
            Self::Mask(mask) => Some(mask),
            _ => None,
        }
    }

    /// As the mask of features that are all in it or not.
    fn wide(self) -> Option<Mask> {
        match self {
            Self::Wide(mask) => Some(mask),
            Self::Ones => Some(Mask::Whole),
            _ => None,
        }
    }

    fn any_feature(self) -> Option<Mask> {
        let all = |parts: Vec<Self>| parts.into_iter().map(Self::wide).collect::<Option<Vec<_>>>();
        match self {
            Self::Elements { of, padding } => Some(Mask::differs(of, padding, true)),
            Self::ConcatenatedFeatures(parts) => all(parts).map(Mask::either),
            Self::ConcatenatedSteps(parts) => all(parts).map(Mask::joined),
            operand => operand.wide(),
        }
    }

    fn or(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Wide(mask), Self::Zeros) | (Self::Zeros, Self::Wide(mask)) => {
                Some(Self::Wide(mask))
            }
            (a, b) => Some(Self::Mask(Mask::either([a.mask()?, b.mask()?]))),
        }
    }
}

/// The operations of a functional model by name; what they are of is found when it is asked for.
#[derive(Default)]
pub(super) struct MaskOperations<'a>(HashMap<&'a str, &'a Value>);

impl<'a> MaskOperations<'a> {
    /// Adds an operation of the model; most that compute masks come from
    /// keras/src/layers/merging/concatenate.py.
    pub fn add(&mut self, name: &'a str, part: &'a Value) {
        self.0.insert(name, part);
    }

    fn operand(&self, of: &History, made: &HashMap<History, TensorRef>) -> Option<Operand> {
        let part = *self.0.get(of.0.as_str())?;
        let arguments = part["inbound_nodes"].as_array()?.get(of.1)?["args"].as_array()?;
        let first = arguments.first()?;
        let operand = |value: &Value| self.operand(&tensor(value)?, made);
        let axis = part["config"]["axis"].as_i64();
        let rank = |value: &Value| Some(value["config"]["shape"].as_array()?.len() as i64);
        let last = |rank: i64| axis == Some(-1) || axis == Some(rank - 1);
        match part["class_name"].as_str()? {
            "NotEqual" => {
                let of = *made.get(&tensor(first)?)?;
                Some(Operand::Elements { of, padding: arguments.get(1)?.as_f64()? })
            }
            "Any" if part["config"]["keepdims"] == false && last(rank(first)?) => {
                operand(first)?.any_feature().map(Operand::Mask)
            }
            "ExpandDims" if last(rank(first)? + 1) => operand(first)?.mask().map(Operand::Wide),
            "ConvertToTensor" => operand(first),
            "ZerosLike" => Some(Operand::Zeros),
            "OnesLike" => Some(Operand::Ones),
            "LogicalOr" => operand(first)?.or(operand(arguments.get(1)?)?),
            "Concatenate" => {
                let parts = first.as_array()?;
                let rank = rank(parts.first()?)?;
                let all = parts.iter().map(operand).collect::<Option<Vec<_>>>()?;
                match axis? {
                    -1 | 2 if rank == 3 => Some(Operand::ConcatenatedFeatures(all)),
                    -2 | 1 if rank == 3 => Some(Operand::ConcatenatedSteps(all)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Makes sure that every mask that is named is the one that flows with the layer's input.
    ///
    /// # Errors
    /// Fails if a layer is given another mask than the one that flows with its input.
    pub fn check(
        &self,
        named: &[(String, TensorRef, History)],
        made: &HashMap<History, TensorRef>,
        layers: &[LayerNode],
        calls: &[Call],
        dialect: Dialect,
    ) -> Result<(), ConfigError> {
        let flowing = flow(layers, calls);
        for call in calls {
            let LayerNode { name, layer, .. } = &layers[call.layer];
            let masks: Vec<_> = call.inputs.iter().map(|input| of(input, &flowing)).collect();
            if dialect.before_keras_3() && layer.separates() && masks.iter().any(Option::is_some) {
                return Err(ConfigError::Structure(format!(
                    "layer {name} is given tensors with masks, which Keras 2 applies in another way \
                     where it masks all keys of a query; this is not supported: save the model with \
                     Keras 3"
                )));
            }
            if dialect.before_keras_3() && merges_otherwise(&**layer, &masks) {
                return Err(ConfigError::Structure(format!(
                    "layer {name} merges tensors whose masks Keras 2 puts together in another way, \
                     which is not supported: save the model with Keras 3"
                )));
            }
        }
        for (name, input, history) in named {
            let named = self.operand(history, made).and_then(Operand::mask);
            let odd = |why: &str| {
                ConfigError::Structure(format!(
                    "layer {name} is given the mask {}, {why}; supported are the masks that \
                     Embedding and Masking make and that layers pass on",
                    history.0
                ))
            };
            let named = named.ok_or_else(|| odd("which is computed in a way of its own"))?;
            if named != of(input, &flowing).unwrap_or(Mask::Whole) {
                return Err(odd("which is another than that of its input"));
            }
        }
        Ok(())
    }
}

/// The mask of the first output of each call.
fn flow(layers: &[LayerNode], calls: &[Call]) -> Vec<Option<Mask>> {
    let mut flowing = Vec::new();
    for call in calls {
        let masks: Vec<_> = call.inputs.iter().map(|input| of(input, &flowing)).collect();
        flowing.push(Mask::behind(call, layers[call.layer].layer.mask_flow(), &masks));
    }
    flowing
}

fn of(source: &TensorRef, flowing: &[Option<Mask>]) -> Option<Mask> {
    match *source {
        TensorRef::Output { call, index: 0 } => flowing[call].clone(),
        _ => None,
    }
}

/// Keras names the operations that put masks together when it reads a model, beginning with
/// `concatenate`, and refuses the model if a layer has that name: layers of such names that are
/// given masks, but for outputs of the model.
pub(super) fn named_like_operations(architecture: &Architecture) -> Vec<usize> {
    let Architecture { layers, calls, outputs, .. } = architecture;
    let flowing = flow(layers, calls);
    let clashes = |call: &&Call| {
        let rest = layers[call.layer].name.strip_prefix("concatenate");
        let number = |rest: &str| rest.chars().all(|c| c == '_' || c.is_ascii_digit());
        let masked = call.inputs.iter().any(|input| of(input, &flowing).is_some());
        let made = |source: &TensorRef| matches!(source, TensorRef::Output { call: by, .. } if calls[*by].layer == call.layer);
        rest.is_some_and(number) && masked && !outputs.iter().any(made)
    };
    calls.iter().filter(clashes).map(|call| call.layer).collect()
}

/// Returns true if a layer merges these masks otherwise than Keras 2 does, where a step takes
/// part in what is merged if it does in all inputs, and products and extrema read masked steps too
/// (keras/layers/merge.py of 2.2.4).
fn merges_otherwise(layer: &dyn Layer, masks: &[Option<Mask>]) -> bool {
    let apart = [MaskFlow::ConcatenatedSteps, MaskFlow::Ends].contains(&layer.mask_flow());
    let one = masks.iter().all(|mask| *mask == masks[0]);
    let reads_masks = ["Maximum", "Minimum", "Multiply"].contains(&layer.class());
    let steps = reads_masks && masks.iter().any(Option::is_some);
    layer.merges() && !apart && (!one || steps)
}

/// Keras 2 masks a layer that is given states, Keras 3 does not, and nor do we.
pub(super) fn refuse_masks_beside_states(
    layers: &[LayerNode],
    calls: &[Call],
) -> Result<(), ConfigError> {
    let masks = |layer: &LayerNode| {
        matches!(layer.layer.mask_flow(), MaskFlow::Tokens | MaskFlow::Steps(_))
    };
    let states =
        |layer: &dyn Layer| !layer.merges() && !layer.separates() && layer.operation().is_none();
    let given = |call: &&Call| call.inputs.len() > 1 && states(&*layers[call.layer].layer);
    match calls.iter().find(given).filter(|_| layers.iter().any(masks)) {
        None => Ok(()),
        Some(call) => Err(ConfigError::Structure(format!(
            "layer {} is given states in a model with masks, which is not supported of Keras 2: \
             save it with Keras 3, which computes it without the mask",
            layers[call.layer].name
        ))),
    }
}
