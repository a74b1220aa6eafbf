//! Maps that are kept in files from run to run: a file that is damaged is passed over and replaced.

use crate::cache::replace;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    digest: String,
    choices: BTreeMap<String, T>,
}

/// No adapter has so many kernels.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// What was written, and is as it was.
pub fn read<T: Serialize + DeserializeOwned>(path: &Path) -> Option<BTreeMap<String, T>> {
    if fs::metadata(path).ok()?.len() > MAX_FILE_BYTES {
        return None;
    }
    let kept: Kept<T> = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (kept.digest == of_map(&kept.choices)).then_some(kept.choices)
}

/// Only later runs would miss the file: an error is of no account.
pub fn write<T: Serialize + Clone>(path: &Path, map: &BTreeMap<String, T>) {
    let kept = Kept { digest: of_map(map), choices: map.clone() };
    let text = serde_json::to_vec_pretty(&kept);
    let _ = text.map(|text| replace(path, &[&text]));
}

fn of_map<T: Serialize>(map: &BTreeMap<String, T>) -> String {
    digest(&serde_json::to_vec(map).unwrap_or_default())
}

/// SHA-256, in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
