//! Reading of ONNX models: the graph of a file as plain data.
//!
//! Nothing is executed, and subgraphs, functions and training information are passed over. What is
//! made of a file is counted before it is made, so that it stays within the [`budget`].

use super::Attribute;
use super::array::{Array, External, TensorReader};
use super::wire::{Damaged, Field, Fields};
use crate::budget;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// The reason why an ONNX file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The bytes are no message of ONNX.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The file holds no graph.
    #[error("it holds no graph of operators")]
    NoGraph,
    /// What the file describes takes more memory than a file of its size may.
    #[error(transparent)]
    OverBudget(#[from] budget::OverBudget),
    /// A constant has a type or a shape that is not supported, or too few elements. The text says
    /// what is wrong.
    #[error("constant {name}: {what}")]
    Constant {
        /// The name of the constant.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// A constant lies in another file, which is not one beside the model or is too short.
    #[error("its weights lie in {0}, which is no file in the folder of the model, or too short")]
    Outside(String),
}

/// A model: the nodes of its graph in an order in which they can be executed.
#[derive(Clone, Debug, Default)]
pub struct OnnxModel {
    /// The version of ONNX's own operators.
    pub opset: i64,
    /// The nodes.
    pub nodes: Vec<OnnxNode>,
    /// The constants of the graph by name.
    pub constants: HashMap<String, Array>,
    /// The inputs, without those that are constants.
    pub inputs: Vec<OnnxInput>,
    /// The names of the values that are outputs.
    pub outputs: Vec<String>,
}

/// One application of an operator.
#[derive(Clone, Debug, Default)]
pub struct OnnxNode {
    /// The operator, such as `LSTM`.
    pub operator: String,
    /// The set of operators that it belongs to; empty for ONNX's own.
    pub domain: String,
    /// The name of the node; may be empty.
    pub name: String,
    /// The names of its operands; an empty one stands for an optional operand that is absent.
    pub inputs: Vec<String>,
    /// The names of its results.
    pub outputs: Vec<String>,
    /// The attributes by name, but for those that are graphs.
    pub attributes: HashMap<String, Attribute>,
}

/// An input of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnnxInput {
    /// The name.
    pub name: String,
    /// The element type, as ONNX numbers them: 1 for f32, 6 and 7 for i32 and i64.
    pub element_type: i64,
    /// The extents; `None` for one that may vary.
    pub dims: Vec<Option<usize>>,
    /// The names of the extents that may vary; empty for the others.
    pub names: Vec<String>,
}

/// Reads the ONNX file `path`, and the files with its weights in the same folder.
///
/// # Errors
/// Fails if the file cannot be read or is damaged, or with another error of [`OnnxError`].
pub fn read(path: &Path) -> Result<OnnxModel, OnnxError> {
    let failed = |source| OnnxError::Read { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&bytes, Beside { folder, files: HashMap::new(), left: 0 })
}

/// Reads a model from the bytes of a file that has all of its weights.
///
/// # Errors
/// Fails as [`read`]; constants in other files are [`OnnxError::Outside`].
pub fn from_bytes(bytes: &[u8]) -> Result<OnnxModel, OnnxError> {
    parse(bytes, Nowhere)
}

struct Nowhere;

impl External for Nowhere {
    fn bytes(&mut self, location: &str, _: u64, _: Option<u64>) -> Result<Vec<u8>, OnnxError> {
        Err(OnnxError::Outside(location.to_owned()))
    }
}

/// The files in the folder of a model.
struct Beside {
    folder: PathBuf,
    files: HashMap<String, (File, u64)>,
    /// Each file may be read as a whole once.
    left: u64,
}

impl External for Beside {
    fn bytes(
        &mut self,
        location: &str,
        offset: u64,
        len: Option<u64>,
    ) -> Result<Vec<u8>, OnnxError> {
        let outside = || OnnxError::Outside(location.to_owned());
        if !self.files.contains_key(location) {
            let plain =
                Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
            let path = self.folder.join(location);
            let folder = if self.folder == Path::new("") { Path::new(".") } else { &self.folder };
            let inside = |(path, folder): (PathBuf, PathBuf)| path.starts_with(folder);
            let real = path.canonicalize().ok().zip(folder.canonicalize().ok());
            if !plain || !real.is_some_and(inside) || !path.is_file() {
                return Err(outside());
            }
            let failed = |source| OnnxError::Read { path: path.clone(), source };
            let file = File::open(&path).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            self.left = self.left.saturating_add(size);
            self.files.insert(location.to_owned(), (file, size));
        }
        let (file, size) = self.files.get_mut(location).ok_or_else(outside)?;
        let len = len.unwrap_or(size.saturating_sub(offset));
        let end = offset.checked_add(len).filter(|end| end <= size && len <= self.left);
        end.ok_or_else(outside)?;
        self.left -= len;
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| outside())?];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|source| OnnxError::Read { path: self.folder.join(location), source })?;
        Ok(bytes)
    }
}

/// Bytes that a name or a number takes besides its text, and a record besides what it holds.
const ENTRY: u64 = 64;
const RECORD: u64 = 512;

struct Reader<E> {
    external: E,
    /// The bytes that may still be made of the file.
    left: u64,
}

fn parse(bytes: &[u8], external: impl External) -> Result<OnnxModel, OnnxError> {
    let size = bytes.len() as u64;
    let mut reader = Reader { external, left: budget::memory(size) / 4 };
    let mut model = OnnxModel::default();
    let mut graph = None;
    for field in Fields(bytes) {
        match field? {
            (7, value) => graph = Some(value.bytes()?),
            (8, value) => {
                let (mut domain, mut version) = ("", 0);
                for field in Fields(value.bytes()?) {
                    match field? {
                        (1, value) => domain = value.text()?,
                        (2, value) => version = value.int()?,
                        _ => {}
                    }
                }
                if domain.is_empty() || domain == "ai.onnx" {
                    model.opset = version;
                }
            }
            _ => {}
        }
    }
    reader.graph(graph.ok_or(OnnxError::NoGraph)?, &mut model)?;
    Ok(model)
}

impl<E: External> Reader<E> {
    fn take(&mut self, bytes: u64) -> Result<(), OnnxError> {
        self.left = self.left.checked_sub(bytes).ok_or(budget::OverBudget)?;
        Ok(())
    }

    fn text(&mut self, value: Field<'_>) -> Result<String, OnnxError> {
        let text = value.text()?;
        self.take(ENTRY + text.len() as u64)?;
        Ok(text.to_owned())
    }

    fn graph(&mut self, bytes: &[u8], model: &mut OnnxModel) -> Result<(), OnnxError> {
        for field in Fields(bytes) {
            match field? {
                (1, value) => {
                    let node = self.node(value.bytes()?)?;
                    model.nodes.push(node);
                }
                (5, value) => {
                    let (name, array) = self.tensor(value.bytes()?)?;
                    model.constants.insert(name, array);
                }
                (11, value) => {
                    let input = self.input(value.bytes()?)?;
                    model.inputs.push(input);
                }
                (12, value) => {
                    let output = self.input(value.bytes()?)?;
                    model.outputs.push(output.name);
                }
                // Constants that are mostly zeros.
                (15, _) => {
                    let what = "sparse tensors are not supported".into();
                    return Err(OnnxError::Constant { name: "of the graph".into(), what });
                }
                _ => {}
            }
        }
        let OnnxModel { inputs, constants, .. } = model;
        inputs.retain(|input| !constants.contains_key(&input.name));
        Ok(())
    }

    fn node(&mut self, bytes: &[u8]) -> Result<OnnxNode, OnnxError> {
        self.take(RECORD)?;
        let mut node = OnnxNode::default();
        for field in Fields(bytes) {
            match field? {
                (1, value) => node.inputs.push(self.text(value)?),
                (2, value) => node.outputs.push(self.text(value)?),
                (3, value) => node.name = self.text(value)?,
                (4, value) => node.operator = self.text(value)?,
                (5, value) => {
                    let (name, attribute) = self.attribute(value.bytes()?)?;
                    node.attributes.extend(attribute.map(|attribute| (name, attribute)));
                }
                (7, value) => node.domain = self.text(value)?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// An attribute by its name; none, where it is a graph, or of another type that no operator
    /// needs that is read.
    fn attribute(&mut self, bytes: &[u8]) -> Result<(String, Option<Attribute>), OnnxError> {
        self.take(RECORD)?;
        let (mut name, mut kind) = (String::new(), 0);
        let (mut float, mut int, mut text, mut array) = (0.0, 0, String::new(), None);
        let (mut floats, mut ints, mut texts) = (vec![], vec![], vec![]);
        for field in Fields(bytes) {
            let (tag, value) = field?;
            if let (7 | 8, Field::Bytes(packed)) = (tag, value) {
                self.take(16 * packed.len() as u64)?;
            } else {
                self.take(16)?;
            }
            match tag {
                1 => name = self.text(value)?,
                2 => float = value.float()?,
                3 => int = value.int()?,
                4 => text = self.text(value)?,
                5 => array = Some(self.tensor(value.bytes()?)?.1),
                7 => value.floats(&mut floats)?,
                8 => value.ints(&mut ints)?,
                9 => texts.push(self.text(value)?),
                20 => kind = value.int()?,
                _ => {}
            }
        }
        let attribute = match kind {
            1 => Some(Attribute::Float(float)),
            2 => Some(Attribute::Int(int)),
            3 => Some(Attribute::Text(text)),
            4 => array.map(Attribute::Array),
            6 => Some(Attribute::Floats(floats)),
            7 => Some(Attribute::Ints(ints)),
            8 => Some(Attribute::Texts(texts)),
            _ => None,
        };
        Ok((name, attribute))
    }

    fn tensor(&mut self, bytes: &[u8]) -> Result<(String, Array), OnnxError> {
        self.take(RECORD)?;
        let tensor = TensorReader::of(bytes)?;
        self.take(tensor.memory())?;
        let name = tensor.name.to_owned();
        Ok((name, tensor.array(&mut self.external)?))
    }

    fn input(&mut self, bytes: &[u8]) -> Result<OnnxInput, OnnxError> {
        self.take(RECORD)?;
        let mut input = OnnxInput::default();
        let mut tensor: &[u8] = &[];
        for field in Fields(bytes) {
            match field? {
                (1, value) => input.name = self.text(value)?,
                (2, value) => {
                    for field in Fields(value.bytes()?) {
                        if let (1, value) = field? {
                            tensor = value.bytes()?;
                        }
                    }
                }
                _ => {}
            }
        }
        for field in Fields(tensor) {
            match field? {
                (1, value) => input.element_type = value.int()?,
                (2, value) => {
                    for field in Fields(value.bytes()?) {
                        if let (1, value) = field? {
                            let (extent, name) = self.dimension(value.bytes()?)?;
                            input.dims.push(extent);
                            input.names.push(name);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(input)
    }

    fn dimension(&mut self, bytes: &[u8]) -> Result<(Option<usize>, String), OnnxError> {
        self.take(ENTRY)?;
        let (mut extent, mut name) = (None, String::new());
        for field in Fields(bytes) {
            match field? {
                (1, value) => extent = usize::try_from(value.int()?).ok().filter(|&n| n > 0),
                (2, value) => name = self.text(value)?,
                _ => {}
            }
        }
        Ok((extent, name))
    }
}
