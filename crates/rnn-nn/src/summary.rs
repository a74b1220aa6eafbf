use crate::Sequential;
use std::fmt::Write as _;

impl Sequential {
    /// The table that Keras prints: layers, output shapes, parameters.
    pub fn summary(&self) -> String {
        let mut rows = vec![["Layer (type)".to_owned(), "Output Shape".into(), "Param #".into()]];
        let mut shape = self.input.shape();
        for (index, (name, layer)) in self.layers.iter().enumerate() {
            shape = layer.output(&shape).unwrap_or_default();
            let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
            rows.push([
                format!("{name} ({})", layer.class()),
                format!("(None, {})", dims.join(", ")),
                thousands(self.layer_params(index)),
            ]);
        }
        let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
        let [a, b, c] = [width(0), width(1), width(2)];
        let rule = |l, m, r| {
            let bar = |n| "─".repeat(n + 2);
            format!("{l}{}{m}{}{m}{}{r}\n", bar(a), bar(b), bar(c))
        };
        let mut text = rule("┌", "┬", "┐");
        for (i, [name, shape, params]) in rows.iter().enumerate() {
            let _ = writeln!(text, "│ {name:<a$} │ {shape:<b$} │ {params:>c$} │");
            text += &if i + 1 == rows.len() {
                rule("└", "┴", "┘")
            } else {
                rule("├", "┼", "┤")
            };
        }
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
    use crate::{Dense, Embedding, InputSpec, Lstm, Sequential, SimpleRnn};
    use rnn_ops::Activation;

    #[test]
    fn the_tutorials_models_have_its_parameters() -> Result<(), crate::ModelError> {
        let start = || Sequential::new(InputSpec::Tokens(500), 1).add(Embedding::new(5000, 32));
        let lstm = start()?.add(Lstm::new(128))?.add(Dense::new(1, Activation::Sigmoid))?;
        assert_eq!(lstm.count_params(), 242_561);
        assert!(lstm.summary().contains("│ lstm (LSTM)           │ (None, 128)     │  82,432 │"));
        assert!(lstm.summary().contains("Total params: 242,561"));
        let simple = start()?.add(SimpleRnn::new(128))?.add(Dense::new(1, Activation::Sigmoid))?;
        assert_eq!(simple.count_params(), 180_737);
        Ok(())
    }
}
