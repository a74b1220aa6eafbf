use super::TimedCase;
use super::measure::Ceilings;

/// Prints the names of the columns.
pub fn head() {
    println!("{:36} {:>11} {:>9} {:>5} {:>8} {:>5}", "case", "ms", "GFLOP/s", "%", "GB/s", "%");
}

/// Prints the figures of a case; shares are those of the ceilings.
pub fn line(line: &TimedCase, ceilings: &Ceilings) {
    let t = &line.timing;
    print!("{:36} {:>11.3}", line.name, 1e3 * t.seconds);
    if t.flops > 0 {
        let share = 100.0 * t.gflops() / ceilings.gflops;
        print!(" {:>9.1} {:>5.0}", t.gflops(), share);
    } else {
        print!(" {:>9} {:>5}", "-", "-");
    }
    match t.bytes {
        0 => println!(" {:>8} {:>5}", "-", "-"),
        _ => println!(" {:>8.2} {:>5.0}", t.gbytes(), 100.0 * t.gbytes() / ceilings.gbytes),
    }
}
