//! Project tasks: `cargo xtask <task>`.

mod binary;
mod chroot;
mod dx12;
mod gpu_compilers;
mod gpu_forecast;
mod keras_live;
mod same_bits;
mod sanitize;
mod sbom;
mod tidy;
mod windows;
mod wine;

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;

/// Project tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Check what the compiler does not: layering, licences, file sizes, stray text
    Tidy,
    /// Run `rnn-gpu verify` with the given arguments
    #[command(disable_help_flag = true)]
    Verify {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Time the experiments' steps beside Keras's, PyTorch's and JAX's, and with --burn beside burn's,
    /// with the given arguments of `rnn-gpu bench --peers`; write tables and a picture to
    /// bench/results
    #[command(disable_help_flag = true)]
    BenchPeers {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Verify and time every device and its peers, and write a dated report to bench/results
    GpuReport,
    /// Train briefly with this tree and with another commit, and compare the weights bit for bit
    SameBits {
        /// The commit that this tree should train like
        #[arg(default_value = "HEAD")]
        commit: String,
    },
    /// Compare random models with Keras: outputs, losses, and three steps of training
    KerasLive(keras_live::Args),
    /// Compile all kernels with Mesa's drivers for cards that are not there, as root on Debian;
    /// write registers, spills and hot loops to bench/results
    GpuCompilers(gpu_compilers::Args),
    /// Work out the time of the experiments' steps on cards that are not there, from launches and
    /// compilers' figures; write docs/gpu-performance.md
    GpuForecast(gpu_forecast::Args),
    /// Build the Windows binary and run `verify --smoke` on its DX12 device under Wine, with
    /// Microsoft's shader compiler, as root on Debian
    Dx12,
    /// Run the tests of the Windows binary under Wine: locks, open files, names, paths, Ctrl-C
    Windows,
    /// Run the unsafe blocks under Miri and AddressSanitizer, with the nightly toolchain
    Sanitize,
    /// Write what `rnn-gpu` is built of to target/sbom, as a list in CycloneDX's format
    Sbom {
        /// The target triple of the build; without it, this machine's
        #[arg(long)]
        target: Option<String>,
    },
    /// Run every check, stopping at the first that fails
    Ci,
}

fn main() -> Result<ExitCode> {
    let task = Task::parse();
    let root = workspace_root()?;
    let code = match task {
        Task::Tidy => tidy(&root)?,
        Task::Verify { args } => rnn_gpu(&root, &["verify"], args)?,
        Task::BenchPeers { args } => rnn_gpu(&root, &["bench", "--peers=bench/peers"], args)?,
        Task::GpuReport => match cargo(&root, ["build", "--release", "-p", "rnn-gpu"])? {
            0 => script(&root, "xtask/gpu-report.sh")?,
            code => code,
        },
        Task::SameBits { commit } => same_bits::run(&root, Path::new(&cargo_path()), &commit)?,
        Task::KerasLive(args) => keras_live::run(&root, &args)?,
        Task::GpuCompilers(args) => {
            gpu_compilers::run(&root, Path::new(&cargo_path()), &args)?.code_alone()
        }
        Task::GpuForecast(args) => gpu_forecast::run(&root, Path::new(&cargo_path()), &args)?,
        Task::Dx12 => dx12::run(&root, Path::new(&cargo_path()))?.code_alone(),
        Task::Windows => windows::run(&root, Path::new(&cargo_path()))?.code_alone(),
        Task::Sanitize => sanitize::run(&root)?.code_alone(),
        Task::Sbom { target } => sbom::run(&root, target.as_deref())?.code_alone(),
        Task::Ci => ci(&root)?,
    };
    // Windows has wider exit codes than `ExitCode`; what does not fit is still a failure.
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// How a check ended that not every machine can make.
enum Outcome {
    /// It was made; the exit code.
    Ended(i32),
    /// Something is not to be had here; its name, and what that is.
    Skipped(String),
}

impl Outcome {
    /// The exit code of a check that was asked for by name, and has to be made.
    fn code_alone(self) -> i32 {
        match self {
            Self::Ended(code) => code,
            Self::Skipped(why) => {
                println!("SKIPPED {why}");
                1
            }
        }
    }

    /// The exit code of a check among others, which may be skipped.
    fn code_among(self, skipped: &mut Vec<String>) -> i32 {
        match self {
            Self::Ended(code) => code,
            Self::Skipped(why) => {
                skipped.push(why);
                0
            }
        }
    }
}

/// Runs the checks in order and returns the first exit code that is not 0. The last lines name the
/// checks that this machine could not make.
fn ci(root: &Path) -> Result<i32> {
    let mut skipped = Vec::new();
    let code = ci_steps(root, &mut skipped)?;
    skipped.iter().for_each(|why| println!("SKIPPED {why}"));
    Ok(code)
}

fn ci_steps(root: &Path, skipped: &mut Vec<String>) -> Result<i32> {
    const STEPS: [&str; 10] = [
        "fmt --all --check",
        "clippy --release --workspace --all-targets -- -D warnings",
        "xtask tidy",
        "deny check",
        "doc --release --no-deps --workspace",
        "test --release --workspace",
        "xtask keras-live",
        "xtask gpu-compilers",
        "xtask windows",
        "xtask dx12",
    ];
    for step in STEPS.into_iter().chain(distributed()?) {
        println!("$ cargo {step}");
        let code = match step {
            "xtask tidy" => tidy(root)?,
            "xtask keras-live" => keras_live::run(root, &keras_live::Args::ci())?,
            "xtask gpu-compilers" => {
                gpu_compilers::run(root, Path::new(&cargo_path()), &gpu_compilers::Args::ci())?
                    .code_among(skipped)
            }
            "xtask dx12" => dx12::run(root, Path::new(&cargo_path()))?.code_among(skipped),
            "xtask windows" => windows::run(root, Path::new(&cargo_path()))?.code_among(skipped),
            "deny check" => deny(root)?,
            _ => cargo(root, step.split(' '))?,
        };
        if code != 0 {
            return Ok(code);
        }
    }
    Ok(0)
}

/// Holds all packages to `deny.toml`, where cargo-deny is installed; to the known advisories where
/// their list can be had.
fn deny(root: &Path) -> Result<i32> {
    let quiet = |args: [&str; 2]| {
        let output = Command::new(cargo_path()).args(args).current_dir(root).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !quiet(["deny", "--version"]) {
        println!("SKIPPED cargo deny: it is not installed; tidy has read the licences");
        return Ok(0);
    }
    match cargo(root, ["deny", "check", "licenses", "bans", "sources"])? {
        0 if quiet(["deny", "fetch"]) => cargo(root, ["deny", "check", "advisories"]),
        0 => {
            println!("SKIPPED cargo deny check advisories: their list cannot be fetched");
            Ok(0)
        }
        code => Ok(code),
    }
}

/// The checks of what several ranks do together, where there is an MPI to build with; that there
/// is none is an error where `CI` is set, on the system that it is packaged for.
fn distributed() -> Result<impl Iterator<Item = &'static str>> {
    const STEPS: [&str; 2] = [
        "clippy --release -p rnn-gpu --features mpi --all-targets -- -D warnings",
        "test --release -p rnn-gpu --features mpi --test distributed",
    ];
    let there = Command::new("mpicc").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        ensure!(env::var_os("CI").is_none() || !cfg!(target_os = "linux"), "there is no mpicc");
        println!("SKIPPED distributed: no mpicc");
    }
    Ok(STEPS.into_iter().filter(move |_| there))
}

/// Prints what is untidy and returns 1 if anything is.
fn tidy(root: &Path) -> Result<i32> {
    let violations = tidy::check(root)?;
    for violation in &violations {
        println!("{violation}");
    }
    println!("tidy: {} violations", violations.len());
    Ok(i32::from(!violations.is_empty()))
}

/// Runs the `rnn-gpu` of this workspace and returns its exit code.
fn rnn_gpu(root: &Path, command: &[&str], args: Vec<OsString>) -> Result<i32> {
    let run = ["run", "--release", "-p", "rnn-gpu", "--"].iter().chain(command);
    cargo(root, run.map(OsString::from).chain(args))
}

/// Runs cargo in the workspace root and returns its exit code; 1 if a signal ended it. What
/// rustdoc warns of is an error.
fn cargo(root: &Path, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<i32> {
    cargo_with(root, args, [])
}

/// The same with variables of the environment.
fn cargo_with(
    root: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    variables: impl IntoIterator<Item = (String, OsString)>,
) -> Result<i32> {
    let status = Command::new(cargo_path())
        .args(args)
        .envs(variables)
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(root)
        .status()
        .context("cannot start cargo")?;
    Ok(status.code().unwrap_or(1))
}

/// Runs a shell script in the workspace root and returns its exit code; 1 if a signal ended it.
fn script(root: &Path, path: &str) -> Result<i32> {
    let status = Command::new("sh").arg(path).current_dir(root).status();
    Ok(status.with_context(|| format!("cannot start sh {path}"))?.code().unwrap_or(1))
}

/// The cargo that runs this task, so that one chosen as `cargo +toolchain` stays in use.
fn cargo_path() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn workspace_root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").context("run this task as `cargo xtask`")?;
    let root = Path::new(&package).parent().context("xtask lies outside a workspace")?;
    Ok(root.to_owned())
}
