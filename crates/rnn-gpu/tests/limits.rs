//! What is out of range, or close to it: right, or one clear error before anything is launched, on
//! the CPU device and on every adapter.

use rnn::Activation;
use rnn::nn::{
    Batch, Dataset, Dense, Embedding, FitOptions, GlobalMaxPooling1D, Initializer, InputSpec,
    LayerNormalization, Loss, Lstm, Model, ModelError, Optimizer, SimpleRnn, Softmax, TrainError,
    Trainer,
};
use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_gpu::hints::explained;
use rnn_graph::{Device, DeviceInfo, DeviceKind, Limits, Session};
use rnn_run::memory;
use rnn_testing::{TestDevice, devices};

fn trainer(device: &dyn Device, model: Model) -> Trainer {
    Trainer::new(model, device, Optimizer::sgd(), 1)
}

fn classifier(steps: usize) -> Model {
    Model::sequential(InputSpec::tokens([steps]), 1)
        .add(Embedding::new(5, 2))
        .and_then(|model| model.add(Lstm::new(2)))
        .and_then(|model| model.add(Dense::new(3, Activation::Linear)))
        .and_then(|model| model.add(Softmax::new()))
        .expect("the layers fit")
}

fn tokens(steps: usize, token: u32) -> HostTensor {
    HostTensor::from_u32([2, steps], vec![token; 2 * steps]).expect("two rows")
}

fn classes(class: u32) -> HostTensor {
    HostTensor::from_u32([2], vec![0, class]).expect("two labels")
}

/// The message of a step on this, which the device never sees.
fn refusal(device: &dyn Device, inputs: HostTensor, labels: HostTensor) -> String {
    let steps = inputs.shape().dims()[1];
    let mut trainer =
        trainer(device, classifier(steps)).loss(Loss::sparse_categorical_crossentropy());
    let batch = Batch { inputs: vec![inputs], labels: vec![labels], weights: vec![] };
    let error = trainer.train_batch(&batch).expect_err("out of range");
    assert!(!matches!(error, TrainError::Device(_)), "{error}");
    error.to_string()
}

#[test]
fn what_is_not_there_is_named() {
    for device in devices() {
        let message = refusal(&*device, tokens(3, 5), classes(1));
        assert!(message.contains("token 5 in row 0") && message.contains("of 5"), "{message}");
        let message = refusal(&*device, tokens(3, 4), classes(3));
        assert!(message.contains("label 3 at [1]") && message.contains("0 to 2"), "{message}");
        let message = refusal(&*device, tokens(0, 0), classes(1));
        assert!(message.contains("one step at least"), "{message}");

        let mut trainer =
            trainer(&*device, classifier(3)).loss(Loss::sparse_categorical_crossentropy());
        let nothing = Dataset::new([tokens(3, 0)], [classes(0)]).expect("two rows").take(0);
        let options = FitOptions { epochs: 1, batch_size: 4 };
        let message = trainer.fit(&nothing, None, options, &mut []).expect_err("no examples");
        assert!(matches!(message, TrainError::Empty), "{message}");
        assert!(matches!(trainer.evaluate(&nothing, 4), Err(TrainError::Empty)));
    }
}

/// What a model of one input predicts for it on each device, or why it cannot.
fn predict(model: impl Fn() -> Model, input: &HostTensor) -> Vec<Result<Vec<f32>, String>> {
    let predict = |device: TestDevice| {
        let outputs = trainer(&*device, model()).predict_batch(std::slice::from_ref(input));
        match outputs {
            Ok(outputs) => Ok(outputs[0].as_f32().expect("floats").to_vec()),
            Err(error) => Err(error.to_string()),
        }
    };
    devices().into_iter().map(predict).collect()
}

/// The CPU device can; an adapter predicts the same, or says what it does not offer.
fn same_or_said(name: &str, found: &[Result<Vec<f32>, String>], refusals: &[&str]) {
    let cpu = found[0].as_ref().expect("the CPU device has no limits");
    for adapter in &found[1..] {
        match adapter {
            Ok(values) => {
                let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
                assert!(values.len() == cpu.len() && values.iter().zip(cpu).all(near), "{name}");
            }
            Err(message) => {
                println!("{name}: {message}");
                assert!(refusals.iter().any(|part| message.contains(part)), "{name}: {message}");
            }
        }
    }
}

fn ramp(shape: impl Into<Vec<usize>>) -> HostTensor {
    let shape = shape.into();
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| (i % 251) as f32 / 251.0).collect();
    HostTensor::from_f32(shape, values).expect("as many as the shape says")
}

#[test]
fn more_workgroups_than_an_axis_has_are_folded() {
    let rows = 70_000;
    let model = || {
        Model::sequential(InputSpec::floats([rows, 2]), 1)
            .add(LayerNormalization::new())
            .and_then(|model| model.add(Dense::new(1, Activation::Tanh)))
            .expect("the layers fit")
    };
    let found = predict(model, &ramp([1, rows, 2]));
    same_or_said("70,000 rows", &found, &[]);
}

#[test]
fn more_than_a_binding_spans_is_refused_or_right() {
    // 160 MB, where WebGPU promises bindings of 128 MiB.
    let steps = 40_000_000;
    let model = || {
        let start = Model::sequential(InputSpec::floats([steps, 1]), 1);
        start.add(GlobalMaxPooling1D()).expect("the layer fits")
    };
    let found = predict(model, &ramp([1, steps, 1]));
    same_or_said("160 MB", &found, &["the device binds at most", "out of memory", "exceed"]);
}

#[test]
fn one_unit_and_thousands_are_right() {
    // An orthogonal matrix of such a size takes minutes to draw.
    let small = || Initializer::Constant(1e-4);
    let check =
        |name: &str, add: &dyn Fn(Model) -> Result<Model, ModelError>, refusals: &[&str]| {
            let start = || Model::sequential(InputSpec::floats([2, 1]), 1);
            let found = predict(|| add(start()).expect("the layer fits"), &ramp([1, 2, 1]));
            same_or_said(name, &found, refusals);
        };
    for units in [1, 4096] {
        let layer = || SimpleRnn::new(units).recurrent_initializer(small());
        check(&format!("SimpleRNN({units})"), &|start| start.add(layer()), &[]);
    }
    check("LSTM(1)", &|start| start.add(Lstm::new(1)), &[]);
    // Its recurrent matrix has 268 MB.
    let layer = || Lstm::new(4096).recurrent_initializer(small());
    check("LSTM(4096)", &|start| start.add(layer()), &["the device binds at most"]);
}

/// A GPU that offers what WebGPU guarantees, and no more.
struct Modest(CpuDevice, DeviceInfo);

impl Device for Modest {
    fn info(&self) -> &DeviceInfo {
        &self.1
    }

    fn limits(&self) -> &Limits {
        &Limits::WEBGPU
    }

    fn session(&self) -> Box<dyn Session> {
        self.0.session()
    }
}

#[test]
fn a_step_that_does_not_fit_is_refused_with_a_batch_that_does() {
    let cpu = CpuDevice::new();
    let info = DeviceInfo { kind: DeviceKind::Gpu, ..cpu.info().clone() };
    let device = Modest(cpu, info);
    // 250 KiB an example.
    let model = Model::sequential(InputSpec::floats([1000, 64]), 1)
        .add(Lstm::new(2))
        .and_then(|model| model.add(Dense::new(1, Activation::Sigmoid)));
    let mut trainer = trainer(&device, model.expect("the layers fit"));
    let mut refusal = |batch| {
        memory::check(&mut trainer, (batch, false), &device).map_err(|e| explained(&e)).err()
    };
    let message = refusal(5000).expect("1.2 GB");
    assert!(message.contains("the device allows 128.00 MiB; --batch-size"), "{message}");
    let fits = message.rsplit("--batch-size ").next().and_then(|text| text.split(' ').next());
    let fits = fits.and_then(|number| number.parse().ok()).expect("a number");
    assert_eq!((refusal(fits), refusal(fits + 1).is_some()), (None, true), "{message}");
}
