use super::{Attribute, Group, Hdf5Error, Node};
use hdf5_pure::{AttrValue, FileBuilder, GroupBuilder};
use rnn_core::{Data, HostTensor};

/// Returns the bytes of an HDF5 file with the root group `root`. Equal groups give equal bytes.
///
/// # Errors
/// Fails with [`Hdf5Error::Unwritable`] if a name, an attribute or a dataset cannot be stored in
/// HDF5.
pub fn to_bytes(root: &Group) -> Result<Vec<u8>, Hdf5Error> {
    let mut file = FileBuilder::new();
    for (name, attribute) in &root.attributes {
        file.set_attr(name, value(attribute));
    }
    for (name, node) in &root.members {
        match node {
            Node::Group(group) => {
                let builder = file.create_group(name);
                file.add_group(fill(builder, group).finish());
            }
            Node::Dataset(tensor) => dataset(file.create_dataset(name), tensor),
        }
    }
    file.finish().map_err(|error| Hdf5Error::Unwritable(error.to_string()))
}

fn fill(mut builder: GroupBuilder, group: &Group) -> GroupBuilder {
    for (name, attribute) in &group.attributes {
        builder.set_attr(name, value(attribute));
    }
    for (name, node) in &group.members {
        match node {
            Node::Group(group) => {
                let member = builder.create_group(name);
                builder.add_group(fill(member, group).finish());
            }
            Node::Dataset(tensor) => dataset(builder.create_dataset(name), tensor),
        }
    }
    builder
}

fn dataset(builder: &mut hdf5_pure::DatasetBuilder, tensor: &HostTensor) {
    let shape: Vec<u64> = tensor.shape().dims().iter().map(|&d| d as u64).collect();
    match tensor.data() {
        Data::F32(data) => builder.with_f32_data(data),
        Data::U32(data) => builder.with_u32_data(data),
    }
    .with_shape(&shape);
}

fn value(attribute: &Attribute) -> AttrValue {
    match attribute {
        Attribute::Text(text) => AttrValue::VarLenString(text.clone()),
        Attribute::Texts(texts) => AttrValue::VarLenStringArray(texts.clone()),
    }
}
