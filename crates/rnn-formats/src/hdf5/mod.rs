//! HDF5, as far as weights of neural networks use it: groups, text attributes, numeric datasets.
//!
//! This module alone names the crate that knows the format, `hdf5-pure`. It reads what h5py and
//! the C library write by default (superblock 0, symbol tables, chunks, gzip) and what newer
//! settings write, and it writes superblock 3, which HDF5 1.10 and newer read.

mod read;
mod source;
mod write;

use rnn_core::HostTensor;
use std::collections::BTreeMap;

pub use read::parse;
pub use write::to_bytes;

/// The largest ratio of a file's unpacked size to its size. Weights compress to nine tenths of
/// their size; only files that are made to fill the memory come near.
pub const MAX_EXPANSION: u64 = 64;

/// Deeper nesting of groups is refused: a group may be its own member.
const MAX_DEPTH: usize = 32;

/// The first bytes of every HDF5 file, by which such files are recognized.
pub const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// A group of an HDF5 file with its attributes and members by name. A file is its root group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The attributes that hold text. Others are skipped.
    pub attributes: BTreeMap<String, Attribute>,
    /// The groups and datasets in the group.
    pub members: BTreeMap<String, Node>,
}

/// A member of a group: a group or a dataset.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Another group.
    Group(Group),
    /// A dataset: floats as f32, integers as u32.
    Dataset(HostTensor),
}

/// The value of an attribute that holds text.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// One string.
    Text(String),
    /// An array of strings. An empty array of any type reads as one.
    Texts(Vec<String>),
}

/// The reason why bytes could not be read as HDF5, or a group could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Hdf5Error {
    /// The bytes are no HDF5 file, or a damaged one.
    #[error("no sound HDF5 file: {0}; fetch or save it again")]
    Damaged(String),
    /// An object is damaged or of a kind that has no counterpart here.
    #[error("'{path}': {problem}")]
    Object {
        /// The path of the group or dataset.
        path: String,
        /// The problem, and what to do about it.
        problem: String,
    },
    /// The file could not be composed.
    #[error("cannot be written as HDF5: {0}")]
    Unwritable(String),
}

impl Group {
    /// Returns the group at a path of names joined by `/`, without one at the beginning; `None` if
    /// there is none or it is a dataset.
    pub fn group(&self, path: &str) -> Option<&Group> {
        match self.node(path)? {
            Node::Group(group) => Some(group),
            Node::Dataset(_) => None,
        }
    }

    /// Returns the dataset at a path of names joined by `/`, without one at the beginning; `None`
    /// if there is none or it is a group.
    pub fn dataset(&self, path: &str) -> Option<&HostTensor> {
        match self.node(path)? {
            Node::Dataset(tensor) => Some(tensor),
            Node::Group(_) => None,
        }
    }

    fn node(&self, path: &str) -> Option<&Node> {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        match (self.members.get(first)?, rest) {
            (node, "") => Some(node),
            (Node::Group(group), rest) => group.node(rest),
            (Node::Dataset(_), _) => None,
        }
    }

    /// Returns the group at a path of names joined by `/`, which is created with all groups above
    /// it if need be; an empty path is this group itself. `None` if a dataset is in the way.
    pub fn make_group(&mut self, path: &str) -> Option<&mut Group> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |group, name| {
            let node = group.members.entry(name.to_owned());
            match node.or_insert_with(|| Node::Group(Group::default())) {
                Node::Group(group) => Some(group),
                Node::Dataset(_) => None,
            }
        })
    }

    /// Returns the text of the attribute `name`; `None` if there is none that holds one string.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name)? {
            Attribute::Text(text) => Some(text),
            Attribute::Texts(texts) => texts.first().filter(|_| texts.len() == 1).map(|t| &**t),
        }
    }
}

#[cfg(test)]
mod tests;
