use super::{Dialect, Reader, WeightArguments, shown};
use crate::ConfigError;
use crate::architecture::Unread;
use serde_json::{Map, Value};

/// A type of the arguments of layers and optimizers, with its form in Keras's JSON.
pub trait Argument: Sized {
    /// Returns a text that lists the supported values, for messages.
    fn supported() -> String;

    /// Returns the value that `value` stands for in a file of the Keras version `dialect`; `None`
    /// if it is not supported.
    fn read(value: &Value, dialect: Dialect) -> Option<Self>;

    /// Returns the value as Keras 3 writes it; `None` if `reader` has no counterpart of it.
    fn write(&self, reader: Reader) -> Option<Value>;
}

/// A visitor of the arguments of a layer or optimizer, which passes each argument to a method here
/// with Keras's name and a place for the value.
///
/// There are three kinds: a visitor that reads replaces the values by those of a description; one
/// that writes adds the values to a description; and one that checks refuses values that no
/// description could have.
pub struct Arguments<'a> {
    /// The name of the layer in messages.
    owner: String,
    /// False, if the description of the layer says that it is not trained.
    pub(crate) trainable: bool,
    /// What was left out, because it is not supported and inference does not need it.
    pub(crate) unread: Vec<Unread>,
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

/// The range of a number that is an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// From 0 to below 1, for the fraction that a dropout drops.
    Rate,
    /// From 0 to 1.
    Fraction,
    /// Finite numbers from 0 on.
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

    pub(crate) fn supported(self) -> String {
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
        Self {
            owner,
            trainable: true,
            unread: vec![],
            side: Side::Read { given, dialect, known: vec![] },
        }
    }

    /// A visitor that writes arguments into a description.
    pub(crate) fn written(owner: String, reader: Reader) -> Self {
        Self {
            owner,
            trainable: true,
            unread: vec![],
            side: Side::Write { made: Map::new(), reader },
        }
    }

    /// A visitor that checks the arguments of a layer made in code.
    pub(crate) fn checked(owner: String) -> Self {
        Self { owner, trainable: true, unread: vec![], side: Side::Check }
    }

    /// Returns true if the arguments are checked.
    pub(crate) fn checks(&self) -> bool {
        matches!(self.side, Side::Check)
    }

    /// Returns the version of Keras whose defaults the arguments have: that of the description if
    /// one is read, otherwise Keras 3.
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

    /// The whole description, all of whose arguments are then known, if one is read.
    pub(crate) fn described(&mut self) -> Option<Value> {
        let Side::Read { given, known, .. } = &mut self.side else { return None };
        known.extend(given.keys().cloned());
        Some(Value::Object((*given).clone()))
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

    /// Visits the argument `name`, which a description may lack: `value` then stays unchanged. A
    /// description that is written always has it.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if the value that is read or checked is not supported,
    /// and with [`ConfigError::Foreign`] if the program that will read the written description has
    /// no counterpart of `value`.
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

    /// Visits the argument `name`, which a description must have; null counts as missing.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Missing`] if the argument is missing, and as [`Self::optional`].
    pub fn required<T: Argument>(&mut self, name: &str, value: &mut T) -> Result<(), ConfigError> {
        if let Side::Read { given, .. } = &self.side
            && given.get(name).is_none_or(Value::is_null)
        {
            return Err(self.missing(name));
        }
        self.optional(name, value)
    }

    /// Visits the number `name` as [`Self::optional`], and checks that the result lies within the
    /// range `of`.
    ///
    /// # Errors
    /// Fails as [`Self::optional`], and with [`ConfigError::Argument`] if the number lies outside
    /// of the range.
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

    /// Visits an argument, as [`Self::optional`], that is called `name` in Keras 3 and `before` in
    /// Keras 2. Both names are read; if both are given, `name` counts. It is written as `name`.
    ///
    /// # Errors
    /// Fails as [`Self::optional`].
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

    /// Visits the argument `name` as [`Self::optional`], but null in a description counts as
    /// missing.
    ///
    /// # Errors
    /// Fails as [`Self::optional`].
    pub fn nullable<T: Argument>(&mut self, name: &str, value: &mut T) -> Result<(), ConfigError> {
        match self.take(name) {
            Some(Value::Null) => Ok(()),
            _ => self.optional(name, value),
        }
    }

    /// Visits the argument `name`, which Keras does not have, as [`Self::optional`]. A file for
    /// Keras is written without it, whatever its value.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if the value that is read or checked is not supported.
    pub fn ours<T: Argument>(&mut self, name: &str, value: &mut T) -> Result<(), ConfigError> {
        match self.reader() {
            Some(Reader::Keras) => Ok(()),
            _ => self.optional(name, value),
        }
    }

    /// Visits the switch `name` of the calls of the layer. It is read among the arguments, and
    /// [`Layer::switches`](crate::Layer::switches) tells it to those who write calls.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if a value that is read is not true or false.
    pub fn switch(&mut self, name: &str, value: &mut bool) -> Result<(), ConfigError> {
        match self.reader() {
            Some(_) => Ok(()),
            None => self.optional(name, value),
        }
    }

    /// Visits the three arguments of the weight `name` as [`Self::in_training`]: for `kernel` they are
    /// `kernel_initializer`, `kernel_regularizer` and `kernel_constraint`.
    ///
    /// # Errors
    /// Fails as [`Self::optional`].
    pub fn weight(&mut self, name: &str, weight: &mut WeightArguments) -> Result<(), ConfigError> {
        self.in_training(&format!("{name}_initializer"), &mut weight.initializer)?;
        self.in_training(&format!("{name}_regularizer"), &mut weight.regularizer)?;
        self.in_training(&format!("{name}_constraint"), &mut weight.constraint)
    }

    /// Visits the argument `name` as [`Self::optional`]. A value that is read and not supported
    /// leaves `value` as it is, and does not stop inference
    /// ([`Architecture::unread`](crate::Architecture::unread)).
    ///
    /// # Errors
    /// Fails as [`Self::optional`] where arguments are written or checked.
    pub fn in_training<T: Argument>(
        &mut self,
        name: &str,
        value: &mut T,
    ) -> Result<(), ConfigError> {
        match self.optional(name, value) {
            Err(error @ ConfigError::Argument { .. }) if self.reader().is_none() => {
                let initial = name.ends_with("_initializer");
                self.unread.push(Unread { initial, message: error.to_string() });
                Ok(())
            }
            visited => visited,
        }
    }

    /// Visits the argument `name`, of which this library supports one value alone. A description
    /// that is read may lack it, or must give it as `value`, null, false or `"channels_last"`. It
    /// is not written.
    ///
    /// # Errors
    /// Fails with [`ConfigError::Argument`] if a description gives it another value.
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

    /// Accepts the arguments of these names with any values in a description that is read, because
    /// they do not change results. They are not written.
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
