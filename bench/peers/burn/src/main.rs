//! burn: training steps or inference of the experiments, timed.
//!
//! Takes the arguments and prints the line of JSON that `../common.py` says, for burn's backend Flex
//! on the CPU and for wgpu on Vulkan. Variants are burn's own recurrent layers, and as `loop` a loop
//! over the steps with one product for all gates, which recurrent dropout needs in any case. burn has
//! no Adadelta: all models are trained by Adam.

mod films;
mod reviews;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Device, DeviceKind, Distribution, Int, Tensor, TensorData};
use clap::{Parser, ValueEnum};
use films::Films;
use reviews::{Reviews, WORDS};
use serde_json::{Map, Value, json};
use std::thread;
use std::time::{Duration, Instant};

const BURN: &str = "burn 0.22.1";
const RATE: f64 = 1e-3;

/// burn: training steps or inference of the experiments, timed
#[derive(Parser)]
struct Args {
    #[arg(long, value_enum, default_value = "lstm")]
    experiment: Experiment,
    /// plain or loop [default: the first of --list-variants]
    #[arg(long)]
    variant: Option<String>,
    /// Instead of training steps
    #[arg(long)]
    inference: bool,
    /// Examples in a step [default: 128; next-frame 10]
    #[arg(long)]
    batch: Option<usize>,
    /// Tokens of a review
    #[arg(long, default_value_t = 500)]
    length: usize,
    /// On the GPU, through Vulkan
    #[arg(long)]
    gpu: bool,
    /// Print the variants as JSON and stop
    #[arg(long)]
    list_variants: bool,
}

/// A model of the tutorial, by the name of its experiment.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Experiment {
    SimpleRnn,
    Lstm,
    LstmDropout,
    CnnLstm,
    NextFrame,
}

impl Experiment {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is worth timing, the plain one first.
    fn variants(self, training: bool) -> &'static [&'static str] {
        match self {
            Self::NextFrame => &["plain"],
            Self::LstmDropout if training => &["loop"],
            _ => &["plain", "loop"],
        }
    }

    /// The parameters of Keras's model.
    fn parameters(self) -> usize {
        match self {
            Self::SimpleRnn => 180_737,
            Self::Lstm | Self::LstmDropout => 242_561,
            Self::CnnLstm => 245_665,
            Self::NextFrame => 407_001,
        }
    }
}

fn main() {
    let args = Args::parse();
    if args.list_variants {
        let modes = |&experiment: &Experiment| {
            let variants = |training| experiment.variants(training);
            let modes = json!({"training": variants(true), "inference": variants(false)});
            (experiment.name(), modes)
        };
        let all: Map<String, Value> = Experiment::value_variants().iter().map(modes).collect();
        println!("{}", Value::Object(all));
        return;
    }
    let device = match args.gpu {
        true => Device::vulkan(DeviceKind::DefaultDevice),
        false => Device::flex(),
    };
    device.seed(1);
    let device = if args.inference { device } else { device.autodiff() };
    match args.experiment {
        Experiment::NextFrame => {
            let batch = args.batch.unwrap_or(10);
            let shape = [batch, films::FRAMES, films::SIDE, films::SIDE, 1];
            let x = Tensor::<5>::random(shape, Distribution::Default, &device);
            let labels = Tensor::random(shape, Distribution::Bernoulli(0.05), &device);
            time(&args, batch, &device, Films::new(&device), labels, |model| {
                model.forward(x.clone())
            });
        }
        experiment => {
            let batch = args.batch.unwrap_or(128);
            let words = Distribution::Uniform(0.0, WORDS as f64);
            let tokens = Tensor::<2, Int>::random([batch, args.length], words, &device);
            let labels = Tensor::random([batch, 1], Distribution::Bernoulli(0.5), &device);
            let looped = args.variant() == "loop";
            let model = Reviews::new(experiment, !args.inference, looped, &device);
            time(&args, batch, &device, model, labels, |model| model.forward(tokens.clone()));
        }
    }
}

impl Args {
    fn variant(&self) -> &str {
        let first = || self.experiment.variants(!self.inference)[0];
        self.variant.as_deref().unwrap_or_else(first)
    }
}

/// Prints the median of the steps behind a warm-up. `forward` gives logits.
fn time<M: Module, const D: usize>(
    args: &Args,
    batch: usize,
    device: &Device,
    model: M,
    labels: Tensor<D>,
    forward: impl Fn(&M) -> Tensor<D>,
) {
    // burn's LSTM has a second bias for each gate, its SimpleRNN one for each unit, and its
    // normalization counts averages as states.
    let more = model.num_params() as i64 - args.experiment.parameters() as i64;
    assert!([0, 128, 512, -320].contains(&more), "{more} parameters more than Keras's model has");
    let mut optimizer = AdamConfig::new().with_epsilon(1e-7).init();
    let mut model = Some(model);
    let mut step = || {
        let Some(now) = model.take() else { return };
        let logits = forward(&now);
        if args.inference {
            let _: TensorData = sigmoid(logits).into_data();
            model = Some(now);
            return;
        }
        // -log p of the label: (1 - y) z - log sigmoid(z).
        let loss = ((labels.clone().neg() + 1) * logits.clone() - log_sigmoid(logits)).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &now);
        model = Some(optimizer.step(RATE, now, gradients));
        let _: TensorData = loss.into_data();
        device.sync().expect("the step is computed");
    };
    let began = Instant::now();
    (0..2).for_each(|_| step());
    let warm_up = began.elapsed();
    let mut seconds = Vec::new();
    let began = Instant::now();
    while seconds.len() < 5 || (seconds.len() < 50 && began.elapsed() < Duration::from_secs(1)) {
        let started = Instant::now();
        step();
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.len() / 2;
    let median = match seconds.len() % 2 {
        0 => (seconds[middle - 1] + seconds[middle]) / 2.0,
        _ => seconds[middle],
    };
    let threads = thread::available_parallelism().map_or(1, |n| n.get());
    let on = if args.gpu { "GPU (Vulkan)".into() } else { format!("CPU, {threads} threads") };
    let result = json!({
        "peer": BURN,
        "variant": args.variant(),
        "device": on,
        "experiment": args.experiment.name(),
        "training": !args.inference,
        "batch": batch,
        "seconds": median,
        "warm_up_seconds": warm_up.as_secs_f64(),
    });
    println!("{result}");
}
