//! Damaged and malicious files, for the tests of the crates that read them and for
//! `cargo run --release --example fuzz`, which goes on for longer: a parser must return an error or
//! a result, and not allocate beyond a bound on the size of its file.

#![allow(dead_code, reason = "tests and the fuzzer use a part of it each")]

mod mutate;

use mutate::{mutate, mutate_words};
use peak_alloc::PeakAlloc;
use rnn_core::Rng;
use std::io::{Cursor, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A parser of what comes from anywhere.
pub struct Target {
    pub name: &'static str,
    /// Sound files.
    pub seeds: Vec<Vec<u8>>,
    /// Reads a file to its end; whether it is sound.
    pub run: fn(Vec<u8>) -> bool,
    /// Bytes that may be allocated at once, for each byte of a file and a page beside.
    pub expansion: u64,
    /// What makes damage reach the parser behind a container or a digest.
    pub damage: Damage,
}

/// Where files are damaged.
#[derive(Clone, Copy)]
pub enum Damage {
    /// Anywhere.
    Bytes,
    /// Anywhere in a text; mostly whole words of it.
    Words,
    /// Anywhere in a zip archive; mostly in a member, whose checksum is then right.
    Members,
    /// Anywhere; then the file is sealed again.
    Sealed(fn(&mut [u8])),
}

/// What a parser made of a file.
pub struct Outcome {
    /// Whether the file was sound; none, if the parser panicked.
    pub sound: Option<bool>,
    /// Of the bytes that may be allocated, the share that was.
    pub share: f64,
}

impl Target {
    /// A parser of files that are damaged anywhere.
    pub fn new(
        name: &'static str,
        seeds: Vec<Vec<u8>>,
        run: fn(Vec<u8>) -> bool,
        expansion: u64,
    ) -> Self {
        Self { name, seeds, run, expansion, damage: Damage::Bytes }
    }

    /// The same of files that are damaged so.
    pub fn damaged(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    /// One of the seeds, damaged.
    pub fn case(&self, rng: &mut Rng) -> Vec<u8> {
        let pick = |rng: &mut Rng| &self.seeds[rng.below(self.seeds.len() as u32) as usize];
        let (mut bytes, other) = (pick(rng).clone(), pick(rng));
        match self.damage {
            Damage::Words if rng.below(4) > 0 => mutate_words(&mut bytes, rng),
            Damage::Members if rng.below(4) > 0 => return zip_again(&bytes, rng),
            _ => mutate(&mut bytes, other, rng),
        }
        if let Damage::Sealed(seal) = self.damage {
            seal(&mut bytes);
        }
        bytes
    }

    /// Runs the parser and counts what it allocates. The allocator counts for the whole process:
    /// nothing else may run.
    pub fn outcome(&self, bytes: Vec<u8>) -> Outcome {
        let size = bytes.len() as u64;
        let bound = (self.expansion * (size + 4096)).min(rnn_formats::budget::memory(size));
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage() as f64;
        let sound = catch_unwind(AssertUnwindSafe(|| (self.run)(bytes))).ok();
        Outcome { sound, share: (MEMORY.peak_usage() as f64 - before) / bound as f64 }
    }

    /// Runs the parser and holds it to its bound; whether the file was sound.
    pub fn bounded(&self, bytes: Vec<u8>) -> bool {
        let Outcome { sound, share } = self.outcome(bytes);
        assert!(share <= 1.0, "{}: {share} of what may be allocated", self.name);
        sound.unwrap_or_else(|| panic!("the parser of {} panicked", self.name))
    }

    /// Changes every byte of a small file and cuts it at every length; where `whole`, no part of it
    /// may pass for a file.
    pub fn survives_every_damage(&self, bytes: &[u8], whole: bool) {
        assert!(self.bounded(bytes.to_vec()), "{}: the file is sound", self.name);
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0xff;
            self.bounded(changed);
            let sound = self.bounded(bytes[..at].to_vec());
            assert!(!(sound && whole), "{} cut at {at} is no file", self.name);
        }
    }

    /// Reads the sound files, and so many damaged ones.
    pub fn survives(&self, cases: usize) {
        for seed in &self.seeds {
            assert!(self.bounded(seed.clone()), "{}: a seed is no sound file", self.name);
        }
        let mut rng = Rng::new(1, 0);
        for _ in 0..cases {
            self.bounded(self.case(&mut rng));
        }
    }
}

/// Reads the files that fuzzing found too much for an earlier version: `TARGET-WHAT.bin`.
pub fn worst(folder: &str, targets: &[Target]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a file").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let target = targets.iter().find(|t| name.starts_with(&format!("{}-", t.name)));
        let target = target.unwrap_or_else(|| panic!("{name} is of no target"));
        target.bounded(std::fs::read(&path).expect("a readable file"));
    }
}

/// One test at a time: the allocator counts for the whole process.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The archive with one damaged member, whose checksum is right.
fn zip_again(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("a sound archive");
    let damaged = rng.below(archive.len() as u32) as usize;
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).expect("a member");
        let mut contents = Vec::new();
        member.read_to_end(&mut contents).expect("sound contents");
        if index == damaged {
            mutate(&mut contents, &[], rng);
        }
        members.push((member.name().to_owned(), contents));
    }
    zipped(CompressionMethod::Stored, &members)
}

/// An archive of these members.
pub fn zipped<N: AsRef<str>, C: AsRef<[u8]>>(
    method: CompressionMethod,
    members: &[(N, C)],
) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name.as_ref(), options).expect("a new member");
        zip.write_all(contents.as_ref()).expect("room");
    }
    zip.finish().expect("an archive").into_inner()
}

/// What lies in `tests/interchange/files`.
pub fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/");
    std::fs::read(format!("{folder}{name}")).expect("a file of the repository")
}

/// What is written to a path.
pub fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("seed");
    write(&path);
    std::fs::read(path).expect("what was written")
}
