use super::ConfigError;
use crate::{
    Add, Average, AveragePooling1D, AveragePooling2D, AveragePooling3D, BatchNormalization,
    Bidirectional, Concatenate, Conv1D, Conv2D, Conv3D, ConvLstm1D, ConvLstm2D, ConvLstm3D, Dense,
    Dropout, Embedding, Flatten, GlobalAveragePooling1D, GlobalAveragePooling2D,
    GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D, Gru, Layer,
    LayerNormalization, Lstm, Masking, MaxPooling1D, MaxPooling2D, MaxPooling3D, Multiply,
    OutputActivation, Reshape, SimpleRnn, Softmax, SpatialDropout1D, Subtract, TimeDistributed,
    UpSampling1D, UpSampling2D, UpSampling3D,
};
use rnn_ops::Activation;
use serde_json::{Map, Value};

/// A layer of each class, with placeholders where a description must say something.
fn all() -> Vec<Box<dyn Layer>> {
    let mut all: Vec<Box<dyn Layer>> = vec![
        Box::new(OutputActivation::default()),
        Box::new(Add()),
        Box::new(Average()),
        Box::new(AveragePooling1D(2)),
        Box::new(AveragePooling2D(2)),
        Box::new(AveragePooling3D(2)),
        Box::new(BatchNormalization::new()),
        Box::new(Concatenate::new()),
        Box::new(Conv1D::new(1, 1)),
        Box::new(Conv2D::new(1, 1)),
        Box::new(Conv3D::new(1, 1)),
        Box::new(Dense::new(1, Activation::Linear)),
        Box::new(Dropout::new(0.0)),
        Box::new(Embedding::new(1, 1)),
        Box::new(Flatten),
        Box::new(GlobalAveragePooling1D()),
        Box::new(GlobalAveragePooling2D()),
        Box::new(GlobalAveragePooling3D()),
        Box::new(GlobalMaxPooling1D()),
        Box::new(GlobalMaxPooling2D()),
        Box::new(GlobalMaxPooling3D()),
        Box::new(LayerNormalization::new()),
        Box::new(Masking::new(0.0)),
        Box::new(MaxPooling1D(2)),
        Box::new(MaxPooling2D(2)),
        Box::new(MaxPooling3D(2)),
        Box::new(Multiply()),
        Box::new(Reshape::new([])),
        Box::new(Softmax),
        Box::new(SpatialDropout1D::new(0.0)),
        Box::new(Subtract()),
        Box::new(UpSampling1D(2)),
        Box::new(UpSampling2D(2)),
        Box::new(UpSampling3D(2)),
    ];
    all.extend(recurrent().into_iter().map(|[layer, _]| layer));
    all
}

/// Each recurrent layer, and it in both directions.
fn recurrent() -> Vec<[Box<dyn Layer>; 2]> {
    macro_rules! both {
        ($($layer:expr),*) => {
            vec![$([Box::new($layer), Box::new(Bidirectional::new($layer))]),*]
        };
    }
    both![
        SimpleRnn::new(1),
        Lstm::new(1),
        Gru::new(1),
        ConvLstm1D::new(1, 1),
        ConvLstm2D::new(1, 1),
        ConvLstm3D::new(1, 1)
    ]
}

/// A layer of this class, whose arguments are still to be read; one that wraps another is made for
/// the one that `config` names.
pub(super) fn blank(
    owner: &str,
    class: &str,
    config: &Map<String, Value>,
) -> Result<Box<dyn Layer>, ConfigError> {
    let wrapped = config.get("layer").unwrap_or(&Value::Null);
    let inner = || wrapped.get("class_name").and_then(Value::as_str).unwrap_or("no layer");
    match class {
        "Bidirectional" => {
            let found = recurrent().into_iter().find(|[layer, _]| layer.class() == inner());
            let classes = || recurrent().iter().map(|[layer, _]| layer.class()).collect();
            let owner = format!("{owner}, layer");
            found.map(|[_, both]| both).ok_or_else(|| unknown(owner, inner(), classes()))
        }
        "TimeDistributed" => {
            let config = wrapped.get("config").and_then(Value::as_object);
            let owner = format!("{owner}, layer");
            let layer = blank(&owner, inner(), config.unwrap_or(&Map::new()))?;
            Ok(Box::new(TimeDistributed(layer)))
        }
        _ => all().into_iter().find(|layer| layer.class() == class).ok_or_else(|| {
            let mut classes: Vec<&str> = all().iter().map(|layer| layer.class()).collect();
            classes.extend(["Bidirectional", "InputLayer", "TimeDistributed"]);
            classes.sort_unstable();
            unknown(owner.to_owned(), class, classes)
        }),
    }
}

fn unknown(owner: String, class: &str, classes: Vec<&str>) -> ConfigError {
    ConfigError::Class { owner, class: class.to_owned(), supported: classes.join(", ") }
}
