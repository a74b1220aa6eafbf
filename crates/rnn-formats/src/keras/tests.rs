use super::*;
use serde_json::json;

/// What Keras and h5py wrote: see `tests/interchange/containers.py`.
fn file(name: &str) -> KerasFile {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/");
    read(Path::new(&format!("{folder}{name}"))).unwrap()
}

/// Element i of variable n is n + i/8.
fn numbered(n: usize, dims: &[usize]) -> HostTensor {
    let elements = 0..dims.iter().product();
    let elements = elements.map(|i: usize| n as f32 + i as f32 / 8.0).collect();
    HostTensor::from_f32(dims, elements).unwrap()
}

const SHAPES: [&[usize]; 6] = [&[4, 2], &[2, 4], &[1, 4], &[4], &[1, 1], &[1]];

fn tensors(variables: &[Variables]) -> Vec<HostTensor> {
    variables.iter().flat_map(|v| v.tensors.iter().map(|(_, tensor)| tensor.clone())).collect()
}

fn all(shapes: &[&[usize]]) -> Vec<HostTensor> {
    shapes.iter().enumerate().map(|(n, dims)| numbered(n, dims)).collect()
}

#[test]
fn reads_what_keras_3_writes() {
    for (name, format) in
        [("keras3.keras", Format::Keras), ("keras3.weights.h5", Format::WeightsH5)]
    {
        let file = file(name);
        assert_eq!(file.format, format);
        assert_eq!(Some(format), Format::of_path(Path::new(name)));
        let paths = ["layers/embedding", "layers/lstm/cell", "layers/dense"];
        let layers = paths.map(|path| file.layer(path).unwrap().clone());
        assert_eq!(layers[0].name, "words");
        assert_eq!(layers[1].tensors[2].0, "2");
        assert_eq!(file.layer("layers/lstm").unwrap().name, "scan");
        assert_eq!(tensors(&layers), all(&SHAPES));
        let optimizer = tensors(&file.optimizer);
        assert_eq!(file.optimizer[0].name, "sgd");
        assert_eq!(optimizer[0].as_u32(), Ok(&[7][..]));
        assert_eq!(optimizer[1], HostTensor::scalar(0.5));
        assert_eq!(optimizer[2..], all(&SHAPES));
        if format == Format::Keras {
            assert_eq!(file.version.as_deref(), Some("3.15.1"));
            assert_eq!(file.config.unwrap()["config"]["name"], "tiny");
            let loss = &file.compile.unwrap()["loss"];
            assert_eq!(loss["class_name"], "MeanSquaredError");
        }
    }
}

#[test]
fn reads_a_folder_into_which_an_archive_was_unpacked() {
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/keras3.keras");
    let folder = tempfile::tempdir().unwrap();
    assert!(!is_unpacked(folder.path()));
    let mut archive = zip::ZipArchive::new(std::fs::File::open(packed).unwrap()).unwrap();
    archive.extract(folder.path()).unwrap();
    assert!(is_unpacked(folder.path()));
    assert_eq!(read(folder.path()).unwrap(), file("keras3.keras"));
}

#[test]
fn reads_legacy_files_in_the_order_of_their_attributes() {
    let keras3 = file("keras3.h5");
    let names: Vec<_> = keras3.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["words", "scan", "verdict"]);
    assert_eq!(keras3.layers[1].tensors[0].0, "tiny/scan/lstm_cell/kernel");
    assert_eq!(tensors(&keras3.layers), all(&SHAPES));
    assert_eq!(tensors(&keras3.optimizer)[2..], all(&SHAPES));
    assert_eq!(keras3.config.unwrap()["class_name"], "Sequential");
    assert_eq!(keras3.compile.unwrap()["loss"]["class_name"], "MeanSquaredError");

    let keras2 = file("keras2.h5");
    assert_eq!((keras2.format, keras2.version.as_deref()), (Format::LegacyH5, Some("2.2.4")));
    let names: Vec<_> = keras2.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["embedding_1", "lstm_1", "dense_1"]);
    assert_eq!(keras2.layers[1].tensors[1].0, "lstm_1/recurrent_kernel:0");
    assert_eq!(tensors(&keras2.layers), all(&SHAPES));
    assert_eq!(tensors(&keras2.optimizer), [numbered(6, &[]), numbered(7, &[4, 2])]);
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["keras3.keras", "keras3.weights.h5", "keras3.h5", "keras2.h5"] {
        let file = file(name);
        let path = folder.path().join(name);
        file.write(&path).unwrap();
        assert_eq!(read(&path).unwrap(), file);
        let first = std::fs::read(&path).unwrap();
        file.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
    }
}

fn small() -> KerasFile {
    let path = |path: &str| Variables {
        path: path.into(),
        name: "d".into(),
        tensors: vec![("0".into(), HostTensor::scalar(1.0))],
    };
    KerasFile {
        format: Format::Keras,
        version: Some("3.0.0".into()),
        config: Some(json!({ "class_name": "Sequential", "config": {} })),
        compile: None,
        layers: vec![path("layers/dense")],
        optimizer: vec![],
    }
}

#[test]
fn long_lists_of_layers_are_split_as_keras_splits_them() {
    let one = small().layers.remove(0);
    let layers = (0..9000).map(|i| Variables {
        path: format!("dense_{i}"),
        name: format!("dense_{i}"),
        tensors: if i % 4500 == 0 { one.tensors.clone() } else { vec![] },
    });
    let mut file = KerasFile { format: Format::LegacyH5, layers: layers.collect(), ..small() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.h5");
    file.write(&path).unwrap();
    file.layers.retain(|layer| !layer.tensors.is_empty());
    assert_eq!(read(&path).unwrap(), file);
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.keras");
    let mut file = small();
    file.layers.push(file.layers[0].clone());
    let error = file.write(&path).unwrap_err().to_string();
    assert!(error.contains("m.keras") && error.contains("'layers/dense/vars'"), "{error}");
    assert!(!path.exists());
    let error = parse(b"GIF89a".to_vec(), "m.keras").unwrap_err().to_string();
    assert!(error.starts_with("m.keras: neither a .keras archive nor an HDF5 file"), "{error}");
}
