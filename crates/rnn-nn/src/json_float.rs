//! Floats in JSON, which has no NaN and no infinities: those are written as the strings `NaN`,
//! `Infinity` and `-Infinity`. For `#[serde(with = "json_float")]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a float: as a number if it is finite, else as the string "NaN", "Infinity" or
/// "-Infinity".
///
/// # Errors
/// Fails as the serializer does.
pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    match *value {
        value if value.is_finite() => to.serialize_f64(value),
        value if value.is_nan() => to.serialize_str("NaN"),
        value if value > 0.0 => to.serialize_str("Infinity"),
        _ => to.serialize_str("-Infinity"),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

/// Reads a float that [`serialize`] wrote. `null`, which older versions wrote for NaN and
/// infinities, becomes NaN.
///
/// # Errors
/// Fails if the value is neither a number, one of the strings, nor `null`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match Option::deserialize(from)? {
        None => Ok(f64::NAN),
        Some(Written::Number(value)) => Ok(value),
        Some(Written::Text(text)) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            // The text of a file may be of any length.
            _ => Err(Error::custom("a text stands where a number should")),
        },
    }
}

/// Maps of floats by name in JSON, in which each float has the form that `json_float` gives it. For
/// `#[serde(with = "json_float::map")]`.
pub mod map {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    #[derive(Serialize, Deserialize)]
    struct Float(#[serde(with = "super")] f64);

    /// Writes a map, each float as [`super::serialize`] does.
    ///
    /// # Errors
    /// Fails as the serializer does.
    pub fn serialize<S: Serializer>(
        values: &BTreeMap<String, f64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(values.iter().map(|(name, &value)| (name, Float(value))))
    }

    /// Reads a map, each float as [`super::deserialize`] does.
    ///
    /// # Errors
    /// Fails if there is no map, or [`super::deserialize`] fails for a value.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let values = BTreeMap::<String, Float>::deserialize(from)?;
        Ok(values.into_iter().map(|(name, Float(value))| (name, value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::{CallbackState, EpochLog, History, Metrics};

    fn metrics(loss: f64, accuracy: f64, auc: f64) -> Metrics {
        Metrics { loss, accuracy, auc, ..Metrics::default() }
    }

    #[test]
    fn every_float_of_a_history_survives_its_file() {
        let validation = Some(metrics(f64::NAN, f64::NEG_INFINITY, f64::MIN_POSITIVE));
        let train = metrics(f64::INFINITY, 0.1 + 0.2, f64::NAN);
        let history =
            History { epochs: vec![EpochLog { epoch: 1, train, validation, seconds: 0.5 }] };
        let written = serde_json::to_string(&history).expect("JSON");
        let read: History = serde_json::from_str(&written).expect("a history");
        // NaN differs from itself, but not in its text.
        assert_eq!(format!("{read:?}"), format!("{history:?}"));
    }

    #[test]
    fn every_number_of_a_callback_survives_its_file() {
        let mut state = CallbackState::default();
        state.numbers.insert("best".into(), f64::NEG_INFINITY);
        state.numbers.insert("wait".into(), 3.0);
        let written = serde_json::to_string(&state).expect("JSON");
        assert_eq!(serde_json::from_str::<CallbackState>(&written).expect("a state"), state);
    }

    #[test]
    fn null_of_older_files_is_nan_and_other_texts_are_refused() {
        let old = r#"{"loss":null,"accuracy":0.5,"count":3}"#;
        assert!(serde_json::from_str::<Metrics>(old).expect("metrics").loss.is_nan());
        let odd = r#"{"loss":"nothing","accuracy":0.5,"count":3}"#;
        assert!(serde_json::from_str::<Metrics>(odd).is_err());
    }
}
