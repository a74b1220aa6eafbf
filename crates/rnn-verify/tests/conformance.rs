//! The contract of devices, a test for each rule and device.

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for (place, device) in rnn_testing::named_devices() {
        let device = Arc::new(device);
        for check in rnn_verify::conformance() {
            let device = device.clone();
            let run = move || check.run(&**device).map_err(Into::into);
            tests.push(Trial::test(format!("{}::{place}", check.name), run));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}
