//! Values that go into statements and columns that come out of rows, without any database driver's types.

use std::borrow::Cow;
use std::str::FromStr;

use crate::StoreError;

/// One SQL value: a statement's parameter (borrowed or owned) or a row's column (borrowed from the row).
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// BIGINT; booleans are 0 and 1.
    Integer(i64),
    /// DOUBLE PRECISION.
    Real(f64),
    /// TEXT.
    Text(Cow<'a, str>),
    /// BLOB / BYTEA.
    Blob(Cow<'a, [u8]>),
}

impl Value<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a real",
            Self::Text(_) => "a text",
            Self::Blob(_) => "a blob",
        }
    }

    /// The same value, owning its bytes.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(v) => Value::Integer(v),
            Self::Real(v) => Value::Real(v),
            Self::Text(v) => Value::Text(Cow::Owned(v.into_owned())),
            Self::Blob(v) => Value::Blob(Cow::Owned(v.into_owned())),
        }
    }
}

/// A row's column as the database gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw<'a> {
    /// SQL NULL.
    Null,
    /// BIGINT; booleans are 0 and 1.
    Integer(i64),
    /// DOUBLE PRECISION.
    Real(f64),
    /// TEXT, not yet looked at: to check that it is UTF-8 costs as much as to copy it.
    Text(&'a [u8]),
    /// BLOB / BYTEA.
    Blob(Cow<'a, [u8]>),
}

impl<'a> From<Raw<'a>> for Value<'a> {
    fn from(raw: Raw<'a>) -> Self {
        match raw {
            Raw::Null => Value::Null,
            Raw::Integer(v) => Value::Integer(v),
            Raw::Real(v) => Value::Real(v),
            // Nearly always UTF-8, and checking that alone is several times faster than looking for what to replace.
            Raw::Text(v) => {
                Value::Text(std::str::from_utf8(v).map_or_else(|_| String::from_utf8_lossy(v), Cow::Borrowed))
            }
            Raw::Blob(v) => Value::Blob(v),
        }
    }
}

/// The parameters of a statement: `params![id, 1500, name.as_deref()]` is a `&[Value]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Value<'_>] };
    ($($value:expr),+ $(,)?) => { &[$($crate::Value::from($value)),+] };
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl From<$t> for Value<'_> {
            fn from(v: $t) -> Self { Value::Integer(i64::from(v)) }
        }
        impl From<&$t> for Value<'_> {
            fn from(v: &$t) -> Self { Value::Integer(i64::from(*v)) }
        }
        impl FromColumn for $t {
            const EXPECTED: &'static str = concat!("a ", stringify!($t));
            fn from_column(value: Value<'_>) -> Result<Self, String> {
                match value {
                    Value::Integer(v) => <$t>::try_from(v).map_err(|e| e.to_string()),
                    other => Err(other.kind().to_owned()),
                }
            }
        }
    )*};
}
integers!(i64, i32, i16, i8, u32, u16, u8);

impl From<bool> for Value<'_> {
    fn from(v: bool) -> Self {
        Value::Integer(i64::from(v))
    }
}
impl From<f64> for Value<'_> {
    fn from(v: f64) -> Self {
        Value::Real(v)
    }
}
/// Revisions and counters. SQL has no unsigned 64 bits: what does not fit is stored as the largest BIGINT.
impl From<u64> for Value<'_> {
    fn from(v: u64) -> Self {
        Value::Integer(i64::try_from(v).unwrap_or(i64::MAX))
    }
}
impl From<usize> for Value<'_> {
    fn from(v: usize) -> Self {
        Value::Integer(i64::try_from(v).unwrap_or(i64::MAX))
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(v: &'a str) -> Self {
        Value::Text(Cow::Borrowed(v))
    }
}
impl<'a> From<&'a String> for Value<'a> {
    fn from(v: &'a String) -> Self {
        Value::Text(Cow::Borrowed(v))
    }
}
impl From<String> for Value<'_> {
    fn from(v: String) -> Self {
        Value::Text(Cow::Owned(v))
    }
}
impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(v: Cow<'a, str>) -> Self {
        Value::Text(v)
    }
}
impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(v: &'a [u8]) -> Self {
        Value::Blob(Cow::Borrowed(v))
    }
}
impl From<Vec<u8>> for Value<'_> {
    fn from(v: Vec<u8>) -> Self {
        Value::Blob(Cow::Owned(v))
    }
}
/// Hyphenated lower-case text, as the API shows it.
impl From<uuid::Uuid> for Value<'_> {
    fn from(v: uuid::Uuid) -> Self {
        Value::Text(Cow::Owned(v.hyphenated().to_string()))
    }
}
/// Hyphenated lower-case text, as the API shows it.
impl From<&uuid::Uuid> for Value<'_> {
    fn from(v: &uuid::Uuid) -> Self {
        Value::from(*v)
    }
}
/// Microseconds since 1970, UTC.
impl From<jiff::Timestamp> for Value<'_> {
    fn from(v: jiff::Timestamp) -> Self {
        Value::Integer(v.as_microsecond())
    }
}
impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub trait FromColumn: Sized {
    /// For the error: "a u32".
    const EXPECTED: &'static str;
    /// Converts; the error says what was found instead.
    fn from_column(value: Value<'_>) -> Result<Self, String>;
}

impl FromColumn for u64 {
    const EXPECTED: &'static str = "a u64";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Integer(v) => u64::try_from(v).map_err(|e| e.to_string()),
            other => Err(other.kind().to_owned()),
        }
    }
}
impl FromColumn for bool {
    const EXPECTED: &'static str = "a boolean";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Integer(0) => Ok(false),
            Value::Integer(1) => Ok(true),
            other => Err(other.kind().to_owned()),
        }
    }
}
impl FromColumn for f64 {
    const EXPECTED: &'static str = "a real";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Real(v) => Ok(v),
            other => Err(other.kind().to_owned()),
        }
    }
}
impl FromColumn for String {
    const EXPECTED: &'static str = "a text";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Text(v) => Ok(v.into_owned()),
            other => Err(other.kind().to_owned()),
        }
    }
}
impl FromColumn for Vec<u8> {
    const EXPECTED: &'static str = "a blob";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Blob(v) => Ok(v.into_owned()),
            other => Err(other.kind().to_owned()),
        }
    }
}
impl FromColumn for uuid::Uuid {
    const EXPECTED: &'static str = "a UUID";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Text(v) => v.parse().map_err(|e: uuid::Error| e.to_string()),
            other => Err(other.kind().to_owned()),
        }
    }
}
impl FromColumn for jiff::Timestamp {
    const EXPECTED: &'static str = "an instant in microseconds";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Integer(v) => jiff::Timestamp::from_microsecond(v).map_err(|e| e.to_string()),
            other => Err(other.kind().to_owned()),
        }
    }
}
impl FromColumn for Value<'static> {
    const EXPECTED: &'static str = "a value";
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        Ok(value.into_owned())
    }
}
impl<T: FromColumn> FromColumn for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_column(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            other => T::from_column(other).map(Some),
        }
    }
}

/// A row as a backend gives it: columns by position.
pub(crate) trait Columns {
    /// The column; an error past the end.
    fn column(&self, index: usize) -> Result<Raw<'_>, StoreError>;
}

/// One row of a result, valid while the query's closure looks at it.
pub struct Row<'a> {
    columns: &'a dyn Columns,
}

impl<'a> Row<'a> {
    pub(crate) fn new(columns: &'a dyn Columns) -> Self {
        Self { columns }
    }

    /// The column at `index` (from 0) as `T`; `Option<T>` where NULL is allowed.
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T, StoreError> {
        T::from_column(self.value(index)?).map_err(|found| StoreError::Column { index, expected: T::EXPECTED, found })
    }

    /// The column as it is, borrowed.
    pub fn value(&self, index: usize) -> Result<Value<'_>, StoreError> {
        self.columns.column(index).map(Value::from)
    }

    /// The column, unchecked: for code that writes rows straight to JSON.
    #[inline]
    pub fn raw(&self, index: usize) -> Result<Raw<'_>, StoreError> {
        self.columns.column(index)
    }

    /// A text column without copying it.
    pub fn text(&self, index: usize) -> Result<Cow<'_, str>, StoreError> {
        match self.value(index)? {
            Value::Text(text) => Ok(text),
            other => Err(StoreError::Column { index, expected: "a text", found: other.kind().to_owned() }),
        }
    }

    /// A text column parsed as `T` (addresses, prefixes, enumerations).
    pub fn parse<T: FromStr>(&self, index: usize) -> Result<T, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        self.text(index)?.parse().map_err(|e: T::Err| StoreError::Column {
            index,
            expected: std::any::type_name::<T>(),
            found: e.to_string(),
        })
    }

    /// Like [`Row::parse`], NULL giving `None`.
    pub fn parse_opt<T: FromStr>(&self, index: usize) -> Result<Option<T>, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        match self.columns.column(index)? {
            Raw::Null => Ok(None),
            _ => self.parse(index).map(Some),
        }
    }
}
