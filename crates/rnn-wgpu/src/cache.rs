use crate::trusted;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a driver compiled in earlier runs, in a file for each adapter and driver: Vulkan's alone,
/// as no other API hands it out. The file is a digest and what follows from it; one that is
/// damaged, or of another driver, is passed over and replaced.
#[derive(Debug)]
pub(crate) struct Cache {
    pub raw: wgpu::PipelineCache,
    path: PathBuf,
    found: Option<Vec<u8>>,
}

const DIGEST_BYTES: usize = 32;
/// No driver makes so much of the kernels here.
const MAX_BYTES: u64 = 256 << 20;

impl Cache {
    /// That of an open device; none, where it has none.
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

    /// Writes what has been compiled, if that is more than was found. Only later runs would miss it:
    /// an error is of no account.
    pub fn save(&self) {
        let data = self.raw.get_data().filter(|data| self.found.as_ref() != Some(data));
        let _ = data.map(|data| replace(&self.path, &[&Sha256::digest(&data), &data]));
    }
}

/// Names an adapter with its driver.
pub(crate) fn driver_digest(info: &wgpu::AdapterInfo) -> String {
    let driver = Sha256::digest(format!("{} {} {}", info.name, info.driver, info.driver_info));
    driver.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What was written, and is as it was.
fn read(path: &Path) -> Option<Vec<u8>> {
    if fs::metadata(path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let mut bytes = fs::read(path).ok()?;
    let digest = bytes.get(..DIGEST_BYTES)?;
    (*digest == *Sha256::digest(&bytes[DIGEST_BYTES..])).then(|| bytes.split_off(DIGEST_BYTES))
}

/// Other runs find the whole old file or the whole new one.
pub(crate) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.persist(path)?;
    Ok(())
}
