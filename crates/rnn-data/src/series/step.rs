use super::date::moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use time::{Date, Month};

const DAY: i64 = 86_400;

/// The time from one row of a series to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A number of months; a year is 12.
    Months(u32),
    /// A number of seconds.
    Seconds(i64),
    /// Rows without dates, which follow each other.
    Rows,
}

/// The number of months since year 0, and the seconds since the first of them began.
fn month(seconds: i64) -> Option<(i64, i64)> {
    let at = moment(seconds)?;
    let number = i64::from(at.year()) * 12 + i64::from(u8::from(at.month())) - 1;
    Some((number, i64::from(at.day() - 1) * DAY + seconds.rem_euclid(DAY)))
}

/// The last day of a month, from 1 on.
fn days(number: i64) -> Option<i64> {
    let month = Month::try_from(u8::try_from(number.rem_euclid(12) + 1).ok()?).ok()?;
    Some(i64::from(month.length(i32::try_from(number.div_euclid(12)).ok()?)))
}

impl Step {
    /// Returns the most frequent distance of two dates in a row, of which those of each series are
    /// ascending; `None` if no series has two. Distances of 28 days or more are months, if the dates
    /// lie on one day of the month or on its last.
    pub fn of<'a>(series: impl Iterator<Item = &'a [i64]> + Clone) -> Option<Self> {
        let pairs = || series.clone().flat_map(|times| times.windows(2).map(|w| [w[0], w[1]]));
        let monthly = pairs().all(|[a, b]| b - a >= 28 * DAY && in_months(a, b).is_some());
        let distance = |[a, b]: [i64; 2]| if monthly { in_months(a, b) } else { Some(b - a) };
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        pairs().filter_map(distance).for_each(|d| *counts.entry(d).or_default() += 1);
        // Of equals the smallest, of which the others may be multiples.
        let (&most, _) = counts.iter().rev().max_by_key(|(_, count)| **count)?;
        match monthly {
            true => u32::try_from(most).ok().map(Self::Months),
            false => Some(Self::Seconds(most)),
        }
    }

    /// Returns the number of steps from `a` to the later `b`; `None` if it is not whole.
    pub fn between(self, a: i64, b: i64) -> Option<usize> {
        let (distance, step) = match self {
            Self::Months(step) => (in_months(a, b)?, i64::from(step)),
            Self::Seconds(step) => (b.checked_sub(a)?, step),
            Self::Rows => (b.checked_sub(a)?, 1),
        };
        let whole = step > 0 && distance % step == 0;
        whole.then(|| usize::try_from(distance / step).ok())?
    }

    /// Returns the date `count` steps after `start`. A day that a month lacks becomes its last.
    pub fn after(self, start: i64, count: usize) -> Option<i64> {
        let count = i64::try_from(count).ok()?;
        match self {
            Self::Seconds(step) => start.checked_add(step.checked_mul(count)?),
            Self::Rows => start.checked_add(count),
            Self::Months(step) => {
                let (from, within) = month(start)?;
                let to = from.checked_add(count.checked_mul(step.into())?)?;
                let last = days(to)? - 1;
                // The last day of a month is followed by last days.
                let day =
                    if within / DAY + 1 == days(from)? { last } else { last.min(within / DAY) };
                let year = i32::try_from(to.div_euclid(12)).ok()?;
                let month = Month::try_from(u8::try_from(to.rem_euclid(12) + 1).ok()?).ok()?;
                let first = Date::from_calendar_date(year, month, 1).ok()?;
                let first = first.midnight().assume_utc().unix_timestamp();
                Some(first + day * DAY + within % DAY)
            }
        }
    }

    /// Returns the steps of the season that is usual for such a step: a day of steps of less than a
    /// day, a week of days, a year of weeks, months or quarters; 1, which is none, for others.
    pub fn season(self) -> usize {
        match self {
            Self::Months(step) if step < 12 && 12 % step == 0 => 12 / step as usize,
            Self::Seconds(step) if step > 0 && step < DAY && DAY % step == 0 => {
                (DAY / step) as usize
            }
            Self::Seconds(DAY) => 7,
            Self::Seconds(step) if step == 7 * DAY => 52,
            _ => 1,
        }
    }

    /// Returns true if dates of this step need a time of day.
    pub fn has_clock(self) -> bool {
        matches!(self, Self::Seconds(step) if step % DAY != 0)
    }
}

/// The whole months from `a` to `b`, if both are on one day of the month, or on its last.
fn in_months(a: i64, b: i64) -> Option<i64> {
    let ((from, within), (to, place)) = (month(a)?, month(b)?);
    let last = |number: i64, within: i64| Some(within / DAY + 1 == days(number)?);
    let clock = within % DAY == place % DAY;
    (within == place || clock && last(from, within)? && last(to, place)?).then_some(to - from)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match *self {
            Self::Months(12) => (1, "year"),
            Self::Months(count) => (count.into(), "month"),
            Self::Seconds(step) if step % (7 * DAY) == 0 => (step / (7 * DAY), "week"),
            Self::Seconds(step) if step % DAY == 0 => (step / DAY, "day"),
            Self::Seconds(step) if step % 3600 == 0 => (step / 3600, "hour"),
            Self::Seconds(step) if step % 60 == 0 => (step / 60, "minute"),
            Self::Seconds(step) => (step, "second"),
            Self::Rows => (1, "row"),
        };
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::date::Dates;
    use super::Step;

    fn dates(all: &[&str]) -> Vec<i64> {
        all.iter().map(|text| Dates::DayFirst.parse(text).unwrap()).collect()
    }

    fn step(all: &[&str]) -> Step {
        Step::of([dates(all).as_slice()].into_iter()).unwrap()
    }

    #[test]
    fn the_step_is_the_most_frequent_distance() {
        assert_eq!(
            step(&["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"]),
            Step::Seconds(86_400)
        );
        assert_eq!(step(&["2024-01-31", "2024-02-29", "2024-03-31"]), Step::Months(1));
        assert_eq!(step(&["1700", "1701", "1702"]), Step::Months(12));
        assert_eq!(step(&["2024-01-01T00:00", "2024-01-01T01:00"]), Step::Seconds(3600));
        assert_eq!(Step::Seconds(3600).season(), 24);
        assert_eq!(Step::Months(3).season(), 4);
        assert_eq!(Step::Months(12).season(), 1);
    }

    #[test]
    fn steps_are_counted_and_taken() {
        let [a, b] = dates(&["2023-12-31", "2024-02-29"])[..] else { panic!() };
        assert_eq!(Step::Months(1).between(a, b), Some(2));
        assert_eq!(Step::Months(1).after(a, 2), Some(b));
        assert_eq!(Step::Seconds(86_400).between(a, b), Some(60));
        assert_eq!(Step::Seconds(7 * 86_400).between(a, b), None);
    }
}
