//! Devices that fail in the middle of a run, and numbers that stop being finite: on the CPU device,
//! where faults are made up, and on every adapter, which is really given up.

use rnn::Activation;
use rnn::device::Opened;
use rnn::nn::{
    Callback, Checkpoints, Dataset, Dense, FitOptions, InputSpec, Loss, Lstm, Model, ModelError,
    Optimizer, StepInfo, TerminateOnNan, TrainError, Trainer, TrainerState,
};
use rnn_core::{HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_gpu::hints::explained;
use rnn_graph::{
    Arriving, Device, DeviceError, DeviceInfo, Graph, Limits, Planned, Profile, Program, Session,
    Ticket,
};
use rnn_run::checkpoint::{CheckpointOptions, Every};
use rnn_run::config::Config;
use rnn_run::train::{TrainOptions, Trained, resume, train};
use rnn_testing::adapters;
use rnn_wgpu::{Adapter, WgpuDevice};
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A device that fails after so many runs of its first session.
struct Doomed {
    device: Box<dyn Device>,
    fault: Fault,
    runs: usize,
}

struct DoomedSession {
    session: Box<dyn Session>,
    fault: Fault,
    runs: usize,
}

/// What a device fails of.
#[derive(Clone)]
enum Fault {
    /// It is really given up.
    Reset(WgpuDevice),
    MadeUp(Kind),
}

#[derive(Clone, Copy)]
enum Kind {
    Lost,
    OutOfMemory,
    Refused,
    Timeout,
}

impl Kind {
    fn error(self) -> DeviceError {
        let (device, message) = ("CPU".into(), "made up".into());
        match self {
            Self::Lost => DeviceError::Lost { device, message },
            Self::OutOfMemory => DeviceError::OutOfMemory { device, message },
            Self::Refused => DeviceError::Refused { device, message },
            Self::Timeout => DeviceError::Timeout { device, patience: Duration::from_secs(600) },
        }
    }
}

impl Device for Doomed {
    fn info(&self) -> &DeviceInfo {
        self.device.info()
    }

    fn limits(&self) -> &Limits {
        self.device.limits()
    }

    fn session(&self) -> Box<dyn Session> {
        let (session, fault, runs) = (self.device.session(), self.fault.clone(), self.runs);
        Box::new(DoomedSession { session, fault, runs })
    }
}

impl Session for DoomedSession {
    fn plan(&self, graph: Arc<Graph>) -> Result<Planned, DeviceError> {
        self.session.plan(graph)
    }

    fn build(&mut self, planned: Planned) -> Result<Program, DeviceError> {
        self.session.build(planned)
    }

    fn write(&mut self, resident: &str, values: &HostTensor) -> Result<(), DeviceError> {
        self.session.write(resident, values)
    }

    fn run(&mut self, program: Program, inputs: &[&HostTensor]) -> Result<(), DeviceError> {
        if self.runs == 0 {
            match &self.fault {
                Fault::Reset(gpu) => gpu.lose(),
                Fault::MadeUp(kind) => return Err(kind.error()),
            }
        }
        self.runs = self.runs.saturating_sub(1);
        self.session.run(program, inputs)
    }

    fn fetch(&mut self, program: Program) -> Result<Vec<HostTensor>, DeviceError> {
        self.session.fetch(program)
    }

    fn fetch_async(&mut self, program: Program) -> Arriving<'_, Vec<HostTensor>> {
        self.session.fetch_async(program)
    }

    fn start_read(&mut self, resident: &str) -> Result<Ticket, DeviceError> {
        self.session.start_read(resident)
    }

    fn poll_read(&mut self, ticket: Ticket) -> Result<Option<HostTensor>, DeviceError> {
        self.session.poll_read(ticket)
    }

    fn wait_read(&mut self, ticket: Ticket) -> Result<HostTensor, DeviceError> {
        self.session.wait_read(ticket)
    }

    fn read_async(&mut self, ticket: Ticket) -> Arriving<'_, HostTensor> {
        self.session.read_async(ticket)
    }

    fn memory(&self, program: Program) -> (u64, u64) {
        self.session.memory(program)
    }

    fn enable_profile(&mut self) {
        self.session.enable_profile();
    }

    fn profile(&mut self) -> Result<Profile, DeviceError> {
        self.session.profile()
    }
}

/// Where tests run: on the CPU device, and on every adapter.
fn places() -> Vec<Option<Adapter>> {
    std::iter::once(None).chain(adapters().into_iter().map(Some)).collect()
}

fn open(place: &Option<Adapter>) -> (Box<dyn Device>, Option<WgpuDevice>) {
    match place {
        None => (Box::new(CpuDevice::new()), None),
        Some(adapter) => {
            let gpu = rnn_testing::open(adapter);
            (Box::new(gpu.clone()), Some(gpu))
        }
    }
}

/// Trains on a device that is lost after so many runs, time and again: what ends it, if it does.
fn run(place: &Option<Adapter>, losses: &[usize], every: Every, out: &Path) -> Option<String> {
    fail(place, (Kind::Lost, losses), every, out)
}

fn fail(
    place: &Option<Adapter>,
    (kind, runs): (Kind, &[usize]),
    every: Every,
    out: &Path,
) -> Option<String> {
    let (place, left) = (place.clone(), RefCell::new(runs.to_vec()));
    let mut device = Opened::new(move || {
        let (device, gpu) = open(&place);
        let runs = left.borrow_mut().pop().unwrap_or(usize::MAX);
        let fault = gpu.map_or(Fault::MadeUp(kind), Fault::Reset);
        Ok(Box::new(Doomed { device, fault, runs }) as Box<dyn Device>)
    })
    .expect("a device");
    let config = serde_json::json!({
        "experiment": "simple-rnn", "data": "bundled", "length": 4, "batch_size": 8, "epochs": 2,
        "seed": 1, "limit": 40, "device": device.device().info().to_string(),
    });
    let config: Config = serde_json::from_value(config).expect("a config");
    let checkpoints = CheckpointOptions { every, ..CheckpointOptions::default() };
    let options = TrainOptions { checkpoints, ..TrainOptions::default() };
    let trained = train(&config, None, &mut device, out, (&options, &mut ()));
    trained.and_then(Trained::finish).err().map(|error| explained(&error))
}

#[test]
fn a_run_outlives_two_losses_of_its_device() {
    for place in places() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = |name: &str| folder.path().join(name);
        let weights = |name: &str| fs::read(out(name).join("weights.safetensors")).expect("a file");
        let run = |losses: &[usize], every, name: &str| run(&place, losses, every, &out(name));
        assert_eq!(run(&[], Every::Epoch, "whole"), None);
        assert_eq!(run(&[2, 8], Every::Steps(2), "lost"), None);
        assert_eq!(weights("lost"), weights("whole"));
        let error = run(&[0, 0, 8], Every::Steps(2), "thrice").expect("too many losses");
        assert!(error.contains("was lost") && error.contains("--device cpu"), "{error}");
        assert!(out("thrice").join("checkpoints").exists());
        let error = run(&[3], Every::Steps(4), "early").expect("nothing to go on from");
        assert!(error.contains("was lost"), "{error}");
        assert!(!out("early").exists(), "it left something behind");
    }
}

#[test]
fn what_a_new_device_would_not_mend_ends_a_run_and_leaves_its_checkpoints() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = |name: &str| folder.path().join(name);
    assert_eq!(run(&None, &[], Every::Epoch, &out("whole")), None);
    let lacking = fail(&None, (Kind::OutOfMemory, &[2, 8]), Every::Steps(2), &out("lacking"));
    assert_eq!(lacking, None, "memory that others took may be free again");
    let weights = |name: &str| fs::read(out(name).join("weights.safetensors")).expect("a file");
    assert_eq!(weights("lacking"), weights("whole"));
    for (name, kind, advice) in [
        ("refused", Kind::Refused, "please report this"),
        ("timeout", Kind::Timeout, "not answered for 600 s"),
    ] {
        let error = fail(&None, (kind, &[7]), Every::Steps(2), &out(name)).expect("a fault");
        assert!(error.contains(advice), "{error}");
        assert!(error.contains("the checkpoint after step 4 is kept"), "{error}");
        let kept = fs::read_dir(out(name).join("checkpoints")).expect("a folder").count();
        assert_eq!(kept, 2, "{name}");
        let mut device = Opened::new(|| Ok(open(&None).0)).expect("a device");
        let options = TrainOptions::default();
        resume(&out(name), None, [None, None], &mut device, (&options, &mut ()))
            .and_then(Trained::finish)
            .expect("it goes on");
        assert_eq!(weights(name), weights("whole"), "{name}");
    }
}

fn trainer(device: &dyn Device, rate: f64) -> Trainer {
    let model = || -> Result<Model, ModelError> {
        Model::sequential(InputSpec::floats([3, 2]), 1)
            .add(Lstm::new(4))?
            .add(Dense::new(1, Activation::Linear))
    };
    let optimizer = Optimizer::sgd().learning_rate(rate);
    Trainer::new(model().expect("the layers fit"), device, optimizer, 1)
        .loss(Loss::MeanSquaredError)
}

/// Asks for states, whose numbers are looked at: WGSL lets a clamp swallow NaN, so that the loss
/// may not show what weights hold.
struct EveryEpoch;

impl Checkpoints for EveryEpoch {
    fn due(&mut self, moment: StepInfo) -> bool {
        moment.epoch_over
    }

    fn save(&mut self, _: StepInfo, _: TrainerState) -> Result<(), TrainError> {
        Ok(())
    }
}

fn data(broken: Option<usize>) -> Dataset {
    let mut rng = Rng::new(3, 0);
    let values = (0..16 * 6).map(|_| rng.normal() as f32).collect();
    let mut labels = vec![1.0; 16];
    if let Some(at) = broken {
        labels[at] = f32::INFINITY;
    }
    let inputs = HostTensor::from_f32([16, 3, 2], values).expect("inputs");
    let labels = HostTensor::from_f32([16, 1], labels).expect("labels");
    Dataset::new([inputs], [labels]).expect("as many labels")
}

#[test]
fn the_first_op_that_was_not_finite_is_named() {
    let trace = |device: &dyn Device, rate: f64, data: &Dataset| {
        let mut trainer = trainer(device, rate);
        let begin = trainer.state().expect("a state");
        let options = FitOptions { epochs: 3, batch_size: 4 };
        let callbacks: &mut [&mut dyn Callback] = &mut [&mut TerminateOnNan];
        let sets = (data, None);
        let ended = trainer.fit_with_checkpoints(sets, options, callbacks, &mut EveryEpoch);
        let error = ended.expect_err("not finite");
        let TrainError::NotFinite { step, .. } = error else { panic!("{error}") };
        let cause = trainer.trace_not_finite(device, (begin, step), data, 4);
        cause.expect("a device at work").expect("a cause")
    };
    for place in places() {
        let (device, _) = open(&place);
        // The first step makes weights so large that in the second they overflow.
        let cause = trace(&*device, 1e36, &data(None));
        assert_eq!(cause.step, 2, "{cause}");
        assert!(
            cause.what.starts_with("loss(") && cause.what.contains("with the output inf"),
            "{cause}"
        );
        println!("{}: {cause}", device.info());
        let cause = trace(&*device, 0.01, &data(Some(9)));
        assert!(cause.what.contains("the batch's labels hold inf (1 of 4"), "{cause}");
        // Weights are past all bounds before a loss shows it.
        let cause = trace(&*device, f64::INFINITY, &data(None));
        assert_eq!(cause.step, 1, "{cause}");
        println!("{}: {cause}", device.info());
    }
}
