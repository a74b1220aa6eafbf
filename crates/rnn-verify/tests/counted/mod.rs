//! Ops whose kernels count the iterations of their loops.

use rnn_graph::{
    Cost, Graph, InPlace, Io, Launch, LaunchVariant, Limits, Op, OpError, Operand, Operands,
    Shader, Signature, TensorId, TensorType, Work,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An op whose kernels put the iterations that the busiest thread of each launch made into an update
/// behind the op's own, a word for each launch.
#[derive(Debug)]
pub struct Counted(pub Arc<dyn Op>);

/// Launches of an op, at most.
pub const LAUNCHES: usize = 64;

/// A shader that counts: every loop, when it begins and at each of its turns.
fn counting(shader: &'static Shader) -> &'static Shader {
    static KNOWN: Mutex<Option<HashMap<usize, &'static Shader>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    known.entry(std::ptr::from_ref(shader).addr()).or_insert_with(|| {
        let source = shader.source().expect("it is sound");
        // Directives stand before all else.
        let (directives, rest): (Vec<&str>, Vec<&str>) =
            source.lines().partition(|line| line.starts_with("enable "));
        let mut text = directives.join("\n");
        text += "\n
            override COUNTED_LAUNCH: u32 = 0u;
            var<private> counted_iterations: u32;
            @group(0) @binding(30) var<storage, read_write> counted: array<atomic<u32>>;
            fn count_iteration() {
                counted_iterations += 1u;
                atomicMax(&counted[COUNTED_LAUNCH], counted_iterations);
            }\n";
        for line in rest {
            let line = match line.trim_start().starts_with("for (") {
                true => {
                    assert!(line.ends_with('{'), "a loop that is not counted: {line}");
                    format!("count_iteration(); {line} count_iteration();")
                }
                false => line.to_owned(),
            };
            let others = ["while ", "while(", "loop {"];
            assert!(others.iter().all(|l| !line.trim_start().starts_with(l)), "{line}");
            text += &line;
            text.push('\n');
        }
        let parts: &'static [&'static str] = Box::leak(Box::new([&*text.leak()]));
        Box::leak(Box::new(Shader::new(shader.name(), parts)))
    })
}

fn count(launch: Launch, index: usize, update: usize) -> Launch {
    let loops = launch.shader.entry_point(launch.entry).is_ok_and(|entry| entry.loops);
    if !loops {
        return launch;
    }
    let variants = launch
        .variants
        .iter()
        .map(|other| LaunchVariant { shader: counting(other.shader), ..other.clone() });
    let variants = variants.collect();
    let launch = Launch { shader: counting(launch.shader), variants, ..launch };
    launch.constant("COUNTED_LAUNCH", index as f64).bind("counted", Operand::Update(update))
}

impl Op for Counted {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn takes_half(&self) -> bool {
        self.0.takes_half()
    }

    fn in_place(&self) -> Option<InPlace> {
        self.0.in_place()
    }

    fn infer(
        &self,
        inputs: &[TensorType],
        updates: &[TensorType],
    ) -> Result<Vec<TensorType>, OpError> {
        self.0.infer(inputs, &updates[..updates.len() - 1])
    }

    fn record(&self, s: &Signature, limits: &Limits) -> Result<Work, OpError> {
        let own = s.updates.len() - 1;
        let signature = Signature { updates: s.updates[..own].to_vec(), ..s.clone() };
        let mut work = self.0.record(&signature, limits)?;
        assert!(work.launches.len() <= LAUNCHES, "{} launches", work.launches.len());
        let launches = work.launches.into_iter().enumerate();
        work.launches = launches.map(|(index, launch)| count(launch, index, own)).collect();
        Ok(work)
    }

    fn backward(
        &self,
        _: &mut Graph,
        _: &Operands,
        _: &[Option<TensorId>],
    ) -> Result<Vec<Option<TensorId>>, OpError> {
        Err(OpError::NotDifferentiable)
    }

    fn reference_f64(&self, _: &mut Io<'_, f64>) {}

    fn reference_f32(&self, _: &mut Io<'_, f32>) {}

    fn cost(&self, _: &Signature) -> Cost {
        Cost::default()
    }
}
