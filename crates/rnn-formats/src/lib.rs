//! The file formats of the project: NumPy's `.npy` and `.npz` (with the pickles inside object
//! arrays), safetensors, checkpoints, HDF5, Keras's model files, ONNX and TensorBoard's events; and
//! the atomic replacement of files, by which all but the growing event files are written.
//!
//! All readers treat their input as hostile: they execute nothing, never panic on any bytes, and
//! allocate at most a stated multiple of what they were given: [`budget`].

pub mod atomic;
pub mod budget;
pub mod checkpoint;
mod elements;
pub mod hdf5;
mod in_use;
pub mod keras;
mod name;
pub mod npy;
pub mod npz;
pub mod onnx;
pub mod pickle;
pub mod safetensors;
pub mod tensorboard;

pub use atomic::{AtomicFile, WriteError, abandon_all, write_atomically};
pub use in_use::{is_in_use, patiently, remove_file, remove_if_there, rename};
pub use name::{NameError, check_names};
