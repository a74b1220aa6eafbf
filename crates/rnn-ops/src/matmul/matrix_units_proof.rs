//! A test of a device's matrix units, run before they are used.

use crate::{Cast, Matmul};
use rnn_core::{DType, HostTensor, Rng};
use rnn_graph::{DeviceError, Graph, GraphError, Session, TensorType};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// M, N and K of the products, and which of A and B are stored transposed: all ways of loading,
/// then longer and longer sums.
const PRODUCTS: [([usize; 3], [bool; 2]); 8] = [
    ([32, 96, 48], [false, false]),
    ([32, 96, 48], [true, false]),
    ([32, 96, 48], [false, true]),
    ([32, 96, 48], [true, true]),
    ([64, 64, 64], [false, false]),
    ([256, 256, 256], [false, true]),
    ([512, 512, 512], [true, false]),
    ([1024, 1024, 1024], [false, false]),
];
/// Number of times that each product is computed.
const REPETITIONS: usize = 3;
/// Time after which longer products are skipped.
const BUDGET: Duration = Duration::from_secs(2);
/// Rows of products of arbitrary factors that are checked against the definition.
const ROWS: usize = 8;
/// Largest error of a sum, relative to the sum of its terms' magnitudes. Single-precision sums stay
/// far below it, half-precision sums do not.
const TOLERANCE: f64 = 1e-5;

/// Tests the matrix units of the session's device, which must have some, with products of growing
/// size for about two seconds at most. Returns `None` if all results are right, else a description
/// of the first wrong result, or the driver's message if it refuses a kernel.
///
/// Products of small integers must be exact, since single precision holds all their sums. Products
/// of arbitrary factors must be close to the exact result. Each product is computed three times and
/// must have the same bits each time.
///
/// # Errors
/// Fails with [`DeviceError`] if the device fails in another way, for example if it is lost.
pub fn prove_matrix_units(session: &mut dyn Session) -> Result<Option<String>, DeviceError> {
    let begin = Instant::now();
    for (extents, transposed) in PRODUCTS {
        if begin.elapsed() > BUDGET {
            break;
        }
        match first_error(session, extents, transposed) {
            Ok(None) => {}
            // The driver refuses the kernel.
            Err(DeviceError::Refused { message, .. }) => return Ok(Some(message)),
            other => return other,
        }
    }
    Ok(None)
}

/// A product with its operands in the order in which they are stored.
struct Product {
    extents: [usize; 3],
    transposed: [bool; 2],
    a: Vec<f32>,
    b: Vec<f32>,
}

fn first_error(
    session: &mut dyn Session,
    extents: [usize; 3],
    transposed: [bool; 2],
) -> Result<Option<String>, DeviceError> {
    let [m, n, k] = extents;
    let shape =
        |rows, columns, transposed| if transposed { [columns, rows] } else { [rows, columns] };
    let (a_shape, b_shape) = (shape(m, k, transposed[0]), shape(k, n, transposed[1]));
    let graph = product(a_shape, b_shape, transposed).map_err(rnn_graph::RecordingError::from)?;
    let program = session.compile(Arc::new(graph))?;
    let mut rng = Rng::new(14, (m * n * k) as u64);
    let mut integer = || rng.below(65) as f32 - 32.0;
    let integers: [Vec<f32>; 2] =
        [m * k, k * n].map(|count| (0..count).map(|_| integer()).collect());
    let mut rng = Rng::new(15, (m * n * k) as u64);
    let mut number = || half(rng.normal() as f32);
    let arbitrary: [Vec<f32>; 2] =
        [m * k, k * n].map(|count| (0..count).map(|_| number()).collect());
    for (exact, [a, b]) in [(true, integers), (false, arbitrary)] {
        let product = Product { extents, transposed, a, b };
        let operands = [
            HostTensor::from_f32(a_shape, product.a.clone())?,
            HostTensor::from_f32(b_shape, product.b.clone())?,
        ];
        let mut first: Option<Vec<u8>> = None;
        for _ in 0..REPETITIONS {
            session.run(program, &[&operands[0], &operands[1]])?;
            let results = session.fetch(program)?;
            let name = format!("a product of {m} x {n} x {k}");
            let Some(y) = results.first().and_then(|y| y.as_f32().ok()) else {
                return Ok(Some(format!("{name} has no result")));
            };
            let bytes = results[0].as_bytes().to_vec();
            match &first {
                Some(first) if *first != bytes => {
                    return Ok(Some(format!("{name} has other bits each time")));
                }
                Some(_) => {}
                None if y.len() != m * n || !product.fits(y, exact) => {
                    return Ok(Some(format!("{name} is wrong")));
                }
                None => first = Some(bytes),
            }
        }
    }
    Ok(None)
}

/// Rounds a value of moderate size to half precision.
fn half(value: f32) -> f32 {
    // 11 bits of 24 remain; values below the normal range of half precision become 0.
    let kept = f32::from_bits((value.to_bits() + 0xfff + (value.to_bits() >> 13 & 1)) & !0x1fff);
    if kept.abs() < 6.2e-5 { 0.0 } else { kept }
}

fn product(
    a: [usize; 2],
    b: [usize; 2],
    [transpose_a, transpose_b]: [bool; 2],
) -> Result<Graph, GraphError> {
    let mut graph = Graph::new();
    let mut operands = Vec::new();
    for (name, shape) in [("a", a), ("b", b)] {
        let given = graph.input(name, TensorType::f32(shape));
        operands.push(graph.apply(Cast(DType::F16), &[given])?);
    }
    let y = graph.apply(Matmul { transpose_a, transpose_b, ..Matmul::default() }, &operands)?;
    graph.output(y);
    Ok(graph)
}

impl Product {
    fn a(&self, row: usize, term: usize) -> f32 {
        let [m, _, k] = self.extents;
        self.a[if self.transposed[0] { term * m + row } else { row * k + term }]
    }

    fn b(&self, term: usize, column: usize) -> f32 {
        let [_, n, k] = self.extents;
        self.b[if self.transposed[1] { column * k + term } else { term * n + column }]
    }

    fn fits(&self, y: &[f32], exact: bool) -> bool {
        if exact { self.is_exact(y) } else { self.is_close(y) }
    }

    /// Freivalds' check (1977): Y x = A (B x) for a random vector x, all of integers. A wrong
    /// element of Y goes unnoticed for one x in a million.
    fn is_exact(&self, y: &[f32]) -> bool {
        let [m, n, k] = self.extents;
        if y.iter().any(|v| v.fract() != 0.0 || v.abs() >= 16_777_216.0) {
            return false;
        }
        let mut rng = Rng::new(16, n as u64);
        let x: Vec<i64> = (0..n).map(|_| i64::from(rng.below(1 << 20))).collect();
        let dot = |of: &dyn Fn(usize) -> f32, with: &[i64]| -> i64 {
            with.iter().enumerate().map(|(i, &v)| of(i) as i64 * v).sum()
        };
        let bx: Vec<i64> = (0..k).map(|term| dot(&|column| self.b(term, column), &x)).collect();
        (0..m).all(|row| {
            dot(&|column| y[row * n + column], &x) == dot(&|term| self.a(row, term), &bx)
        })
    }

    fn is_close(&self, y: &[f32]) -> bool {
        let [m, n, k] = self.extents;
        (0..ROWS.min(m)).map(|i| i * m / ROWS.min(m)).all(|row| {
            (0..n).all(|column| {
                let terms =
                    (0..k).map(|t| f64::from(self.a(row, t)) * f64::from(self.b(t, column)));
                let (sum, size) =
                    terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()));
                // A NaN is not close.
                (f64::from(y[row * n + column]) - sum).abs() <= TOLERANCE * size
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_graph::{
        Arriving, Plan, Planned, Profile, Program, Recording, Ticket, Values, evaluate,
    };

    /// A device that computes by definition; `spoil` changes the result of a product's nth run.
    struct Defined<F> {
        graphs: Vec<Arc<Graph>>,
        results: Vec<HostTensor>,
        runs: usize,
        spoil: F,
    }

    impl<F: Fn(usize, &mut [f32])> Session for Defined<F> {
        fn plan(&self, graph: Arc<Graph>) -> Result<Planned, DeviceError> {
            let recording = Recording { plan: Plan::unpacked(&graph), commands: vec![] };
            Ok(Planned { graph, recording })
        }

        fn build(&mut self, planned: Planned) -> Result<Program, DeviceError> {
            self.graphs.push(planned.graph);
            Ok(Program(self.graphs.len() - 1))
        }

        fn run(&mut self, program: Program, inputs: &[&HostTensor]) -> Result<(), DeviceError> {
            let graph = &self.graphs[program.0];
            let given = graph.inputs().iter().zip(inputs);
            let given = given.map(|(&id, values)| (id, Values::from_host(values))).collect();
            let y = evaluate::<f32>(graph, given)[&graph.outputs()[0]].floats().to_vec();
            let mut y = y;
            (self.spoil)(self.runs, &mut y);
            self.runs += 1;
            self.results = vec![HostTensor::from_f32(graph.shape(graph.outputs()[0]).clone(), y)?];
            Ok(())
        }

        fn fetch(&mut self, _: Program) -> Result<Vec<HostTensor>, DeviceError> {
            Ok(self.results.clone())
        }

        fn write(&mut self, _: &str, _: &HostTensor) -> Result<(), DeviceError> {
            Ok(())
        }

        fn start_read(&mut self, _: &str) -> Result<Ticket, DeviceError> {
            Ok(Ticket(0))
        }

        fn poll_read(&mut self, _: Ticket) -> Result<Option<HostTensor>, DeviceError> {
            Ok(None)
        }

        fn wait_read(&mut self, _: Ticket) -> Result<HostTensor, DeviceError> {
            Ok(HostTensor::zeros([0], DType::F32))
        }

        fn fetch_async(&mut self, program: Program) -> Arriving<'_, Vec<HostTensor>> {
            Box::pin(std::future::ready(self.fetch(program)))
        }

        fn read_async(&mut self, ticket: Ticket) -> Arriving<'_, HostTensor> {
            Box::pin(std::future::ready(self.wait_read(ticket)))
        }

        fn memory(&self, _: Program) -> (u64, u64) {
            (0, 0)
        }

        fn enable_profile(&mut self) {}

        fn profile(&mut self) -> Result<Profile, DeviceError> {
            Ok(Profile::default())
        }
    }

    fn found(spoil: impl Fn(usize, &mut [f32])) -> Option<String> {
        let mut session = Defined { graphs: vec![], results: vec![], runs: 0, spoil };
        PRODUCTS[..5].iter().find_map(|&(extents, transposed)| {
            first_error(&mut session, extents, transposed).expect("it runs")
        })
    }

    #[test]
    fn right_products_are_proof() {
        assert_eq!(found(|_, _| {}), None);
    }

    #[test]
    fn wrong_products_are_found() {
        type Spoil = fn(usize, &mut [f32]);
        let spoils: [(&str, Spoil); 6] = [
            ("is wrong", |_, y| y[77] += 1.0),
            ("is wrong", |_, y| y[77] += 0.25),
            ("is wrong", |_, y| y[77] = f32::NAN),
            ("is wrong", |_, y| y.swap(3, 4)),
            // Sums in half precision.
            ("is wrong", |_, y| y.iter_mut().for_each(|v| *v = half(*v))),
            ("other bits", |run, y| y[5] += f32::from(u8::from(run % 3 == 2))),
        ];
        for (what, spoil) in spoils {
            let why = found(spoil).expect("it is found");
            assert!(why.contains(what) && why.contains("32 x 96 x 48"), "{why}");
        }
        // In products of arbitrary factors alone: the second data set of each product.
        let why = found(|run, y| {
            if run / 3 % 2 == 1 {
                y[0] *= 1.001
            }
        })
        .expect("it is found");
        assert!(why.contains("is wrong"), "{why}");
    }
}
