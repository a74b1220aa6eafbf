//! What a forecast is made from: the launches of steps, and the constants of cards.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The launches of a training step or an inference, as `rnn-bench` records them.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// Name of the experiment.
    pub experiment: String,
    /// True for a training step, false for an inference.
    pub training: bool,
    /// Examples in the batch.
    pub batch: usize,
    /// Number of launches.
    pub count: u64,
    /// The launches; equal ones are one entry.
    pub launches: Vec<Launches>,
}

/// Equal launches of a step.
#[derive(Debug, Deserialize)]
pub struct Launches {
    /// Number of launches.
    pub times: u64,
    /// The launch itself, then its variants.
    pub kernels: Vec<Kernel>,
    /// Integer parameters of the kernel.
    pub params: BTreeMap<String, u64>,
    /// Upper bound on the loop iterations of a thread; 0 without loops.
    pub iterations: u64,
    /// Floating-point operations of a launch.
    pub flops: u64,
    /// Bytes of the operands that a launch reads.
    pub read: u64,
    /// Bytes of the operands that a launch writes.
    pub written: u64,
}

/// A kernel with its constants, over a number of threads.
#[derive(Debug, Deserialize)]
pub struct Kernel {
    /// Shader, entry point and constants.
    pub name: String,
    /// Number of workgroups.
    pub workgroups: u64,
    /// Threads of a workgroup.
    pub threads: u64,
}

/// The constants of a card; `bench/cards.toml` says what each is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    pub name: String,
    pub compiled: String,
    pub named: Vec<String>,
    pub processors: u64,
    pub lanes: u64,
    pub subgroup: u64,
    pub subgroups: f64,
    pub shared: u64,
    pub ghz: f64,
    pub gbytes: f64,
    pub alu: f64,
    pub shared_wait: f64,
    pub cache_wait: f64,
    pub memory_wait: f64,
    pub launch: f64,
    pub step: f64,
    pub sources: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cards {
    card: Vec<Card>,
}

/// Reads the launches of all steps from JSON.
///
/// # Errors
/// Fails if it is damaged.
pub fn steps(json: &str) -> Result<Vec<Step>> {
    serde_json::from_str(json).context("the list of launches is damaged")
}

/// Reads the constants of all cards from TOML.
///
/// # Errors
/// Fails if it is damaged or lacks a constant.
pub fn cards(text: &str) -> Result<Vec<Card>> {
    Ok(toml::from_str::<Cards>(text).context("the constants of cards are damaged")?.card)
}

impl Kernel {
    /// Returns the name of the shader and its entry point.
    pub fn entry(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }

    /// Returns the value of a constant, if it is a whole number.
    pub fn constant(&self, name: &str) -> Option<u64> {
        let constants = self.name.split(' ').skip(1).filter_map(|text| text.split_once('='));
        constants.filter(|(found, _)| *found == name).find_map(|(_, value)| value.parse().ok())
    }
}
