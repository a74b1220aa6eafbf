//! Numbers that lie on a plane, as arrays and as tables, and a model that finds it.

use super::{Sandbox, npy_bytes};
use rnn_core::HostTensor;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

pub const ROWS: usize = 40;

/// Two features of each row.
pub fn features() -> Vec<[f32; 2]> {
    (0..ROWS).map(|i| [(i % 7) as f32 / 7.0, (i % 5) as f32 / 5.0]).collect()
}

/// The number that each row has.
pub fn label(of: &[f32; 2]) -> f32 {
    of[0] - 2.0 * of[1]
}

/// A table of these columns, of which `name` is text.
pub fn table(columns: &[&str], heading: bool) -> String {
    let mut text = if heading { columns.join(",") + "\n" } else { String::new() };
    for (index, of) in features().iter().enumerate() {
        let cell = |column: &&str| match *column {
            "a" => of[0].to_string(),
            "b" => of[1].to_string(),
            "y" => label(of).to_string(),
            "z" => (label(of) * 2.0).to_string(),
            _ => format!("row {index}"),
        };
        let _ = writeln!(text, "{}", columns.iter().map(cell).collect::<Vec<_>>().join(","));
    }
    text
}

/// A file of numbers of each row.
pub fn rows(of: impl Fn(&[f32; 2]) -> Vec<f32>) -> Vec<u8> {
    let values: Vec<f32> = features().iter().flat_map(of).collect();
    npy_bytes(HostTensor::from_f32([ROWS, values.len() / ROWS], values))
}

/// A model of one layer on both features.
pub fn dense(sandbox: &Sandbox, units: usize) -> String {
    let model = format!(
        "input.shape = [2]\ncompile = {{ loss = \"mse\", optimizer = \"adam\" }}\n\
         layer = [{{ type = \"Dense\", units = {units} }}]\n"
    );
    sandbox.write(&format!("dense{units}.toml"), model.as_bytes())
}

/// Two epochs of a model on these data.
pub fn train<'a>(model: &'a str, data: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu"];
    [&args[..], &["--epochs", "2"], more].concat()
}

/// A file of a run.
pub fn bytes(folder: &str, name: &str) -> Vec<u8> {
    fs::read(Path::new(folder).join(name))
        .unwrap_or_else(|error| panic!("{folder}/{name}: {error}"))
}

/// Both features of all rows, and their labels.
pub fn arrays() -> [(&'static str, Vec<u8>); 2] {
    [("x_train", rows(|of| of.to_vec())), ("y_train", rows(|of| vec![label(of)]))]
}
