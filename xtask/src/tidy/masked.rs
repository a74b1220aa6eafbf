/// Rust source with comments and literals blanked, so that a search finds code only.
///
/// Byte offsets and line breaks stay those of the source.
pub(super) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (blank, length) = match hidden_length(rest, code.chars().next_back()) {
            Some(length) => (true, length),
            None => (false, first.len_utf8()),
        };
        let (token, tail) = rest.split_at(length);
        if blank {
            code.extend(token.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        } else {
            code.push_str(token);
        }
        rest = tail;
    }
    code
}

/// The 1-based line of a byte offset.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|&&b| b == b'\n').count() + 1
}

/// Whether a character can be part of an identifier.
pub(super) fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment or literal at the start of `rest`, if there is one.
fn hidden_length(rest: &str, before: Option<char>) -> Option<usize> {
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'/' if bytes.get(1) == Some(&b'/') => Some(rest.find('\n').unwrap_or(rest.len())),
        b'/' if bytes.get(1) == Some(&b'*') => Some(block_comment_length(bytes)),
        b'"' => Some(quoted_length(bytes, b'"')),
        b'\'' => is_char_literal(rest).then(|| quoted_length(bytes, b'\'')),
        b'r' if !before.is_some_and(|c| is_identifier(c) && !"bc".contains(c)) => {
            raw_string_length(rest)
        }
        _ => None,
    }
}

fn block_comment_length(bytes: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_length(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (_, next) => next == Some('\''),
    }
}

fn raw_string_length(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|&b| b == b'#').count();
    let body = 1 + hashes + 1;
    if rest.as_bytes().get(body - 1) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        for (source, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y") + g"#, "f(      ) + g"),
            (r##"f(r#"a"b"#) + g"##, "f(        ) + g"),
            (r##"f(br#"a"b"#) + g"##, "f(b        ) + g"),
            (r"f('\'', '/', '/')", "f(    ,    ,    )"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("let r = \"é\n\";", "let r =    \n ;"),
            ("r#type", "r#type"),
        ] {
            assert_eq!(code_only(source), code);
            assert_eq!(code_only(source).len(), source.len());
        }
    }

    #[test]
    fn unfinished_literals_reach_the_end() {
        assert_eq!(code_only("a \"b\\"), "a    ");
        assert_eq!(code_only("a /* b"), "a     ");
        assert_eq!(code_only("a r#\"b"), "a     ");
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!(line_at("a\nb", 0), 1);
        assert_eq!(line_at("a\nb", 2), 2);
    }
}
