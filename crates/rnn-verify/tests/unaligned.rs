//! Every op takes views that begin anywhere: of inputs, of what it changes, and as places of what it
//! puts out.

use rnn_core::{DType, Data, HostTensor};
use rnn_graph::{Device, DeviceError, Graph, TensorType};
use rnn_ops::{Case, Cast};
use rnn_testing::{adapters, open};
use rnn_verify::{NotPassed, Trial};
use std::sync::Arc;

/// A number that stands around views, and must stand there afterwards.
const AROUND: f32 = -77.0;

/// Elements by which the nth view begins behind the first of its tensor: no multiple of the 64 words
/// to which bindings are aligned; an even number, where two share a word.
fn shift(n: usize, ty: DType) -> usize {
    match ty {
        DType::F16 => 2 + 2 * n,
        _ => 1 + 2 * n,
    }
}

/// The type of a tensor that holds another from an element on, and some behind it.
fn around(ty: &TensorType, shift: usize) -> TensorType {
    let len = (shift + ty.len() + 3).next_multiple_of(2);
    TensorType { shape: [len].into(), dtype: ty.dtype }
}

/// Values with others around them.
fn wrapped(values: &HostTensor, shift: usize) -> HostTensor {
    let len = around(&ty(values), shift).len();
    let place = shift..shift + values.shape().len();
    match values.data() {
        Data::F32(own) => {
            let mut all = vec![AROUND; len];
            all[place].copy_from_slice(own);
            HostTensor::from_f32([len], all)
        }
        Data::U32(own) => {
            let mut all = vec![AROUND.to_bits(); len];
            all[place].copy_from_slice(own);
            HostTensor::from_u32([len], all)
        }
    }
    .expect("the shape")
}

/// The values within, if what stands around them is as it was.
fn unwrapped(all: &HostTensor, shift: usize, ty: &TensorType) -> Result<HostTensor, String> {
    let place = shift..shift + ty.len();
    let words: Vec<u32> = match all.data() {
        Data::F32(all) => all.iter().map(|v| v.to_bits()).collect(),
        Data::U32(all) => all.clone(),
    };
    let outside = words.iter().enumerate().filter(|(at, _)| !place.contains(at));
    if let Some((at, _)) = outside.into_iter().find(|(_, word)| **word != AROUND.to_bits()) {
        return Err(format!("element {at}, beside {place:?}, was overwritten"));
    }
    let own = words[place].to_vec();
    let floats = || own.iter().map(|&bits| f32::from_bits(bits)).collect();
    match ty.dtype {
        DType::U32 => HostTensor::from_u32(ty.shape.clone(), own),
        _ => HostTensor::from_f32(ty.shape.clone(), floats()),
    }
    .map_err(|e| e.to_string())
}

fn ty(values: &HostTensor) -> TensorType {
    TensorType { shape: values.shape().clone(), dtype: values.dtype() }
}

/// What a device puts out for views.
fn run(case: &Case, device: &dyn Device) -> Result<Vec<HostTensor>, DeviceError> {
    let (inputs, updates) = case.draw();
    let mut graph = Graph::new();
    let fits = "the view is within its tensor";
    let mut operands = Vec::new();
    let mut given = Vec::new();
    for (i, values) in inputs.iter().enumerate() {
        let half = case.half.contains(&i);
        let by = shift(i, if half { DType::F16 } else { values.dtype() });
        let mut base = graph.input("input", around(&ty(values), by));
        if half {
            base = graph.apply(Cast(DType::F16), &[base]).expect("it is rounded");
        }
        operands.push(graph.view(base, by, values.shape().clone()).expect(fits));
        given.push(wrapped(values, by));
    }
    let mut residents = Vec::new();
    let mut changed = Vec::new();
    for (i, values) in updates.iter().enumerate() {
        let by = shift(3 + i, values.dtype());
        let base = graph.resident(&format!("update {i}"), around(&ty(values), by));
        changed.push(graph.view(base, by, values.shape().clone()).expect(fits));
        residents.push((format!("update {i}"), by, ty(values), wrapped(values, by)));
    }
    let outputs = graph.push_node(case.op.clone(), &operands, &changed).expect("it fits");
    let updates = std::mem::take(&mut residents);
    for (i, &output) in outputs.iter().enumerate() {
        let out = graph[output].ty.clone();
        let by = shift(7 + i, out.dtype);
        if out.dtype == DType::F16 {
            // Residents have no halves.
            graph.output(output);
            residents.push((String::new(), 0, out, HostTensor::zeros([0], DType::F32)));
            continue;
        }
        let name = format!("output {i}");
        let base = graph.resident(&name, around(&out, by));
        assert!(graph.place(output, base, by), "{name}");
        let blank = wrapped(&HostTensor::zeros(out.shape.clone(), out.dtype), by);
        residents.push((name, by, out, blank));
    }
    residents.extend(updates);
    let mut session = device.session();
    let program = session.compile(Arc::new(graph))?;
    for (name, .., values) in residents.iter().filter(|r| !r.0.is_empty()) {
        session.write(name, values)?;
    }
    session.run(program, &given.iter().collect::<Vec<_>>())?;
    let mut fetched = session.fetch(program)?.into_iter();
    residents
        .iter()
        .map(|(name, by, ty, _)| match name.as_str() {
            "" => Ok(fetched.next().expect("an output")),
            name => {
                let all = session.read(name)?;
                Ok(unwrapped(&all, *by, ty)
                    .unwrap_or_else(|e| panic!("{}: {name}: {e}", case.name)))
            }
        })
        .collect()
}

fn check_all(device: &dyn Device) {
    let mut failures = Vec::new();
    let mut passed = 0;
    for case in &rnn_ops::suite() {
        let trial = Trial::new(case).expect("the case is sound");
        // What the limits refuse is not run on views either.
        if let Err(NotPassed::Skipped(_)) = trial.run(device) {
            continue;
        }
        let judged = run(case, device).map_err(|e| e.to_string());
        match judged.and_then(|got| trial.compare(&got).map_err(|e| format!("{e:?}"))) {
            Ok(_) => passed += 1,
            Err(why) => failures.push(format!("{}: {why}", case.name)),
        }
    }
    println!("{}: {passed} cases", device.info());
    assert!(failures.is_empty(), "{}\n{}", device.info(), failures.join("\n"));
    assert!(passed > 400, "{passed}");
}

#[test]
fn every_op_takes_unaligned_views_on_the_cpu() {
    check_all(&rnn_cpu::CpuDevice::new());
}

#[test]
fn every_op_takes_unaligned_views_on_every_adapter() {
    for adapter in &adapters() {
        check_all(&open(adapter));
    }
}
