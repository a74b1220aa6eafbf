//! The committed floors of hot loops, and the spills that are known.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::figures::Figures;

/// A number for an entry point, whatever its constants, of a card.
type OfCards<T> = BTreeMap<String, BTreeMap<String, T>>;

/// The figures that kernels are held to, for each card by entry points: the least share of FFMA in
/// hot loops, and the most spills.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// The lowest percentage of FFMA in the hot loop of the version that has the most: of several
    /// variants a device takes the fastest.
    floors: OfCards<usize>,
    /// The most spills; none, where an entry point is not named.
    spills: OfCards<u64>,
}

impl Floors {
    /// Reads the floors from the text of a TOML file.
    ///
    /// # Errors
    /// Fails if it is not sound TOML, or has an unknown key.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("the floors of hot loops are damaged")
    }

    /// Returns a sentence for each kernel of the steps on the card named `card` whose hot loop is
    /// below its floor, and for each floor of a kernel that is gone; empty if there is none.
    pub fn low(&self, card: &str, kernels: &[Figures]) -> Vec<String> {
        let mut faults = Vec::new();
        for (entry, &floor) in self.floors.get(card).into_iter().flatten() {
            let loops = kernels.iter().filter(|k| k.entry() == entry).filter_map(|k| k.hot_loop);
            match loops.map(|hot| hot.share()).max() {
                None => faults.push(format!("{entry} has a floor, but no hot loop any more")),
                Some(share) if share < floor => faults.push(format!(
                    "{entry}: {share}% of the hot loop are FFMA, the floor is {floor}%"
                )),
                Some(_) => {}
            }
        }
        faults
    }

    /// Returns a sentence for each kernel that spills more than is known for the card, or has more
    /// shared memory than the `limit` bytes that a workgroup may have; empty if there is none.
    pub fn exceeding(&self, card: &str, limit: u64, kernels: &[Figures]) -> Vec<String> {
        let known = |k: &Figures| self.spills.get(card).and_then(|of| of.get(k.entry())).copied();
        let faults = kernels.iter().filter_map(|k| k.fault(limit, known(k).unwrap_or_default()));
        faults.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Figures;
    use super::super::hot_loops::HotLoop;
    use super::Floors;

    #[test]
    fn the_best_variant_is_held_to_the_floor() {
        let of = |kernel: &str, ffma| Figures {
            kernel: kernel.into(),
            registers: 0,
            waves: 0,
            spills: 0,
            scratch: 0,
            shared: 0,
            instructions: 0,
            hot_loop: Some(HotLoop { instructions: 10, ffma, global_loads: 0, shared_loads: 0 }),
        };
        let kernels = [of("m.f A=1", 4), of("m.f A=2", 3), of("m.g", 1)];
        let parse = |text: &str| Floors::parse(&format!("[spills]\n[floors]\n{text}"));
        let faults = |text: &str| parse(text).expect("TOML").low("a card", &kernels);
        assert!(faults("\"a card\".\"m.f\" = 40").is_empty());
        assert!(faults("another.\"m.f\" = 90").is_empty());
        assert_eq!(faults("\"a card\".\"m.f\" = 41\n\"a card\".\"m.h\" = 1").len(), 2);
    }
}
