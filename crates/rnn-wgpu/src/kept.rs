//! Maps that are kept in JSON files from run to run. A damaged file is ignored and replaced.

use crate::cache::replace;
use rnn_core::hex;
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

/// Upper bound on a file, far beyond the entries of all kernels.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads the map in the file at `path`. Returns `None` if the file cannot be read or parsed,
/// exceeds 16 MiB, or does not match its digest.
pub fn read<T: Serialize + DeserializeOwned>(path: &Path) -> Option<BTreeMap<String, T>> {
    if fs::metadata(path).ok()?.len() > MAX_FILE_BYTES {
        return None;
    }
    let kept: Kept<T> = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (kept.digest == of_map(&kept.choices)).then_some(kept.choices)
}

/// Replaces the file at `path` by this map with its digest. Errors are ignored, since they only
/// make later runs measure again.
pub fn write<T: Serialize + Clone>(path: &Path, map: &BTreeMap<String, T>) {
    let kept = Kept { digest: of_map(map), choices: map.clone() };
    let text = serde_json::to_vec_pretty(&kept);
    let _ = text.map(|text| replace(path, &[&text]));
}

fn of_map<T: Serialize>(map: &BTreeMap<String, T>) -> String {
    digest(&serde_json::to_vec(map).unwrap_or_default())
}

/// Returns the SHA-256 digest of the bytes as 64 lower-case hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
