//! The files under tests/golden, and what they are compared on.

use rnn::Activation;
use rnn_core::HostTensor;
use rnn_cpu::CpuDevice;
use rnn_formats::safetensors;
use rnn_graph::{Device, Graph, TensorId, TensorType};
use rnn_verify::compare;
use rnn_wgpu::{Options, WgpuDevice, adapters};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// One case of a file: Keras's arguments and the tensors that went in and came out.
pub struct Golden {
    pub name: String,
    pub args: Value,
    tensors: HashMap<String, HostTensor>,
}

/// All cases of `tests/golden/<name>.safetensors`.
pub fn goldens(name: &str) -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let (tensors, metadata) =
        safetensors::load(&folder.join(format!("{name}.safetensors"))).expect("a golden file");
    let cases: Vec<Value> = serde_json::from_str(&metadata["cases"]).expect("a list of cases");
    let golden = |args: Value| {
        let case = args["name"].as_str().expect("a name").to_owned();
        let own = tensors.iter().filter_map(|(key, tensor)| {
            Some((key.strip_prefix(&format!("{case}/"))?.to_owned(), tensor.clone()))
        });
        Golden { name: format!("{name} {case}"), args, tensors: own.collect() }
    };
    let all: Vec<Golden> = cases.into_iter().map(golden).collect();
    assert!(!all.is_empty(), "{name} has no cases");
    all
}

impl Golden {
    pub fn tensor(&self, name: &str) -> &HostTensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.name))
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub fn insert(&mut self, name: &str, tensor: HostTensor) {
        self.tensors.insert(name.to_owned(), tensor);
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
    /// to `sources`, runs the graph on every device, and compares `ends` and gradients.
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
        for device in devices() {
            let mut session = device.session();
            let program = session.compile(Arc::new(graph.clone())).expect("it compiles");
            session.run(program, &inputs).expect("it runs");
            let outputs = session.fetch(program).expect("outputs");
            for ((name, _), got) in results.iter().zip(&outputs) {
                let place = format!("{} {name} on {}", self.name, device.info());
                expect_close(&place, got, self.tensor(name), tolerance);
            }
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

/// The CPU device and every adapter; without an adapter the test says so, or fails where one is
/// required.
pub fn devices() -> Vec<Box<dyn Device>> {
    let mut all: Vec<Box<dyn Device>> = vec![Box::new(CpuDevice::new())];
    let adapters = adapters();
    if adapters.is_empty() {
        assert!(std::env::var_os("RNN_GPU_REQUIRE_GPU").is_none(), "no adapter");
        println!("SKIPPED goldens on adapters: there is none");
    }
    for adapter in &adapters {
        let device = WgpuDevice::open(adapter, Options::default()).expect("the adapter opens");
        all.push(Box::new(device));
    }
    all
}
