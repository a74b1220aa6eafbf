//! Predictions for arrays.

use crate::arrays::{Array, Arrays, samples};
use crate::finite::FiniteRows;
use crate::fit::batch_for;
use crate::host::Host;
use crate::outputs::Outputs;
use crate::run::{ModelPath, SavedModel};
use anyhow::{Result, ensure};
use rnn::nn::{Dataset, Optimizer};
use rnn_core::{Data, HostTensor};
use rnn_formats::npy::FloatsWriter;
use rnn_graph::Device;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The arguments of [`predict_arrays`]: the files that it reads and writes, and how it reads them.
#[derive(Clone, Copy, Debug)]
pub struct ArrayFiles<'a> {
    /// The inputs: a single `.npy`; a `.csv`; or an `.npz` or a folder of `.npy` with an array for
    /// each input, named like it. For a model of one input the array may also be named `x` or
    /// `x_test`, or be the only one.
    pub input: &'a Path,
    /// The `.npy` file for the output. A model of several outputs writes a file `STEM-NAME.npy`
    /// beside it for each of them instead; see [`Outputs::take_each`].
    pub output: &'a Path,
    /// True to leave all arrays in their files and read examples as they are needed, which is an
    /// error for a `.csv`; false to do so only with arrays that are large for the free memory.
    pub stream: bool,
    /// The number of examples in a batch; `None` for the number that a stateful model fixes, else
    /// 32.
    pub batch_size: Option<usize>,
}

/// The files of predictions that were written, and the counts of rows that are not finite.
#[derive(Debug)]
pub struct Predicted {
    /// Each file with the shape of its array, the number of examples first, in the order of the
    /// outputs.
    pub files: Vec<(PathBuf, Vec<usize>)>,
    /// The counts of rows that are not finite: among the inputs, then among the outputs.
    pub rows: [FiniteRows; 2],
}

/// Predicts for every example of the arrays in `input` with the model at `model_path`, and writes
/// the outputs batch by batch. `progress` is called before the first batch and after each one, with
/// the number of examples done and the number of all examples. `host` gets remarks and warnings.
///
/// # Errors
/// Fails if the model or the arrays cannot be read or do not fit together, the model has no
/// weights, the device lacks the precision of the run, or the device fails. Fails also if `output`
/// does not end in `.npy`, cannot be written, or cannot be taken ([`Outputs::take`]).
pub fn predict_arrays(
    model_path: &ModelPath,
    ArrayFiles { input, output, stream, batch_size }: ArrayFiles<'_>,
    device: &dyn Device,
    (host, progress): (&Arc<dyn Host>, &mut dyn FnMut(usize, usize)),
) -> Result<Predicted> {
    ensure!(
        output.extension().is_some_and(|extension| extension == "npy"),
        "{}: predictions are written as .npy",
        output.display()
    );
    let saved = SavedModel::open(model_path, host)?;
    let file = &saved.file;
    let mut arrays = Arrays::features(input, stream, saved.columns.as_ref())?;
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
    arrays.take_remarks().iter().for_each(|line| host.warn(format_args!("{line}")));
    let model = file.trained_model(Some(&samples(inputs.iter().map(Array::shape))))?;
    let names = file.architecture.output_names();
    let shapes = model.output_shapes(inputs[0].shape().dims()[0]);
    let inputs: Vec<_> = inputs.into_iter().map(Array::examples).collect();
    let set = Dataset::of(inputs, [])?;
    let batch = batch_for(file, &model, batch_size, set.len())?;
    saved.tell_precision(&**host);
    let mut trainer = saved.trainer(model, device, Optimizer::adam())?;
    let paths = Outputs::of(&[input, &model_path.path]).take_each(output, &names)?;
    // Written as they come: they may be larger than memory.
    let files = paths.iter().zip(&shapes).map(|(path, shape)| FloatsWriter::create(path, shape));
    let mut files = files.collect::<Result<Vec<_>, _>>()?;
    let mut done = 0;
    progress(done, set.len());
    let [mut of_inputs, mut of_outputs] = ["inputs", "outputs"].map(FiniteRows::of);
    for batch in set.batches(batch) {
        let batch = batch?;
        let outputs = trainer.predict_batch(&batch.inputs)?.into_iter().map(floats);
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        of_inputs.see(&batch.inputs);
        of_outputs.see(&outputs);
        done += batch.inputs[0].shape().dims()[0];
        progress(done, set.len());
        files.iter_mut().zip(&outputs).try_for_each(|(file, output)| file.write(output))?;
    }
    files.into_iter().try_for_each(FloatsWriter::finish)?;
    Ok(Predicted { files: paths.into_iter().zip(shapes).collect(), rows: [of_inputs, of_outputs] })
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
