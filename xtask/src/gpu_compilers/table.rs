//! The committed table: JSON with all kernels, Markdown with a line for each entry point.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::hot_loops::HotLoop;

/// The figures of all cards.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Version of Mesa's package.
    pub mesa: String,
    /// For each card, the kernels of all cases of `verify` and of the steps, with all variants.
    compiled: BTreeMap<String, usize>,
    /// Names of the figures.
    columns: Vec<String>,
    /// The kernels of the steps of the five experiments: the figures of each card.
    kernels: BTreeMap<String, BTreeMap<String, Vec<u64>>>,
}

const COLUMNS: [&str; 10] = [
    "registers",
    "waves",
    "spills",
    "scratch",
    "shared",
    "instructions",
    "instructions of the hot loop",
    "FFMA in it",
    "loads from memory in it",
    "loads from shared memory in it",
];
const HEAD: &str = "# Kernels as GPU compilers see them\n\n\
    `cargo xtask gpu-compilers` wrote this. Mesa's drivers compiled for cards that are not there; ";
const NOTES: &str = "Listed are the kernels of the training and inference steps of the five \
    experiments. An entry point has several versions: other constants, and variants of a launch. The \
    tables show the worst of them; `gpu-compilers.json` has all. Waves are the most subgroups that \
    registers leave room for: of a SIMD (AMD), of a multiprocessor (NVIDIA), of a core (Adreno); for \
    Apple, threads.\n\n";

/// A column of an entry point, made of those of its versions.
type Worst = fn(&[&[u64]], usize) -> u64;

impl Table {
    /// Returns a table without cards and kernels, for this version of Mesa's package.
    pub fn new(mesa: String) -> Self {
        let columns = COLUMNS.map(str::to_owned).to_vec();
        Self { mesa, compiled: BTreeMap::new(), columns, kernels: BTreeMap::new() }
    }

    /// Adds a card, or replaces its figures: `compiled` is the number of all kernels that it
    /// compiled, and `kernels` are those of the steps.
    pub fn add(&mut self, card: &str, compiled: usize, kernels: &[Figures]) {
        self.compiled.insert(card.to_owned(), compiled);
        for kernel in kernels {
            let of_kernel = self.kernels.entry(kernel.kernel.clone()).or_default();
            of_kernel.insert(card.to_owned(), row(kernel));
        }
    }

    /// Returns the number of all kernels that a card compiled.
    pub fn compiled(&self, card: &str) -> Option<usize> {
        self.compiled.get(card).copied()
    }

    /// Reads a table from the JSON that [`Self::json`] returns.
    ///
    /// # Errors
    /// Fails if it is damaged.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).context("the committed table is damaged")
    }

    /// Returns the figures of a kernel, named with its constants, on a card: registers, waves,
    /// spills, scratch, shared memory, instructions, and if it has a hot loop that is read, the
    /// instructions, FFMA and loads of that. `None` if the table lacks them.
    pub fn row(&self, kernel: &str, card: &str) -> Option<&[u64]> {
        Some(self.kernels.get(kernel)?.get(card)?)
    }

    /// Returns the table as JSON with a line for each kernel.
    ///
    /// # Errors
    /// Fails if a part cannot be written as JSON, which does not happen.
    pub fn json(&self) -> Result<String> {
        let mut lines = Vec::new();
        for (kernel, cards) in &self.kernels {
            let (kernel, cards) = (serde_json::to_string(kernel)?, serde_json::to_string(cards)?);
            lines.push(format!("{kernel}: {cards}"));
        }
        Ok(format!(
            "{{\"mesa\": {},\n\"compiled\": {},\n\"columns\": {},\n\"kernels\": {{\n{}\n}}}}\n",
            serde_json::to_string(&self.mesa)?,
            serde_json::to_string(&self.compiled)?,
            serde_json::to_string(&self.columns)?,
            lines.join(",\n")
        ))
    }

    /// Returns the table as a page of Markdown, for people.
    pub fn markdown(&self) -> String {
        let mut text = format!("{HEAD}they are of Mesa {}. {NOTES}", self.mesa);
        text += "| card | kernels of the steps | with those of `verify` | that spill |\n\
                 |---|--:|--:|--:|\n";
        for (card, compiled) in &self.compiled {
            let rows: Vec<_> = self.kernels.values().filter_map(|of| of.get(card)).collect();
            let spill = rows.iter().filter(|row| row[2] > 0).count();
            let _ = writeln!(text, "| {card} | {} | {compiled} | {spill} |", rows.len());
        }
        text += "\n## Hot loops\n\nThe innermost loop with the most FFMA, of the version with the \
                 largest share of them; NVIDIA's alone are read. One load from shared memory takes \
                 the time of four FFMA.\n\n| card | kernel | instructions | FFMA | share | loads from \
                 memory per FFMA | from shared memory |\n|---|---|--:|--:|--:|--:|--:|\n";
        for card in self.compiled.keys() {
            for (entry, rows) in self.entries(card) {
                let best = rows.iter().filter_map(|row| hot_loop(row)).max_by_key(HotLoop::share);
                let Some(hot) = best else { continue };
                let each = |loads: usize| loads as f64 / hot.ffma as f64;
                let _ = writeln!(
                    text,
                    "| {card} | {entry} | {} | {} | {}% | {:.2} | {:.2} |",
                    hot.instructions,
                    hot.ffma,
                    hot.share(),
                    each(hot.global_loads),
                    each(hot.shared_loads)
                );
            }
        }
        for card in self.compiled.keys() {
            let _ = write!(
                text,
                "\n## {card}\n\n| kernel | versions | registers | waves | spills | scratch | shared \
                 memory | instructions |\n|---|--:|--:|--:|--:|--:|--:|--:|\n"
            );
            for (entry, rows) in self.entries(card) {
                let most: Worst = |rows, n| rows.iter().map(|row| row[n]).max().unwrap_or(0);
                let least: Worst = |rows, n| rows.iter().map(|row| row[n]).min().unwrap_or(0);
                let worst = [most, least, most, most, most, most];
                let cells = worst.iter().enumerate().map(|(n, of)| of(&rows, n).to_string());
                let cells = cells.collect::<Vec<_>>().join(" | ");
                let _ = writeln!(text, "| {entry} | {} | {cells} |", rows.len());
            }
        }
        text
    }

    /// The rows of a card, by entry point.
    fn entries(&self, card: &str) -> BTreeMap<&str, Vec<&[u64]>> {
        let mut entries: BTreeMap<&str, Vec<&[u64]>> = BTreeMap::new();
        for (kernel, cards) in &self.kernels {
            if let Some(row) = cards.get(card).filter(|row| row.len() >= 6) {
                let entry = kernel.split(' ').next().unwrap_or_default();
                entries.entry(entry).or_default().push(row);
            }
        }
        entries
    }
}

fn row(of: &Figures) -> Vec<u64> {
    let mut row = vec![of.registers, of.waves, of.spills, of.scratch, of.shared, of.instructions];
    if let Some(hot) = of.hot_loop {
        let counts = [hot.instructions, hot.ffma, hot.global_loads, hot.shared_loads];
        row.extend(counts.map(|count| count as u64));
    }
    row
}

fn hot_loop(row: &[u64]) -> Option<HotLoop> {
    let &[instructions, ffma, global_loads, shared_loads] = row.get(6..)? else { return None };
    Some(HotLoop {
        instructions: instructions as usize,
        ffma: ffma as usize,
        global_loads: global_loads as usize,
        shared_loads: shared_loads as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::super::figures::Figures;
    use super::super::hot_loops::HotLoop;
    use super::Table;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let hot = HotLoop { instructions: 8, ffma: 4, global_loads: 0, shared_loads: 1 };
        let figures = Figures {
            kernel: "matmul.multiply SLICE=16".into(),
            registers: 32,
            waves: 8,
            spills: 0,
            scratch: 0,
            shared: 8_448,
            instructions: 500,
            hot_loop: Some(hot),
        };
        let other = Figures {
            kernel: "matmul.multiply SLICE=8".into(),
            registers: 24,
            waves: 6,
            hot_loop: None,
            ..figures.clone()
        };
        let mut table = Table::new("26".into());
        table.add("a card", 7, &[figures, other]);
        let json = table.json().expect("JSON");
        assert_eq!(Table::parse(&json).expect("it is whole"), table);
        let text = table.markdown();
        assert!(
            text.contains("| a card | matmul.multiply | 8 | 4 | 50% | 0.00 | 0.25 |"),
            "{text}"
        );
        assert!(text.contains("| matmul.multiply | 2 | 32 | 6 | 0 | 0 | 8448 | 500 |"), "{text}");
    }
}
