//! Predictions for arrays.

use crate::arrays::{Array, Arrays, samples};
use crate::finite::FiniteRows;
use crate::fit::batch_for;
use crate::nn::{Dataset, Optimizer};
use crate::outputs::Outputs;
use crate::run::SavedModel;
use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rnn_core::{Data, HostTensor};
use rnn_formats::npy::FloatsWriter;
use rnn_graph::Device;
use std::path::{Path, PathBuf};

/// Arrays that are judged, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct ArrayInput {
    /// What to predict from: .npy; .npz or a folder of .npy (an array x, or one for each input by its
    /// name); .csv
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with = "text")]
    input: Option<PathBuf>,
    /// Where predictions go; of several outputs each gets a file, y-NAME.npy, and of several of one
    /// layer those behind the first are numbered, y-NAME_1.npy
    #[arg(long, value_name = "y.npy", requires = "input")]
    output: Option<PathBuf>,
    /// Read examples from the file as they are needed, whatever memory there is
    #[arg(long, requires = "input")]
    stream: bool,
    /// Examples that are processed together [default: 32; of a stateful model what its file fixes]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
}

/// Predicts for every example of the first file, into the second.
///
/// # Errors
/// If the model or the arrays cannot be read, do not fit together, or the device fails.
pub fn predict(
    model_path: &Path,
    args: &ArrayInput,
    (input, output): (&Path, &Path),
    device: &dyn Device,
) -> Result<()> {
    ensure!(
        output.extension().is_some_and(|extension| extension == "npy"),
        "--output {}: predictions are written as .npy",
        output.display()
    );
    let saved = SavedModel::open(model_path)?;
    let file = &saved.file;
    let mut arrays = Arrays::features(input, args.stream, saved.columns.as_ref())?;
    let described = file.architecture.inputs().to_vec();
    let inputs = described.iter().map(|input| match described.len() {
        1 => {
            let only = arrays.only();
            let mut names = vec![input.name.as_str(), "x", "x_test"];
            names.extend(only.as_deref());
            arrays.input(&names, input)
        }
        _ => arrays.input(&[&input.name], input),
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let model = file.trained_model(Some(&samples(inputs.iter().map(Array::shape))))?;
    let names = file.architecture.output_names();
    let shapes = model.output_shapes(inputs[0].shape().dims()[0]);
    let inputs: Vec<_> = inputs.into_iter().map(Array::examples).collect();
    let set = Dataset::of(inputs, [])?;
    let batch = batch_for(file, &model, args.batch_size.map(|n| n as usize), set.len())?;
    saved.tell_precision();
    let mut trainer = saved.trainer(model, device, Optimizer::adam())?;
    let paths = Outputs::of(&[input, model_path]).take_each(output, &names)?;
    // Written as they come: they may be larger than memory.
    let files = paths.iter().zip(&shapes).map(|(path, shape)| FloatsWriter::create(path, shape));
    let mut files = files.collect::<Result<Vec<_>, _>>()?;
    let bar = ProgressBar::new(set.len() as u64);
    let template = "{wide_bar} {pos}/{len}, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let [mut of_inputs, mut of_outputs] = ["inputs", "outputs"].map(FiniteRows::of);
    for batch in set.batches(batch) {
        let batch = batch?;
        let outputs = trainer.predict_batch(&batch.inputs)?.into_iter().map(floats);
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        of_inputs.see(&batch.inputs);
        of_outputs.see(&outputs);
        bar.inc(batch.inputs[0].shape().dims()[0] as u64);
        files.iter_mut().zip(&outputs).try_for_each(|(file, output)| file.write(output))?;
    }
    bar.finish_and_clear();
    for ((file, path), shape) in files.into_iter().zip(&paths).zip(&shapes) {
        file.finish()?;
        eprintln!("wrote {} {shape:?}", path.display());
    }
    of_inputs.warn();
    of_outputs.warn();
    Ok(())
}

/// The tensor as floats: tokens are an output where an input is one.
fn floats(tensor: HostTensor) -> Result<HostTensor> {
    Ok(match tensor.data() {
        Data::F32(_) => tensor,
        Data::U32(tokens) => {
            let values = tokens.iter().map(|&token| token as f32).collect();
            HostTensor::from_f32(tensor.shape().clone(), values)?
        }
    })
}

impl ArrayInput {
    /// The files, if they are given.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.input.as_deref()?, self.output.as_deref()?))
    }
}
