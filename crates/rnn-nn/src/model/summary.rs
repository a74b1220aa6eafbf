use super::Model;
use crate::architecture::{Architecture, Call, TensorRef};
use rnn_core::short;
use std::fmt::Write as _;

impl Model {
    /// Returns the table that Keras's `summary` prints: the layers with their output shapes and
    /// numbers of parameters. If the model is not a stack, it also has the inputs, and the tensors
    /// that each layer is called on.
    pub fn summary(&self) -> String {
        self.summary_of(&Open::default())
    }

    /// The table of an architecture that leaves extents open.
    pub(crate) fn summary_of(&self, open: &Open<'_>) -> String {
        let mut text = String::new();
        push_table(&mut text, &self.rows(open));
        let total = self.count_params();
        let _ = writeln!(
            text,
            "Total params: {} ({:.2} KB)",
            thousands(total),
            total as f64 * 4.0 / 1024.0
        );
        let trained = self.count_trained();
        if trained < total {
            let _ = writeln!(text, "Trainable params: {}", thousands(trained));
            let _ = writeln!(text, "Non-trainable params: {}", thousands(total - trained));
        }
        text
    }
}

/// The extents of a model that its description leaves open, which Keras prints as None.
#[derive(Default)]
pub(crate) struct Open<'a> {
    /// The batch size, if it is not open.
    pub batch: Option<usize>,
    /// The model with other extents in place of the open ones: extents that differ depend on them.
    pub other: Option<&'a Model>,
}

impl Model {
    /// Returns the rows of the table of [`Self::summary`], each with the texts of its cells,
    /// without the totals below it. The first row names the columns.
    pub fn summary_rows(&self) -> Vec<Vec<String>> {
        self.rows(&Open::default())
    }

    fn rows(&self, open: &Open<'_>) -> Vec<Vec<String>> {
        let Architecture { inputs, layers, calls, .. } = &self.architecture;
        let chain = self.architecture.is_stack();
        let mut rows =
            vec![["Layer (type)", "Output Shape", "Param #", "Connected to"].map(String::from)];
        for (index, input) in inputs.iter().enumerate().filter(|_| !chain) {
            let shape = self.shape_text(&[TensorRef::Input(index)], open);
            let name = format!("{} (InputLayer)", short(&input.name, NAME));
            rows.push([name, shape, "0".into(), "-".into()]);
        }
        let source = |tensor: &TensorRef| match *tensor {
            TensorRef::Input(input) => short(&inputs[input].name, NAME),
            TensorRef::Output { call, index } => {
                let name = short(&layers[calls[call].layer].name, NAME);
                if index == 0 { name } else { format!("{name}[{index}]") }
            }
        };
        let mut seen = vec![false; layers.len()];
        for (call, Call { layer, inputs }) in calls.iter().enumerate() {
            let first = !std::mem::replace(&mut seen[*layer], true);
            let params = if first { self.layer_params(*layer) } else { 0 };
            let sources = inputs.iter().map(source).collect::<Vec<String>>().join(", ");
            rows.push([
                format!("{} ({})", short(&layers[*layer].name, NAME), layers[*layer].layer.class()),
                self.shape_text(&self.outputs_of(call), open),
                thousands(params),
                short(&sources, SOURCES),
            ]);
        }
        let columns = if chain { 3 } else { 4 };
        rows.into_iter().map(|row| row.into_iter().take(columns).collect()).collect()
    }

    /// As Keras writes it (keras/src/utils/summary_utils.py).
    fn shape_text(&self, tensors: &[TensorRef], open: &Open<'_>) -> String {
        let none = || "None".to_owned();
        let text = |&tensor: &TensorRef| {
            let shape = self.shape(tensor).unwrap_or_default();
            let other = open.other.and_then(|other| other.shape(tensor).ok()).unwrap_or(shape);
            let dims = shape.iter().zip(other);
            let dims = dims.map(|(n, other)| if n == other { n.to_string() } else { none() });
            let batch = open.batch.map_or_else(none, |batch| batch.to_string());
            let all: Vec<String> = [batch].into_iter().chain(dims).collect();
            format!("({})", all.join(", "))
        };
        let all: Vec<String> = tensors.iter().map(text).collect();
        if all.len() == 1 { all.concat() } else { format!("[{}]", all.join(", ")) }
    }
}

/// The most characters of a name.
const NAME: usize = 60;
/// The most characters of the names of all tensors that a layer is called on.
const SOURCES: usize = 240;

/// Lines around cells; the third column holds numbers.
fn push_table(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let rule = |l, m: &str, r| {
        let bars: Vec<String> = widths.iter().map(|n| "─".repeat(n + 2)).collect();
        format!("{l}{}{r}\n", bars.join(m))
    };
    *text += &rule("┌", "┬", "┐");
    for (i, row) in rows.iter().enumerate() {
        let cell = |(c, (cell, &width)): (usize, (&String, &usize))| match c {
            2 => format!(" {cell:>width$} "),
            _ => format!(" {cell:<width$} "),
        };
        let cells: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
        let _ = writeln!(text, "│{}│", cells.join("│"));
        let last = i + 1 == rows.len();
        *text += &if last { rule("└", "┴", "┘") } else { rule("├", "┼", "┤") };
    }
}

/// 242561 as 242,561.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::{Add, Concatenate, Dense, Embedding, InputSpec, Lstm, Model, SimpleRnn};
    use rnn_ops::Activation;

    #[test]
    fn the_tutorials_models_have_its_parameters() -> Result<(), crate::ModelError> {
        let start = || Model::sequential(InputSpec::tokens([500]), 1).add(Embedding::new(5000, 32));
        let lstm = start()?.add(Lstm::new(128))?.add(Dense::new(1, Activation::Sigmoid))?;
        assert_eq!(lstm.count_params(), 242_561);
        assert!(lstm.summary().contains("│ lstm (LSTM)           │ (None, 128)     │  82,432 │"));
        assert!(lstm.summary().contains("Total params: 242,561"));
        let simple = start()?.add(SimpleRnn::new(128))?.add(Dense::new(1, Activation::Sigmoid))?;
        assert_eq!(simple.count_params(), 180_737);
        Ok(())
    }

    #[test]
    fn what_is_not_a_stack_says_what_its_layers_are_applied_to() -> Result<(), crate::ModelError> {
        let mut model = Model::new(1);
        let [a, b] = [3, 4].map(|width| model.input(InputSpec::floats([5, width])));
        let both = model.apply(Concatenate::new(), &[a, b])?;
        let states = model.call(Lstm::new(8).return_state(), &[both])?;
        let sum = model.apply(Add(), &states[1..])?;
        let text = model.with_outputs([states[0], sum]).expect("its tensors").summary();
        assert!(text.contains("│ input_layer_1 (InputLayer) │ (None, 5, 4)"), "{text}");
        assert!(text.contains("│ add (Add)                  │"), "{text}");
        assert!(text.contains("│ lstm[1], lstm[2]"), "{text}");
        Ok(())
    }
}
