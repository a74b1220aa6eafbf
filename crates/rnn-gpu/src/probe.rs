//! Whether this machine's GPU drivers can be asked for their adapters. A driver that crashes meanwhile, or
//! never answers, would take a command with it that may not even want a GPU. A child process asks first,
//! and the answer is remembered for as long as the drivers stay the same.

use rnn::formats::write_atomically;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use std::{env, io};

/// The time in which drivers have to list their adapters.
const PATIENCE: Duration = Duration::from_secs(15);

/// The time for which a bad answer is remembered: a machine that was too busy may not be any more.
const DOUBTFUL: Duration = Duration::from_secs(600);

/// Set for the child, which asks the drivers itself.
const CHILD: &str = "RNN_GPU_ASKS_DRIVERS";

/// The variables that decide which drivers the Vulkan loader finds, besides those that begin with VK_.
const VARIABLES: [&str; 4] = ["XDG_DATA_DIRS", "XDG_DATA_HOME", "XDG_CONFIG_DIRS", "HOME"];

/// Where drivers are registered on Linux, and which cards there are.
const FOLDERS: [&str; 6] = [
    "/usr/share/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/share/vulkan/implicit_layer.d",
    "/etc/vulkan/implicit_layer.d",
    "/dev/dri",
];

/// Finds out whether the drivers can be asked. Only the first call for a set of drivers takes time.
///
/// # Errors
/// Fails with the reason if they crash or do not answer.
pub fn drivers() -> Result<(), String> {
    if env::var_os(CHILD).is_some() {
        return Ok(());
    }
    let file = rnn::cache::of_devices().map(|folder| folder.with_file_name("drivers"));
    let known = fingerprint();
    if let Some(answer) = file.as_deref().and_then(|file| remembered(file, known)) {
        return answer;
    }
    let answer = ask();
    if let Some(file) = file {
        let text = format!("{known:016x} {}", answer.as_ref().err().map_or("", String::as_str));
        let made = file.parent().map_or(Ok(()), fs::create_dir_all);
        // What is not remembered is asked again.
        let _ = made.map(|()| write_atomically(&file, |file| file.write_all(text.as_bytes())));
    }
    answer
}

/// The answer in a file, if it is of the same drivers and not in doubt.
fn remembered(file: &Path, known: u64) -> Option<Result<(), String>> {
    let text = fs::read_to_string(file).ok()?;
    let (of, why) = text.split_once(' ')?;
    let age = || SystemTime::now().duration_since(fs::metadata(file).ok()?.modified().ok()?).ok();
    match u64::from_str_radix(of, 16) == Ok(known) {
        true if why.is_empty() => Some(Ok(())),
        true if age()? < DOUBTFUL => Some(Err(why.to_owned())),
        _ => None,
    }
}

/// Lists the devices in a child process.
fn ask() -> Result<(), String> {
    let Ok(program) = env::current_exe() else { return Ok(()) };
    let mut command = Command::new(program);
    command.arg("devices").env(CHILD, "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Where no process can be had, the drivers are asked as ever.
    let Ok(mut child) = command.spawn() else { return Ok(()) };
    match waited(&mut child) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("a GPU driver crashes when it is asked ({status})")),
        Ok(None) => {
            // One that hangs within the system cannot be waited for.
            let _ = child.kill();
            let seconds = PATIENCE.as_secs();
            Err(format!("a GPU driver has not answered for {seconds} s"))
        }
        Err(_) => Ok(()),
    }
}

/// With what a process ends in time; `None` if it does not.
fn waited(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}

/// A number that changes with the drivers, this program and a restart of the machine.
fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut variables: Vec<_> = env::vars_os()
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            name.starts_with("VK_") || VARIABLES.contains(&&*name)
        })
        .collect();
    variables.sort();
    variables.hash(&mut hasher);
    fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default().hash(&mut hasher);
    let entries = FOLDERS.iter().flat_map(fs::read_dir).flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let named = variables.iter().filter(|(name, _)| name.to_string_lossy().starts_with("VK_"));
    files.extend(named.flat_map(|(_, value)| env::split_paths(value).collect::<Vec<_>>()));
    files.extend(env::current_exe());
    files.sort();
    for file in files {
        let stamp = fs::metadata(&file).ok().map(|data| (data.len(), data.modified().ok()));
        (file, stamp).hash(&mut hasher);
    }
    hasher.finish()
}
