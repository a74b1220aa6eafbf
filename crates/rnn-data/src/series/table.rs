use super::{Dates, Gaps, Missing, SeriesError, Step};
use crate::text::{Narrow, line_of, problem};
use rnn_core::short;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _};
use std::path::Path;

/// The most columns of a table.
const MAX_COLUMNS: usize = 1 << 16;

/// The columns of a table of time series, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesColumns {
    /// The dates; `None` if the rows follow each other at equal distances.
    pub time: Option<String>,
    /// The names of the series; `None` if the table holds one.
    pub group: Option<String>,
    /// The columns that are forecast, at least one.
    pub targets: Vec<String>,
    /// Further columns that a forecast depends on.
    pub features: Vec<String>,
}

impl SeriesColumns {
    /// Returns the columns of numbers: the targets, and then the features.
    pub fn values(&self) -> impl Iterator<Item = &String> {
        self.targets.iter().chain(&self.features)
    }
}

/// A series of rows at equal distances.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the column of groups; "the series" if there is one series alone.
    pub name: String,
    /// The dates of the rows in seconds since the beginning of 1970, or the numbers of the rows from
    /// 0 on; ascending.
    pub times: Vec<i64>,
    /// The values, `[rows, columns]`, in the order of [`SeriesColumns::values`]. NaN is a missing
    /// value.
    pub values: Vec<f64>,
}

/// The time series of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesTable {
    /// The series, by name.
    pub series: Vec<Series>,
    /// The distance of two rows.
    pub step: Step,
}

/// A row that has been read.
struct Row {
    line: u64,
    date: String,
    values: Vec<f64>,
}

impl SeriesTable {
    /// Reads a table with names in its first line, parted by `,`, `;` or tabs; sorts the rows of each
    /// series by date, and deals with gaps and missing values. Empty cells, `NA`, `NaN`, `null` and
    /// `?` are missing values. `step` is the step of the rows, if it is known.
    ///
    /// # Errors
    /// Fails if the file cannot be read or holds no rows, lacks a column, or a cell is no number or
    /// no date; if two rows of a series have one date, or two dates are not a whole number of steps
    /// apart; for gaps and missing values where they are errors.
    pub fn read(
        path: &Path,
        columns: &SeriesColumns,
        (gaps, missing): (Gaps, Missing),
        step: Option<Step>,
    ) -> Result<Self, SeriesError> {
        let rows = rows(path, columns)?;
        let order = order(path, columns, rows.values().flatten())?;
        let mut series = Vec::new();
        for (name, rows) in rows {
            series.push(sorted(path, columns, (name, rows), order)?);
        }
        let times = series.iter().map(|series: &Series| series.times.as_slice());
        let step = match (step, &columns.time) {
            (Some(step), _) => step,
            (None, Some(_)) => Step::of(times).unwrap_or(Step::Seconds(86_400)),
            (None, None) => Step::Rows,
        };
        let width = columns.values().count();
        for series in &mut series {
            gaps.apply(series, (step, width), path)?;
            missing.apply(series, (step, columns), path)?;
        }
        Ok(Self { series, step })
    }
}

/// The rows of each series.
fn rows(path: &Path, columns: &SeriesColumns) -> Result<BTreeMap<String, Vec<Row>>, SeriesError> {
    let read = |source| SeriesError::Read { path: path.to_owned(), source };
    let damaged = |error: csv::Error| {
        let (line, problem) = problem(path, &error);
        SeriesError::Damaged { path: path.to_owned(), line, problem }
    };
    let mut file = File::open(path).map_err(read)?;
    let delimiter = delimiter(&mut file).map_err(read)?;
    let file = Narrow::new(file, delimiter, MAX_COLUMNS);
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.delimiter(delimiter).trim(csv::Trim::All).from_reader(file);
    let names: Vec<String> = reader
        .headers()
        .map_err(damaged)?
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    let place = |name: &String| {
        names.iter().position(|n| n == name).ok_or_else(|| SeriesError::Column {
            path: path.to_owned(),
            name: name.clone(),
            columns: names.iter().map(|name| short(name, 60).to_string()).collect(),
        })
    };
    let time = columns.time.as_ref().map(place).transpose()?;
    let group = columns.group.as_ref().map(place).transpose()?;
    let places = columns.values().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut all: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(damaged)? {
        let line = || record.position().map_or(0, |at| line_of(path, at));
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let value = |&place: &usize| {
            number(cell(place)).ok_or_else(|| SeriesError::Number {
                path: path.to_owned(),
                line: line(),
                column: short(&names[place], 60).to_string(),
                cell: short(cell(place), 60).to_string(),
            })
        };
        let values = places.iter().map(value).collect::<Result<_, _>>()?;
        let name = group.map_or("the series", cell).to_owned();
        let date = time.map_or(String::new(), |place| cell(place).to_owned());
        let line = record.position().map_or(0, csv::Position::line);
        all.entry(name).or_default().push(Row { line, date, values });
    }
    match all.is_empty() {
        true => Err(SeriesError::Empty { path: path.to_owned() }),
        false => Ok(all),
    }
}

/// The mark between the fields of the first line.
fn delimiter(file: &mut File) -> std::io::Result<u8> {
    let mut reader = BufReader::new(&mut *file);
    let first = reader.fill_buf()?;
    let end = first.iter().position(|byte| *byte == b'\n').unwrap_or(first.len());
    let has = |mark: u8| first[..end].contains(&mark);
    let found = [b',', b';', b'\t'].into_iter().find(|mark| has(*mark)).unwrap_or(b',');
    file.rewind()?;
    Ok(found)
}

/// A number, or NaN where it is missing.
fn number(cell: &str) -> Option<f64> {
    match cell {
        "" | "NA" | "N/A" | "na" | "NaN" | "nan" | "null" | "None" | "?" => Some(f64::NAN),
        _ => cell.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// The order of day and month in which all dates can be read.
fn order<'a>(
    path: &Path,
    columns: &SeriesColumns,
    rows: impl Iterator<Item = &'a Row>,
) -> Result<Dates, SeriesError> {
    let Some(column) = &columns.time else { return Ok(Dates::DayFirst) };
    let (mut possible, mut differ) = ([true, true], None);
    for row in rows {
        let read = [Dates::DayFirst, Dates::MonthFirst].map(|order| order.parse(&row.date));
        let still = [possible[0] && read[0].is_some(), possible[1] && read[1].is_some()];
        if still == [false, false] {
            return Err(SeriesError::Date {
                path: path.to_owned(),
                line: row.line,
                column: short(column, 60).to_string(),
                cell: short(&row.date, 60).to_string(),
            });
        }
        if differ.is_none() && read[0] != read[1] {
            differ = Some(&row.date);
        }
        possible = still;
    }
    match (possible, differ) {
        ([true, true], Some(cell)) => Err(SeriesError::Order {
            path: path.to_owned(),
            column: short(column, 60).to_string(),
            cell: cell.clone(),
        }),
        ([true, _], _) => Ok(Dates::DayFirst),
        _ => Ok(Dates::MonthFirst),
    }
}

/// The rows of a series in the order of their dates.
fn sorted(
    path: &Path,
    columns: &SeriesColumns,
    (name, rows): (String, Vec<Row>),
    order: Dates,
) -> Result<Series, SeriesError> {
    let time = |(row, number): (&Row, i64)| match columns.time {
        // It has been read before.
        Some(_) => order.parse(&row.date).unwrap_or_default(),
        None => number,
    };
    let mut dated: Vec<(i64, &Row)> = rows.iter().zip(0..).map(|row| (time(row), row.0)).collect();
    dated.sort_by_key(|(at, _)| *at);
    if let Some(pair) = dated.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(SeriesError::Twice {
            path: path.to_owned(),
            series: name,
            date: pair[0].1.date.clone(),
            grouped: columns.group.is_some(),
        });
    }
    Ok(Series {
        name,
        times: dated.iter().map(|(at, _)| *at).collect(),
        values: dated.iter().flat_map(|(_, row)| row.values.iter().copied()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Gaps, Missing, SeriesColumns, SeriesTable, Step};
    use std::fs;

    fn columns(group: bool) -> SeriesColumns {
        SeriesColumns {
            time: Some("date".into()),
            group: group.then(|| "station".into()),
            targets: vec!["y".into()],
            features: vec!["x".into()],
        }
    }

    fn read(text: &str, group: bool, policy: (Gaps, Missing)) -> Result<SeriesTable, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        fs::write(&path, text).unwrap();
        SeriesTable::read(&path, &columns(group), policy, None).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_sorted_and_parted_by_group() {
        let text = "\u{feff}station;date;y;x\nb;02.01.2024;3;30\na;01.01.2024;1;10\n\
                    b;01.01.2024;2;20\na;02.01.2024;4;40\n";
        let table = read(text, true, (Gaps::Error, Missing::Error)).unwrap();
        assert_eq!(table.step, Step::Seconds(86_400));
        let [a, b] = &table.series[..] else { panic!("{table:?}") };
        assert_eq!((a.name.as_str(), &a.values[..]), ("a", &[1.0, 10.0, 4.0, 40.0][..]));
        assert_eq!((b.name.as_str(), &b.values[..]), ("b", &[2.0, 20.0, 3.0, 30.0][..]));
    }

    #[test]
    fn gaps_and_missing_values_are_named_or_filled() {
        let text = "date,y,x\n2024-01-01,1,0\n2024-01-02,2,0\n2024-01-04,NaN,0\n2024-01-05,5,0\n";
        let message = read(text, false, (Gaps::Error, Missing::Error)).unwrap_err();
        assert!(message.contains("between 2024-01-02 and 2024-01-04"), "{message}");
        let message = read(text, false, (Gaps::Fill, Missing::Error)).unwrap_err();
        assert!(message.contains("no y at 2024-01-03"), "{message}");
        let table = read(text, false, (Gaps::Fill, Missing::Linear)).unwrap();
        let y: Vec<f64> = table.series[0].values.iter().copied().step_by(2).collect();
        assert_eq!(y, [1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let policy = (Gaps::Error, Missing::Error);
        for (text, part) in [
            ("date,y\n2024-01-01,1\n", "no column x; it has date, y"),
            ("date,y,x\n", "no rows"),
            ("date,y,x\n2024-01-01,1,0\nsoon,2,0\n", "line 3: \"soon\""),
            ("date,y,x\n2024-01-01,a,0\n", "line 2: \"a\" in column y"),
            ("date,y,x\n01/02/2024,1,0\n01/03/2024,1,0\n", "day or the month first"),
            ("date,y,x\n2024-01-01,1,0\n2024-01-01,2,0\n", "two rows of 2024-01-01"),
        ] {
            let message = read(text, false, policy).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        let text = "date,y,x\n01/02/2024,1,0\n01/13/2024,1,0\n";
        assert_eq!(read(text, false, policy).unwrap().series[0].times[0], 19_724 * 86_400);
    }
}
