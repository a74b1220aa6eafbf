//! The names that Keras gives to layers.

/// Keras's names: `lstm`, then `lstm_1`, .., whichever is free.
pub(crate) fn unique_name(class: &str, taken: impl Fn(&str) -> bool) -> String {
    let stem = snake_case(class);
    let numbered = (1..).map(|n| format!("{stem}_{n}"));
    let mut names = std::iter::once(stem.clone()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or(stem)
}

/// As keras/src/utils/naming.py: SimpleRNN is simple_rnn, MaxPooling1D max_pooling1d.
pub(crate) fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let after_lower = i > 0 && letters[i - 1].is_lowercase();
        let before_lower = letters.get(i + 1).is_some_and(|c| c.is_lowercase());
        let after_letter = i > 0 && letters[i - 1].is_uppercase();
        if letter.is_uppercase() && (after_lower || (after_letter && before_lower)) {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn layers_are_named_as_keras_names_them() {
        let names = ["SimpleRNN", "LSTM", "GRU", "MaxPooling1D", "Conv1D", "TimeDistributed"];
        let wanted = ["simple_rnn", "lstm", "gru", "max_pooling1d", "conv1d", "time_distributed"];
        assert_eq!(names.map(snake_case), wanted);
    }
}
