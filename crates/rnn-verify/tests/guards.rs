//! No kernel reads or writes outside of the tensors that it is given.

use rnn_graph::Device;
use rnn_testing::adapters;
use rnn_verify::{NotPassed, Trial};
use rnn_wgpu::{Adapter, Options, VariantChoice, WgpuDevice};

/// What a device puts out, as bits; none where its limits do not reach.
fn bits(trial: &Trial, device: &dyn Device) -> Result<Option<Vec<Vec<u8>>>, String> {
    match trial.run(device) {
        Ok(tensors) => Ok(Some(tensors.iter().map(|t| t.as_bytes().to_vec()).collect())),
        Err(NotPassed::Skipped(_)) => Ok(None),
        Err(NotPassed::Failed(why)) => Err(why),
    }
}

fn check_all(adapter: &Adapter, variants: VariantChoice) {
    // As floats not a number, as integers and pairs of f16 far out of range; then an ordinary float.
    let devices = [None, Some(0x7fff_7fff), Some(0x3f9e_0652)].map(|guards| {
        let options = Options { guards, variants, ..Options::default() };
        WgpuDevice::open(adapter, options).expect("the adapter opens")
    });
    let (mut compared, mut failures) = (0, vec![]);
    for case in &rnn_ops::suite() {
        let trial = Trial::new(case).expect("the case is sound");
        match devices.each_ref().map(|device| bits(&trial, device)) {
            [Ok(Some(want)), Ok(Some(a)), Ok(Some(b))] => {
                compared += 1;
                if a != want || b != want {
                    failures.push(format!("{}: it reads outside of a binding", case.name));
                }
            }
            found => found
                .into_iter()
                .filter_map(Result::err)
                .for_each(|why| failures.push(format!("{}: {why}", case.name))),
        }
    }
    println!("{}: {compared} cases", adapter.info);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 200, "{compared}");
}

#[test]
fn no_kernel_leaves_its_bindings() {
    adapters().iter().for_each(|adapter| check_all(adapter, VariantChoice::First));
}

#[test]
fn no_variant_leaves_its_bindings() {
    adapters().iter().for_each(|adapter| check_all(adapter, VariantChoice::Nth(1)));
    adapters().iter().for_each(|adapter| check_all(adapter, VariantChoice::Nth(2)));
}
