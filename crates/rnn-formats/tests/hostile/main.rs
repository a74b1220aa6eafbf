//! Damaged and malicious files: an error or a result, no panic, no allocation beyond a bound.

mod mutate;
mod targets;

use peak_alloc::PeakAlloc;
use rnn_core::{HostTensor, Rng};
use rnn_formats::hdf5::{self, Group, MAX_EXPANSION, Node};
use rnn_formats::keras;
use std::io::{Cursor, Write};
use std::sync::Mutex;
use targets::{Target, all, file, rewritten};
use zip::CompressionMethod;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The allocator counts for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs the parser and holds it to its bound; whether the file was sound.
fn bounded(target: &Target, bytes: Vec<u8>) -> bool {
    let bound = target.bound(bytes.len());
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage() as u64;
    let sound = (target.run)(bytes);
    let peak = MEMORY.peak_usage() as u64 - before.min(MEMORY.peak_usage() as u64);
    assert!(peak <= bound, "{}: {peak} bytes allocated of {bound}", target.name);
    sound
}

fn target(name: &str) -> Target {
    all().into_iter().find(|target| target.name == name).expect("a target")
}

#[test]
fn every_byte_changed_and_every_length_cut_is_survived() {
    let _alone = ALONE.lock();
    for (name, bytes) in [
        ("keras", rewritten("keras3.keras")),
        ("hdf5", file("keras3.weights.h5")),
        ("hdf5", rewritten("keras3.weights.h5")),
        ("npz", target("npz").seeds[0].clone()),
        ("safetensors", target("safetensors").seeds[0].clone()),
    ] {
        let target = target(name);
        assert!(bounded(&target, bytes.clone()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            bounded(&target, changed);
            assert!(!bounded(&target, bytes[..at].to_vec()), "{name} cut at {at} is no file");
        }
    }
}

#[test]
fn damaged_files_are_errors_or_results() {
    let _alone = ALONE.lock();
    for target in all() {
        let mut rng = Rng::new(1, 0);
        for _ in 0..3000 {
            let case = target.case(&mut rng);
            bounded(&target, case);
        }
    }
}

/// What a parser says of a file that it refuses.
fn refused(bytes: Vec<u8>) -> String {
    keras::parse(bytes, "bomb.keras").expect_err("a refusal").to_string()
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    zipped_by(CompressionMethod::Deflated, members)
}

fn zipped_by(method: CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn bombs_do_not_go_off() {
    let _alone = ALONE.lock();
    let target = target("keras");
    let zeros = vec![0; 30 << 20];
    let bomb =
        zipped(&[("config.json", b"{}"), ("metadata.json", b"{}"), ("model.weights.h5", &zeros)]);
    drop(zeros);
    assert!(!bounded(&target, bomb.clone()));
    let wanted = format!("model.weights.h5 unpacks to more than {MAX_EXPANSION} times");
    assert!(refused(bomb).contains(&wanted));

    // A dataset of which the header alone claims to be large: its first extent, changed.
    let mut group = Group::default();
    let tensor = HostTensor::from_f32([77], vec![1.0; 77]).unwrap();
    group.members.insert("d".into(), Node::Dataset(tensor));
    let whole = hdf5::to_bytes(&group).unwrap();
    for at in 0..whole.len() - 8 {
        if whole[at..at + 8] == 77u64.to_le_bytes() {
            for extent in [1u64 << 20, 1 << 40, u64::MAX] {
                let mut changed = whole.clone();
                changed[at..at + 8].copy_from_slice(&extent.to_le_bytes());
                bounded(&self::target("hdf5"), changed);
            }
        }
    }
}

#[test]
fn an_archive_is_read_by_three_names_and_never_unpacked_to_the_disk() {
    let weights = rewritten("keras3.weights.h5");
    let archive = zipped(&[
        ("../../escaped", b"x"),
        ("/etc/escaped", b"x"),
        ("config.json", b"{\"class_name\": \"Sequential\"}"),
        ("metadata.json", b"{}"),
        ("model.weights.h5", &weights),
    ]);
    assert!(keras::parse(archive, "m.keras").is_ok());
    let without = refused(zipped(&[("config.json", b"{}"), ("metadata.json", b"{}")]));
    assert!(
        without.contains("the archive holds no model.weights.h5, but config.json"),
        "{without}"
    );
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    // Deflated, it would be refused as a bomb.
    let members: [(&str, &[u8]); 3] = [
        ("config.json", nested.as_bytes()),
        ("metadata.json", b"{}"),
        ("model.weights.h5", &weights),
    ];
    let message = refused(zipped_by(CompressionMethod::Stored, &members));
    assert!(message.contains("config.json is not sound JSON"), "{message}");
}

/// Inputs that a run of `examples/fuzz.rs` found too expensive for an earlier version.
#[test]
fn the_worst_cases_stay_within_their_bounds() {
    let _alone = ALONE.lock();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/worst");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let target = target(name.split('-').next().unwrap());
        bounded(&target, std::fs::read(&path).unwrap());
    }
}
