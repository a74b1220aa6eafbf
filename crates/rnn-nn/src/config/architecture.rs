use super::layer::Described;
use super::masks::named_like_operations;
use super::{ConfigError, Dialect, Reader, read, write};
use crate::naming::{distinct_names, unique_name};
use crate::summary::Open;
use crate::{InputSpec, Model, ModelError, Symbol};
use serde_json::Value;
use std::borrow::Cow;

/// An input of a described model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its extents, the batch first; none, where any will do.
    pub batch_shape: Vec<Option<usize>>,
    /// Token ids, not floats.
    pub tokens: bool,
}

impl Input {
    /// As Keras prints it: `[None, 5, 3]`.
    fn shown(&self) -> String {
        let extent = |n: &Option<usize>| n.map_or("None".into(), |n| n.to_string());
        format!("[{}]", self.batch_shape.iter().map(extent).collect::<Vec<String>>().join(", "))
    }
}

/// A tensor between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Input(usize),
    Output { call: usize, index: usize },
}

/// One use of a layer.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub layer: usize,
    pub inputs: Vec<Source>,
}

/// What a model is made of, without weights: Keras's `config.json`. Unlike a [`Model`] it may leave
/// extents open, such as the length of sequences.
#[derive(Clone, Debug)]
pub struct Architecture {
    pub(super) inputs: Vec<Input>,
    pub(super) layers: Vec<Described>,
    /// A call comes after those that made its inputs.
    pub(super) calls: Vec<Call>,
    pub(super) outputs: Vec<Source>,
}

impl Architecture {
    /// Reads `{"class_name": "Sequential" or "Functional", "config": ..}`. `version` is that of the
    /// Keras that wrote it, where the description does not say so itself.
    ///
    /// # Errors
    /// If there is a layer, an argument or a connection that is not supported.
    pub fn from_json(value: &Value, version: Option<&str>) -> Result<Self, ConfigError> {
        let version = value.get("keras_version").and_then(Value::as_str).or(version);
        read::architecture(value, version.map_or(Dialect::default(), Dialect::of_version))
    }

    /// The same in Keras 3's spelling.
    ///
    /// # Errors
    /// If a layer has no name in Keras, or does what Keras cannot and the file is for Keras.
    pub fn to_json(&self, reader: Reader) -> Result<Value, ConfigError> {
        let mut written = Cow::Borrowed(self);
        if reader == Reader::Keras {
            for layer in named_like_operations(self) {
                let name = unique_name("MaskedConcatenate", |name| {
                    written.layers.iter().any(|layer| layer.name == name)
                });
                written.to_mut().layers[layer].name = name;
            }
        }
        write::architecture(&written, reader)
    }

    /// What it is fed.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The number of examples in a batch, where the description fixes it: for Keras, which makes the
    /// states of stateful layers of that many rows. Other layers take batches of any size.
    pub fn fixed_batch(&self) -> Option<usize> {
        self.inputs.iter().find_map(|input| *input.batch_shape.first()?)
    }

    /// The names of the outputs, each once: those of the layers that make them, or of the inputs
    /// that they are. Where a layer makes several, or one is listed twice, those behind the first
    /// are numbered in the order of the outputs: `dec`, `dec_1`, `dec_2`.
    pub fn output_names(&self) -> Vec<String> {
        self.names_of_outputs(|layer| &layer.name)
    }

    /// The names that Keras has for the outputs: an output of a model within the model is called
    /// after that model, not after the layer in it.
    pub fn keras_output_names(&self) -> Vec<String> {
        self.names_of_outputs(|layer| layer.path.first().unwrap_or(&layer.name))
    }

    fn names_of_outputs<'a>(&'a self, of: impl Fn(&'a Described) -> &'a String) -> Vec<String> {
        let name = |source: &Source| match *source {
            Source::Input(input) => self.inputs[input].name.as_str(),
            Source::Output { call, .. } => of(&self.layers[self.calls[call].layer]),
        };
        let names: Vec<&str> = self.outputs.iter().map(name).collect();
        distinct_names(&names, str::to_owned)
    }

    /// Names and classes of the layers, in Keras's order of them.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.layers.iter().map(|described| (described.name.as_str(), described.layer.class()))
    }

    /// Of each layer the names of the models that it stood in, where models stood in models, and
    /// its own.
    pub fn layer_paths(&self) -> impl Iterator<Item = &[String]> {
        self.layers.iter().map(|described| described.path.as_slice())
    }

    /// The architecture for examples of these shapes, which open extents take over.
    ///
    /// # Errors
    /// If there is not one shape for each input, or one does not fit.
    pub fn with_shapes(mut self, samples: &[&[usize]]) -> Result<Self, ConfigError> {
        if samples.len() != self.inputs.len() {
            let names: Vec<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(ConfigError::structure(format!(
                "the model has {} inputs ({}), got {} arrays",
                names.len(),
                names.join(", "),
                samples.len()
            )));
        }
        for (input, sample) in self.inputs.iter_mut().zip(samples) {
            let described = input.batch_shape.get(1..).unwrap_or_default();
            let fits = described.len() == sample.len()
                && described.iter().zip(*sample).all(|(n, given)| n.is_none_or(|n| n == *given));
            if !fits {
                return Err(ConfigError::structure(format!(
                    "input {} takes arrays of shape {}, got {sample:?} after the batch axis",
                    input.name,
                    input.shown()
                )));
            }
            input.batch_shape.truncate(1);
            input.batch_shape.extend(sample.iter().map(|&n| Some(n)));
        }
        Ok(self)
    }

    /// The same with this extent wherever one is open: weights do not depend on it.
    pub fn with_open_extents(mut self, extent: usize) -> Self {
        let axes = self.inputs.iter_mut().flat_map(|input| input.batch_shape.iter_mut().skip(1));
        axes.filter(|axis| axis.is_none()).for_each(|axis| *axis = Some(extent));
        self
    }

    /// The model with its first weights, which `seed` decides.
    ///
    /// # Errors
    /// If an extent is open, or a layer does not fit what stands before it.
    pub fn model(&self, seed: u64) -> Result<Model, ConfigError> {
        self.assemble(Model::new(seed))
    }

    /// How many parameters the model would have. Nothing of their size is allocated.
    ///
    /// # Errors
    /// As [`Architecture::model`].
    pub fn count_params(&self) -> Result<usize, ConfigError> {
        Ok(self.assemble(Model::with_seed(None))?.count_params())
    }

    /// The table that Keras prints of the model, with None for what the description leaves open and
    /// for what follows from that. Nothing of the size of weights is allocated.
    ///
    /// # Errors
    /// If a layer does not fit what stands before it.
    pub fn summary(&self) -> Result<String, ConfigError> {
        let batch = self.inputs.first().and_then(|input| *input.batch_shape.first()?);
        let (model, other) = self.in_two_sizes()?.1;
        Ok(model.summary_of(&Open { batch, other: Some(&other) }))
    }

    /// The same with some extent wherever one is open, of which all layers can make something:
    /// weights do not depend on it.
    ///
    /// # Errors
    /// If a layer does not fit what stands before it.
    pub fn with_some_extents(self) -> Result<Self, ConfigError> {
        let (extent, _) = self.in_two_sizes()?;
        Ok(self.with_open_extents(extent))
    }

    /// An extent for the open axes, and the model, without weights, with it and with its double.
    fn in_two_sizes(&self) -> Result<(usize, (Model, Model)), ConfigError> {
        let sized = |n| self.clone().with_open_extents(n).assemble(Model::with_seed(None));
        let both = |n| Ok((n, (sized(n)?, sized(2 * n)?)));
        let mut found = both(SOME_EXTENTS[0]);
        for extent in &SOME_EXTENTS[1..] {
            found = found.or_else(|first| both(*extent).map_err(|_| first));
        }
        found
    }

    fn assemble(&self, mut model: Model) -> Result<Model, ConfigError> {
        let mut inputs = Vec::new();
        for input in &self.inputs {
            let spec = input_spec(input)?;
            inputs.push(model.named_input(&input.name, spec));
        }
        let mut made: Vec<Vec<Symbol>> = Vec::new();
        let mut first_calls: Vec<Option<usize>> = vec![None; self.layers.len()];
        let symbol = |made: &[Vec<Symbol>], source: Source| match source {
            Source::Input(input) => inputs.get(input).copied(),
            Source::Output { call, index } => made.get(call).and_then(|o| o.get(index)).copied(),
        };
        for call in &self.calls {
            let Described { name, layer, trainable, .. } = &self.layers[call.layer];
            let at = |source: ModelError| ConfigError::Layer {
                name: name.clone(),
                source: Box::new(source),
            };
            let sources = call.inputs.iter().map(|&source| symbol(&made, source));
            let missing = || {
                ConfigError::structure(format!(
                    "layer {name} takes an output that the layer before it does not make"
                ))
            };
            let sources: Vec<Symbol> = sources.collect::<Option<_>>().ok_or_else(missing)?;
            let outputs = match first_calls[call.layer] {
                Some(first) => model.call_again(made[first][0], &sources),
                None => model.call_named(name, *trainable, layer.clone(), &sources),
            };
            first_calls[call.layer].get_or_insert(made.len());
            made.push(outputs.map_err(at)?);
        }
        let outputs = self.outputs.iter().map(|&source| symbol(&made, source));
        let outputs: Option<Vec<Symbol>> = outputs.collect();
        let missing = || ConfigError::structure("an output of the model is made by no layer");
        Ok(model.with_outputs(outputs.ok_or_else(missing)?))
    }
}

/// What open extents may be: large, so that windows fit, and with many divisors, so that shapes can
/// be divided; smaller, where several axes are open and a tensor would have too many elements.
const SOME_EXTENTS: [usize; 6] = [5040, 840, 240, 60, 24, 12];

fn input_spec(input: &Input) -> Result<InputSpec, ConfigError> {
    let open = || {
        ConfigError::structure(format!(
            "input {} of shape {} has an axis without a length, which only data can give",
            input.name,
            input.shown()
        ))
    };
    let extents: Option<Vec<usize>> = input.batch_shape.iter().skip(1).copied().collect();
    match (input.tokens, extents.ok_or_else(open)?) {
        (false, extents) => Ok(InputSpec::Floats(extents)),
        (true, extents) => match extents[..] {
            [steps] => Ok(InputSpec::Tokens(steps)),
            _ => Err(ConfigError::structure(format!(
                "input {}, which goes into an Embedding, is of shape {}; supported: [None, T]",
                input.name,
                input.shown()
            ))),
        },
    }
}

impl Model {
    /// The names of the outputs, as [`Architecture::output_names`].
    pub fn output_names(&self) -> Vec<String> {
        self.architecture().output_names()
    }

    /// What the model is made of.
    pub fn architecture(&self) -> Architecture {
        let mut sources = vec![Source::Input(0); self.count_symbols()];
        for (index, input) in self.inputs.iter().enumerate() {
            sources[input.symbol.index()] = Source::Input(index);
        }
        for (call, made) in self.calls.iter().enumerate() {
            for (index, symbol) in made.outputs.iter().enumerate() {
                sources[symbol.index()] = Source::Output { call, index };
            }
        }
        let all = |symbols: &[Symbol]| symbols.iter().map(|s| sources[s.index()]).collect();
        let inputs = self.inputs.iter().map(|input| Input {
            name: input.name.clone(),
            batch_shape: [None]
                .into_iter()
                .chain(input.spec.shape().into_iter().map(Some))
                .collect(),
            tokens: matches!(input.spec, InputSpec::Tokens(_)),
        });
        let layers = self.layers.iter().map(|named| Described {
            name: named.name.clone(),
            path: vec![named.name.clone()],
            layer: dyn_clone::clone_box(&*named.layer),
            trainable: named.trainable,
            operation: false,
        });
        let call =
            |call: &crate::model::Call| Call { layer: call.layer, inputs: all(&call.inputs) };
        Architecture {
            inputs: inputs.collect(),
            layers: layers.collect(),
            calls: self.calls.iter().map(call).collect(),
            outputs: all(self.outputs()),
        }
    }
}
