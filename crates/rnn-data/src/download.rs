//! Files that are downloaded once and kept. A broken download can be resumed, and the length and
//! the digest of a file are checked.

use rnn_core::hex;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The time that a machine without a network waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// The time in which a server has to send [`LEAST`] bytes.
const SILENCE_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 20_000 });
/// A transfer that brings less is as good as silent.
const LEAST: u64 = 4096;
/// The interval at which a process looks whether another one has finished its download.
const GLANCE: Duration = Duration::from_millis(50);

/// A file on the web whose contents never change.
#[derive(Clone, Copy, Debug)]
pub struct Download {
    /// Address of the file.
    pub url: &'static str,
    /// SHA-256 of the file's contents, in hexadecimal digits of lower case.
    pub sha256: &'static str,
    /// Length of the file in bytes.
    pub bytes: u64,
}

/// The reason why a file could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No connection could be made, or the server refused the request or did not answer in time.
    #[error("cannot download {url}")]
    Network {
        /// The address.
        url: &'static str,
        /// The cause.
        source: Box<ureq::Error>,
    },
    /// The transfer broke off. What has arrived is kept for the next attempt.
    #[error("the download of {url} broke off after {have} bytes; run again to go on")]
    Broken {
        /// The address.
        url: &'static str,
        /// Number of bytes that have arrived and are kept.
        have: u64,
        /// The cause.
        source: io::Error,
    },
    /// The downloaded file has another length or digest than expected, and was deleted.
    #[error("{url} is not the file that was expected: {problem}; it was deleted")]
    Content {
        /// The address.
        url: &'static str,
        /// The difference from the expected file.
        problem: String,
    },
    /// A file or folder could not be created, written, read back, renamed or deleted.
    #[error("cannot write {}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl Download {
    /// Returns true if the file at `path` has the length and the digest of this file; false if it
    /// has not, or cannot be read.
    pub fn is_at(&self, path: &Path) -> bool {
        let long_enough = fs::metadata(path).is_ok_and(|m| m.len() == self.bytes);
        long_enough && digest(path).is_ok_and(|found| found == self.sha256)
    }

    /// Downloads the file to `path`, over what is there; missing folders are created. An earlier,
    /// broken transfer left in `path` with `.part` appended is continued; `progress` is called with
    /// the number of bytes that have arrived. Of several processes that fetch the same file, one does, and
    /// the others wait for it. If it fails, the next one goes on.
    ///
    /// # Errors
    /// Fails with [`DownloadError::Network`] if there is no connection, with
    /// [`DownloadError::Broken`] if the transfer breaks off, with [`DownloadError::Content`] if the
    /// contents are not those expected, and with [`DownloadError::Disk`] if a file or folder cannot
    /// be written. A file at `path` then stays as it was.
    pub fn fetch(&self, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), DownloadError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| DownloadError::Disk { path, source }
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(disk(folder))?;
        }
        let _alone = self.wait_for_others(path, &part, progress).map_err(disk(path))?;
        if self.is_at(path) {
            return Ok(());
        }
        self.transfer(&part, progress)?;
        let found = digest(&part).map_err(disk(&part))?;
        if found != self.sha256 {
            rnn_formats::remove_file(&part).map_err(disk(&part))?;
            let problem = format!("its SHA-256 is {found}, not {}", self.sha256);
            return Err(DownloadError::Content { url: self.url, problem });
        }
        rnn_formats::rename(&part, path).map_err(disk(path))
    }

    /// Waits until no other process fetches the file, and keeps others waiting until what it returns is
    /// dropped. How long that takes is bounded by the time that a server may be silent.
    fn wait_for_others(
        &self,
        path: &Path,
        part: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<File> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(name)?;
        // A file system without locks has no one wait.
        while let Err(TryLockError::WouldBlock) = lock.try_lock() {
            progress(fs::metadata(part).map_or(0, |m| m.len()).min(self.bytes));
            thread::sleep(GLANCE);
        }
        Ok(lock)
    }

    fn transfer(&self, part: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), DownloadError> {
        let url = self.url;
        let disk = |source| DownloadError::Disk { path: part.to_owned(), source };
        let mut have = fs::metadata(part).map_or(0, |m| m.len());
        if have == self.bytes {
            return Ok(());
        }
        let config = ureq::Agent::config_builder()
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .timeout_per_write(Some(SILENCE_TIMEOUT))
            .timeout_recv_response(Some(SILENCE_TIMEOUT));
        let mut request = config.build().new_agent().get(url);
        if have > 0 && have < self.bytes {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = request.call();
        let response = response.map_err(|e| DownloadError::Network { url, source: Box::new(e) })?;
        // A server may send the whole file although a part was asked for.
        let goes_on = response.status() == 206;
        if !goes_on {
            have = 0;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(goes_on)
            .truncate(!goes_on)
            .open(part)
            .map_err(disk)?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 << 10];
        let (mut since, mut mark) = (Instant::now(), have);
        loop {
            let broken = |source| DownloadError::Broken { url, have, source };
            let n = body.read(&mut buffer).map_err(broken)?;
            have += n as u64;
            if n == 0 && have < self.bytes {
                let source = io::ErrorKind::UnexpectedEof.into();
                return Err(DownloadError::Broken { url, have, source });
            }
            if have > self.bytes {
                drop(file);
                rnn_formats::remove_file(part).map_err(disk)?;
                let problem = format!("it has more than {} bytes", self.bytes);
                return Err(DownloadError::Content { url, problem });
            }
            if n == 0 {
                return file.sync_all().map_err(disk);
            }
            file.write_all(&buffer[..n]).map_err(disk)?;
            progress(have);
            if have - mark >= LEAST {
                (since, mark) = (Instant::now(), have);
            } else if since.elapsed() > SILENCE_TIMEOUT && have < self.bytes {
                let source = io::Error::new(io::ErrorKind::TimedOut, "it hardly moves");
                return Err(DownloadError::Broken { url, have, source });
            }
        }
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut HashWriter(&mut hasher))?;
    Ok(hex(&hasher.finalize()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
