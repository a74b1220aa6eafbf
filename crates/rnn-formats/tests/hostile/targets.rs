//! The parsers, what they are fed, and what they may allocate.

use crate::mutate::mutate;
use rnn_core::{HostTensor, Rng};
use rnn_formats::hdf5::MAX_EXPANSION;
use rnn_formats::keras::KerasFile;
use rnn_formats::npz::Npz;
use rnn_formats::{hdf5, keras, npy, pickle, safetensors};
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// A parser of bytes from anywhere.
pub struct Target {
    pub name: &'static str,
    /// Sound files.
    pub seeds: Vec<Vec<u8>>,
    /// Reads a file to its end; whether it is sound.
    pub run: fn(Vec<u8>) -> bool,
    /// Bytes that may be allocated at once, for each byte of a file and a page beside.
    pub expansion: u64,
    /// It is a zip archive, of which the contents are to be damaged too.
    zipped: bool,
}

impl Target {
    /// The most that may be allocated for a file of this size.
    pub fn bound(&self, size: usize) -> u64 {
        self.expansion * (size as u64 + 4096)
    }

    /// One of the seeds, damaged.
    pub fn case(&self, rng: &mut Rng) -> Vec<u8> {
        let pick = |rng: &mut Rng| &self.seeds[rng.below(self.seeds.len() as u32) as usize];
        let (mut bytes, other) = (pick(rng).clone(), pick(rng));
        if self.zipped && rng.below(4) > 0 {
            return zip_again(&bytes, rng);
        }
        mutate(&mut bytes, other, rng);
        bytes
    }
}

/// The archive with one damaged member, whose checksum is right.
fn zip_again(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("a sound archive");
    let damaged = rng.below(archive.len() as u32) as usize;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).expect("a member");
        let mut contents = Vec::new();
        member.read_to_end(&mut contents).expect("sound contents");
        if index == damaged {
            mutate(&mut contents, &[], rng);
        }
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(member.name(), stored).expect("a new member");
        zip.write_all(&contents).expect("room");
    }
    zip.finish().expect("an archive").into_inner()
}

/// What lies in `tests/interchange/files`.
pub fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/");
    std::fs::read(format!("{folder}{name}")).expect("a file of the repository")
}

/// A Keras file in the form that it is written in here.
pub fn rewritten(name: &str) -> Vec<u8> {
    let file: KerasFile = keras::parse(file(name), name).expect("a sound file");
    written(|path| file.write(path).expect("a file"))
}

fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("seed");
    write(&path);
    std::fs::read(path).expect("what was written")
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
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (index, array) in arrays().into_iter().enumerate() {
        zip.start_file(format!("{index}.npy"), SimpleFileOptions::default()).expect("a member");
        zip.write_all(&array).expect("room");
    }
    zip.finish().expect("an archive").into_inner()
}

fn read_npz(bytes: Vec<u8>) -> bool {
    let Ok(mut npz) = Npz::new(Cursor::new(bytes), "fuzz") else { return false };
    npz.names().iter().all(|name| npz.read(name).is_ok())
}

fn tensors() -> Vec<u8> {
    let tensors = [
        ("a", HostTensor::from_f32([2, 3], vec![1.5; 6]).expect("six")),
        ("b", HostTensor::from_u32([4], vec![7; 4]).expect("four")),
    ];
    let metadata = BTreeMap::from([("key".to_owned(), "value".to_owned())]);
    written(|path| safetensors::save(path, &tensors, &metadata).expect("a file"))
}

/// All parsers of the crate that take bytes.
pub fn all() -> Vec<Target> {
    let read_safetensors = |bytes: Vec<u8>| safetensors::parse(Path::new("fuzz"), &bytes).is_ok();
    let legacy = || ["keras2.h5", "keras3.h5", "keras3.weights.h5"].map(file);
    let hdf5_seeds = [
        legacy().to_vec(),
        ["types.h5", "types_latest.h5"].map(file).to_vec(),
        ["keras2.h5", "keras3.weights.h5"].map(rewritten).to_vec(),
    ];
    let target =
        |name, seeds, run, expansion| Target { name, seeds, run, expansion, zipped: false };
    vec![
        target("npy", arrays(), |bytes| npy::parse(&bytes).is_ok(), 64),
        target("pickle", vec![PICKLE.to_vec()], |b| pickle::ragged_integer_lists(&b).is_ok(), 64),
        target("safetensors", vec![tensors()], read_safetensors, 64),
        target("hdf5", hdf5_seeds.concat(), |b| hdf5::parse(b).is_ok(), 3 * MAX_EXPANSION),
        // Deflate packs 1,032 bytes into one at most, of which an array takes 8 each.
        Target { zipped: true, ..target("npz", vec![npz()], read_npz, 16 * 1032) },
        Target {
            zipped: true,
            ..target(
                "keras",
                vec![file("keras3.keras"), rewritten("keras3.keras")],
                |bytes| keras::parse(bytes, "fuzz").is_ok(),
                4 * MAX_EXPANSION,
            )
        },
    ]
}
