//! The files under tests/golden, and how results are compared with them.

use rnn::Activation;
use rnn_core::HostTensor;
use rnn_formats::safetensors;
use rnn_graph::{Device, Graph, TensorId, TensorType};
use rnn_testing::TestDevice;
use rnn_verify::compare;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// One case of a file, Keras's arguments and the tensors that went in and came out, and the device
/// that is to compute the same.
#[derive(Clone)]
pub struct Golden {
    pub name: String,
    pub args: Value,
    tensors: HashMap<String, HostTensor>,
    device: Arc<TestDevice>,
}

/// All cases of `tests/golden/<file>.safetensors`, on a device, by their names in the file.
pub fn goldens(file: &str, device: &Arc<TestDevice>) -> Vec<(String, Golden)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let (tensors, metadata) =
        safetensors::load(&folder.join(format!("{file}.safetensors"))).expect("a golden file");
    let cases: Vec<Value> = serde_json::from_str(&metadata["cases"]).expect("a list of cases");
    let golden = |args: Value| {
        let case = args["name"].as_str().expect("a name").to_owned();
        let own = tensors.iter().filter_map(|(key, tensor)| {
            Some((key.strip_prefix(&format!("{case}/"))?.to_owned(), tensor.clone()))
        });
        let tensors = own.collect();
        let (name, device) = (format!("{file} {case}"), device.clone());
        (case, Golden { name, args, tensors, device })
    };
    let all: Vec<_> = cases.into_iter().map(golden).collect();
    assert!(!all.is_empty(), "{file} has no cases");
    all
}

impl Golden {
    pub fn device(&self) -> &dyn Device {
        &**self.device
    }

    pub fn tensor(&self, name: &str) -> &HostTensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.name))
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.args[name].as_bool().unwrap_or_else(|| panic!("{}: no flag {name}", self.name))
    }

    pub fn number(&self, name: &str) -> f64 {
        self.args[name].as_f64().unwrap_or_else(|| panic!("{}: no number {name}", self.name))
    }

    pub fn activation(&self, name: &str) -> Activation {
        let wanted = self.args[name].as_str();
        let found = Activation::ALL.into_iter().find(|a| Some(a.name()) == wanted);
        found.unwrap_or_else(|| panic!("{}: {name} is {wanted:?}", self.name))
    }

    /// An input of the graph, of the golden's type.
    pub fn input(&self, graph: &mut Graph, name: &str) -> TensorId {
        let tensor = self.tensor(name);
        let ty = TensorType { shape: tensor.shape().clone(), dtype: tensor.dtype() };
        graph.input(name, ty)
    }

    /// Adds the gradients of `ends` (with the golden's `d_` tensors as cotangents) with respect
    /// to `sources`, runs the graph on the device, and compares `ends` and gradients.
    pub fn check(
        &self,
        mut graph: Graph,
        ends: &[(&str, TensorId)],
        sources: &[(&str, TensorId)],
        tolerance: f64,
    ) {
        let mut seeds = Vec::new();
        for &(name, end) in ends.iter().filter(|(name, _)| self.has(&format!("d_{name}"))) {
            seeds.push((end, self.input(&mut graph, &format!("d_{name}"))));
        }
        let wrt: Vec<TensorId> = sources.iter().map(|&(_, t)| t).collect();
        let gradients = rnn_ops::gradients(&mut graph, &seeds, &wrt).expect("gradients");
        let mut results: Vec<(String, TensorId)> =
            ends.iter().map(|&(name, t)| (name.to_owned(), t)).collect();
        for (&(name, _), gradient) in sources.iter().zip(gradients) {
            let gradient = gradient.unwrap_or_else(|| panic!("{}: no d_{name}", self.name));
            results.push((format!("d_{name}"), gradient));
        }
        results.iter().for_each(|&(_, t)| graph.output(t));
        let inputs: Vec<&HostTensor> =
            graph.inputs().iter().map(|&t| self.tensor(&graph[t].name)).collect();
        let mut session = self.device.session();
        let program = session.compile(Arc::new(graph)).expect("it compiles");
        session.run(program, &inputs).expect("it runs");
        let outputs = session.fetch(program).expect("outputs");
        for ((name, _), got) in results.iter().zip(&outputs) {
            let place = format!("{} {name} on {}", self.name, self.device.info());
            expect_close(&place, got, self.tensor(name), tolerance);
        }
    }
}

/// Fails unless every element is within the tolerance, relative to the largest one.
pub fn expect_close(place: &str, got: &HostTensor, want: &HostTensor, tolerance: f64) {
    assert_eq!(got.shape().len(), want.shape().len(), "{place}");
    let wide: Vec<f64> = want.as_f32().expect("floats").iter().map(|&v| f64::from(v)).collect();
    if let Err(message) = compare(got.as_f32().expect("floats"), &wide, tolerance) {
        panic!("{place}: {message}");
    }
}
