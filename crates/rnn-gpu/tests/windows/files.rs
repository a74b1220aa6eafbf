//! Files that other programs hold open while they are to be replaced.

use super::common::line::{arrays, bytes, dense, train};
use super::common::{Sandbox, assert_names, contents, failure, rnn_gpu, success, text};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};

/// Opens a file as most programs do: others may read and write it, but not replace or remove it.
pub fn hold(path: &Path) -> io::Result<File> {
    File::options().read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE).open(path)
}

fn trained(sandbox: &Sandbox) -> String {
    let (model, run) = (dense(sandbox, 1), sandbox.path("run"));
    let data = sandbox.npz("d.npz", &arrays());
    success(&train(&model, &data, &run, &[]));
    run
}

fn litter(folder: &str) -> Vec<String> {
    contents(folder).into_keys().filter(|name| name.ends_with(".tmp")).collect()
}

#[test]
fn a_file_that_is_held_for_a_moment_is_waited_for() {
    let sandbox = Sandbox::new();
    let run = trained(&sandbox);
    let held = hold(&Path::new(&run).join("results.json")).expect("it is there");
    let holder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1500));
        drop(held);
    });
    success(&["evaluate", &run, "--device", "cpu"]);
    holder.join().expect("it sleeps");
    assert_eq!(litter(&run), [""; 0]);
}

#[test]
fn a_file_that_stays_held_keeps_its_contents() {
    let sandbox = Sandbox::new();
    let run = trained(&sandbox);
    let [keras, y] = ["m.keras", "y.npy"].map(|name| sandbox.path(name));
    let x = sandbox.write("x.npy", &arrays()[0].1);
    let export = ["export", &run, "--to", &keras];
    let predict = ["predict", &run, "--input", &x, "--output", &y, "--device", "cpu"];
    success(&export);
    success(&predict);
    let results = sandbox.path(r"run\results.json");
    for (file, command) in
        [(&results, &["evaluate", &run, "--device", "cpu"][..]), (&keras, &export), (&y, &predict)]
    {
        fs::write(file, "of before").expect("it is writable");
        let mut held = hold(Path::new(file)).expect("it is there");
        let message = failure(command);
        assert_names(&message, &["cannot write", file, "no other program has it open"]);
        let mut before = String::new();
        held.read_to_string(&mut before).expect("text");
        assert_eq!(
            (before.as_str(), &fs::read(file).expect("it")[..]),
            ("of before", &b"of before"[..])
        );
        drop(held);
        success(command);
        assert_ne!(fs::read(file).expect("it"), b"of before");
    }
    assert_eq!(litter(&sandbox.path("")), [""; 0]);
}

/// Programs may also open files so that they can be replaced, as this one does. Windows 10 then replaces
/// them; Wine does not.
#[test]
fn a_file_that_is_held_with_leave_is_replaced_or_keeps_its_contents() {
    let sandbox = Sandbox::new();
    let run = trained(&sandbox);
    let path = Path::new(&run).join("results.json");
    fs::write(&path, "of before").expect("it is writable");
    let mut held = File::open(&path).expect("it is there");
    let output = rnn_gpu(&["evaluate", &run, "--device", "cpu"]).output().expect("it starts");
    let mut before = String::new();
    held.read_to_string(&mut before).expect("it is open");
    assert_eq!(before, "of before");
    let replaced = bytes(&run, "results.json") != b"of before";
    assert_eq!(replaced, output.status.success(), "{}", text(&output.stderr));
    assert_eq!(litter(&run), [""; 0]);
}
