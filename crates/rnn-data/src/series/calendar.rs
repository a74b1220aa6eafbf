use super::date::moment;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::str::FromStr;

/// A cycle of the calendar as two features, the sine and the cosine of its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calendar {
    /// The time within a day.
    Hour,
    /// The day of a week.
    Weekday,
    /// The month of a year.
    Month,
    /// The day of a year.
    Yearday,
}

impl Calendar {
    /// Returns the sine and the cosine of the phase at a date, given in seconds since the beginning
    /// of 1970; zeros outside the years -9999 to 9999.
    pub fn phase(self, seconds: i64) -> [f64; 2] {
        let Some(at) = moment(seconds) else { return [0.0; 2] };
        let part = match self {
            Self::Hour => seconds.rem_euclid(86_400) as f64 / 86_400.0,
            Self::Weekday => f64::from(at.weekday().number_days_from_monday()) / 7.0,
            Self::Month => f64::from(u8::from(at.month()) - 1) / 12.0,
            Self::Yearday => f64::from(at.ordinal() - 1) / 365.25,
        };
        [(TAU * part).sin(), (TAU * part).cos()]
    }
}

impl FromStr for Calendar {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hour" => Ok(Self::Hour),
            "weekday" => Ok(Self::Weekday),
            "month" => Ok(Self::Month),
            "yearday" => Ok(Self::Yearday),
            _ => Err("features of the calendar are hour, weekday, month and yearday".into()),
        }
    }
}
