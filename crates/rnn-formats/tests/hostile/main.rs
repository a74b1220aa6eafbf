//! Damaged and malicious files: an error or a result, no panic, no allocation beyond a bound.

#[path = "../../../../tests/hostile/mod.rs"]
mod hostile;
mod targets;

use hostile::{Target, alone, file, worst, zipped};
use rnn_core::HostTensor;
use rnn_formats::hdf5::{self, Group, Node};
use rnn_formats::keras;
use targets::{all, rewritten};
use zip::CompressionMethod;

fn target(name: &str) -> Target {
    all().into_iter().find(|target| target.name == name).expect("a target")
}

#[test]
fn every_byte_changed_and_every_length_cut_is_survived() {
    let _alone = alone();
    for (name, bytes) in [
        ("keras", rewritten("keras3.keras")),
        ("hdf5", file("keras3.weights.h5")),
        ("hdf5", rewritten("keras3.weights.h5")),
        ("npz", target("npz").seeds[0].clone()),
        ("safetensors", target("safetensors").seeds[0].clone()),
        ("checkpoint", target("checkpoint").seeds[0].clone()),
    ] {
        target(name).survives_every_damage(&bytes, true);
    }
}

#[test]
fn damaged_files_are_errors_or_results() {
    let _alone = alone();
    all().iter().for_each(|target| target.survives(3000));
}

/// What a parser says of a file that it refuses.
fn refused(bytes: Vec<u8>) -> String {
    keras::parse(bytes, "bomb.keras").expect_err("a refusal").to_string()
}

fn deflated(members: &[(&str, &[u8])]) -> Vec<u8> {
    zipped(CompressionMethod::Deflated, members)
}

#[test]
fn bombs_do_not_go_off() {
    let _alone = alone();
    let target = target("keras");
    let zeros = vec![0; 30 << 20];
    let bomb =
        deflated(&[("config.json", b"{}"), ("metadata.json", b"{}"), ("model.weights.h5", &zeros)]);
    drop(zeros);
    assert!(!target.bounded(bomb.clone()));
    assert!(refused(bomb).contains("model.weights.h5 unpacks to too much"));

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
                self::target("hdf5").bounded(changed);
            }
        }
    }
}

#[test]
fn an_archive_is_read_by_three_names_and_never_unpacked_to_the_disk() {
    let weights = rewritten("keras3.weights.h5");
    let archive = deflated(&[
        ("../../escaped", b"x"),
        ("/etc/escaped", b"x"),
        ("config.json", b"{\"class_name\": \"Sequential\"}"),
        ("metadata.json", b"{}"),
        ("model.weights.h5", &weights),
    ]);
    assert!(keras::parse(archive, "m.keras").is_ok());
    let without = refused(deflated(&[("config.json", b"{}"), ("metadata.json", b"{}")]));
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
    let message = refused(zipped(CompressionMethod::Stored, &members));
    assert!(message.contains("config.json is not sound JSON"), "{message}");
}

/// Inputs that a run of `examples/fuzz.rs` found too expensive for an earlier version.
#[test]
fn the_worst_cases_stay_within_their_bounds() {
    let _alone = alone();
    worst(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/worst"), &all());
}
