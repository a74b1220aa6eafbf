use crate::common::{LANES, arity, ensure, row_iterations};
use crate::{Case, Definition, Sample, StepParams};
use rnn_graph::{
    Cost, Grid, Io, Launch, Limits, Op, OpError, Operand, Real, Shader, Signature, TensorType, Work,
};

/// WGSL module of [`Unscale`] (`shaders/optimizer/unscale.wgsl`).
pub static SHADER: Shader = Shader::new(
    "unscale",
    &[
        rnn_shaders::shared::ROWWISE,
        rnn_shaders::shared::BITS,
        rnn_shaders::optimizer::STEP_PARAMS,
        rnn_shaders::optimizer::UNSCALE,
    ],
);

/// Maximum number of partial counts.
const PARTS: usize = 256;
/// Steps without overflow after which the scale is doubled
/// (keras/src/optimizers/loss_scale_optimizer.py).
const GROWTH_STEPS: f32 = 2000.0;
/// Upper bound of the scale.
const MAX_SCALE: f32 = 16_777_216.0;

/// Length of the state of dynamic loss scaling, `[scale, steps]`: the scale, and the number of
/// steps since it last changed.
pub const LOSS_SCALE: usize = 2;
/// Initial state of dynamic loss scaling, `[scale, steps]`: the initial scale of Keras's
/// LossScaleOptimizer (keras/src/optimizers/loss_scale_optimizer.py), and 0 steps.
pub const FIRST_LOSS_SCALE: [f32; LOSS_SCALE] = [32_768.0, 0.0];

/// Dynamic loss scaling (keras/src/optimizers/loss_scale_optimizer.py): divides the gradients by
/// the scale by which the loss was multiplied, and adapts the scale.
///
/// If a gradient is not finite, all gradients and [`StepParams::active`] become zero, so that
/// [`crate::Update`] skips the step, and the scale is halved, to 1 at least. After 2,000 finite
/// steps the scale is doubled, to 2^24 at most. Each change sets the count of steps to 0.
///
/// Input: the [`StepParams`] of the step, `[LEN]`. Updates: gradients `[N]`, and the state
/// `[scale, steps]`. Output: the parameters of the step, changed, `[LEN]`.
#[derive(Clone, Debug)]
pub struct Unscale;

impl Definition for Unscale {
    fn define<F: Real>(&self, io: &mut Io<'_, F>) {
        let params = io.input(0);
        io.output().copy_from_slice(params);
        let [gradients, state] = io.updates();
        let finite = gradients.iter().all(|g| g.is_finite());
        let scale = state[0];
        gradients.iter_mut().for_each(|g| *g = if finite { *g / scale } else { F::zero() });
        let two = F::of(2.0);
        match finite {
            false => state.copy_from_slice(&[(scale / two).max(F::one()), F::zero()]),
            true if state[1] + F::one() >= F::of(GROWTH_STEPS.into()) => {
                state.copy_from_slice(&[(scale * two).min(F::of(MAX_SCALE.into())), F::zero()]);
            }
            true => state[1] = state[1] + F::one(),
        }
        if !finite {
            io.output()[StepParams::ACTIVE] = F::zero();
        }
    }
}

impl Op for Unscale {
    fn name(&self) -> &'static str {
        "unscale"
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        let ([params], [_, state]) = (arity(inputs)?, arity(updates)?);
        ensure(params.len() == StepParams::LEN, || {
            format!("the parameters of a step are {params}")
        })?;
        ensure(state.len() == LOSS_SCALE, || format!("the state of the scale is {state}"))?;
        Ok(vec![params.clone()])
    }

    fn record(&self, s: &Signature, _: &Limits) -> Result<Work, OpError> {
        let count = s.updates[0].len();
        let parts = count.div_ceil(LANES).min(PARTS);
        let launch = |entry, grid| {
            Launch::new(&SHADER, entry, grid)
                .iterations(row_iterations(count.div_ceil(parts.max(1)).max(parts)))
                .param("count", count)
                .param("parts", parts)
                .param("growth_steps", GROWTH_STEPS)
                .param("max_scale", MAX_SCALE)
        };
        let count_nonfinite = launch("count_nonfinite", Grid::cover(parts)?)
            .bind("gradients", Operand::Update(0))
            .bind("counts", Operand::Scratch(0));
        let update_scale = launch("update_scale", Grid::cover(1)?)
            .bind("partial", Operand::Scratch(0))
            .bind("scale", Operand::Update(1))
            .bind("step", Operand::Input(0))
            .bind("out", Operand::Output(0))
            .bind("factor", Operand::Scratch(1));
        let unscale = launch("unscale", Grid::cover(count.div_ceil(LANES))?)
            .bind("gradients", Operand::Update(0))
            .bind("factor_in", Operand::Scratch(1));
        Ok(Work { scratch: vec![parts, 1], launches: vec![count_nonfinite, update_scale, unscale] })
    }

    not_differentiable!();

    defined!();

    fn cost(&self, s: &Signature) -> Cost {
        Cost { flops: s.updates[0].len() as u64, bytes: s.bytes() }
    }
}

/// Returns the test cases of [`Unscale`], for [`suite`](crate::suite).
pub fn cases() -> Vec<Case> {
    let case = |name: &str, gradients: Vec<f32>, state: [f32; LOSS_SCALE]| {
        let updates = vec![
            Sample::Floats(vec![gradients.len()], gradients),
            Sample::Floats(vec![LOSS_SCALE], state.into()),
        ];
        let params = Sample::Floats(vec![StepParams::LEN], vec![0.1, 0.2, 0.3, 0.4, 0.5, 1.0]);
        Case::new(format!("unscale {name}"), Unscale, vec![params]).updates(updates)
    };
    let finite: Vec<f32> = (0..20_000).map(|i| (i % 37) as f32 - 11.5).collect();
    let with = |at: usize, value: f32| {
        let mut gradients = finite.clone();
        gradients[at] = value;
        gradients
    };
    vec![
        case("finite", finite.clone(), [1024.0, 5.0]),
        case("one", vec![3.0], [2.0, 1998.0]),
        case("growing", finite.clone(), [1024.0, 1999.0]),
        case("at most", finite.clone(), [MAX_SCALE, 1999.0]),
        case("infinite", with(19_999, f32::INFINITY), [1024.0, 7.0]),
        case("not a number", with(0, f32::NAN), [1.0, 0.0]),
    ]
}
