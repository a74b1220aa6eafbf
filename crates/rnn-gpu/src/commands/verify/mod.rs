//! The command `rnn-gpu verify`.

mod told;

use super::submission::SubmissionArgs;
use crate::process::{open_devices, open_to_verify};
use anyhow::{Context, Result, bail};
use rnn::device;
use rnn_formats::write_atomically;
use rnn_graph::{Device, DeviceKind};
use rnn_ops::Tier;
use rnn_run::outputs;
use rnn_verify::Verification;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use told::Told;

/// The arguments of `rnn-gpu verify`.
#[derive(clap::Args)]
pub struct VerifyArgs {
    /// Leave out the large cases
    #[arg(long, conflicts_with = "full")]
    smoke: bool,
    /// Check the sizes that people train, too, and training steps of the five experiments against
    /// the CPU device: minutes
    #[arg(long)]
    full: bool,
    /// Compile the kernels of all ops, and of the steps of the five experiments, and run nothing
    #[arg(long)]
    compile_only: bool,
    /// Check only what has TEXT in its op's name or its case's
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Check this device only: cpu, gpu, gpu:N or part of a name [default: all]
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    submission: SubmissionArgs,
    /// Print a line for every check, not only for those that fail
    #[arg(short, long)]
    verbose: bool,
    /// Print the report as JSON, or write it to FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl VerifyArgs {
    fn tier(&self) -> Tier {
        match self {
            Self { smoke: true, .. } => Tier::Smoke,
            Self { full: true, .. } => Tier::Full,
            _ => Tier::Standard,
        }
    }

    /// The devices asked for; those to compile for are GPUs.
    fn devices(&self) -> Result<Vec<Box<dyn Device>>> {
        let devices = match (&self.device, self.compile_only) {
            (Some(choice), false) => vec![open_to_verify(choice)?],
            (Some(choice), true) => vec![device::open_to_compile(choice)?],
            (None, false) => open_devices()?,
            (None, true) => device::open_all_to_compile()?,
        };
        if self.compile_only && devices.iter().all(|device| device.info().kind == DeviceKind::Cpu) {
            bail!("the CPU device compiles no kernels, and no GPU was chosen or found");
        }
        Ok(devices)
    }

    fn wants(&self, names: [&str; 2]) -> bool {
        let holds = |text: &String| names.iter().any(|name| name.contains(text.as_str()));
        self.filter.as_ref().is_none_or(holds)
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Checks the ops, gradients and shaders that the arguments choose, all by default, on the chosen
/// devices, and checks that planted mistakes are found. With `--compile-only` it compiles the
/// kernels and runs none. The table goes to standard output, or JSON if no file is named for it;
/// progress and failures go to standard error.
///
/// # Errors
/// Fails if a device cannot be opened, a check fails, no check has the name that was asked for,
/// there is no GPU to compile kernels for, or the report cannot be written.
pub fn run(args: &VerifyArgs) -> Result<()> {
    if let Some(path) = args.json.as_deref().filter(|path| !is_stdout(path)) {
        outputs::check(path)?;
    }
    args.submission.apply();
    let devices = args.devices()?;
    let mut cases = args.tier().cases();
    cases.retain(|case| args.wants([case.op.name(), &case.name]));
    let mut trainings = match args.tier() {
        Tier::Full if !args.compile_only => rnn_bench::training::all(&devices),
        _ => vec![],
    };
    trainings.retain(|training| args.wants([training.name(), "training"]));
    let mut steps = match args.compile_only {
        true => rnn_bench::compilation::all(&devices),
        false => vec![],
    };
    steps.retain(|step| args.wants([step.name(), "experiment"]));
    let nothing = cases.is_empty() && trainings.is_empty() && steps.is_empty();
    if let Some(text) = args.filter.as_ref().filter(|_| nothing) {
        bail!("no op or case of this tier has {text:?} in its name");
    }
    let mut told = Told::new(args.verbose);
    let mut observe = |event: rnn_verify::Event<'_>| told.show(&event);
    let mut verification = Verification::new(trainings.len() + steps.len(), &mut observe);
    match args.compile_only {
        true => verification.compilations(&cases, &devices),
        false => verification.cases(&cases, &devices),
    }
    trainings.iter().for_each(|training| training.run(&mut verification));
    steps.iter().for_each(|step| step.run(&mut verification));
    let report = verification.report();
    told.end();
    let json = || serde_json::to_string_pretty(&report).context("cannot write the report as JSON");
    match &args.json {
        Some(path) if is_stdout(path) => println!("{}", json()?),
        Some(path) => {
            print!("{report}");
            let text = json()?;
            write_atomically(path, |file| file.write_all(text.as_bytes()))?;
        }
        None => print!("{report}"),
    }
    let [_, failed, _] = report.counts();
    if failed > 0 {
        bail!("{failed} checks failed: please report them with the output of `rnn-gpu devices`");
    }
    Ok(())
}
