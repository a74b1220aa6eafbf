//! `.weights.h5`: one group `vars` for each layer, at the layer's place in the model.

use super::{Format, KerasFile, Problem, Variables};
use crate::hdf5::{self, Attribute, Group, Node};

/// The group that holds an object's own variables, numbered from zero.
const VARS: &str = "vars";
/// The attribute of [`VARS`] that gives the object's name.
const NAME: &str = "name";
/// The group of the optimizer's variables.
const OPTIMIZER: &str = "optimizer";
/// The group in Keras 2.13 that later versions call `layers`.
const LAYERS_BEFORE: &str = "_layer_checkpoint_dependencies";

pub(super) fn parse(root: Group) -> Result<KerasFile, Problem> {
    let mut all = Vec::new();
    collect(root, "", &mut all)?;
    let (optimizer, layers) = all.into_iter().partition(|v| {
        v.path == OPTIMIZER || v.path.strip_prefix(OPTIMIZER).is_some_and(|p| p.starts_with('/'))
    });
    Ok(KerasFile {
        format: Format::WeightsH5,
        version: None,
        config: None,
        compile: None,
        layers,
        optimizer,
    })
}

fn collect(mut group: Group, path: &str, all: &mut Vec<Variables>) -> Result<(), Problem> {
    if let Some(Node::Group(vars)) = group.members.remove(VARS) {
        all.push(numbered(vars, path)?);
    }
    for (name, node) in group.members {
        match node {
            Node::Group(member) => {
                let name = if name == LAYERS_BEFORE { "layers".into() } else { name };
                let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                collect(member, &path, all)?;
            }
            Node::Dataset(_) => {
                let at = format!("{path}/{name}");
                return Err(Problem::Layout(format!("the dataset '{at}' is in no group '{VARS}'")));
            }
        }
    }
    Ok(())
}

fn numbered(mut vars: Group, path: &str) -> Result<Variables, Problem> {
    let name = vars.text(NAME).unwrap_or_default().to_owned();
    let tensors = (0..vars.members.len()).map(|i| {
        let number = i.to_string();
        match vars.members.remove(&number) {
            Some(Node::Dataset(tensor)) => Ok((number, tensor)),
            _ => Err(Problem::Layout(format!("'{path}/{VARS}' has no variable {number}"))),
        }
    });
    Ok(Variables { path: path.to_owned(), tensors: tensors.collect::<Result<_, _>>()?, name })
}

pub(super) fn to_bytes(file: &KerasFile) -> Result<Vec<u8>, Problem> {
    let mut root = Group::default();
    for variables in file.layers.iter().chain(&file.optimizer) {
        let path = format!("{}/{VARS}", variables.path);
        let vars = root.make_group(&path).ok_or_else(|| clash(&path))?;
        if !vars.members.is_empty() {
            return Err(clash(&path));
        }
        vars.attributes.insert(NAME.into(), Attribute::Text(variables.name.clone()));
        let tensors = variables.tensors.iter().enumerate();
        vars.members = tensors
            .map(|(i, (_, tensor))| (i.to_string(), Node::Dataset(tensor.clone())))
            .collect();
    }
    Ok(hdf5::to_bytes(&root)?)
}

fn clash(path: &str) -> Problem {
    Problem::Layout(format!("two objects would have their variables in '{path}'; rename one"))
}
