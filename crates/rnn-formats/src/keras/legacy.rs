//! The `.h5` of Keras 2 and 3: weights by names of layers, configurations as attributes.

use super::{Format, KERAS_VERSION, KerasFile, Problem, Variables, json};
use crate::hdf5::{self, Attribute, Group, Node};

const VERSION: &str = "keras_version";
const BACKEND: &str = "backend";
const MODEL: &str = "model_config";
const TRAINING: &str = "training_config";
const WEIGHTS: &str = "model_weights";
const OPTIMIZER: &str = "optimizer_weights";
const LAYERS: &str = "layer_names";
const NAMES: &str = "weight_names";
/// The group of the weights that belong to the model and to no layer.
const TOP_LEVEL: &str = "top_level_model_weights";

/// Attributes of 64 KiB and more do not fit where older readers look for them. Keras splits lists
/// of names into attributes numbered from zero; an entry takes 16 bytes.
const MAX_NAMES: usize = 4000;

/// Whether the file is laid out in this way. One of weights alone has the layers at its root.
pub(super) fn is(root: &Group) -> bool {
    let weights = root.group(WEIGHTS).is_some() || root.attributes.contains_key(MODEL);
    weights || names(root, LAYERS).is_some()
}

/// Datasets move from the groups into the file, so that none is there twice, however often it is named.
pub(super) fn parse(mut root: Group, size: u64) -> Result<KerasFile, Problem> {
    let configuration = |name: &'static str| match root.text(name) {
        Some(text) => json(name, text.as_bytes(), size).map(Some),
        None => Ok(None),
    };
    let (config, compile) = (configuration(MODEL)?, configuration(TRAINING)?);
    let version = [Some(&root), root.group(WEIGHTS)].into_iter().flatten();
    let version = version.filter_map(|group| group.text(VERSION)).next().map(str::to_owned);
    let optimizer = match root.members.get_mut(OPTIMIZER) {
        Some(Node::Group(group)) => vec![named(group, OPTIMIZER, "")?],
        _ => vec![],
    };
    let weights = match root.members.remove(WEIGHTS) {
        Some(Node::Group(weights)) => &mut { weights },
        _ if root.attributes.contains_key(MODEL) => {
            return Err(Problem::Layout(format!("there is no group '{WEIGHTS}'")));
        }
        _ => &mut root,
    };
    let layers = names(weights, LAYERS)
        .ok_or_else(|| Problem::Layout(format!("no attribute '{LAYERS}' gives their order")))?;
    let mut layers = layers
        .into_iter()
        .map(|name| {
            let layer = group(weights, &name)
                .ok_or_else(|| Problem::Layout(format!("the layer '{name}' has no group")))?;
            named(layer, &name, &name)
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    layers.retain(|layer| !layer.tensors.is_empty());
    if let Some(top) = group(weights, TOP_LEVEL) {
        let top = named(top, TOP_LEVEL, "")?;
        layers.extend((!top.tensors.is_empty()).then_some(top));
    }
    Ok(KerasFile { format: Format::LegacyH5, version, config, compile, layers, optimizer })
}

fn named(group: &mut Group, path: &str, name: &str) -> Result<Variables, Problem> {
    let weights = names(group, NAMES)
        .ok_or_else(|| Problem::Layout(format!("'{path}' has no attribute '{NAMES}'")))?;
    let tensors = weights.into_iter().map(|weight| match group.take_dataset(&weight) {
        Some(tensor) => Ok((weight, tensor)),
        None => {
            let problem = format!("'{path}' has no dataset '{weight}', or names it twice");
            Err(Problem::Layout(problem))
        }
    });
    let tensors = tensors.collect::<Result<_, _>>()?;
    Ok(Variables { path: path.to_owned(), name: name.to_owned(), tensors })
}

/// The group at a path.
fn group<'a>(of: &'a mut Group, path: &str) -> Option<&'a mut Group> {
    path.split('/').try_fold(of, |group, name| match group.members.get_mut(name)? {
        Node::Group(group) => Some(group),
        Node::Dataset(_) => None,
    })
}

/// The list of names in an attribute, or in attributes numbered from zero.
fn names(group: &Group, name: &str) -> Option<Vec<String>> {
    let list = |name: &str| match group.attributes.get(name)? {
        Attribute::Texts(texts) => Some(texts.clone()),
        Attribute::Text(text) => Some(vec![text.clone()]),
    };
    list(name).or_else(|| {
        let mut parts = (0..).map_while(|i| list(&format!("{name}{i}"))).peekable();
        parts.peek()?;
        Some(parts.flatten().collect())
    })
}

fn set_names(group: &mut Group, name: &str, names: Vec<String>) {
    if names.len() <= MAX_NAMES {
        group.attributes.insert(name.into(), Attribute::Texts(names));
        return;
    }
    for (i, part) in names.chunks(MAX_NAMES).enumerate() {
        group.attributes.insert(format!("{name}{i}"), Attribute::Texts(part.to_vec()));
    }
}

pub(super) fn to_bytes(file: &KerasFile) -> Result<Vec<u8>, Problem> {
    let mut weights = Group::default();
    let names = file.layers.iter().map(|layer| layer.path.clone()).collect();
    set_names(&mut weights, LAYERS, names);
    stamp(&mut weights, file);
    for layer in &file.layers {
        let group = weights.make_group(&layer.path).ok_or_else(|| clash(&layer.path))?;
        store(group, layer)?;
    }
    let mut root = Group::default();
    stamp(&mut root, file);
    for (name, configuration) in [(MODEL, &file.config), (TRAINING, &file.compile)] {
        if let Some(configuration) = configuration {
            root.attributes.insert(name.into(), Attribute::Text(configuration.to_string()));
        }
    }
    root.members.insert(WEIGHTS.into(), Node::Group(weights));
    if let [optimizer] = file.optimizer.as_slice() {
        let mut group = Group::default();
        store(&mut group, optimizer)?;
        root.members.insert(OPTIMIZER.into(), Node::Group(group));
    }
    Ok(hdf5::to_bytes(&root)?)
}

fn stamp(group: &mut Group, file: &KerasFile) {
    let version = file.version.as_deref().unwrap_or(KERAS_VERSION);
    for (name, text) in [(VERSION, version), (BACKEND, "tensorflow")] {
        group.attributes.insert(name.into(), Attribute::Text(text.into()));
    }
}

fn store(group: &mut Group, variables: &Variables) -> Result<(), Problem> {
    let names = variables.tensors.iter().map(|(name, _)| name.clone()).collect();
    if group.attributes.contains_key(NAMES) {
        return Err(clash(&variables.path));
    }
    set_names(group, NAMES, names);
    for (name, tensor) in &variables.tensors {
        let (folder, leaf) = name.rsplit_once('/').unwrap_or(("", name));
        let folder = group.make_group(folder).ok_or_else(|| clash(name))?;
        if folder.members.insert(leaf.into(), Node::Dataset(tensor.clone())).is_some() {
            return Err(clash(name));
        }
    }
    Ok(())
}

fn clash(name: &str) -> Problem {
    Problem::Layout(format!("'{name}' occurs twice; rename one"))
}
