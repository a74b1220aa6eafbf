/// What a label may be, for messages.
pub(super) const NAMES: &str = "0, 1, neg, pos, negative, positive, false, true";

/// Whether a label means praise; none, if it is not a label.
pub(super) fn parse(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "pos" | "positive" | "true" => Some(true),
        "0" | "0.0" | "neg" | "negative" | "false" => Some(false),
        _ => None,
    }
}
