//! Keras and h5py read what is written here.

#[path = "../../../tests/interchange/python.rs"]
mod python;

use rnn_formats::keras;
use std::path::Path;

#[test]
fn keras_and_h5py_read_what_is_written() {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files");
    let folder = tempfile::tempdir().unwrap();
    for name in ["keras3.keras", "keras3.h5", "keras3.weights.h5", "keras2.h5"] {
        let file = keras::read(&Path::new(files).join(name)).unwrap();
        file.write(&folder.path().join(name)).unwrap();
    }
    let test = "keras_and_h5py_read_what_is_written";
    if let Some(said) = python::run(test, "check_containers.py", &[folder.path()]) {
        assert!(said.starts_with("read by Keras 3.15.1 and h5py"), "{said}");
    }
}
