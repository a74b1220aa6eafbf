//! The names that Keras gives to layers, and names that tell apart what is called alike.

use std::collections::HashSet;

/// Returns the names, in the same order, with `_1`, `_2` and so on behind repeated ones: `dec`,
/// `dec_1`, `dec_2`. Two names are repetitions if `key` returns the same text for both, for
/// instance in lower case. The first of them stays as it is; each other gets the smallest number
/// that makes a name that is not taken.
pub fn distinct_names(names: &[&str], key: impl Fn(&str) -> String) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().map(|name| key(name)).collect();
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let mut distinct = (*name).to_owned();
        if !seen.insert(key(name)) {
            let mut number = 1;
            loop {
                distinct = format!("{name}_{number}");
                if taken.insert(key(&distinct)) {
                    break;
                }
                number += 1;
            }
        }
        all.push(distinct);
    }
    all
}

/// The first of Keras's names for a class that is not taken: `lstm`, `lstm_1`, and so on.
pub(crate) fn unique_name(class: &str, taken: impl Fn(&str) -> bool) -> String {
    let stem = snake_case(class);
    let numbered = (1..).map(|n| format!("{stem}_{n}"));
    let mut names = std::iter::once(stem.clone()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or(stem)
}

/// Returns a class name in snake case, as keras/src/utils/naming.py has it: `SimpleRNN` becomes
/// `simple_rnn`, `MaxPooling1D` becomes `max_pooling1d`.
pub fn snake_case(class: &str) -> String {
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
    use super::{distinct_names, snake_case};

    #[test]
    fn what_is_called_alike_is_told_apart() {
        let all = |names: &[&str]| distinct_names(names, str::to_owned).join(" ");
        assert_eq!(all(&["y", "dec", "dec", "dec"]), "y dec dec_1 dec_2");
        // Names that layers have of their own are not given to others.
        assert_eq!(all(&["dec", "dec", "dec_1", "dec_1"]), "dec dec_2 dec_1 dec_1_1");
        let lower = distinct_names(&["A", "a", "A_1"], str::to_lowercase);
        assert_eq!(lower, ["A", "a_2", "A_1"]);
    }

    #[test]
    fn layers_are_named_as_keras_names_them() {
        let names = ["SimpleRNN", "LSTM", "GRU", "MaxPooling1D", "Conv1D", "TimeDistributed"];
        let wanted = ["simple_rnn", "lstm", "gru", "max_pooling1d", "conv1d", "time_distributed"];
        assert_eq!(names.map(snake_case), wanted);
    }
}
