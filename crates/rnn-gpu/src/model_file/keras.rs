//! Which variable of a Keras file is which weight of a model.

use crate::nn::{Architecture, Model, Slot};
use anyhow::{Context, Result, ensure};
use rnn_core::HostTensor;
use rnn_formats::keras::{Format, KERAS_VERSION, KerasFile, Variables};
use serde_json::Value;

/// The weights of each layer by the part that holds them, in Keras's order of both.
fn parts(model: &Model, layer: usize) -> Vec<(&str, Vec<&Slot>)> {
    let mut parts: Vec<(&str, Vec<&Slot>)> = Vec::new();
    for slot in model.slots().iter().filter(|slot| slot.layer == layer) {
        match parts.iter_mut().find(|(owner, _)| *owner == slot.owner) {
            Some((_, slots)) => slots.push(slot),
            None => parts.push((&slot.owner, vec![slot])),
        }
    }
    parts
}

/// All weights in Keras's order.
pub fn in_keras_order<'a>(architecture: &Architecture, model: &'a Model) -> Vec<&'a Slot> {
    let layers = architecture.keras_paths().into_iter();
    let parts = layers.flat_map(|(layer, _)| parts(model, layer));
    parts.flat_map(|(_, slots)| slots).collect()
}

/// The weights of a file, by the names that they have in the model.
pub fn weights(
    file: &KerasFile,
    architecture: &Architecture,
    model: &Model,
) -> Result<Vec<(String, HostTensor)>> {
    let mut weights = Vec::new();
    for (index, (name, class)) in model.layers().enumerate() {
        let place = Place { name, class, file };
        if file.format == Format::LegacyH5 {
            let slots: Vec<&Slot> = model.slots().iter().filter(|s| s.layer == index).collect();
            place.take(name, &slots, &mut weights)?;
            continue;
        }
        let by_number = || {
            let paths = architecture.keras_paths();
            paths.into_iter().find(|(layer, _)| *layer == index).map(|(_, path)| path)
        };
        let path = place.named().or_else(by_number);
        for (owner, slots) in parts(model, index) {
            let path = path.as_deref().context("no output of the model needs it")?;
            let path = if owner.is_empty() { path.into() } else { format!("{path}/{owner}") };
            place.take(&path, &slots, &mut weights)?;
        }
    }
    Ok(weights)
}

/// A layer, and the file that holds its variables.
struct Place<'a> {
    name: &'a str,
    class: &'static str,
    file: &'a KerasFile,
}

impl Place<'_> {
    /// The group of the layer's name; paths themselves count layers by class.
    fn named(&self) -> Option<String> {
        let direct = |path: &str| path.strip_prefix("layers/").is_some_and(|p| !p.contains('/'));
        let mut groups = self.file.layers.iter().filter(|group| direct(&group.path));
        groups.find(|group| group.name == self.name).map(|group| group.path.clone())
    }

    fn take(
        &self,
        path: &str,
        slots: &[&Slot],
        weights: &mut Vec<(String, HostTensor)>,
    ) -> Result<()> {
        let tensors = self.file.layer(path).map_or(&[][..], |group| &group.tensors);
        let Self { name, class, .. } = self;
        ensure!(
            tensors.len() == slots.len(),
            "layer {name} ({class}) has {} weights, the file has {} of them at {path}",
            slots.len(),
            tensors.len()
        );
        let pairs = slots.iter().zip(tensors);
        weights.extend(pairs.map(|(slot, (_, tensor))| (slot.name.clone(), tensor.clone())));
        Ok(())
    }
}

/// A file of the model and its weights.
pub fn file(
    format: Format,
    architecture: &Architecture,
    model: &Model,
    config: Value,
) -> Result<KerasFile> {
    let weights = model.weights()?;
    let tensor = |slot: &Slot| -> Result<HostTensor> {
        let found = weights.iter().find(|(name, _)| *name == slot.name);
        Ok(found.context("the model has lost a weight")?.1.clone())
    };
    let names: Vec<&str> = model.layers().map(|(name, _)| name).collect();
    let mut layers = Vec::new();
    for (layer, path) in architecture.keras_paths() {
        let name = names[layer].to_owned();
        if format == Format::LegacyH5 {
            let slots = model.slots().iter().filter(|slot| slot.layer == layer);
            let tensors = slots.map(|slot| Ok((slot.name.clone(), tensor(slot)?)));
            let tensors = tensors.collect::<Result<Vec<_>>>()?;
            layers.push(Variables { path: name.clone(), name, tensors });
            continue;
        }
        let mut own = vec![Variables { path: path.clone(), name, tensors: vec![] }];
        for (owner, slots) in parts(model, layer) {
            let numbered = slots.iter().enumerate();
            let tensors = numbered.map(|(i, slot)| Ok((i.to_string(), tensor(slot)?)));
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
