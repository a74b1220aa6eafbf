use rnn::{Activation, Padding};
use rnn_core::DType;
use rnn_ops::{
    Adam, Case, Conv, ConvLstm, Embedding, Lstm, LstmBackward, LstmGates, Matmul, Rule, Sample,
    ScanInputs, StepParams, Update, Windows,
};

/// An op to be timed, at a size that the models use.
pub struct BenchKernel {
    /// Name of the op, with its size.
    pub name: String,
    /// The case that is timed, at the full size.
    pub timed: Case,
    /// A small case of the op, which is compared with the reference first.
    pub checked: Case,
}

impl BenchKernel {
    /// An op by its number of rows.
    fn new(name: String, rows: usize, of: impl Fn(usize) -> Case) -> Self {
        Self { name, timed: of(rows), checked: of(rows.min(3)) }
    }
}

const GATES: LstmGates =
    LstmGates { activation: Activation::Tanh, recurrent_activation: Activation::Sigmoid };
const PLAIN: ScanInputs = ScanInputs { state: false, mask: false, dropout: false };

/// Returns all kernels that are timed, at the sizes of the models. If `quick` is true, convolutions
/// have smaller batches, and the largest LSTMs are left out.
pub fn all(quick: bool) -> Vec<BenchKernel> {
    let mut kernels = Vec::new();
    for (m, k, n) in [(64_000, 32, 512), (64_000, 128, 512), (128, 128, 512), (128, 1024, 4096)] {
        kernels.push(matmul(m, k, n));
    }
    kernels.push(weight_gradient(64_000, 128, 512));
    kernels.push(embedding(64_000));
    let scans = [
        (500, 128, 32),
        (500, 128, 128),
        (500, 1, 128),
        (500, 1024, 128),
        (50, 128, 128),
        (1000, 128, 128),
        (500, 128, 512),
        (500, 128, 1024),
    ];
    // Of a scan the number of multiply-adds grows with the square of its width.
    let costs = |&(t, b, h): &(usize, usize, usize)| t * b * h * h;
    for (steps, batch, hidden) in scans.into_iter().filter(|s| !quick || costs(s) < 1 << 31) {
        kernels.push(lstm(steps, batch, hidden));
        kernels.push(lstm_backward(steps, batch, hidden));
    }
    let items = if quick { 15 } else { 150 };
    kernels.push(conv(items, 1, 160));
    kernels.push(conv(items, 40, 160));
    kernels.push(conv(items, 40, 1));
    kernels.push(conv_lstm(if quick { 1 } else { 10 }, 40));
    kernels.push(adam(242_561));
    kernels
}

fn matmul(m: usize, k: usize, n: usize) -> BenchKernel {
    let op = Matmul { bias: true, ..Matmul::default() };
    BenchKernel::new(format!("matmul {m}x{k}x{n}"), m, |m| {
        let inputs = vec![
            Sample::Normal(vec![m, k]),
            Sample::Uniform(vec![k, n], -0.1, 0.1),
            Sample::Normal(vec![n]),
        ];
        Case::new("matmul", op.clone(), inputs).tolerance(1e-5)
    })
}

fn weight_gradient(rows: usize, m: usize, n: usize) -> BenchKernel {
    let op = Matmul { transpose_a: true, ..Matmul::default() };
    BenchKernel::new(format!("matmul ({rows}x{m})^T {rows}x{n}"), rows, |rows| {
        let inputs = vec![Sample::Normal(vec![rows, m]), Sample::Normal(vec![rows, n])];
        Case::new("matmul", op.clone(), inputs).tolerance(1e-5)
    })
}

fn embedding(tokens: usize) -> BenchKernel {
    BenchKernel::new(format!("embedding {tokens} of 5000x32"), tokens, |tokens| {
        let inputs = vec![Sample::Below(vec![tokens], 5000), Sample::Normal(vec![5000, 32])];
        Case::new("embedding", Embedding, inputs)
    })
}

fn lstm(steps: usize, batch: usize, hidden: usize) -> BenchKernel {
    BenchKernel::new(format!("lstm T={steps} B={batch} H={hidden}"), batch, |rows| {
        let steps = if rows < batch { 5 } else { steps };
        let inputs = vec![
            Sample::Normal(vec![steps, rows, 4 * hidden]),
            Sample::Uniform(vec![hidden, 4 * hidden], -0.1, 0.1),
        ];
        Case::new("lstm", Lstm { gates: GATES, inputs: PLAIN }, inputs).tolerance(2e-5)
    })
}

fn lstm_backward(steps: usize, batch: usize, hidden: usize) -> BenchKernel {
    let forward = Lstm { gates: GATES, inputs: PLAIN };
    BenchKernel::new(format!("lstm_backward T={steps} B={batch} H={hidden}"), batch, |rows| {
        let steps = if rows < batch { 5 } else { steps };
        let inputs = vec![
            Sample::Uniform(vec![steps, rows, 4 * hidden], 0.0, 0.9),
            Sample::Uniform(vec![4 * hidden, hidden], -0.1, 0.1),
            Sample::Uniform(vec![steps, rows, hidden], -0.9, 0.9),
            Sample::Normal(vec![steps, rows, hidden]),
        ];
        let op = LstmBackward { forward: forward.clone(), d_hidden: true, d_last: false };
        Case::new("lstm_backward", op, inputs).tolerance(2e-5)
    })
}

/// Windows of 3 x 3 pixels over pictures.
fn windows(height: usize, width: usize) -> Option<Windows> {
    let sizes = [(1, 1, 1), (3, 1, 1), (3, 1, 1)];
    Windows::over([1, height, width], sizes, Padding::Same, false)
}

fn conv(items: usize, channels: usize, filters: usize) -> BenchKernel {
    let name = format!("conv {items}x40x40 3x3 {channels}->{filters}");
    BenchKernel::new(name, 40, |height| {
        let items = if height < 40 { 2 } else { items };
        let inputs = vec![
            Sample::Normal(vec![items, 1, height, 40, channels]),
            Sample::Uniform(vec![9, channels, filters], -0.1, 0.1),
            Sample::Normal(vec![filters]),
        ];
        let op =
            windows(height, 40).map(|windows| Conv { windows, bias: true, output: DType::F32 });
        Case::new("conv", op.unwrap_or_else(|| unreachable!("the padding is same")), inputs)
            .tolerance(1e-5)
    })
}

fn conv_lstm(batch: usize, filters: usize) -> BenchKernel {
    let name = format!("conv_lstm T=15 B={batch} 40x40 3x3 {filters}");
    BenchKernel::new(name, 40, |height| {
        let (steps, batch) = if height < 40 { (2, 1) } else { (15, batch) };
        let inputs = vec![
            Sample::Normal(vec![steps * batch, 1, height, 40, 4 * filters]),
            Sample::Uniform(vec![9, filters, 4 * filters], -0.1, 0.1),
        ];
        let op = windows(height, 40).map(|windows| ConvLstm {
            steps,
            windows,
            gates: GATES,
            inputs: PLAIN,
        });
        Case::new("conv_lstm", op.unwrap_or_else(|| unreachable!("the padding is same")), inputs)
            .tolerance(2e-5)
    })
}

fn adam(parameters: usize) -> BenchKernel {
    let rule = Rule::from(Adam::default());
    BenchKernel::new(format!("adam {parameters}"), parameters, |n| {
        let n = if n < parameters { 1000 } else { n };
        let inputs = vec![
            Sample::Normal(vec![n]),
            Sample::Floats(vec![StepParams::LEN], vec![1e-3, 0.0, 0.1, 0.001, 1.0, 1.0]),
        ];
        let slots = (0..2).map(|_| Sample::Uniform(vec![n], 0.0, 1.0));
        let updates = std::iter::once(Sample::Normal(vec![n])).chain(slots).collect();
        let op = Update { rule, clip: f32::INFINITY };
        Case::new("adam", op, inputs).updates(updates).tolerance(1e-5)
    })
}
