use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The error that a passed check measured, and the largest error that it allows. Both are relative
/// and have no unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The worst error, as [`crate::compare`] defines it; 0 if the check measures none.
    pub error: f64,
    /// The largest error that would have passed.
    pub tolerance: f64,
}

/// The reason for which a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPassed {
    /// The result is wrong; the text says what differs.
    #[error("{0}")]
    Failed(String),
    /// The check could not run here; the text says why.
    #[error("skipped: {0}")]
    Skipped(String),
}

impl From<String> for NotPassed {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// The kind of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// An op on a device, against its f64 reference.
    Kernel,
    /// The gradient of an op's reference, against finite differences.
    Gradient,
    /// A shader, validated and translated.
    Shader,
    /// A planted mistake, which the checks above must find.
    Control,
    /// Training steps of a whole model on a device, against the CPU device.
    Training,
    /// The kernels of an op, or of a step of a whole model, compiled for a device.
    Compilation,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernel => "kernel",
            Self::Gradient => "gradient",
            Self::Shader => "shader",
            Self::Control => "control",
            Self::Training => "training",
            Self::Compilation => "compilation",
        })
    }
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The check passed.
    Passed(Measured),
    /// Something is wrong.
    Failed {
        /// The difference from what should be.
        reason: String,
    },
    /// The check could not be made.
    Skipped {
        /// The reason.
        reason: String,
    },
}

/// The op and the configuration that a check is about.
#[derive(Clone, Debug, Default)]
pub struct Subject<'a> {
    /// Name of the op, shader or model.
    pub op: &'a str,
    /// Name of the configuration.
    pub case: &'a str,
    /// Types of its operands, separated by blanks; empty if there are none to name.
    pub sizes: String,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.case)?;
        if !self.sizes.is_empty() {
            write!(f, " ({})", self.sizes)?;
        }
        Ok(())
    }
}

/// One check with its outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The kind of the check.
    pub section: Section,
    /// Name of the device, shader language or tool that it ran on.
    pub target: String,
    /// Name of the op, shader or model.
    pub op: String,
    /// Name of the configuration.
    pub case: String,
    /// Types of its operands, separated by blanks; empty if there are none to name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sizes: String,
    /// The outcome of the check.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, target, op, case, sizes, outcome } = self;
        let subject = Subject { op, case, sizes: sizes.clone() };
        match outcome {
            Outcome::Passed(Measured { error, .. }) => {
                write!(f, "ok    {section} {subject} [{target}]: error {error:.1e}")
            }
            Outcome::Failed { reason } => {
                write!(f, "FAIL  {section} {subject} [{target}]: {reason}")
            }
            Outcome::Skipped { reason } => {
                write!(f, "skip  {section} {subject} [{target}]: {reason}")
            }
        }
    }
}

/// All checks of one verification.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The checks, in the order in which they ran.
    pub checks: Vec<Check>,
}

impl Report {
    /// Adds a check with its result at the end of the report, whether it passed or not, and returns
    /// the check.
    pub fn add(
        &mut self,
        section: Section,
        target: &str,
        Subject { op, case, sizes }: Subject<'_>,
        result: Result<Measured, NotPassed>,
    ) -> &Check {
        let outcome = match result {
            Ok(measured) => Outcome::Passed(measured),
            Err(NotPassed::Failed(reason)) => Outcome::Failed { reason },
            Err(NotPassed::Skipped(reason)) => Outcome::Skipped { reason },
        };
        let (target, op, case) = (target.to_owned(), op.to_owned(), case.to_owned());
        self.checks.push(Check { section, target, op, case, sizes, outcome });
        &self.checks[self.checks.len() - 1]
    }

    /// Returns the numbers of checks that passed, failed and were skipped, in this order.
    pub fn counts(&self) -> [usize; 3] {
        self.checks.iter().fold([0; 3], |mut counts, check| {
            counts[match check.outcome {
                Outcome::Passed(_) => 0,
                Outcome::Failed { .. } => 1,
                Outcome::Skipped { .. } => 2,
            }] += 1;
            counts
        })
    }
}

/// The checks of one op on one target.
#[derive(Default)]
struct Row {
    passed: usize,
    failed: usize,
    skipped: usize,
    error: f64,
    share: f64,
}

/// A line for each section, target and op, then skips and failures by name, then the sum.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: BTreeMap<(Section, &str, &str), Row> = BTreeMap::new();
        for check in &self.checks {
            let row = rows.entry((check.section, &check.target, &check.op)).or_default();
            match check.outcome {
                Outcome::Passed(Measured { error, tolerance }) => {
                    row.passed += 1;
                    row.error = row.error.max(error);
                    row.share = row.share.max(error / tolerance);
                }
                Outcome::Failed { .. } => row.failed += 1,
                Outcome::Skipped { .. } => row.skipped += 1,
            }
        }
        let mut heading = None;
        for ((section, target, op), row) in rows {
            if heading != Some((section, target)) {
                heading = Some((section, target));
                writeln!(f, "\n{section}s: {target}")?;
                writeln!(
                    f,
                    "  {:<30} {:>6} {:>6} {:>7} {:>11} {:>11}",
                    "op", "passed", "failed", "skipped", "worst error", "% tolerance"
                )?;
            }
            write!(f, "  {op:<30} {:>6} {:>6} {:>7}", row.passed, row.failed, row.skipped)?;
            match row.share > 0.0 {
                true => writeln!(f, " {:>11.1e} {:>11.1}", row.error, 100.0 * row.share)?,
                false => writeln!(f)?,
            }
        }
        writeln!(f)?;
        for check in self.checks.iter().filter(|c| !matches!(c.outcome, Outcome::Passed(_))) {
            writeln!(f, "{check}")?;
        }
        let [passed, failed, skipped] = self.counts();
        writeln!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::{Measured, NotPassed, Report, Section, Subject};

    #[test]
    fn the_table_counts_and_names() {
        let mut report = Report::default();
        let mut add = |case: &str, result| {
            let subject = Subject { op: "matmul", case, sizes: "f32[2x3]".into() };
            report.add(Section::Kernel, "gpu", subject, result);
        };
        add("small", Ok(Measured { error: 1e-6, tolerance: 1e-5 }));
        add("large", Err(NotPassed::Failed("element 3 is NaN".into())));
        add("huge", Err(NotPassed::Skipped("too large for the device".into())));
        let text = report.to_string();
        for part in [
            "kernels: gpu",
            "1      1       1      1.0e-6        10.0",
            "FAIL  kernel large (f32[2x3]) [gpu]: element 3 is NaN",
            "skip  kernel huge (f32[2x3]) [gpu]: too large for the device",
            "1 passed, 1 failed, 1 skipped",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
