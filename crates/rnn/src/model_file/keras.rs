//! Which variable of a Keras file is which weight of a model.

use super::{ModelFileError, Result, cudnn};
use crate::nn::{Architecture, Model, WeightRange};
use rnn_core::HostTensor;
use rnn_formats::keras::{Format, KERAS_VERSION, KerasFile, Variables};
use serde_json::Value;
use std::collections::HashMap;

/// The weights of each layer by the part that holds them, in Keras's order of both.
fn parts(model: &Model, layer: usize) -> Vec<(&str, Vec<&WeightRange>)> {
    let mut parts: Vec<(&str, Vec<&WeightRange>)> = Vec::new();
    for range in model.weight_ranges().iter().filter(|range| range.layer == layer) {
        match parts.iter_mut().find(|(owner, _)| *owner == range.owner) {
            Some((_, ranges)) => ranges.push(range),
            None => parts.push((&range.owner, vec![range])),
        }
    }
    parts
}

/// The layers in Keras's order by their place in the model, which has them in the order of calls,
/// and by their path in a `.keras` file.
fn layers(architecture: &Architecture, model: &Model) -> Vec<(usize, String)> {
    let names: Vec<&str> = architecture.layers().map(|(name, _)| name).collect();
    let place = |name: &str| model.layers().position(|(other, _)| other == name);
    let paths = architecture.keras_paths().into_iter();
    paths.filter_map(|(layer, path)| Some((place(names[layer])?, path))).collect()
}

/// Returns all weights of `model` in the order in which Keras stores them. `model` must have been
/// built from `architecture`.
pub fn in_keras_order<'a>(architecture: &Architecture, model: &'a Model) -> Vec<&'a WeightRange> {
    let layers = layers(architecture, model).into_iter();
    let parts = layers.flat_map(|(layer, _)| parts(model, layer));
    parts.flat_map(|(_, ranges)| ranges).collect()
}

/// Returns the weights in `file` under the names that they have in `model`. The shapes are not
/// compared here; [`Model::set_weights`] does that.
///
/// # Errors
/// Fails with [`ModelFileError::Misfit`] if a layer has another number of variables in the file
/// than in the model, or if a layer has weights but no output of the model depends on it.
///
/// # Panics
/// Panics if `model` was not built from `architecture`.
pub fn weights(
    file: &KerasFile,
    architecture: &Architecture,
    model: &Model,
) -> Result<Vec<(String, HostTensor)>> {
    let mut weights = Vec::new();
    if file.format == Format::LegacyH5 {
        return legacy_weights(file, architecture, model);
    }
    let paths = architecture.layers().zip(architecture.layer_paths());
    let paths: HashMap<&str, &[String]> = paths.map(|((name, _), path)| (name, path)).collect();
    let numbered = layers(architecture, model);
    for (index, (name, class)) in model.layers().enumerate() {
        let place = Place { name, class, file };
        let by_number = || {
            let found = numbered.iter().find(|(layer, _)| *layer == index);
            found.map(|(_, path)| path.clone())
        };
        let path = place.named(paths[name]).or_else(by_number);
        for (owner, ranges) in parts(model, index) {
            let path = path.as_deref();
            let path =
                path.ok_or_else(|| ModelFileError::misfit("no output of the model needs it"))?;
            let path = if owner.is_empty() { path.into() } else { format!("{path}/{owner}") };
            place.take(&path, &ranges, &mut weights)?;
        }
    }
    Ok(weights)
}

/// The same of a legacy file, in which a model within the model has one list of weights: those that
/// are trained before all others.
fn legacy_weights(
    file: &KerasFile,
    architecture: &Architecture,
    model: &Model,
) -> Result<Vec<(String, HostTensor)>> {
    let places: HashMap<&str, usize> =
        model.layers().enumerate().map(|(place, (name, _))| (name, place)).collect();
    let mut groups: Vec<(&str, &'static str, Vec<&WeightRange>)> = Vec::new();
    for ((name, class), path) in architecture.layers().zip(architecture.layer_paths()) {
        let place = places.get(name);
        let ranges = model.weight_ranges().iter().filter(|range| Some(&range.layer) == place);
        let (top, nested) = (path[0].as_str(), path.len() > 1);
        match groups.iter_mut().find(|(name, ..)| *name == top) {
            Some((.., all)) => all.extend(ranges),
            None => groups.push((top, if nested { "a model" } else { class }, ranges.collect())),
        }
    }
    let mut weights = Vec::new();
    for (name, class, mut ranges) in groups {
        trained_first(&mut ranges);
        Place { name, class, file }.take(name, &ranges, &mut weights)?;
    }
    Ok(weights)
}

/// Returns weights that are listed for each layer, in Keras's order, under the names that they have
/// in `model`. Shapes are not compared here.
///
/// # Errors
/// Fails with [`ModelFileError::Misfit`] if a layer has another number of weights in the model.
pub fn listed(
    weights: &[(String, Vec<HostTensor>)],
    model: &Model,
) -> Result<Vec<(String, HostTensor)>> {
    let mut all = Vec::new();
    for (index, (name, class)) in model.layers().enumerate() {
        let ranges: Vec<&WeightRange> =
            model.weight_ranges().iter().filter(|range| range.layer == index).collect();
        let given = weights.iter().find(|(layer, _)| layer == name);
        let given = given.map_or(&[][..], |(_, tensors)| tensors);
        let (wanted, found) = (ranges.len(), given.len());
        if found != wanted {
            return Err(ModelFileError::Misfit(format!(
                "layer {name} ({class}) has {wanted} weights, the file has {found}"
            )));
        }
        all.extend(ranges.iter().map(|range| range.name.clone()).zip(given.iter().cloned()));
    }
    Ok(all)
}

/// Brings the weights of a layer, or of a model, into the order of a legacy file.
fn trained_first(ranges: &mut [&WeightRange]) {
    ranges.sort_by_key(|range| !range.trained);
}

/// A layer, and the file that holds its variables.
struct Place<'a> {
    name: &'a str,
    class: &'static str,
    file: &'a KerasFile,
}

impl Place<'_> {
    /// The group of a layer by its name and those of the models that it stands in; paths themselves
    /// count layers by class.
    fn named(&self, names: &[String]) -> Option<String> {
        let mut found = String::new();
        for name in names {
            let prefix =
                if found.is_empty() { "layers/".into() } else { format!("{found}/layers/") };
            let direct =
                |path: &str| path.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'));
            let mut groups = self.file.layers.iter();
            found = groups.find(|group| group.name == *name && direct(&group.path))?.path.clone();
        }
        Some(found)
    }

    fn take(
        &self,
        path: &str,
        ranges: &[&WeightRange],
        weights: &mut Vec<(String, HostTensor)>,
    ) -> Result<()> {
        let tensors = self.file.layer(path).map_or(&[][..], |group| &group.tensors);
        let Self { name, class, .. } = self;
        let (wanted, found) = (ranges.len(), tensors.len());
        if found != wanted {
            return Err(ModelFileError::Misfit(format!(
                "layer {name} ({class}) has {wanted} weights, the file has {found} of them at {path}"
            )));
        }
        let mut tensors =
            tensors.iter().map(|(_, tensor)| floats(tensor)).collect::<Result<Vec<_>>>()?;
        if self.file.format == Format::LegacyH5 {
            cudnn::convert(ranges, &mut tensors)
                .map_err(|error| ModelFileError::Misfit(error.to_string()))?;
        }
        weights.extend(ranges.iter().map(|range| range.name.clone()).zip(tensors));
        Ok(())
    }
}

/// A variable as a weight, of floats; Keras counts in integers.
fn floats(variable: &HostTensor) -> Result<HostTensor> {
    let Ok(counts) = variable.as_u32() else { return Ok(variable.clone()) };
    let counts = counts.iter().map(|&count| count as f32).collect();
    HostTensor::from_f32(variable.shape().clone(), counts)
        .map_err(|error| ModelFileError::Misfit(error.to_string()))
}

/// Returns the contents of a Keras file in the format `format`: the weights of `model`, which was
/// built from `architecture`, and `config`, Keras's description of the model. The losses and the
/// optimizer are left out.
///
/// # Errors
/// Fails if a weight is missing or its elements do not fill its shape. No sound model has such a
/// weight.
pub fn file(
    format: Format,
    architecture: &Architecture,
    model: &Model,
    config: Value,
) -> Result<KerasFile> {
    let weights = model.weights()?;
    let tensor = |range: &WeightRange| -> Result<HostTensor> {
        let found = weights.iter().find(|(name, _)| *name == range.name);
        let lost = || ModelFileError::misfit("the model has lost a weight");
        Ok(found.ok_or_else(lost)?.1.clone())
    };
    let names: Vec<&str> = model.layers().map(|(name, _)| name).collect();
    let mut layers = Vec::new();
    for (layer, path) in self::layers(architecture, model) {
        let name = names[layer].to_owned();
        if format == Format::LegacyH5 {
            let of_layer = |range: &&WeightRange| range.layer == layer;
            let mut ranges: Vec<_> = model.weight_ranges().iter().filter(of_layer).collect();
            trained_first(&mut ranges);
            let tensors = ranges.into_iter().map(|range| Ok((range.name.clone(), tensor(range)?)));
            let tensors = tensors.collect::<Result<Vec<_>>>()?;
            layers.push(Variables { path: name.clone(), name, tensors });
            continue;
        }
        let mut own = vec![Variables { path: path.clone(), name, tensors: vec![] }];
        for (owner, ranges) in parts(model, layer) {
            let numbered = ranges.iter().enumerate();
            let tensors = numbered.map(|(i, range)| Ok((i.to_string(), tensor(range)?)));
            let tensors = tensors.collect::<Result<Vec<_>>>()?;
            match owner {
                "" => own[0].tensors = tensors,
                _ => {
                    let name = owner.rsplit('/').next().unwrap_or(owner).to_owned();
                    own.push(Variables { path: format!("{path}/{owner}"), name, tensors });
                }
            }
        }
        layers.extend(own);
    }
    let version = Some(KERAS_VERSION.to_owned());
    let (config, optimizer) = (Some(config), vec![]);
    Ok(KerasFile { format, version, config, compile: None, layers, optimizer })
}
