//! Prints the launches of the experiments' steps as JSON with a line for each:
//! `cargo run --release -p rnn-bench --example launches`.

fn main() -> anyhow::Result<()> {
    let mut steps = Vec::new();
    for step in rnn_bench::launches::all()? {
        let mut head = serde_json::to_value(&step)?;
        let launches = step.launches.iter().map(serde_json::to_string);
        let launches = launches.collect::<Result<Vec<_>, _>>()?;
        if let Some(head) = head.as_object_mut() {
            head.remove("launches");
        }
        let head = head.to_string();
        let head = head.trim_end_matches('}');
        steps.push(format!("{head},\"launches\":[\n{}\n]}}", launches.join(",\n")));
    }
    println!("[{}]", steps.join(",\n"));
    Ok(())
}
