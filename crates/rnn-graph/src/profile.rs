use crate::Cost;
use std::fmt;
use std::time::Duration;

/// Number, total time and total cost of all executions of one op.
#[derive(Clone, Debug, Default)]
pub struct ProfileRow {
    /// Name of the op.
    pub op: String,
    /// Number of executions.
    pub calls: u64,
    /// Total time of all executions.
    pub time: Duration,
    /// Total operations and bytes of all executions.
    pub cost: Cost,
}

/// Time spent by op, over one or more runs. It displays as a table with the columns op, calls, time
/// in milliseconds, share of the total in percent, GFLOP/s and GB/s.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// One row per op, in the order of their first execution until [`Profile::sorted`].
    pub rows: Vec<ProfileRow>,
}

impl Profile {
    /// Adds `calls` executions of an op, with their total time and total cost, to the op's row. The
    /// first call for an op adds the row. `cost` is that of all `calls` together.
    pub fn add(&mut self, op: &str, calls: u64, time: Duration, cost: Cost) {
        let row = match self.rows.iter_mut().position(|r| r.op == op) {
            Some(i) => &mut self.rows[i],
            None => {
                self.rows.push(ProfileRow { op: op.into(), ..ProfileRow::default() });
                let last = self.rows.len() - 1;
                &mut self.rows[last]
            }
        };
        row.calls += calls;
        row.time += time;
        row.cost += cost;
    }

    /// Returns the profile with its rows sorted by total time, the most expensive op first.
    pub fn sorted(mut self) -> Self {
        self.rows.sort_by_key(|r| std::cmp::Reverse(r.time));
        self
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: f64 = self.rows.iter().map(|r| r.time.as_secs_f64()).sum();
        writeln!(
            f,
            "{:<26} {:>8} {:>11} {:>6} {:>10} {:>8}",
            "op", "calls", "time ms", "%", "GFLOP/s", "GB/s"
        )?;
        for row in &self.rows {
            let s = row.time.as_secs_f64().max(1e-12);
            writeln!(
                f,
                "{:<26} {:>8} {:>11.3} {:>6.1} {:>10.2} {:>8.2}",
                row.op,
                row.calls,
                1e3 * s,
                100.0 * s / total.max(1e-12),
                row.cost.flops as f64 / s / 1e9,
                row.cost.bytes as f64 / s / 1e9
            )?;
        }
        Ok(())
    }
}
