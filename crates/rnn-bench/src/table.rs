use super::TimedCase;
use super::measure::Ceilings;

/// Returns the head of the table of measurements, the names of its columns, without a line feed.
pub fn head() -> String {
    format!("{:36} {:>11} {:>9} {:>5} {:>8} {:>5}", "case", "ms", "GFLOP/s", "%", "GB/s", "%")
}

/// Returns the line of the table for a case, without a line feed: the time in milliseconds, the
/// arithmetic in GFLOP/s and the memory traffic in GB/s, both with their percentage of the ceiling.
/// A rate that is not counted is shown as `-`.
pub fn line(line: &TimedCase, ceilings: &Ceilings) -> String {
    let t = &line.timing;
    let flops = match t.flops {
        0 => format!("{:>9} {:>5}", "-", "-"),
        _ => format!("{:>9.1} {:>5.0}", t.gflops(), 100.0 * t.gflops() / ceilings.gflops),
    };
    let bytes = match t.bytes {
        0 => format!("{:>8} {:>5}", "-", "-"),
        _ => format!("{:>8.2} {:>5.0}", t.gbytes(), 100.0 * t.gbytes() / ceilings.gbytes),
    };
    format!("{:36} {:>11.3} {flops} {bytes}", line.name, 1e3 * t.seconds)
}
