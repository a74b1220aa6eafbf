//! Time series in tables: rows of a `.csv` with a date each, sorted, checked for gaps and parted by
//! group.

mod calendar;
mod date;
mod fill;
mod step;
mod table;

pub use calendar::Calendar;
pub use date::{Dates, shown};
pub use fill::{Gaps, Missing};
pub use step::Step;
pub use table::{Series, SeriesColumns, SeriesTable};

use std::io;
use std::path::PathBuf;

/// The reason why a table does not hold time series that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is no table.
    #[error("{} is no table: line {line}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1 on.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The table has no rows below its names.
    #[error("{} holds no rows", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The table lacks a column.
    #[error("{} has no column {name}; it has {}", path.display(), columns.join(", "))]
    Column {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        columns: Vec<String>,
    },
    /// A cell is no number.
    #[error("{}, line {line}: \"{cell}\" in column {column} is no number", path.display())]
    Number {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1 on.
        line: u64,
        /// Name of the column.
        column: String,
        /// The cell.
        cell: String,
    },
    /// A cell of the column of dates is none.
    #[error(
        "{}, line {line}: \"{cell}\" in column {column} is no date; dates are as 2024-03-31, \
         2024-03-31 14:00, 31.03.2024, 03/31/2024, 2024-03 or 2024",
        path.display()
    )]
    Date {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1 on.
        line: u64,
        /// Name of the column.
        column: String,
        /// The cell.
        cell: String,
    },
    /// All dates of a column can be read with the day first and with the month first.
    #[error(
        "{}: column {column} may have the day or the month first, as in {cell}; write the dates as \
         2024-03-31",
        path.display()
    )]
    Order {
        /// The file.
        path: PathBuf,
        /// Name of the column.
        column: String,
        /// The first date.
        cell: String,
    },
    /// A series has two rows of one date.
    #[error("{}: {series} has two rows of {date}{}", path.display(), several(*grouped))]
    Twice {
        /// The file.
        path: PathBuf,
        /// Name of the series.
        series: String,
        /// The date.
        date: String,
        /// True if the rows are parted by a column already.
        grouped: bool,
    },
    /// Rows are missing between two dates.
    #[error("{}: {series} has a gap between {before} and {after}, at steps of {step}; --gaps fill adds the rows", path.display())]
    Gap {
        /// The file.
        path: PathBuf,
        /// Name of the series.
        series: String,
        /// The date before the gap.
        before: String,
        /// The date after it.
        after: String,
        /// The usual distance of two rows.
        step: String,
    },
    /// Two dates are not a whole number of steps apart.
    #[error(
        "{}: {series} is irregular: from {before} to {after} is no multiple of {step}",
        path.display()
    )]
    Irregular {
        /// The file.
        path: PathBuf,
        /// Name of the series.
        series: String,
        /// The first of the dates.
        before: String,
        /// The second one.
        after: String,
        /// The usual distance of two rows.
        step: String,
    },
    /// A gap has more rows than may be filled.
    #[error("{}: the gaps of {series} are of more than {most} rows", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Name of the series.
        series: String,
        /// The most rows of a series.
        most: usize,
    },
    /// A value is missing.
    #[error("{}: {series} has no {column} at {date}; --missing linear, previous or drop does without", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Name of the series.
        series: String,
        /// Name of the column.
        column: String,
        /// The date of the row.
        date: String,
    },
}

fn several(grouped: bool) -> &'static str {
    if grouped { "" } else { "; of several series the column that tells them apart is the group" }
}
