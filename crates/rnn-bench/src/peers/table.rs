use super::{Comparison, Outcome, Peer, Row};
use std::fmt::Write as _;

/// Returns the comparison as Markdown: a table of the fastest variants with ratios, and below it
/// one of every variant of every peer.
pub fn markdown(comparison: &Comparison) -> String {
    let Comparison { date, version, device, processor, quick, steps } = comparison;
    let names = comparison.peers();
    let mut text = format!("# rnn-gpu and its peers, {date}\n\n");
    let small = if *quick { " of reviews of 100 tokens, or of videos," } else { "" };
    let _ = write!(
        text,
        "rnn-gpu {version} on {device}; the machine's processor: {processor}. {}. Milliseconds of a \
         step{small}: medians, of rnn-gpu the mean of two, measured before the peers and after \
         them. Of a peer the fastest variant on the same kind of device; the ratio is the fastest \
         peer's time by rnn-gpu's.\n\n",
        versions(steps).join("; "),
    );
    let _ = writeln!(text, "| step | batch | rnn-gpu | {} | ratio |", names.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(names.len() + 4));
    for row in steps {
        let _ = write!(text, "| {} | {} | {} |", row.name(), row.batch, ms(row.seconds()));
        for name in &names {
            let _ = match row.fastest(Some(name)) {
                Some((peer, seconds)) => write!(text, " {} ({}) |", ms(seconds), peer.variant),
                None => write!(text, " - |"),
            };
        }
        let _ = match row.fastest(None) {
            Some((_, seconds)) => writeln!(text, " {:.2} |", seconds / row.seconds()),
            None => writeln!(text, " - |"),
        };
    }
    text += "\n## Every variant\n\n| step | peer | variant | ms | ratio | remark |\n";
    text += "|---|---|---|---|---|---|\n";
    for row in steps {
        let [before, after] = row.ours.map(ms);
        let _ = writeln!(text, "| {} | rnn-gpu | | {before}, {after} | 1 | |", row.name());
        row.peers.iter().for_each(|peer| line(&mut text, row, peer));
    }
    text
}

fn line(text: &mut String, row: &Row, Peer { name, variant, outcome }: &Peer) {
    let _ = write!(text, "| {} | {name} | {variant} | ", row.name());
    let _ = match outcome {
        Outcome::Timed(timed) => {
            let ratio = timed.seconds / row.seconds();
            let elsewhere = if timed.comparable { "" } else { &timed.device };
            writeln!(text, "{} | {ratio:.2} | {elsewhere} |", ms(timed.seconds))
        }
        Outcome::Failed(error) => {
            writeln!(text, "failed | - | {} |", error.replace(['|', '\n'], " "))
        }
    };
}

fn versions(steps: &[Row]) -> Vec<String> {
    let mut all = Vec::new();
    for peer in steps.iter().flat_map(|row| &row.peers) {
        if let Outcome::Timed(timed) = &peer.outcome {
            let version = format!("{} on {}", timed.peer, timed.device);
            if !all.contains(&version) {
                all.push(version);
            }
        }
    }
    all
}

/// Three digits at least.
fn ms(seconds: f64) -> String {
    let ms = 1e3 * seconds;
    let decimals = if ms < 10.0 { 2 } else { usize::from(ms < 100.0) };
    format!("{ms:.decimals$}")
}
