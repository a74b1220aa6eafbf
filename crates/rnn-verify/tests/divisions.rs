//! The division of outputs among threads changes no bit, and the fastest variant is
//! measured once.

use rnn_graph::{Device, Recording};
use rnn_ops::{Case, Matmul, Sample};
use rnn_testing::adapters;
use rnn_verify::{NotPassed, Trial};
use rnn_wgpu::{Adapter, Options, VariantChoice, WgpuDevice};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

fn open(adapter: &Adapter, variants: VariantChoice) -> WgpuDevice {
    let options = Options { variants, ..Options::default() };
    WgpuDevice::open(adapter, options).expect("the adapter opens")
}

/// What a device puts out, as bits; none where its limits do not reach.
fn bits(trial: &Trial, device: &dyn Device) -> Option<Vec<Vec<u8>>> {
    match trial.run(device) {
        Ok(tensors) => Some(tensors.iter().map(|tensor| tensor.as_bytes().to_vec()).collect()),
        Err(NotPassed::Skipped(_)) => None,
        Err(NotPassed::Failed(why)) => panic!("{why}"),
    }
}

/// The kernels of a trial that have variants, and how many.
fn divided(trial: &Trial, device: &dyn Device) -> Vec<(&'static str, &'static str, usize)> {
    let recording = Recording::new(trial.graph(), device.limits());
    let dispatches = recording.iter().flat_map(Recording::dispatches);
    let all = dispatches.map(|d| (d.shader.name(), d.entry, d.variants.len()));
    all.filter(|(.., variants)| *variants > 0).collect()
}

#[test]
fn every_division_puts_out_the_same_bits() {
    for adapter in &adapters() {
        let usual = open(adapter, VariantChoice::First);
        let others: Vec<_> = (1..=5).map(|n| open(adapter, VariantChoice::Nth(n))).collect();
        let mut compared = [0; 5];
        let mut seen = HashSet::new();
        for case in &rnn_ops::suite() {
            let trial = Trial::new(case).expect("the case is sound");
            let kernels = divided(&trial, &usual);
            let count = kernels.iter().map(|(.., variants)| *variants).max().unwrap_or(0);
            // One case for each kernel and number of variants.
            if kernels.into_iter().filter(|kernel| seen.insert(*kernel)).count() == 0 {
                continue;
            }
            let Some(want) = bits(&trial, &usual) else { continue };
            for (n, other) in others.iter().enumerate().take(count) {
                compared[n] += 1;
                assert!(bits(&trial, other).is_some_and(|got| got == want), "{}: {n}", case.name);
            }
        }
        println!("{}: {compared:?} cases", adapter.info);
        assert!(compared.iter().all(|&cases| cases > 5), "{compared:?}");
    }
}

/// The file that a folder holds of the fastest variants.
fn kept(folder: &Path) -> std::path::PathBuf {
    let mut entries = fs::read_dir(folder).expect("a folder").map(|e| e.expect("a file").path());
    let of_choices = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tuning_"))
    };
    entries.find(of_choices).expect("a file of choices")
}

#[test]
fn what_was_measured_is_kept_and_damaged_files_are_replaced() {
    let all = adapters();
    let Some(adapter) = all.first() else { return };
    let inputs = vec![Sample::Normal(vec![150, 40]), Sample::Normal(vec![40, 140])];
    let trial = Trial::new(&Case::new("a product", Matmul::default(), inputs)).expect("it fits");
    let want = bits(&trial, &open(adapter, VariantChoice::First)).expect("it runs");
    let folder = tempfile::tempdir().expect("a folder");
    let compute = || {
        let options = Options { variants: VariantChoice::Fastest, ..Options::default() };
        let device = WgpuDevice::open_cached(adapter, options, folder.path());
        assert!(bits(&trial, &device.expect("the adapter opens")).as_ref() == Some(&want));
    };
    compute();
    let file = kept(folder.path());
    let sound = fs::read_to_string(&file).expect("a file");
    println!("{sound}");
    assert_eq!(adapter.tuned(folder.path()).kernels, 1);
    // Six variants, each of which outputs the bits of the first.
    assert!(!sound.contains("null") && sound.matches("matmul.multiply").count() == 1, "{sound}");
    compute();
    assert_eq!(fs::read_to_string(&file).expect("a file"), sound, "it was measured again");
    let forged = sound.replace("\"variant\": ", "\"variant\": 1");
    for damaged in [forged.as_str(), &sound[..sound.len() / 2], "", "{}"] {
        fs::write(&file, damaged).expect("room");
        assert_eq!(adapter.tuned(folder.path()).kernels, 0);
        compute();
        assert_eq!(adapter.tuned(folder.path()).kernels, 1, "it was not replaced");
    }
}
