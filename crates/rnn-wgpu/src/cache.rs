use crate::trusted;
use rnn_core::hex;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Pipelines that the driver compiled in earlier runs, stored in one file per adapter and driver.
/// Only Vulkan exports pipelines. The file is a SHA-256 digest followed by the driver's data. A
/// damaged file, or one of another driver, is ignored and replaced.
#[derive(Debug)]
pub(crate) struct Cache {
    /// The wgpu cache, to be passed to each compilation.
    pub raw: wgpu::PipelineCache,
    path: PathBuf,
    found: Option<Vec<u8>>,
}

const DIGEST_BYTES: usize = 32;
/// Upper bound on the file, far beyond the data of all kernels here.
const MAX_BYTES: u64 = 256 << 20;

impl Cache {
    /// Opens the file of compiled pipelines of an adapter and its driver in `folder`. A file that
    /// is missing or damaged is taken for an empty one. Returns `None` if the device supports no
    /// pipeline cache.
    pub fn open(adapter: &wgpu::Adapter, device: &wgpu::Device, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let info = adapter.get_info();
        let key = wgpu::util::pipeline_cache_key(&info)?;
        let path = folder.join(format!("{key}_{}.bin", driver_digest(&info)));
        let found = read(&path);
        let raw = trusted::pipeline_cache(device, found.as_deref());
        Some(Self { raw, path, found })
    }

    /// Writes the file if the driver's data differ from those that were read. Errors are ignored,
    /// since they only make later runs compile again.
    pub fn save(&self) {
        let data = self.raw.get_data().filter(|data| self.found.as_ref() != Some(data));
        let _ = data.map(|data| replace(&self.path, &[&Sha256::digest(&data), &data]));
    }
}

/// Returns a name for an adapter with its driver: 16 hexadecimal digits.
pub(crate) fn driver_digest(info: &wgpu::AdapterInfo) -> String {
    let driver = Sha256::digest(format!("{} {} {}", info.name, info.driver, info.driver_info));
    hex(&driver[..8])
}

/// Returns the data of the file, if its digest matches.
fn read(path: &Path) -> Option<Vec<u8>> {
    if fs::metadata(path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = fs::read(path).ok()?;
    let digest = bytes.get(..DIGEST_BYTES)?;
    (*digest == *Sha256::digest(&bytes[DIGEST_BYTES..])).then(|| bytes.split_off(DIGEST_BYTES))
}

/// Replaces a file atomically: other processes see the whole old file or the whole new one.
///
/// # Errors
/// Fails if the folder or the file cannot be written.
pub(crate) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.persist(path)?;
    Ok(())
}
