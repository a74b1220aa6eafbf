//! GPU drivers that crash or hang when they are asked for their adapters: commands that can do without a
//! GPU do, those that asked for one say why there is none, and the answer is remembered.
#![cfg(target_os = "linux")]

mod common;

use common::{Sandbox, rnn_gpu, text};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A Vulkan driver that does this when it is loaded; `None` without a C compiler.
fn driver(sandbox: &Sandbox, name: &str, body: &str) -> Option<String> {
    let code = format!(
        "#include <stdlib.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void begin(void) {{ {body} }}\n\
         int vk_icdGetInstanceProcAddr;\n"
    );
    let source = sandbox.write(&format!("{name}.c"), code.as_bytes());
    let library = sandbox.path(&format!("{name}.so"));
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o", &library, &source]).status();
    if !compiled.is_ok_and(|status| status.success()) {
        rnn_testing::skip_outside_ci("no C compiler");
        return None;
    }
    let json = format!(
        "{{\"file_format_version\": \"1.0.0\", \"ICD\": {{\"library_path\": \"{library}\", \
         \"api_version\": \"1.3.0\"}}}}"
    );
    Some(sandbox.write(&format!("{name}.json"), json.as_bytes()))
}

fn run(sandbox: &Sandbox, driver: &str, args: &[&str]) -> Output {
    let mut command = rnn_gpu(args);
    command.env("VK_DRIVER_FILES", driver).env("VK_ICD_FILENAMES", driver);
    command.env("RNN_GPU_CACHE", sandbox.path("cache")).env("RNN_GPU_OFFLINE", "1");
    command.env_remove("RNN_GPU_NO_CACHE").env_remove("RNN_GPU_IMDB").stdin(Stdio::null());
    command.output().expect("it starts")
}

#[test]
fn a_driver_that_crashes_or_hangs_takes_no_command_with_it() {
    let sandbox = Sandbox::new();
    for (name, body, why) in [
        ("crash", "abort();", "a GPU driver crashes when it is asked"),
        ("hang", "for (;;) pause();", "a GPU driver has not answered"),
    ] {
        let Some(driver) = driver(&sandbox, name, body) else { return };
        let output = run(&sandbox, &driver, &["devices"]);
        let said = text(&output.stdout);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        assert!(said.starts_with("cpu") && said.contains(why), "{name}: {said}");
        let trained = sandbox.path(name);
        let begun = Instant::now();
        for args in [
            &[
                "train",
                "simple-rnn",
                "--length",
                "6",
                "--limit",
                "64",
                "--epochs",
                "1",
                "--out",
                &trained,
            ][..],
            &["predict", &trained, "--text", "a fine film"],
            &["evaluate", &trained],
        ] {
            let output = run(&sandbox, &driver, args);
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(output.status.success(), "{name}: {args:?}: {said}");
        }
        let output =
            run(&sandbox, &driver, &["predict", &trained, "--text", "x", "--device", "gpu"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(why), "{name}: {said}");
        // None of these asked again.
        assert!(begun.elapsed() < Duration::from_secs(12), "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_summary_draws_no_weights() {
    let sandbox = Sandbox::new();
    let file = sandbox.write(
        "large.toml",
        b"input.shape = [3, 4]\nlayer = [{ type = \"LSTM\", units = 15000 }]\n",
    );
    let begun = Instant::now();
    let output = rnn_gpu(&["summary", &file]).output().expect("it starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("900,300,000"), "{}", text(&output.stdout));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
