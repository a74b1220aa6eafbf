//! Real compilers of graphics cards, without the cards.
//!
//! Debian sid's `mesa-drm-shim` answers in place of a kernel driver, so that Mesa's Vulkan drivers
//! find a card of a given kind, and compile, but execute nothing. `rnn-gpu verify --compile-only`
//! runs under each, and a Vulkan layer (`layer.c`) writes down what the driver made of every kernel.

mod cards;
mod compile;
mod figures;
mod floors;
mod hot_loops;
pub mod table;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use self::cards::{CARDS, Card};
use self::compile::{Compiled, Kernels, LAYER, PROGRAM, compile};
use self::floors::Floors;
use self::table::Table;
use crate::Outcome;
use crate::binary;
use crate::chroot::{Chroot, output};

/// Arguments of `cargo xtask gpu-compilers`.
#[derive(clap::Args)]
pub struct Args {
    /// Compile for the cards with TEXT in their names alone, and leave the committed table as it is
    #[arg(long, value_name = "TEXT")]
    card: Option<String>,
    /// Leave the committed table as it is; of each driver one card compiles the kernels of all cases of
    /// `verify`, the others those of the steps
    #[arg(long)]
    check: bool,
}

impl Args {
    /// Returns the arguments in CI: all cards, and the committed table stays as it is.
    pub const fn ci() -> Self {
        Self { card: None, check: true }
    }
}

const PACKAGES: [&str; 4] = ["libvulkan1", "libvulkan-dev", "mesa-vulkan-drivers", "mesa-drm-shim"];
/// Path of the committed table.
pub const JSON: &str = "bench/results/gpu-compilers.json";
const MARKDOWN: &str = "bench/results/gpu-compilers.md";
const FLOORS: &str = "bench/results/gpu-compilers-floors.toml";

/// Compiles all kernels for all cards, and prints what is wrong with them. Faults are failures;
/// under another Mesa than the committed table's, only kernels that do not compile are. If the
/// machine lacks what this takes, the outcome is skipped.
///
/// # Errors
/// Fails if the packages do not fit each other, the program does not build, or a file cannot be
/// read or written.
pub fn run(root: &Path, cargo: &Path, args: &Args) -> Result<Outcome> {
    let chroot = match Chroot::open(root, &PACKAGES) {
        Ok(chroot) => chroot,
        Err(missing) => return Ok(Outcome::Skipped(format!("gpu-compilers: {missing:#}"))),
    };
    let mesa = chroot.version("mesa-vulkan-drivers")?;
    let shim = chroot.version("mesa-drm-shim")?;
    ensure!(mesa == shim, "the drivers are of Mesa {mesa}, their shim of {shim}");
    // One that cannot be read is about to be replaced.
    let committed = match fs::read_to_string(root.join(JSON)) {
        Ok(json) if args.check => Some(Table::parse(&json)?),
        Ok(json) => Table::parse(&json).ok(),
        Err(_) => None,
    };
    let floors = fs::read_to_string(root.join(FLOORS)).with_context(|| format!("no {FLOORS}"))?;
    let floors = Floors::parse(&floors)?;
    install(root, cargo, &chroot)?;

    let wanted = |card: &&Card| args.card.as_ref().is_none_or(|text| card.name.contains(text));
    let cards: Vec<Card> = CARDS.iter().filter(wanted).copied().collect();
    ensure!(!cards.is_empty(), "no card has {:?} in its name", args.card);
    let (mut table, mut broken, mut faults) = (Table::new(mesa), vec![], vec![]);
    let wants_all = |card: &Card| !args.check || card.is_first_of_driver();
    for (card, result) in cards.iter().zip(compile_all(&chroot, &cards, &wants_all)) {
        match result {
            Ok((steps, all)) => {
                let most = all.as_ref().unwrap_or(&steps);
                let found = floors.exceeding(card.name, most.limit, &most.kernels);
                let low = floors.low(card.name, &steps.kernels);
                faults.extend(found.into_iter().chain(low).map(|fault| (card.name, fault)));
                let known = committed.as_ref().and_then(|committed| committed.compiled(card.name));
                let count = all.map(|all| all.kernels.len()).or(known);
                table.add(card.name, count.unwrap_or_default(), &steps.kernels);
            }
            Err(error) => broken.push(format!("{error:#}")),
        }
    }

    let known = committed.as_ref().is_none_or(|committed| committed.mesa == table.mesa);
    let word = if known { "FAIL" } else { "warning" };
    faults.iter().for_each(|(card, fault)| println!("{word}: {card}: {fault}"));
    broken.iter().for_each(|error| println!("FAIL: {error}"));
    let differs = committed.as_ref() != Some(&table) && args.card.is_none();
    match &committed {
        Some(committed) if !known => {
            println!(
                "warning: the committed table is of Mesa {}, this is {}",
                committed.mesa, table.mesa
            );
        }
        _ if differs && args.check => {
            println!("warning: {JSON} is out of date: run without --check")
        }
        _ => {}
    }
    if args.card.is_none() && !args.check && broken.is_empty() {
        fs::write(root.join(JSON), table.json()?)?;
        fs::write(root.join(MARKDOWN), table.markdown())?;
    }
    let failures = broken.len() + if known { faults.len() } else { 0 };
    println!("gpu-compilers: {} cards, {failures} failures", cards.len());
    Ok(Outcome::Ended(i32::from(failures > 0)))
}

/// Puts the program and the layer into the chroot.
fn install(root: &Path, cargo: &Path, chroot: &Chroot) -> Result<()> {
    let program = binary::build(root, cargo, &root.join("target"))?;
    chroot.empty_folder("kernels")?;
    let target = chroot.root.join(PROGRAM.trim_start_matches('/'));
    fs::copy(&program, target).context("cannot copy the program")?;

    let folder = chroot.empty_folder(LAYER.trim_start_matches('/'))?;
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-isystem"]);
    cc.arg(chroot.root.join("usr/include"));
    cc.arg("-o").arg(folder.join("libkernel_statistics.so"));
    cc.arg(root.join("xtask/src/gpu_compilers/layer.c"));
    output(&mut cc).context("the layer does not compile")?;
    let manifest = serde_json::json!({
        "file_format_version": "1.1.2",
        "layer": {
            "name": "VK_LAYER_kernel_statistics",
            "type": "GLOBAL",
            "library_path": format!("{LAYER}/libkernel_statistics.so"),
            "api_version": "1.3.0",
            "implementation_version": "1",
            "description": "statistics of kernels",
        },
    });
    Ok(fs::write(folder.join("kernel_statistics.json"), manifest.to_string())?)
}

/// Of one card the kernels of the steps, and all kernels if they are wanted.
type Found = Result<(Compiled, Option<Compiled>)>;

/// Compiles for all cards, as many at a time as there are processors; results in their order.
fn compile_all(
    chroot: &Chroot,
    cards: &[Card],
    wants_all: &(impl Fn(&Card) -> bool + Sync),
) -> Vec<Found> {
    let queue = Mutex::new(cards.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((at, &card)) = next() {
            let found = compile_one(chroot, card, wants_all(&card));
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, found));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, found)| found).collect()
}

fn compile_one(chroot: &Chroot, card: Card, wants_all: bool) -> Found {
    let started = Instant::now();
    let steps = compile(chroot, card, Kernels::Steps)?;
    let all = wants_all.then(|| compile(chroot, card, Kernels::All)).transpose()?;
    let in_all = all.as_ref().map(|all| format!(", {} in all", all.kernels.len()));
    println!(
        "{}: {} kernels of the steps{}, {} s",
        card.name,
        steps.kernels.len(),
        in_all.unwrap_or_default(),
        started.elapsed().as_secs()
    );
    Ok((steps, all))
}
