use super::{Dialect, Reader, WeightArguments, shown};
use crate::ConfigError;
use serde_json::{Map, Value};

/// A type that an argument of a layer or optimizer can have, with its form in Keras's JSON.
pub trait Argument: Sized {
    /// The values that may be given, for messages.
    fn supported() -> String;

    /// Reads the value; `None`, if it is not supported.
    fn read(value: &Value, dialect: Dialect) -> Option<Self>;

    /// The value in Keras 3's terms; `None`, if the reader knows nothing like it.
    fn write(&self, reader: Reader) -> Option<Value>;
}

/// A visitor of the arguments of a layer or optimizer by Keras's names. It replaces them by those
/// of a description, writes them into one, or checks that a description could have them.
pub struct Arguments<'a> {
    /// The name of the layer in messages.
    owner: String,
    /// False, if the description of the layer says that it is not trained.
    pub(crate) trainable: bool,
    side: Side<'a>,
}

enum Side<'a> {
    Read {
        given: &'a Map<String, Value>,
        dialect: Dialect,
        known: Vec<String>,
    },
    Write {
        made: Map<String, Value>,
        reader: Reader,
    },
    /// Every value is written and read back: a value that cannot be is refused.
    Check,
}

/// A range of numbers that an argument may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// A share of what is dropped, which may be none and not all: [0, 1).
    Rate,
    /// [0, 1].
    Fraction,
    /// From 0 on.
    NotNegative,
}

impl Numbers {
    pub(crate) fn contain(self, value: f32) -> bool {
        match self {
            Self::Rate => (0.0..1.0).contains(&value),
            Self::Fraction => (0.0..=1.0).contains(&value),
            Self::NotNegative => value >= 0.0 && value.is_finite(),
        }
    }

    fn supported(self) -> String {
        match self {
            Self::Rate => "numbers from 0 to below 1".into(),
            Self::Fraction => "numbers from 0 to 1".into(),
            Self::NotNegative => "numbers from 0 on".into(),
        }
    }
}

impl<'a> Arguments<'a> {
    /// A visitor that replaces arguments by those of a description.
    pub(crate) fn given(owner: String, given: &'a Map<String, Value>, dialect: Dialect) -> Self {
        Self { owner, trainable: true, side: Side::Read { given, dialect, known: vec![] } }
    }

    /// A visitor that writes arguments into a description.
    pub(crate) fn written(owner: String, reader: Reader) -> Self {
        Self { owner, trainable: true, side: Side::Write { made: Map::new(), reader } }
    }

    /// A visitor that checks the arguments of a layer made in code.
    pub(crate) fn checked(owner: String) -> Self {
        Self { owner, trainable: true, side: Side::Check }
    }

    /// Returns true if the arguments are checked.
    pub(crate) fn checks(&self) -> bool {
        matches!(self.side, Side::Check)
    }

    /// Returns the version of Keras whose defaults hold: Keras 3 for what is written.
    pub fn dialect(&self) -> Dialect {
        match self.side {
            Side::Read { dialect, .. } => dialect,
            Side::Write { .. } | Side::Check => Dialect::Keras3,
        }
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The value in the description, if one is read.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a Value> {
        let Side::Read { given, known, .. } = &mut self.side else { return None };
        known.push(name.to_owned());
        given.get(name)
    }

    /// The reader of the description, if one is written or checked.
    pub(crate) fn reader(&self) -> Option<Reader> {
        match self.side {
            Side::Read { .. } => None,
            Side::Write { reader, .. } => Some(reader),
            Side::Check => Some(Reader::Ours),
        }
    }

    pub(crate) fn put(&mut self, name: &str, value: Value) {
        if let Side::Write { made, .. } = &mut self.side {
            made.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn missing(&self, argument: &str) -> ConfigError {
        ConfigError::Missing { owner: self.owner.clone(), argument: argument.to_owned() }
    }

    pub(crate) fn refuse(&self, argument: &str, value: &Value, supported: String) -> ConfigError {
        let (owner, argument) = (self.owner.clone(), argument.to_owned());
        ConfigError::Argument { owner, argument, value: shown(value), supported }
    }

    /// Visits an argument that may be missing in a description; `value` then stays unchanged. In a
    /// description that is written, the argument always stands.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if the given value is not supported, and with
    /// [`ConfigError::Foreign`] if the program that a description is written for knows nothing like
    /// `value`.
    pub fn optional<T: Argument>(&mut self, name: &str, value: &mut T) -> Result<(), ConfigError> {
        if let Some(reader) = self.reader() {
            let written = value.write(reader);
            if self.checks() {
                let odd = written.filter(|written| T::read(written, Dialect::Keras3).is_none());
                return odd.map_or(Ok(()), |odd| Err(self.refuse(name, &odd, T::supported())));
            }
            let foreign = || ConfigError::Foreign {
                owner: self.owner.clone(),
                what: format!("{name} has a value that Keras 3 does not know"),
            };
            self.put(name, written.ok_or_else(foreign)?);
        } else if let Some(given) = self.take(name) {
            let read = T::read(given, self.dialect());
            *value = read.ok_or_else(|| self.refuse(name, given, T::supported()))?;
        }
        Ok(())
    }

    /// Visits an argument that must be given in a description, where null counts as missing.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Missing`] if the argument is missing, and with
    /// [`ConfigError::Argument`] if its value is not supported.
    pub fn required<T: Argument>(&mut self, name: &str, value: &mut T) -> Result<(), ConfigError> {
        if let Side::Read { given, .. } = &self.side
            && given.get(name).is_none_or(Value::is_null)
        {
            return Err(self.missing(name));
        }
        self.optional(name, value)
    }

    /// Visits the optional argument `name`, a number, and checks that it lies within the range
    /// `of`. Where a description lacks it, `value` stays unchanged.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if the number is outside of the range, or is none.
    pub fn number(&mut self, name: &str, value: &mut f32, of: Numbers) -> Result<(), ConfigError> {
        self.optional(name, value)?;
        match of.contain(*value) {
            true => Ok(()),
            false => Err(self.refuse(
                name,
                &value.write(Reader::Ours).unwrap_or_default(),
                of.supported(),
            )),
        }
    }

    /// Visits an optional argument that is called `name` in Keras 3 and `before` in Keras 2; both
    /// names are read, and `name` counts if both are given. It is written as `name`.
    ///
    /// # Errors
    /// Fails if the given value is not supported.
    pub fn renamed<T: Argument>(
        &mut self,
        [name, before]: [&str; 2],
        value: &mut T,
    ) -> Result<(), ConfigError> {
        if self.reader().is_none() && self.take(before).is_some() {
            self.optional(before, value)?;
        }
        self.optional(name, value)
    }

    /// Visits the optional argument `name`, for which null stands for the default: `value` then
    /// stays unchanged.
    ///
    /// # Errors
    /// Fails if the given value is not supported.
    pub fn nullable<T: Argument>(&mut self, name: &str, value: &mut T) -> Result<(), ConfigError> {
        match self.take(name) {
            Some(Value::Null) => Ok(()),
            _ => self.optional(name, value),
        }
    }

    /// Visits the optional argument `name` that Keras does not have. A file for Keras is written
    /// without it, whatever its value.
    ///
    /// # Errors
    /// Fails if the given value is not supported.
    pub fn ours<T: Argument>(&mut self, name: &str, value: &mut T) -> Result<(), ConfigError> {
        match self.reader() {
            Some(Reader::Keras) => Ok(()),
            _ => self.optional(name, value),
        }
    }

    /// Visits the three arguments of a weight: `kernel_initializer`, `kernel_regularizer` and
    /// `kernel_constraint` for the name `kernel`.
    ///
    /// # Errors
    /// Fails if one of them is not supported.
    pub fn weight(&mut self, name: &str, weight: &mut WeightArguments) -> Result<(), ConfigError> {
        self.optional(&format!("{name}_initializer"), &mut weight.initializer)?;
        self.optional(&format!("{name}_regularizer"), &mut weight.regularizer)?;
        self.optional(&format!("{name}_constraint"), &mut weight.constraint)
    }

    /// Visits an argument that may be missing, and else must have the value `value`, or one that
    /// asks for nothing: null, false or `channels_last`.
    ///
    /// # Errors
    /// Fails if a description gives it any other value.
    pub fn fixed(&mut self, name: &str, value: impl Into<Value>) -> Result<(), ConfigError> {
        let (given, value) = (self.take(name), value.into());
        let same = |given: &Value| match (given.as_f64(), value.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => *given == value || is_neutral(given),
        };
        match given.filter(|given| !same(given)) {
            Some(given) => Err(self.refuse(name, given, shown(&value))),
            None => Ok(()),
        }
    }

    /// Accepts any values of the arguments of these names, which change no result. They are not
    /// written either.
    pub fn ignored(&mut self, names: &[&str]) {
        if let Side::Read { known, .. } = &mut self.side {
            known.extend(names.iter().map(|&name| name.to_owned()));
        }
    }

    /// Returns the description that was written.
    ///
    /// # Errors
    /// Fails if the description that was read has an argument that was not visited.
    pub(crate) fn finish(self) -> Result<Map<String, Value>, ConfigError> {
        match self.side {
            Side::Write { made, .. } => Ok(made),
            Side::Check => Ok(Map::new()),
            Side::Read { given, mut known, .. } => {
                let odd =
                    |(name, value): &(&String, &Value)| !known.contains(name) && !is_neutral(value);
                let Some((argument, value)) = given.iter().find(odd) else {
                    return Ok(Map::new());
                };
                known.sort();
                known.dedup();
                let supported = format!("the arguments {}", known.join(", "));
                let (argument, value) = (argument.clone(), shown(value));
                Err(ConfigError::Argument { owner: self.owner, argument, value, supported })
            }
        }
    }
}

/// Returns true for a value that asks for nothing.
fn is_neutral(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
        || value.as_str().is_some_and(|text| text == "channels_last")
}
