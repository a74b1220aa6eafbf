//! Tables of three columns in Markdown.

/// The rows of the table with this head, each with the number of its line; `None` if the document has
/// no such table.
pub(super) fn rows<'a>(
    document: &'a str,
    head: [&str; 3],
) -> Option<impl Iterator<Item = (usize, [&'a str; 3])>> {
    let mut lines = (1..).zip(document.lines());
    lines.find(|(_, line)| cells(line) == Some(head))?;
    // The delimiter row comes first.
    Some(lines.skip(1).map_while(|(number, line)| Some((number, cells(line)?))))
}

/// The trimmed cells of a row; `None` for another line.
fn cells(line: &str) -> Option<[&str; 3]> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    row.split('|').map(str::trim).collect::<Vec<_>>().try_into().ok()
}

/// The names in a cell, which commas separate. A dash stands for none.
pub(super) fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(plain).filter(|name| !["", "-", "–", "—"].contains(name))
}

/// A name without the backticks of code.
pub(super) fn plain(name: &str) -> &str {
    name.trim().trim_matches('`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_with_its_last_row() {
        let document =
            "| a | b | c |\n\n|x|y|z|\n|---|---|---|\n| `1` | 2 | 3, `4` |\n\n| 5 | 6 | 7 |";
        let found: Vec<_> = rows(document, ["x", "y", "z"]).expect("the table").collect();
        assert_eq!(found, [(5, ["`1`", "2", "3, `4`"])]);
        assert!(rows(document, ["x", "y", "c"]).is_none());
        assert_eq!(names(found[0].1[2]).collect::<Vec<_>>(), ["3", "4"]);
        assert_eq!(names("-").count(), 0);
    }
}
