//! Long runs: memory stays flat, steps take as long in the end as in the beginning, and trainings
//! that run at the same time do not disturb each other. `RNN_GPU_SOAK=10000` trains for so many
//! steps, and makes and drops a tenth as many models.

use rnn::Activation;
use rnn::nn::{Batch, Dense, Embedding, InputSpec, Lstm, Model, ModelError, Optimizer, Trainer};
use rnn_core::{HostTensor, Rng};
use rnn_cpu::CpuDevice;
use rnn_graph::{Device, DeviceKind};
use rnn_testing::{adapters, devices, open};
use rnn_wgpu::WgpuDevice;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Memory and times are of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn steps() -> usize {
    std::env::var("RNN_GPU_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

/// Resident memory of this process, where the system tells.
fn process_bytes() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(4096 * statm.split_whitespace().nth(1)?.parse::<usize>().ok()?)
}

/// Without dropout on an emulated GPU: llvmpipe of Mesa 22.3.6 compiles some kernels again at each
/// dispatch, also those of `dropout_matmul` here, and keeps every version (CONTRIBUTING.md).
fn trainer(device: &dyn Device, seed: u64) -> Trainer {
    let dropout = if device.info().kind == DeviceKind::SoftwareGpu { 0.0 } else { 0.2 };
    let model = || -> Result<Model, ModelError> {
        Model::sequential(InputSpec::tokens([8]), seed)
            .add(Embedding::new(32, 8))?
            .add(Lstm::new(16).dropout(dropout))?
            .add(Dense::new(1, Activation::Sigmoid))
    };
    Trainer::new(model().expect("the layers fit"), device, Optimizer::adam(), seed)
}

fn batch(index: u64) -> Batch {
    let mut rng = Rng::new(7, index);
    let tokens = (0..16 * 8).map(|_| rng.below(32)).collect();
    let labels = (0..16).map(|_| rng.below(2) as f32).collect();
    Batch {
        inputs: vec![HostTensor::from_u32([16, 8], tokens).expect("16 rows")],
        labels: vec![HostTensor::from_f32([16], labels).expect("16 labels")],
        weights: vec![],
    }
}

/// Trains for some steps, looking at the metrics as a training does.
fn train(trainer: &mut Trainer, steps: usize) -> Vec<u32> {
    for index in 0..steps {
        trainer.train_batch(&batch(index as u64 % 64)).expect("a step");
        if index % 20 == 19 {
            trainer.take_metrics().expect("metrics");
        }
    }
    let weights = trainer.model().expect("weights").parameters().to_vec();
    weights.into_iter().map(f32::to_bits).collect()
}

fn grown(before: Option<usize>) -> usize {
    before.zip(process_bytes()).map_or(0, |(before, after)| after.saturating_sub(before))
}

#[test]
fn memory_and_step_time_stay_flat() {
    let _alone = alone();
    for device in devices() {
        let mut trainer = trainer(&*device, 1);
        let tenth = steps() / 10;
        train(&mut trainer, tenth);
        let before = process_bytes();
        let buffers = || device.gpu().and_then(WgpuDevice::allocated_bytes);
        let buffers_before = buffers();
        let mut times = Vec::new();
        for _ in 0..9 {
            let started = Instant::now();
            train(&mut trainer, tenth);
            times.push(started.elapsed() / tenth as u32);
        }
        let grown = grown(before);
        println!(
            "{}: {} steps, grown by {} KiB, buffers {buffers_before:?} bytes, a step in each tenth \
             {times:.0?}",
            device.info(),
            10 * tenth,
            grown >> 10
        );
        assert_eq!(buffers(), buffers_before, "buffers of the device");
        assert!(grown < 8 << 20, "grown by {grown} bytes");
        // Others compute on the machine too: only what grows is wrong.
        let (first, last): (Duration, Duration) =
            (times[..4].iter().sum(), times[5..].iter().sum());
        assert!(last < 3 * first, "steps take ever longer: {times:?}");
    }
}

#[test]
fn models_that_are_dropped_leave_nothing() {
    let _alone = alone();
    for device in devices() {
        let buffers = || device.gpu().and_then(WgpuDevice::allocated_bytes);
        let make = |count: usize| {
            for seed in 0..count as u64 {
                train(&mut trainer(&*device, seed), 1);
            }
        };
        let count = steps() / 10;
        make(count.min(100));
        let (before, buffers_before) = (process_bytes(), buffers());
        make(count);
        let grown = grown(before);
        println!("{}: {count} models, grown by {} KiB", device.info(), grown >> 10);
        assert!(grown < 16 << 20, "grown by {grown} bytes");
        assert_eq!(buffers(), buffers_before, "buffers of the device");
    }
}

#[test]
fn trainings_at_the_same_time_have_the_bits_that_they_have_alone() {
    let _alone = alone();
    let adapter = adapters().into_iter().next();
    let run = |seed: u64| {
        let cpu = train(&mut trainer(&CpuDevice::new(), seed), 40);
        let gpu = adapter.as_ref().map(|adapter| train(&mut trainer(&open(adapter), seed), 40));
        (cpu, gpu)
    };
    let alone: Vec<_> = (0..4).map(run).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                scope.spawn({
                    let run = &run;
                    move || run(seed)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it trains")).collect()
    });
    assert!(together == alone, "they disturb each other");
}
