//! Connectionist temporal classification (Graves et al., 2006).

use crate::common::{LANES, arity, dims, ensure, larger, row_iterations};
use crate::{Case, Definition, Sample};
use rnn_core::DType;
use rnn_graph::{
    Cost, Graph, Grid, Io, Launch, Limits, Op, OpError, Operand, Operands, Real, Shader, Signature,
    TensorId, TensorType, Work, iterations,
};

/// WGSL module of [`Ctc`] and [`CtcBackward`] (`shaders/loss/ctc.wgsl`).
pub static SHADER: Shader = Shader::new(
    "ctc",
    &[
        rnn_shaders::shared::ROWWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::shared::EXPONENTIAL,
        rnn_shaders::loss::CTC,
    ],
);

/// Loss of sequences of classes whose times are not known (`ctc_loss` of
/// keras/src/backend/tensorflow/nn.py, with class 0 as the blank).
///
/// A path names a class for each step. It spells the labels if they are left when equal neighbours
/// count once and blanks are then removed. The loss is minus the logarithm of the sum over all such
/// paths of the product of their probabilities; infinite, with a gradient of 0, if there is none.
///
/// Inputs: logarithms of probabilities `[B, T, C]`; labels u32 `[B, T]`, of which the first n count,
/// n being the number of those that are not 0. Output: losses `[B]`. Gradients flow to the
/// probabilities alone.
#[derive(Clone, Copy, Debug)]
pub struct Ctc;

/// Gradient of the logarithms of probabilities of a [`Ctc`]: -d_loss times the probability that a
/// path which spells the labels has this class at this step. Inputs: those of [`Ctc`], and d_loss
/// `[B]`. Output: `[B, T, C]`.
#[derive(Clone, Copy, Debug)]
pub struct CtcBackward;

/// The classes of the states of a row: its labels with blanks around each.
fn states(labels: &[u32]) -> Vec<usize> {
    let count = labels.iter().filter(|&&label| label != 0).count();
    let labelled = labels[..count].iter().flat_map(|&label| [label as usize, 0]);
    std::iter::once(0).chain(labelled).collect()
}

/// True if a path may go from state `from` to state `to` in one step.
fn follows(states: &[usize], from: usize, to: usize) -> bool {
    match to.checked_sub(from) {
        Some(0 | 1) => true,
        Some(2) => states[to] != 0 && states[to] != states[from],
        _ => false,
    }
}

fn log_sum<F: Real>(terms: impl Iterator<Item = F> + Clone) -> F {
    let highest = terms.clone().fold(F::neg_infinity(), |a, b| larger(a, b));
    match highest == F::neg_infinity() {
        true => highest,
        false => highest + terms.map(|term| (term - highest).exp()).sum::<F>().ln(),
    }
}

/// For each step and state the logarithm of the probability of all beginnings of paths that are in
/// this state at this step.
fn beginnings<F: Real>(p: &[F], states: &[usize], classes: usize) -> Vec<Vec<F>> {
    let mut all: Vec<Vec<F>> = Vec::new();
    for p in p.chunks_exact(classes) {
        let sums = (0..states.len()).map(|to| match all.last() {
            None if to <= 1 => F::zero(),
            None => F::neg_infinity(),
            Some(before) => {
                let from = (to.saturating_sub(2)..=to).filter(|&from| follows(states, from, to));
                log_sum(from.map(|from| before[from]))
            }
        });
        let sums = sums.zip(states).map(|(sum, &class)| sum + p[class]).collect();
        all.push(sums);
    }
    all
}

/// For each step and state the logarithm of the probability of all ends of paths behind this step.
fn ends<F: Real>(p: &[F], states: &[usize], classes: usize) -> Vec<Vec<F>> {
    let last = states.len() - 1;
    let mut all: Vec<Vec<F>> = Vec::new();
    let steps: Vec<&[F]> = p.chunks_exact(classes).collect();
    for t in (0..steps.len()).rev() {
        let sums = (0..states.len()).map(|from| match all.last() {
            None if from + 1 >= last => F::zero(),
            None => F::neg_infinity(),
            Some(after) => {
                let to = (from..=last.min(from + 2)).filter(|&to| follows(states, from, to));
                log_sum(to.map(|to| after[to] + steps[t + 1][states[to]]))
            }
        });
        let sums = sums.collect();
        all.push(sums);
    }
    all.reverse();
    all
}

fn log_probability<F: Real>(beginnings: &[Vec<F>]) -> F {
    let whole = beginnings.last().map_or(&[][..], Vec::as_slice);
    log_sum(whole.iter().rev().take(2).copied())
}

impl Definition for Ctc {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok([_, steps, classes]) = dims(&io.signature.inputs[0]) else { return };
        let rows = io.input(0).chunks_exact(steps * classes).zip(io.uints(1).chunks_exact(steps));
        for (loss, (p, labels)) in io.output().iter_mut().zip(rows) {
            *loss = -log_probability(&beginnings(p, &states(labels), classes));
        }
    }
}

impl Definition for CtcBackward {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let Ok([_, steps, classes]) = dims(&io.signature.inputs[0]) else { return };
        let rows = io.input(0).chunks_exact(steps * classes).zip(io.uints(1).chunks_exact(steps));
        let rows = rows.zip(io.input(2));
        let gradients = io.output().chunks_exact_mut(steps * classes);
        for (d, ((p, labels), &d_loss)) in gradients.zip(rows) {
            let states = states(labels);
            let (before, after) = (beginnings(p, &states, classes), ends(p, &states, classes));
            let whole = log_probability(&before);
            d.fill(F::zero());
            for (d, (before, after)) in d.chunks_exact_mut(classes).zip(before.iter().zip(&after)) {
                if whole == F::neg_infinity() {
                    continue;
                }
                for ((&class, &before), &after) in states.iter().zip(before).zip(after) {
                    d[class] = d[class] - d_loss * (before + after - whole).exp();
                }
            }
        }
    }
}

fn check(p: &TensorType, labels: &TensorType) -> Result<[usize; 3], OpError> {
    let [rows, steps, classes] = dims(p)?;
    let fits = labels.dtype == DType::U32 && labels.dims() == [rows, steps] && !p.is_empty();
    ensure(fits, || format!("labels {labels} for probabilities {p}"))?;
    Ok([rows, steps, classes])
}

/// The launches of a row each.
struct Launches {
    extents: [usize; 3],
    /// Steps of which a is kept.
    kept: usize,
    limits: u64,
}

impl Launches {
    fn new(s: &Signature, limits: &Limits, kept: usize) -> Result<Self, OpError> {
        let extents = dims(&s.inputs[0])?;
        Ok(Self { extents, kept, limits: limits.loop_iterations })
    }

    fn states(&self) -> usize {
        2 * self.extents[1] + 1
    }

    fn one(&self, entry: &'static str, groups: usize) -> Result<Launch, OpError> {
        let [rows, steps, classes] = self.extents;
        Ok(Launch::new(&SHADER, entry, Grid::cover(groups)?)
            .bind("labels", Operand::Input(1))
            .bind("a", Operand::Scratch(0))
            .param("rows", rows)
            .param("steps", steps)
            .param("classes", classes)
            .param("states", self.states())
            .param("kept", self.kept))
    }

    /// Launches over all steps, of as many as the limit on iterations allows.
    fn steps(&self, entry: &'static str) -> Result<Vec<Launch>, OpError> {
        let [rows, steps, _] = self.extents;
        let around = row_iterations(steps);
        let each = iterations(self.states().div_ceil(LANES), 0);
        let most = self.limits.saturating_sub(around) / (1 + each);
        let most = usize::try_from(most).unwrap_or(usize::MAX).clamp(1, steps);
        let launch = |first: usize| {
            let end = steps.min(first + most);
            Ok(self
                .one(entry, rows)?
                .iterations(iterations(end - first, each) + around)
                .bind("log_probabilities", Operand::Input(0))
                .param("first", first)
                .param("end", end))
        };
        (0..steps).step_by(most).map(launch).collect()
    }

    fn whole(&self, entry: &'static str, groups: usize) -> Result<Launch, OpError> {
        let [_, steps, classes] = self.extents;
        let states = iterations(self.states(), 0);
        Ok(self
            .one(entry, groups)?
            .iterations(iterations(classes.div_ceil(LANES), states) + row_iterations(steps))
            .param("first", 0usize)
            .param("end", steps)
            .bind("out", Operand::Output(0)))
    }
}

impl Op for Ctc {
    fn name(&self) -> &'static str {
        "ctc"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [p, labels] = arity(inputs)?;
        let [rows, ..] = check(p, labels)?;
        Ok(vec![TensorType::f32([rows])])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let of = Launches::new(s, limits, 2)?;
        let [rows, ..] = of.extents;
        let mut launches = of.steps("alpha")?;
        launches.push(of.whole("loss", rows)?);
        Ok(Work { scratch: vec![rows * of.kept * of.states()], launches })
    }

    fn backward(
        &self,
        graph: &mut Graph,
        operands: &Operands,
        gradients: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        let Some(g) = gradients[0] else { return Ok(vec![None, None]) };
        let dp = graph.apply(CtcBackward, &[operands.inputs[0], operands.inputs[1], g])?;
        Ok(vec![Some(dp), None])
    }

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, 20)
    }
}

impl Op for CtcBackward {
    fn name(&self) -> &'static str {
        "ctc_backward"
    }

    fn infer(&self, inputs: &[TensorType], _: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
        let [p, labels, d_loss] = arity(inputs)?;
        let [rows, ..] = check(p, labels)?;
        ensure(d_loss.len() == rows, || format!("gradient {d_loss} of {rows} losses"))?;
        Ok(vec![p.clone()])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let [rows, steps, _] = dims(&s.inputs[0])?;
        let of = Launches::new(s, limits, steps)?;
        let mut launches = of.steps("alpha")?;
        let back = of.steps("beta")?.into_iter().rev();
        launches.extend(back.map(|launch| launch.bind("b", Operand::Scratch(1))));
        launches.push(of.whole("gradient", rows * steps)?.bind("d_loss", Operand::Input(2)));
        Ok(Work { scratch: vec![rows * steps * of.states(), rows * 2 * of.states()], launches })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        cost(s, 60)
    }
}

/// With so many operations for each step and state.
fn cost(s: &Signature, each: u64) -> Cost {
    let labels = &s.inputs[1];
    Cost { flops: 2 * each * (labels.len() * labels.shape.last()) as u64, bytes: s.bytes() }
}

/// Returns the test cases of [`Ctc`] and [`CtcBackward`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [rows, steps, classes] in [[1, 1, 2], [3, 7, 4], [2, 70, 5], [5, 9, 130]] {
        // Of all lengths that fit, some with equal neighbours; the first row has none.
        let label = |row: usize, i: usize| match i < row * steps / (2 * rows) {
            true => 1 + ((row + i * i) % (classes - 1)) as u32,
            false => 0,
        };
        let labels = (0..rows * steps).map(|at| label(at / steps, at % steps)).collect();
        let labels = Sample::Exactly(vec![rows, steps], labels);
        let both = vec![Sample::Uniform(vec![rows, steps, classes], -4.0, 0.0), labels];
        let all = [both.clone(), vec![Sample::Normal(vec![rows])]].concat();
        let size = format!("{rows}x{steps}x{classes}");
        cases.push(Case::new(format!("ctc {size}"), Ctc, both).gradient(&[0]));
        // e to the power of a difference of sums over all steps, which has their rounding.
        let back = Case::new(format!("ctc_backward {size}"), CtcBackward, all);
        cases.push(back.tolerance(1e-4));
    }
    cases
}
