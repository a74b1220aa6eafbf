//! Models of other programs and of older versions of Keras, which are named with what to do.

use super::ModelFileError;
use serde_json::Value;
use std::path::Path;

/// What a file or folder is, and what to do with it.
type Foreign = (&'static str, &'static str);

const SAVED_MODEL: Foreign = (
    "a TensorFlow SavedModel, which holds operations instead of layers",
    "load it with the Keras that wrote it and save it as one file: model.save(\"model.keras\"), or \
     model.save(\"model.h5\") before Keras 3",
);
const CHECKPOINT: Foreign = (
    "a checkpoint of TensorFlow, weights alone",
    "load it into its model with Keras and save that: model.save(\"model.keras\")",
);
const PYTORCH: Foreign = (
    "a file of PyTorch, which holds objects of Python",
    "export the model from PyTorch: torch.onnx.export(model, example, \"model.onnx\")",
);
const LITE: Foreign = (
    "a model of TensorFlow Lite, which cannot be trained",
    "take the model that it was converted from: .keras or .h5",
);
const YAML: Foreign =
    ("a description in YAML", "load it with Keras and write it as JSON: model.to_json()");
const JAVASCRIPT: Foreign = (
    "a model of TensorFlow.js",
    "convert it: tensorflowjs_converter --input_format=tfjs_layers_model --output_format=keras \
     model.json model.h5",
);
const KERAS_1: Foreign = (
    "a file of Keras 1, whose layers have other arguments",
    "load it with Keras 2, which reads files of Keras 1, and save it again",
);

impl From<Foreign> for ModelFileError {
    fn from((what, instead): Foreign) -> Self {
        Self::Foreign { what, instead }
    }
}

/// Refuses a file or folder by its name, or a folder by what it holds, if it is known to be none of
/// those that are read.
pub(super) fn check_path(path: &Path) -> Result<(), ModelFileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let found = match name.as_str() {
        _ if !path.exists() => None,
        _ if path.is_dir() => path.join("saved_model.pb").exists().then_some(SAVED_MODEL),
        "saved_model.pb" | "keras_metadata.pb" => Some(SAVED_MODEL),
        "checkpoint" => Some(CHECKPOINT),
        _ if ends(&[".index", ".ckpt"]) || name.contains(".data-0") => Some(CHECKPOINT),
        _ if ends(&[".pt", ".pth", ".pt2"]) => Some(PYTORCH),
        _ if ends(&[".tflite"]) => Some(LITE),
        _ if ends(&[".yaml", ".yml"]) => Some(YAML),
        _ => None,
    };
    found.map_or(Ok(()), |found| Err(found.into()))
}

/// Refuses a JSON that is known to be no description of Keras's.
pub(super) fn check_json(value: &Value) -> Result<(), ModelFileError> {
    let of_javascript = value.get("modelTopology").or_else(|| value.get("weightsManifest"));
    of_javascript.map_or(Ok(()), |_| Err(JAVASCRIPT.into()))
}

/// Refuses a version of Keras whose descriptions are not read.
pub(super) fn check_version(version: Option<&str>) -> Result<(), ModelFileError> {
    let first = version.and_then(|version| version.split('.').next());
    if matches!(first, Some("0" | "1")) { Err(KERAS_1.into()) } else { Ok(()) }
}
