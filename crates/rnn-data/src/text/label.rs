/// The labels that are understood, for messages.
pub(super) const NAMES: &str = "0, 1, neg, pos, negative, positive, false, true";

/// Returns true for a positive label, false for a negative one, and `None` for anything else.
pub(super) fn parse(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "pos" | "positive" | "true" => Some(true),
        "0" | "0.0" | "neg" | "negative" | "false" => Some(false),
        _ => None,
    }
}
