use std::str::FromStr;
use std::time::Duration;

/// The times at which checkpoints are taken. It is parsed from a number of steps such as `100`, a
/// time such as `90s`, `5m` or `2h`, `epoch` or `never`. Except with [`Every::Never`], a training
/// that is ended early, by an interruption for example, takes one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// At the end of each epoch.
    Epoch,
    /// At each step whose number is a multiple of this number, at least 1, and at the end of each
    /// epoch.
    Steps(u64),
    /// When this time has passed since the last checkpoint, and at the end of each epoch.
    Time(Duration),
    /// Never.
    Never,
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "epoch" => return Ok(Self::Epoch),
            "never" => return Ok(Self::Never),
            _ => {}
        }
        let digits = text.trim_end_matches(['s', 'm', 'h']);
        let number = digits.parse::<u64>().ok().filter(|&number| number > 0);
        let seconds = match &text[digits.len()..] {
            "" => return number.map(Self::Steps).ok_or_else(misfit),
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(misfit()),
        };
        let seconds = number.and_then(|number| number.checked_mul(seconds));
        seconds.map(|s| Self::Time(Duration::from_secs(s))).ok_or_else(misfit)
    }
}

fn misfit() -> String {
    "it takes steps, as 100, a time, as 90s, 5m or 2h, `epoch` or `never`".into()
}

#[cfg(test)]
mod tests {
    use super::Every;
    use std::time::Duration;

    #[test]
    fn steps_and_times_are_told_apart() {
        let time = |seconds| Ok(Every::Time(Duration::from_secs(seconds)));
        assert_eq!("100".parse(), Ok(Every::Steps(100)));
        assert_eq!("90s".parse(), time(90));
        assert_eq!("5m".parse(), time(300));
        assert_eq!("2h".parse(), time(7200));
        assert_eq!(("epoch".parse(), "never".parse()), (Ok(Every::Epoch), Ok(Every::Never)));
        for wrong in ["", "0", "0m", "m", "5mm", "-1", "1.5h", "5d", "99999999999999999h"] {
            assert!(wrong.parse::<Every>().is_err(), "{wrong}");
        }
    }
}
