//! Dates as people write them, in seconds since 1970-01-01T00:00:00Z.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// The order of day and month in dates that end in the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// 31/03/2024.
    DayFirst,
    /// 03/31/2024.
    MonthFirst,
}

impl Dates {
    /// Returns the seconds since the beginning of 1970 in UTC of a date: a year, a month or a day
    /// with `-`, `/` or `.` between its numbers, perhaps a time of day behind a `T` or a space, and
    /// perhaps a `Z` or an offset; or of 8 digits for a day, and of 10 for the seconds themselves. A
    /// date without an offset counts as UTC. `None` if it is no date.
    pub fn parse(self, text: &str) -> Option<i64> {
        let text = text.trim();
        // A year that was written as a number.
        let text = text.strip_suffix(".0").filter(|rest| is_digits(rest)).unwrap_or(text);
        let (day, clock) = match text.split_once(['T', ' ']) {
            Some((day, clock)) => (day, Some(clock.trim())),
            None => (text, None),
        };
        if is_digits(text) && text.len() == 10 {
            return text.parse().ok();
        }
        let date = self.day(day)?;
        let (time, offset) = clock.map_or(Some((Time::MIDNIGHT, 0)), of_day)?;
        Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp() - offset)
    }

    fn day(self, text: &str) -> Option<Date> {
        let parts: Vec<&str> = match is_digits(text) {
            true if text.len() == 8 => vec![&text[..4], &text[4..6], &text[6..]],
            true => vec![text],
            false => {
                let mark = ['-', '/', '.'].into_iter().find(|mark| text.contains(*mark))?;
                text.split(mark).collect()
            }
        };
        let number = |text: &&str| (is_digits(text) && text.len() <= 4).then(|| text.parse().ok());
        let numbers = parts.iter().map(|part| number(part)?).collect::<Option<Vec<u16>>>()?;
        let year_first = parts[0].len() == 4;
        let day_first = self == Self::DayFirst || text.contains('.');
        let [year, month, day] = match (&numbers[..], year_first) {
            (&[year, month, day], true) => [year, month, day],
            (&[day, month, year], false) if day_first => [year, month, day],
            (&[month, day, year], false) => [year, month, day],
            (&[year, month], true) | (&[month, year], false) => [year, month, 1],
            (&[year], true) => [year, 1, 1],
            _ => return None,
        };
        let is_year = year_first || parts.last().is_some_and(|part| part.len() == 4);
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        is_year.then_some(())?;
        Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The time of day, and the seconds that it is ahead of UTC: `14:00`, `14:00:30.000`, `14:00Z`,
/// `14:00+02:00`.
fn of_day(text: &str) -> Option<(Time, i64)> {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(at);
    let offset = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => 0,
        Some((sign, zone)) => {
            let digits = zone.replace(':', "");
            let whole = is_digits(&digits) && matches!(digits.len(), 2 | 4);
            let hours: i64 = whole.then(|| digits[..2].parse().ok())??;
            let minutes: i64 = digits.get(2..4).map_or(Some(0), |text| text.parse().ok())?;
            (hours * 3600 + minutes * 60) * if sign == "-" { -1 } else { 1 }
        }
    };
    let clock = clock.trim();
    // Steps are of whole seconds.
    let clock = match clock.split_once('.') {
        Some((whole, part)) if part.bytes().all(|byte| byte == b'0') => whole,
        _ => clock,
    };
    let mut parts = [0u8; 3];
    let all: Vec<&str> = clock.split(':').collect();
    if !(1..=3).contains(&all.len()) {
        return None;
    }
    for (part, text) in parts.iter_mut().zip(all) {
        *part = is_digits(text).then(|| text.parse().ok())??;
    }
    Some((Time::from_hms(parts[0], parts[1], parts[2]).ok()?, offset))
}

/// Returns the date and time in UTC of seconds since the beginning of 1970; `None` outside the years
/// -9999 to 9999.
pub(super) fn moment(seconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// Returns seconds since the beginning of 1970 as a date, `2024-03-31`, or with `clock` as
/// `2024-03-31T14:00:00`, in UTC.
pub fn shown(seconds: i64, clock: bool) -> String {
    let Some(at) = moment(seconds) else { return seconds.to_string() };
    let (year, month, day) = at.to_calendar_date();
    let date = format!("{year:04}-{:02}-{day:02}", u8::from(month));
    match clock {
        true => format!("{date}T{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()),
        false => date,
    }
}

#[cfg(test)]
mod tests {
    use super::Dates::{self, DayFirst, MonthFirst};
    use super::shown;

    #[test]
    fn common_forms_are_read() {
        // 2024-03-31 is day 19,813 since the beginning of 1970.
        let day = 19_813 * 86_400;
        for text in
            ["2024-03-31", "2024/3/31", "20240331", "31.03.2024", "31/03/2024", " 2024-3-31 "]
        {
            assert_eq!(DayFirst.parse(text), Some(day), "{text}");
        }
        assert_eq!(MonthFirst.parse("03/31/2024"), Some(day));
        assert_eq!(MonthFirst.parse("31.03.2024"), Some(day));
        for text in ["2024-03-31T14:00", "2024-03-31 14:00:00.000", "2024-03-31T16:00+02:00"] {
            assert_eq!(DayFirst.parse(text), Some(day + 14 * 3600), "{text}");
        }
        assert_eq!(DayFirst.parse("2024-03-31T09:30:05-0430"), Some(day + 14 * 3600 + 5));
        assert_eq!(DayFirst.parse("1711843200"), Some(day));
        assert_eq!(DayFirst.parse("1970"), Some(0));
        assert_eq!(DayFirst.parse("1970.0"), Some(0));
        assert_eq!(DayFirst.parse("02/1970"), Some(31 * 86_400));
        assert_eq!(DayFirst.parse("1969-12-31T23:59:59Z"), Some(-1));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "soon",
            "2024-13-01",
            "2024-02-30",
            "1.5",
            "12",
            "2024-03-31T25:00",
            "1-2-3",
            "é-1-2",
        ] {
            assert_eq!(Dates::DayFirst.parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_shown_as_they_are_read() {
        assert_eq!(shown(19_813 * 86_400 + 3600, true), "2024-03-31T01:00:00");
        assert_eq!(shown(-1, false), "1969-12-31");
    }
}
