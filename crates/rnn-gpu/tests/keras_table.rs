//! docs/keras.md says which layers, arguments, losses, optimizers and schedules of Keras are read: it is
//! made by reading them. `UPDATE_EXPECT=1` writes it anew. `tests/interchange/surface.py` and
//! `arguments.py` say what Keras has.

use expect_test::expect_file;
use rnn::nn::{Architecture, Compile, ConfigError, Dialect, Model};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt::Write;

const SURFACE: &str = include_str!("../../../tests/interchange/files/surface.json");
const ARGUMENTS: &str = include_str!("../../../tests/interchange/files/arguments.json");

/// Arguments that every class has.
const COMMON: [&str; 5] = ["activity_regularizer", "trainable", "dtype", "autocast", "name"];

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn list(of: &Value) -> &[Value] {
    of.as_array().map_or(&[], Vec::as_slice)
}

/// An error with its causes, in one cell of a table.
fn said(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ").replace('|', "\\|").replace('\n', " ")
}

/// The model of a case, which is that of the layer's default where the case has none.
fn model(case: &Value, default: &Value) -> Result<Model, ConfigError> {
    let described = case.get("model").unwrap_or(&default["model"]);
    Architecture::from_json(described, Some("3.15.1"))?.model(1)
}

/// A value, or the class of an object.
fn shown(value: &Value) -> &Value {
    match list(value) {
        [class @ Value::String(_), Value::Object(_)] => class,
        _ => value.get("class_name").unwrap_or(value),
    }
}

/// Names in order, without repetitions, as code.
fn names(all: impl IntoIterator<Item = String>) -> String {
    let mut unique: Vec<String> = Vec::new();
    for name in all {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    let quoted: Vec<String> = unique.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The cases of a layer: its default, and one for each other value of an argument.
fn cases_of<'a>(cases: &'a [Value], layer: &str) -> &'a [Value] {
    let begins = |case: &Value| case["layer"] == layer && case["argument"].is_null();
    let Some(first) = cases.iter().position(begins) else { return &[] };
    let rest = &cases[first + 1..];
    let end = rest.iter().position(|case| case["argument"].is_null()).unwrap_or(rest.len());
    &cases[first..=first + end]
}

fn layer(out: &mut String, name: &str, cases: &[Value]) -> std::fmt::Result {
    let (mut read, mut refused) = (Vec::new(), Vec::new());
    // What Keras refuses itself has its message.
    for case in cases[1..].iter().filter(|case| case.get("keras").is_none()) {
        let argument = case["argument"].as_str().unwrap_or_default().to_owned();
        if COMMON.contains(&argument.as_str()) {
            continue;
        }
        match model(case, &cases[0]) {
            Ok(_) => read.push(argument),
            Err(_) => refused.push(format!("{argument} = {}", shown(&case["value"]))),
        }
    }
    let onnx = match model(&cases[0], &cases[0]).map(|model| model.to_onnx()) {
        Ok(Ok(_)) => "yes".to_owned(),
        Ok(Err(error)) => said(&error),
        Err(error) => panic!("{name} is not read: {}", said(&error)),
    };
    writeln!(out, "| `{name}` | {} | {} | {onnx} |", names(read), names(refused))
}

fn layers(out: &mut String, surface: &Value) -> std::fmt::Result {
    let arguments = parsed(ARGUMENTS);
    let cases = list(&arguments["cases"]);
    let (mut without, all) = (Vec::new(), list(&surface["layers"]));
    for name in all.iter().filter_map(Value::as_str) {
        match cases_of(cases, name) {
            [] => without.push(name.to_owned()),
            cases => layer(out, name, cases)?,
        }
    }
    writeln!(out, "\nNot read: {}.", names(without))
}

/// A table of one family; `read` reads a description of it.
fn family(
    out: &mut String,
    all: &Value,
    read: impl Fn(&Value) -> Result<Compile, ConfigError>,
) -> std::fmt::Result {
    let mut without = Vec::new();
    for (name, cases) in all.as_object().expect("an object") {
        let (plain, others) = list(cases).split_first().expect("a description");
        if read(plain).is_err() {
            without.push(name.clone());
            continue;
        }
        let (mut fits, mut refused) = (Vec::new(), Vec::new());
        for case in others {
            let mut description = plain.clone();
            for (key, value) in case["config"].as_object().expect("an object") {
                description["config"][key] = value.clone();
            }
            let argument = case["argument"].as_str().unwrap_or_default().to_owned();
            if COMMON.contains(&argument.as_str()) {
                continue;
            }
            match read(&description) {
                Ok(_) => fits.push(argument),
                Err(_) => refused.push(argument),
            }
        }
        writeln!(out, "| `{name}` | {} | {} |", names(fits), names(refused))?;
    }
    match without.is_empty() {
        true => Ok(()),
        false => writeln!(out, "\nNot read: {}.", names(without)),
    }
}

fn compile(optimizer: &Value, loss: &Value) -> Result<Compile, ConfigError> {
    let value = json!({ "optimizer": optimizer, "loss": loss });
    Compile::from_json(&value, &["output"], Dialect::default())
}

fn table() -> Result<String, std::fmt::Error> {
    let surface = parsed(SURFACE);
    let mut out = String::new();
    writeln!(
        out,
        "# What is read of Keras\n\n\
         These tables were made by reading what Keras {} writes: each layer, loss, optimizer and schedule,\n\
         and each argument with a value that is not its default (`crates/rnn-gpu/tests/keras_table.rs`).\n\
         What is read is trained, too, and written back to `.keras` and `.h5`. What is not read is an error\n\
         that names it. `name` is read everywhere.\n\n\
         ## Layers\n\n\
         Every layer takes `trainable`, and `activity_regularizer` where Keras's does. A layer computes in single precision, whatever its `dtype` is.\n\n\
         | layer | arguments | not read | exported to ONNX |\n|---|---|---|---|",
        surface["keras"].as_str().unwrap_or_default(),
    )?;
    layers(&mut out, &surface)?;
    let head = "| | arguments | not read |\n|---|---|---|";
    writeln!(out, "\n## Losses\n\n{head}")?;
    family(&mut out, &surface["losses"], |loss| compile(&json!("Adam"), loss))?;
    writeln!(out, "\n## Optimizers\n\n{head}")?;
    family(&mut out, &surface["optimizers"], |optimizer| {
        compile(optimizer, &json!("mean_squared_error"))
    })?;
    writeln!(out, "\n## Schedules of the learning rate\n\n{head}")?;
    family(&mut out, &surface["schedules"], |schedule| {
        let adam = json!({ "class_name": "Adam", "config": { "learning_rate": schedule } });
        compile(&adam, &json!("mean_squared_error"))
    })?;
    Ok(out)
}

#[test]
fn the_table_says_what_is_read() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/keras.md");
    expect_file![file].assert_eq(&table().expect("a string takes all text"));
}
