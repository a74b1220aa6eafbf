//! What a driver compiles is kept from run to run; files that are damaged are passed over, and
//! replaced.

mod common;

use common::*;
use rnn_graph::{Device, Graph, TensorType};
use rnn_wgpu::{Options, WgpuDevice, adapters};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a kernel comes to on a device that is opened and given back.
fn compute(folder: &Path) -> Vec<f32> {
    let adapter = adapters().into_iter().next().expect("an adapter");
    let device = WgpuDevice::open_cached(&adapter, Options::default(), folder).expect("it opens");
    let mut session = device.session();
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::f32([4 * 8]));
    let sums = graph.apply(row_sum(4, 8, 0.5, true), &[x]).expect("it fits");
    graph.output(sums);
    let program = session.compile(Arc::new(graph)).expect("it compiles");
    session.run(program, &[&floats(&[2.0; 32])]).expect("it runs");
    session.fetch(program).expect("sums")[0].as_f32().expect("floats").to_vec()
}

/// The files of pipelines; what was measured of the device lies beside them.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("a file").path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "bin")).collect()
}

#[test]
fn pipelines_are_kept_and_damaged_files_replaced() {
    if gpu().is_none() {
        return;
    }
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("pipelines");
    let wanted = vec![32.5; 4];
    assert_eq!(compute(&folder), wanted);
    let kept = files(&folder);
    let [file] = &kept[..] else {
        assert!(kept.is_empty(), "{kept:?}");
        println!("the driver hands no pipelines out");
        return;
    };
    let sound = fs::read(file).expect("a file");
    println!("{}: {} bytes", file.display(), sound.len());
    assert_eq!(compute(&folder), wanted);
    assert_eq!(fs::read(file).expect("a file"), sound, "it was written anew");
    let mut changed = sound.clone();
    changed[sound.len() - 1] ^= 1;
    for damaged in [&changed[..], &sound[..sound.len() / 2], &sound[..7], b"", &[0xff; 300]] {
        fs::write(file, damaged).expect("room");
        assert_eq!(compute(&folder), wanted);
        assert_eq!(fs::read(file).expect("a file").len(), sound.len(), "it was not replaced");
    }
    assert_eq!(files(&folder), kept);
    // Where nothing can be written, nothing is kept, and all is computed.
    let blocked = parent.path().join("file");
    fs::write(&blocked, b"").expect("room");
    assert_eq!(compute(&blocked), wanted);
}
