use crate::config::Config;
use crate::host::Host;
use crate::splits::Splits;
use rnn::nn::{Compile, Model};

/// Tells the host what is trained on what.
pub fn tell(host: &dyn Host, config: &Config, model: &Model, splits: &Splits) {
    host.print(format_args!("{}", model.summary()));
    host.tell(format_args!("{}", described(&config.compile(), &model.output_names())));
    if !splits.unused.is_empty() {
        let unused = splits.unused.join(", ");
        host.warn(format_args!("not used: the arrays {unused} of the data"));
    }
    host.tell(format_args!(
        "{} {what} to train on, {} to validate, {} to test",
        splits.train.len(),
        splits.validation.len(),
        splits.test.len(),
        what = config.examples()
    ));
}

/// Returns optimizer and losses as a line.
fn described(Compile { optimizer, losses }: &Compile, outputs: &[String]) -> String {
    let all = losses.iter().zip(outputs).map(|((loss, weight), output)| {
        let of = if losses.len() > 1 { format!(" of {output}") } else { String::new() };
        let times = if *weight == 1.0 { String::new() } else { format!("{weight} x ") };
        format!("{times}{}{of}", loss.name())
    });
    format!("optimizer: {optimizer}; loss: {}", all.collect::<Vec<_>>().join(" + "))
}
