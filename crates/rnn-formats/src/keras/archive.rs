//! `.keras`: a zip archive of `metadata.json`, `config.json` and `model.weights.h5`.

use super::{Format, KERAS_VERSION, KerasFile, Problem, json, variables};
use crate::budget;
use crate::hdf5;
use serde_json::{Value, json as object};
use std::io::{Cursor, Read, Write};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const METADATA: &str = "metadata.json";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
/// The files of an archive.
pub(super) const MEMBERS: [&str; 3] = [METADATA, CONFIG, WEIGHTS];
/// The key of the arguments of `compile` in `config.json`.
const COMPILE: &str = "compile_config";

pub(super) fn parse(bytes: &[u8]) -> Result<KerasFile, Problem> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let size = bytes.len() as u64;
    let limit = budget::unpacked(size);
    let mut member = |name: &'static str| unpack(&mut archive, name, limit);
    let members = [member(METADATA)?, member(CONFIG)?, member(WEIGHTS)?];
    assemble(members, Some((size, limit)))
}

/// Reads the [`MEMBERS`] of an archive. `bounds` are the size of the archive and what it may unpack
/// to; members that were not packed have their own sizes.
pub(super) fn assemble(
    [metadata, config, weights]: [Vec<u8>; 3],
    bounds: Option<(u64, u64)>,
) -> Result<KerasFile, Problem> {
    let own = [&metadata, &config, &weights].map(|member| member.len() as u64).iter().sum();
    let (size, limit) = bounds.unwrap_or((own, budget::unpacked(own)));
    let mut config = json(CONFIG, &config, size)?;
    let metadata = json(METADATA, &metadata, size)?;
    let compile = config.as_object_mut().and_then(|config| config.remove(COMPILE));
    Ok(KerasFile {
        format: Format::Keras,
        version: metadata["keras_version"].as_str().map(str::to_owned),
        config: Some(config),
        compile: compile.filter(|compile| !compile.is_null()),
        ..variables::parse(hdf5::parse_within(weights, limit)?)?
    })
}

fn unpack(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Problem> {
    let Some(index) = archive.index_for_name(name) else {
        let names: Vec<_> = archive.file_names().take(8).collect();
        return Err(Problem::Member(format!(
            "the archive holds no {name}, but {}; save the model with Keras 3 as one .keras file",
            names.join(", ")
        )));
    };
    let entry = archive.by_index(index)?;
    // The buffer grows with what is actually unpacked, not with what the archive announces.
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes).map_err(ZipError::Io)?;
    if bytes.len() as u64 > limit {
        return Err(Problem::Member(format!(
            "{name} unpacks to too much for the size of the archive; save the model again"
        )));
    }
    Ok(bytes)
}

pub(super) fn to_bytes(file: &KerasFile) -> Result<Vec<u8>, Problem> {
    let mut config = file.config.clone().ok_or_else(|| {
        Problem::Member("a .keras file needs the model's configuration; write .weights.h5".into())
    })?;
    config[COMPILE] = file.compile.clone().unwrap_or(Value::Null);
    let version = file.version.as_deref().unwrap_or(KERAS_VERSION);
    let metadata = object!({ "keras_version": version });
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Stored, as Keras does it: it reads the weights without unpacking them.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [
        (METADATA, metadata.to_string().into_bytes()),
        (CONFIG, config.to_string().into_bytes()),
        (WEIGHTS, variables::to_bytes(file)?),
    ] {
        let options = options.large_file(bytes.len() > u32::MAX as usize);
        zip.start_file(name, options)?;
        zip.write_all(&bytes).map_err(ZipError::Io)?;
    }
    Ok(zip.finish()?.into_inner())
}
