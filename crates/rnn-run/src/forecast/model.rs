use super::Forecast;
use crate::host::Host;
use crate::run::SavedModel;
use anyhow::{Context, Result, ensure};
use rnn::Activation;
use rnn::model_file::Compiled;
use rnn::nn::{
    Add, Compile, Dense, Flatten, Initializer, InputSpec, Loss, Lstm, Model, Optimizer, TensorRef,
};
use std::path::Path;
use std::sync::Arc;

/// The units of the LSTM of a forecast without a model of the user's.
const UNITS: usize = 32;

/// Returns the name and the description of the model of a forecast. Its body is the model in the file
/// `own`, or an LSTM. Each quantile has a Dense layer of horizon x targets units on the body's output;
/// without a model of the user's another one, which begins with zeros, sees the whole window, and
/// both are added.
pub(super) fn build(
    forecast: &Forecast,
    own: Option<&Path>,
    seed: u64,
    host: &Arc<dyn Host>,
) -> Result<(String, Compiled)> {
    let sample = [forecast.window, forecast.inputs()];
    let (mut model, body, window) = match own {
        Some(path) => {
            let file = SavedModel::open(&path.into(), host)?.file;
            ensure!(
                !file.has_weights(),
                "{} holds weights; a forecast takes the description of a model, a model.toml",
                path.display()
            );
            let model = file.model(Some(&[&sample]), seed).with_context(|| {
                format!("{} does not take windows of shape {sample:?}", path.display())
            })?;
            let body = *model.outputs().first().context("the model has no output")?;
            ensure!(
                model.shape(body)?.len() == 1,
                "the output of {} is of shape {:?}; a forecast takes one row of numbers: the last \
                 recurrent layer returns no sequences",
                path.display(),
                model.shape(body)?
            );
            (model, body, None)
        }
        None => {
            let mut model = Model::new(seed);
            let input = model.input(InputSpec::floats(sample));
            let body = model.apply(Lstm::new(UNITS), &[input])?;
            let window = model.apply(Flatten, &[input])?;
            (model, body, Some(window))
        }
    };
    let units = forecast.outputs();
    let mut outputs: Vec<TensorRef> = Vec::new();
    for _ in &forecast.quantiles {
        let head = model.apply(Dense::new(units, Activation::Linear), &[body])?;
        outputs.push(match window {
            None => head,
            Some(window) => {
                let zeros = Dense::new(units, Activation::Linear)
                    .without_bias()
                    .kernel_initializer(Initializer::Zeros);
                let direct = model.apply(zeros, &[window])?;
                model.apply(Add(), &[head, direct])?
            }
        });
    }
    let model = model.with_outputs(outputs)?;
    let losses = forecast.quantiles.iter().map(|&quantile| (Loss::Pinball { quantile }, 1.0));
    let compile = Compile { optimizer: Optimizer::adam(), losses: losses.collect() };
    let name =
        own.and_then(Path::file_stem).map_or("forecast".into(), |n| n.to_string_lossy().into());
    Ok((name, Compiled { architecture: model.architecture().clone(), compile }))
}
