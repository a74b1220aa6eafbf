//! HDF5, as far as weights of neural networks need it: groups, text attributes, numeric datasets.
//!
//! Only this module uses the crate that implements the format, `hdf5-pure`. It reads what h5py and
//! the C library write by default (superblock 0, symbol tables, chunks, gzip) and what newer
//! settings write. It writes superblock 3, which HDF5 1.10 and newer versions read.

mod read;
mod source;
mod write;

use rnn_core::HostTensor;
use std::collections::BTreeMap;

pub use read::{parse, parse_within};
pub use write::to_bytes;

/// Deeper nesting of groups is refused: a group may be its own member.
const MAX_DEPTH: usize = 32;

/// The first bytes of an HDF5 file that has no user block, by which such files are recognized.
pub const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// A group of an HDF5 file, with its attributes and members by name. A whole file is its root
/// group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The attributes that hold text. Attributes of other types are skipped.
    pub attributes: BTreeMap<String, Attribute>,
    /// The groups and datasets in the group.
    pub members: BTreeMap<String, Node>,
}

/// A member of a group: a group or a dataset.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Another group.
    Group(Group),
    /// A dataset, as f32 if it holds floats and as u32 if it holds integers or booleans.
    Dataset(HostTensor),
}

/// The value of an attribute that holds text.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// One string.
    Text(String),
    /// An array of strings. An empty array of numbers is read as an empty array of strings, because
    /// h5py stores an empty list so.
    Texts(Vec<String>),
}

/// The reason why bytes could not be read as HDF5, or a group could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Hdf5Error {
    /// The bytes are damaged, or not an HDF5 file. The text is the problem.
    #[error("no sound HDF5 file: {0}; fetch or save it again")]
    Damaged(String),
    /// A group or dataset is damaged, of an unsupported element type, or too large for the size of
    /// the file.
    #[error("'{path}': {problem}")]
    Object {
        /// The path of the group or dataset.
        path: String,
        /// The problem, and what to do about it.
        problem: String,
    },
    /// The groups could not be written as HDF5. The text is the problem.
    #[error("cannot be written as HDF5: {0}")]
    Unwritable(String),
}

impl Group {
    /// Returns the group at `path`: names joined by `/`, without a leading `/`. `None` if there is
    /// no such member, or it is a dataset.
    pub fn group(&self, path: &str) -> Option<&Group> {
        match self.node(path)? {
            Node::Group(group) => Some(group),
            Node::Dataset(_) => None,
        }
    }

    /// Returns the dataset at `path`: names joined by `/`, without a leading `/`. `None` if there
    /// is no such member, or it is a group.
    pub fn dataset(&self, path: &str) -> Option<&HostTensor> {
        match self.node(path)? {
            Node::Dataset(tensor) => Some(tensor),
            Node::Group(_) => None,
        }
    }

    /// Removes the dataset at a path as [`Group::dataset`] takes it, and returns it; `None` if there is
    /// none or it is a group.
    pub fn take_dataset(&mut self, path: &str) -> Option<HostTensor> {
        match path.split_once('/') {
            Some((first, rest)) => match self.members.get_mut(first)? {
                Node::Group(group) => group.take_dataset(rest),
                Node::Dataset(_) => None,
            },
            None => match self.members.remove(path)? {
                Node::Dataset(tensor) => Some(tensor),
                group @ Node::Group(_) => {
                    self.members.insert(path.to_owned(), group);
                    None
                }
            },
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

    /// Returns the group at `path`: names joined by `/`. Groups on the path that do not exist are
    /// created. An empty path is this group itself. `None` if a member on the path is a dataset.
    pub fn make_group(&mut self, path: &str) -> Option<&mut Group> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |group, name| {
            let node = group.members.entry(name.to_owned());
            match node.or_insert_with(|| Node::Group(Group::default())) {
                Node::Group(group) => Some(group),
                Node::Dataset(_) => None,
            }
        })
    }

    /// Returns the text of the attribute `name`, if it holds exactly one string; `None` if it does
    /// not, or there is no such attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name)? {
            Attribute::Text(text) => Some(text),
            Attribute::Texts(texts) => texts.first().filter(|_| texts.len() == 1).map(|t| &**t),
        }
    }
}

#[cfg(test)]
mod tests;
