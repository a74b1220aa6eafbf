//! Weights that PyTorch names, for a model that is described here.
//!
//! A module of PyTorch's, such as `encoder.lstm` or a layer of a stacked one, belongs to the layer
//! that its weights fit. Where they fit several, the name of the layer decides.

use super::{ModelFileError, Result};
use crate::nn::{Model, WeightRange};
use rnn_core::HostTensor;
use std::collections::BTreeMap;

/// A module, or one layer of a stacked recurrent module, and its tensors by their names in it.
struct Module {
    name: String,
    /// Which layer of a stacked module.
    layer: Option<usize>,
    tensors: BTreeMap<String, HostTensor>,
}

/// True if the tensors are named as in PyTorch, `fc.weight`, and not as here, `dense/kernel`.
pub(super) fn are_named(tensors: &[(String, HostTensor)]) -> bool {
    tensors.iter().any(|(name, _)| name.contains("weight") && !name.contains('/'))
}

/// Returns the weights of `model` by its names, from tensors by PyTorch's.
///
/// # Errors
/// Fails with [`ModelFileError::Misfit`] if a layer has no module, several fit, or a module is left.
pub(super) fn weights(
    tensors: &[(String, HostTensor)],
    model: &Model,
) -> Result<Vec<(String, HostTensor)>> {
    let mut modules = modules(tensors);
    let mut all = Vec::new();
    for (index, (layer, class)) in model.layers().enumerate() {
        let ranges: Vec<&WeightRange> =
            model.weight_ranges().iter().filter(|range| range.layer == index).collect();
        if ranges.is_empty() {
            continue;
        }
        let fits = |module: &Module| fitting(class, &ranges, &module.tensors);
        let found: Vec<usize> =
            (0..modules.len()).filter(|&i| fits(&modules[i]).is_some()).collect();
        let own = found.iter().copied().find(|&i| modules[i].is_named(layer));
        // Layers of one stacked module stand in its order.
        let same = found
            .iter()
            .all(|&i| modules[i].layer.is_some() && modules[i].name == modules[found[0]].name);
        let chosen = match (own, &found[..]) {
            (Some(own), _) => own,
            (None, [first, rest @ ..]) if rest.is_empty() || same => *first,
            (None, []) => {
                return misfit(format!(
                    "no weights fit layer {layer} ({class}), which has {}; those that are left: {}",
                    shapes(&ranges),
                    names(&modules)
                ));
            }
            (None, several) => {
                let several: Vec<&str> = several.iter().map(|&i| &*modules[i].name).collect();
                return misfit(format!(
                    "the weights of {} all fit layer {layer} ({class}): give each layer the name \
                     of its module, name = \"{}\"",
                    several.join(", "),
                    several[0]
                ));
            }
        };
        let made = fits(&modules.remove(chosen)).unwrap_or_default();
        all.extend(ranges.iter().map(|range| range.name.clone()).zip(made));
    }
    match modules.is_empty() {
        true => Ok(all),
        false => misfit(format!("the model has no layer for the weights of {}", names(&modules))),
    }
}

fn misfit<T>(message: String) -> Result<T> {
    Err(ModelFileError::Misfit(message))
}

fn shapes(ranges: &[&WeightRange]) -> String {
    let shape = |range: &&WeightRange| format!("{} {:?}", range.name, range.shape);
    ranges.iter().map(shape).collect::<Vec<_>>().join(", ")
}

fn names(modules: &[Module]) -> String {
    match modules {
        [] => "none".into(),
        _ => modules.iter().map(|module| &*module.name).collect::<Vec<_>>().join(", "),
    }
}

impl Module {
    /// True for the whole name with underscores or its last part, of a stacked module with `_l1`
    /// behind it.
    fn is_named(&self, layer: &str) -> bool {
        let last = self.name.rsplit('.').next().unwrap_or_default();
        let level = self.layer.map(|level| format!("_l{level}"));
        [self.name.replace('.', "_"), last.to_owned()].iter().any(|name| {
            let numbered = level.as_ref().map(|level| format!("{name}{level}"));
            numbered.as_deref() == Some(layer) || (self.layer.unwrap_or(0) == 0 && name == layer)
        })
    }
}

/// The tensors by module, in the order of names, numbers in their order.
fn modules(tensors: &[(String, HostTensor)]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for (path, tensor) in tensors {
        let (name, own) = path.rsplit_once('.').unwrap_or(("", path));
        if own == "num_batches_tracked" {
            continue;
        }
        let (own, layer) = without_level(own);
        match modules.iter_mut().find(|module| module.name == name && module.layer == layer) {
            Some(module) => {
                module.tensors.insert(own, tensor.clone());
            }
            None => {
                let tensors = BTreeMap::from([(own, tensor.clone())]);
                modules.push(Module { name: name.to_owned(), layer, tensors });
            }
        }
    }
    modules.sort_by_key(|module| (module.name.clone(), module.layer));
    modules
}

/// `weight_ih_l1_reverse` as `weight_ih_reverse` of layer 1.
fn without_level(name: &str) -> (String, Option<usize>) {
    let (stem, reverse) = match name.strip_suffix("_reverse") {
        Some(stem) => (stem, "_reverse"),
        None => (name, ""),
    };
    match stem.rsplit_once("_l").map(|(stem, level)| (stem, level.parse())) {
        Some((stem, Ok(level))) => (format!("{stem}{reverse}"), Some(level)),
        _ => (name.to_owned(), None),
    }
}

/// The tensors as the weights of a layer, where all fit.
fn fitting(
    class: &str,
    ranges: &[&WeightRange],
    tensors: &BTreeMap<String, HostTensor>,
) -> Option<Vec<HostTensor>> {
    let mut made = Vec::new();
    let mut used = 0;
    for range in ranges {
        let name = range.name.rsplit('/').next().unwrap_or_default();
        let mut of = |name: &str| {
            used += 1;
            tensors.get(name)
        };
        let (part, reverse) = match name.strip_prefix("backward_") {
            Some(part) => (part, "_reverse"),
            None => (name.strip_prefix("forward_").unwrap_or(name), ""),
        };
        let recurrent = tensors.contains_key("weight_ih");
        let shape = &range.shape;
        made.push(match (part, recurrent) {
            ("kernel", true) => gates(transposed(of(&format!("weight_ih{reverse}"))?)?, tensors)?,
            ("recurrent_kernel", true) => {
                gates(transposed(of(&format!("weight_hh{reverse}"))?)?, tensors)?
            }
            ("bias", true) => {
                let [outer, inner] = ["bias_ih", "bias_hh"].map(|bias| {
                    let bias = of(&format!("{bias}{reverse}"))?;
                    let row = bias.clone().reshape([1, bias.shape().len()]).ok()?;
                    gates(row, tensors)?.as_f32().ok().map(<[f32]>::to_vec)
                });
                let (outer, inner) = (outer?, inner?);
                let values: Vec<f32> = match shape[..] {
                    [_] if three_gates(tensors) => return None,
                    [_] => outer.iter().zip(&inner).map(|(a, b)| a + b).collect(),
                    _ => [outer, inner].concat(),
                };
                HostTensor::from_f32(shape.clone(), values).ok()?
            }
            ("kernel", false) => transposed(of("weight")?)?,
            ("embeddings" | "gamma" | "alpha", false) => of("weight")?.clone(),
            ("bias" | "beta", false) => of("bias")?.clone(),
            ("moving_mean", false) => of("running_mean")?.clone(),
            ("moving_variance", false) => of("running_var")?.clone(),
            _ => return None,
        });
    }
    let fits = made.iter().zip(ranges).all(|(tensor, range)| *tensor.shape().dims() == range.shape);
    // A table and a matrix may have one shape.
    let linear = class != "Embedding" || tensors.len() == 1;
    (fits && linear && used == tensors.len()).then_some(made)
}

/// A GRU has three gates: rows of the weight of the recurrence for each unit.
fn three_gates(tensors: &BTreeMap<String, HostTensor>) -> bool {
    let dims = tensors.get("weight_hh").map_or(&[][..], |weight| weight.shape().dims());
    matches!(dims, [rows, units] if Some(*rows) == units.checked_mul(3))
}

/// The columns of a GRU's gates, which PyTorch has in the order r, z, n, Keras z, r, h. Those of an
/// LSTM have the same order in both.
fn gates(weight: HostTensor, tensors: &BTreeMap<String, HostTensor>) -> Option<HostTensor> {
    if !three_gates(tensors) {
        return Some(weight);
    }
    let &[rows, columns] = weight.shape().dims() else { return None };
    let units = columns / 3;
    let values = weight.as_f32().ok()?;
    let ordered = (0..rows).flat_map(|row| {
        [1, 0, 2].into_iter().flat_map(move |gate| {
            let at = row * columns + gate * units;
            values[at..at + units].iter().copied()
        })
    });
    HostTensor::from_f32([rows, columns], ordered.collect()).ok()
}

/// A weight `[out, in, K1, ..]` as `[K1, .., in, out]`.
fn transposed(weight: &HostTensor) -> Option<HostTensor> {
    let &[out, inputs, ref taps @ ..] = weight.shape().dims() else { return None };
    let values = weight.as_f32().ok()?;
    let count: usize = taps.iter().product();
    let places = (0..count).flat_map(|tap| {
        (0..inputs).flat_map(move |i| (0..out).map(move |o| (o * inputs + i) * count + tap))
    });
    let dims = [taps, &[inputs, out]].concat();
    HostTensor::from_f32(dims, places.map(|place| values[place]).collect()).ok()
}
