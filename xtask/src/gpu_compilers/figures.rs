//! What drivers say of a pipeline, under one set of names.

use std::collections::HashMap;

use anyhow::{Context, Result};

use super::cards::Driver;
use super::hot_loops::HotLoop;

/// The figures of one kernel on one card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Shader, entry point and constants.
    pub kernel: String,
    /// Registers of a thread; Apple's are of 16 bits.
    pub registers: u64,
    /// The most subgroups that registers leave room for: of a SIMD (AMD), of a multiprocessor
    /// (NVIDIA), of a core (Adreno); for Apple threads.
    pub waves: u64,
    /// Spilled registers, or instructions that spill and fill.
    pub spills: u64,
    /// Bytes of memory of a thread's own.
    pub scratch: u64,
    /// Bytes of shared memory.
    pub shared: u64,
    /// Instructions.
    pub instructions: u64,
    /// The loop with the most FFMA (multiply-add instructions); `None` if there is none, and for
    /// all cards but NVIDIA's.
    pub hot_loop: Option<HotLoop>,
}

impl Figures {
    /// Reads a line that the layer wrote, and returns the number of the pipeline, as text, and the
    /// figures of the kernel, without its hot loop.
    ///
    /// # Errors
    /// Fails if the line lacks a figure that the driver gives.
    pub fn parse(line: &str, driver: Driver) -> Result<(String, Self)> {
        let mut fields = line.split('\t');
        let (kernel, number) = (fields.next(), fields.next());
        let given: HashMap<&str, u64> = fields
            .filter_map(|field| field.split_once('='))
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
            .collect();
        let sum = |names: &[&str]| -> Result<u64> {
            let value = |name| given.get(name).with_context(|| format!("no {name:?} in {line:?}"));
            names.iter().map(|name| value(name).copied()).sum()
        };
        let [registers, waves, scratch, instructions] = match driver {
            Driver::Radv => ["VGPRs", "Subgroups per SIMD", "Scratch size", "Instructions"],
            Driver::Nvk => ["Number of GPRs", "Max warps/SM", "SLM size", "Instruction count"],
            Driver::Honeykrisp => ["GPRs", "Threads", "Scratch", "Instructions"],
            Driver::Turnip => {
                ["Registers used", "Max Waves Per Core", "STP Count", "Instruction Count"]
            }
        };
        let spills: &[&str] = match driver {
            Driver::Radv => &["Spilled SGPRs", "Spilled VGPRs"],
            Driver::Nvk => &["Spills to memory", "Fills from memory"],
            Driver::Honeykrisp => &["Spills", "Fills"],
            Driver::Turnip => &["STP Count", "LDP Count"],
        };
        let figures = Self {
            kernel: kernel.context("an empty line")?.to_owned(),
            registers: sum(&[registers])?,
            waves: sum(&[waves])?,
            spills: sum(spills)?,
            scratch: sum(&[scratch])?,
            shared: sum(&["shared"])?,
            instructions: sum(&[instructions])?,
            hot_loop: None,
        };
        Ok((number.context("a line without a number")?.to_owned(), figures))
    }

    /// Returns the name of the shader and its entry point.
    pub fn entry(&self) -> &str {
        self.kernel.split(' ').next().unwrap_or_default()
    }

    /// Returns what is wrong with the kernel, as a sentence, on a card whose workgroups may have
    /// `limit` bytes of shared memory, if `known_spills` spills are accepted; `None` if nothing is.
    pub fn fault(&self, limit: u64, known_spills: u64) -> Option<String> {
        let Self { kernel, spills, scratch, shared, .. } = self;
        if *spills > known_spills {
            return Some(format!("{kernel} spills: {spills}"));
        }
        if *scratch > 0 && *spills == 0 {
            return Some(format!("{kernel} has scratch memory: {scratch}"));
        }
        let over = shared > &limit;
        over.then(|| format!("{kernel} has {shared} bytes of shared memory, the limit is {limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cards::Driver;
    use super::Figures;

    #[test]
    fn a_line_of_each_driver_is_read() {
        let radv = "m.f A=1\t7\tshared=64\tVGPRs=12\tSpilled SGPRs=1\tSpilled VGPRs=2\t\
                    Scratch size=4\tSubgroups per SIMD=16\tInstructions=22";
        let (number, figures) = Figures::parse(radv, Driver::Radv).expect("it is whole");
        assert_eq!((number.as_str(), figures.entry()), ("7", "m.f"));
        assert_eq!((figures.registers, figures.waves, figures.spills), (12, 16, 3));
        assert_eq!((figures.scratch, figures.shared, figures.instructions), (4, 64, 22));
        assert!(figures.fault(64, 2).is_some_and(|fault| fault.contains("spills: 3")));
        assert_eq!(figures.fault(64, 3), None);
        let sound = Figures { spills: 0, scratch: 0, ..figures };
        assert_eq!(sound.fault(64, 0), None);
        assert!(sound.fault(63, 0).is_some());
        assert!(Figures { scratch: 4, ..sound }.fault(64, 0).is_some());
        let nvk = "m.f\t0\tshared=0\tInstruction count=37\tMax warps/SM=48\tSpills to memory=0\t\
                   Fills from memory=0\tNumber of GPRs=24\tSLM size=0";
        assert!(Figures::parse(nvk, Driver::Nvk).is_ok());
        assert!(Figures::parse(nvk, Driver::Turnip).is_err());
    }
}
