//! The parsers of the crate, and what they are fed.

use crate::hostile::{Damage, Target, file, written, zipped};
use rnn_core::HostTensor;
use rnn_formats::keras::KerasFile;
use rnn_formats::npz::Npz;
use rnn_formats::{checkpoint, hdf5, keras, npy, onnx, pickle, safetensors};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use zip::CompressionMethod;

/// A Keras file in the form that it is written in here.
pub fn rewritten(name: &str) -> Vec<u8> {
    let file: KerasFile = keras::parse(file(name), name).expect("a sound file");
    written(|path| file.write(path).expect("a file"))
}

/// `pickle.dumps` of an object array of [1, 300, 70000, -5, 2**40] and [], protocol 3.
pub const PICKLE: &[u8] = b"\x80\x03cnumpy._core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\
    \x85q\x02C\x01bq\x03\x87q\x04Rq\x05(K\x01K\x02\x85q\x06cnumpy\ndtype\nq\x07X\x02\x00\x00\x00O8q\x08\x89\
    \x88\x87q\tRq\n(K\x03X\x01\x00\x00\x00|q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x0cb\x89]q\r(]q\
    \x0e(K\x01M,\x01Jp\x11\x01\x00J\xfb\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01e]q\x0fetq\x10b.";

fn arrays() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for tensor in [
        HostTensor::from_f32([2, 3], vec![1.5; 6]).expect("six"),
        HostTensor::from_u32([4], vec![7; 4]).expect("four"),
    ] {
        let mut bytes = Vec::new();
        npy::to_writer(&mut bytes, &tensor).expect("room");
        all.push(bytes);
    }
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n";
    let mut objects = b"\x93NUMPY\x01\x00".to_vec();
    objects.extend((header.len() as u16).to_le_bytes());
    objects.extend(header.as_bytes());
    objects.extend(PICKLE);
    all.push(objects);
    all
}

fn npz() -> Vec<u8> {
    let members: Vec<_> = (0..).map(|i| format!("{i}.npy")).zip(arrays()).collect();
    zipped(CompressionMethod::Deflated, &members)
}

fn read_npz(bytes: Vec<u8>) -> bool {
    let Ok(mut npz) = Npz::new(Cursor::new(bytes), "fuzz") else { return false };
    npz.names().iter().all(|name| npz.read(name).is_ok())
}

fn tensors(
    save: impl FnOnce(&Path, Vec<(String, HostTensor)>, &BTreeMap<String, String>),
) -> Vec<u8> {
    let tensors = [
        ("a".to_owned(), HostTensor::from_f32([2, 3], vec![1.5; 6]).expect("six")),
        ("b".to_owned(), HostTensor::from_u32([4], vec![7; 4]).expect("four")),
    ];
    let metadata = BTreeMap::from([("key".to_owned(), "value".to_owned())]);
    written(|path| save(path, tensors.into(), &metadata))
}

/// The digest at the end of a checkpoint.
fn seal(bytes: &mut [u8]) {
    if let Some((contents, digest)) = bytes.split_last_chunk_mut::<32>() {
        digest.copy_from_slice(&Sha256::digest(contents));
    }
}

/// All parsers of the crate.
pub fn all() -> Vec<Target> {
    let weights = tensors(|path, tensors, metadata| {
        safetensors::save(path, &tensors, metadata).expect("a file");
    });
    let state = tensors(|path, mut tensors, metadata| {
        checkpoint::save(path, &mut tensors, metadata).expect("a file");
    });
    let legacy = || ["keras2.h5", "keras3.h5", "keras3.weights.h5"].map(file);
    let hdf5_seeds = [
        legacy().to_vec(),
        ["types.h5", "types_latest.h5"].map(file).to_vec(),
        ["keras2.h5", "keras3.weights.h5"].map(rewritten).to_vec(),
    ];
    let onnx_seeds = ["last_any", "frames", "keras_words"];
    let onnx_seeds = onnx_seeds.map(|name| file(&format!("onnx/{name}.onnx"))).into();
    let keras_seeds = vec![file("keras3.keras"), rewritten("keras3.keras")];
    vec![
        Target::new("npy", arrays(), |bytes| npy::parse(&bytes).is_ok(), 64),
        Target::new(
            "pickle",
            vec![PICKLE.to_vec()],
            |bytes| pickle::ragged_integer_lists(&bytes).is_ok(),
            64,
        ),
        Target::new(
            "safetensors",
            vec![weights],
            |b| safetensors::parse(Path::new("fuzz"), &b).is_ok(),
            64,
        ),
        Target::new(
            "checkpoint",
            vec![state],
            |b| checkpoint::parse(Path::new("fuzz"), &b).is_ok(),
            64,
        )
        .damaged(Damage::Sealed(seal)),
        Target::new("hdf5", hdf5_seeds.concat(), |b| hdf5::parse(b).is_ok(), 192),
        // Deflate packs 1,032 bytes into one at most, of which an array takes 8 each.
        Target::new("npz", vec![npz()], read_npz, 16 * 1032).damaged(Damage::Members),
        Target::new("onnx", onnx_seeds, |bytes| onnx::from_bytes(&bytes).is_ok(), 256),
        Target::new("keras", keras_seeds, |bytes| keras::parse(bytes, "fuzz").is_ok(), 256)
            .damaged(Damage::Members),
    ]
}
