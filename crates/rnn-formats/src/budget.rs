//! The memory that reading a file may take: 64 MiB plus 16 times its size, over all stages and copies.
//!
//! Readers do not ask the allocator. Each of them bounds what it makes of a file before it makes it, so
//! that together with the stages that follow the sum stays within the budget.

const MEBIBYTE: u64 = 1 << 20;

/// The error that a file of its size may not take so much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "to read it would take more memory than 64 MiB and 16 times its size; divide it, or save it \
     without compression"
)]
pub struct OverBudget;

/// Returns the bytes of memory that reading a file of `size` bytes may take.
pub const fn memory(size: u64) -> u64 {
    (64 * MEBIBYTE).saturating_add(size.saturating_mul(16))
}

/// Returns the bytes to which the weights in a file of `size` bytes may unpack. Of them there are four
/// copies at a time at most: as they are unpacked from an archive and from chunks, as elements, and as
/// the weights of a model. Small files unpack to less: to 64 times their size and 256 KiB.
pub fn unpacked(size: u64) -> u64 {
    let large = (8 * MEBIBYTE).saturating_add(size.saturating_mul(3));
    large.min(size.saturating_add(4096).saturating_mul(64))
}

/// Bytes that a name in a table of JSON takes besides its text.
const NAME: u64 = 40;

/// The formats of text that describe models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

impl Text {
    /// Bytes that a parser takes for a value: the value itself in a list that grows, or with its name
    /// in a table; for TOML also its token and its place.
    const fn per_value(self) -> u64 {
        match self {
            Self::Json => 96,
            Self::Toml => 256,
        }
    }

    /// Checks that the values which a text describes fit into half the budget of its file, of `size`
    /// bytes. They are counted by the signs before them, without those in strings.
    ///
    /// # Errors
    /// Fails with [`OverBudget`] if they do not.
    pub fn check(self, text: &[u8], size: u64) -> Result<(), OverBudget> {
        let (mut values, mut names, mut in_string, mut escaped) = (0u64, 0u64, false, false);
        for &byte in text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                // A string of one line that is not closed; those of several lines are counted twice.
                b'\n' => {
                    in_string = false;
                    values += 1;
                }
                b',' | b'[' | b'{' | b'=' | b'.' if !in_string => values += 1,
                b':' if !in_string => names += 1,
                _ => {}
            }
        }
        let least = 2 * text.len() as u64 + NAME.saturating_mul(names);
        let needed = values.saturating_mul(self.per_value()).saturating_add(least);
        if needed > memory(size) / 2 { Err(OverBudget) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_text_is_not() {
        let check = |text: &str| Text::Json.check(text.as_bytes(), text.len() as u64);
        let list = |count| format!("[{}0]", "0,".repeat(count));
        assert_eq!(check(&list(300_000)), Ok(()));
        assert_eq!(check(&list(3_000_000)), Err(OverBudget));
        assert_eq!(check(&format!("\"{}\\\",\"", ",".repeat(3_000_000))), Ok(()));
        // As Keras writes a layer.
        let layer =
            "{\"class_name\": \"Dense\", \"config\": {\"units\": 1, \"name\": \"dense_123\"}},";
        assert_eq!(check(&layer.repeat(100_000)), Ok(()));
    }
}
