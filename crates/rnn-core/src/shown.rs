//! Text that comes from files, as people are shown it: short, and unable to steer a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns true for characters that a terminal obeys and does not show: control characters, and
/// those that turn the direction of what follows or end a line.
fn steers(c: char) -> bool {
    let unseen = matches!(c,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || unseen
}

/// Returns the text with its control characters as JSON writes them, such as `\u001b`, and those
/// of `kept` as they are.
fn escaped<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let steers = |c: char| steers(c) && !kept.contains(&c);
    if !text.contains(steers) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // All of them have at most four digits. Writing to a string does not fail.
        let _ = if steers(c) { write!(plain, "\\u{:04x}", c as u32) } else { plain.write_char(c) };
    }
    plain.into()
}

/// Returns a text of several lines without characters that steer a terminal: line feeds and tabs
/// stay, and others are written as in JSON, such as `\u001b`. What is JSON stays the same JSON.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'])
}

/// Returns a text of at most `most` characters as it is, and of a longer one the beginning and the
/// end with `..` between them, `most` characters in all. Only these are looked at.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return text.into();
    }
    let shown = most.saturating_sub(2);
    let (first, last) = (shown - shown / 3, shown / 3);
    let start = text.char_indices().nth(first).map_or(text.len(), |(at, _)| at);
    let end = match last {
        0 => text.len(),
        last => text.char_indices().nth_back(last - 1).map_or(0, |(at, _)| at),
    };
    format!("{}..{}", &text[..start], &text[end..]).into()
}

/// Returns a name or a cell of a file for a line or a table: [`cut`] to `most` characters, on one
/// line, and with the characters that steer a terminal as in [`plain`].
pub fn short(name: &str, most: usize) -> String {
    escaped(&cut(name, most), &[]).into_owned()
}

/// Returns the bytes, of a digest for example, as lower-case hexadecimal digits, two for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(plain("a\tb\nc"), "a\tb\nc");
        assert_eq!(plain("\u{1b}[2J\r\u{7f}\u{9b}"), "\\u001b[2J\\u000d\\u007f\\u009b");
        assert_eq!(plain("\u{202e}txt"), "\\u202etxt");
        assert_eq!(short("a\nb", 10), "a\\u000ab");
        assert_eq!(plain("é日"), "é日");
    }

    #[test]
    fn what_is_long_keeps_its_ends() {
        assert_eq!(cut("0123456789", 10), "0123456789");
        assert_eq!(cut("0123456789a", 10), "012345..9a");
        assert_eq!(cut("éééééééééééé", 10), "éééééé..éé");
        for most in 0..12 {
            assert!(cut("0123456789a", most).chars().count() <= most.max(2), "{most}");
        }
    }
}
