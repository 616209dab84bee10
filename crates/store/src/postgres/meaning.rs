//! What PostgreSQL's words mean: SQLSTATEs as intents, columns and parameters as values.

use std::borrow::Cow;
use std::error::Error;

use bytes::{BufMut, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::DataRowBody;

use super::wire::Refusal;
use crate::value::{Columns, Raw};
use crate::{StoreError, Value};

// pg_type.oid, which never change.
const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const OID: u32 = 26;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const NUMERIC: u32 = 1700;

/// The meaning of a refused statement.
pub(super) fn statement_error(sql: &str, refusal: Refusal) -> StoreError {
    if refusal.fatal {
        return StoreError::Disconnected { source: Box::new(refusal) };
    }
    match refusal.code.as_str() {
        "23505" => StoreError::UniqueViolation { columns: violated_columns(&refusal) },
        // Also RESTRICT, which has a code of its own.
        "23503" | "23001" => StoreError::ForeignKeyViolation,
        "23502" | "23514" => StoreError::CheckViolation { what: refusal.message },
        "53100" | "53200" => StoreError::Full,
        _ if is_passing(&refusal) => StoreError::Busy,
        _ => StoreError::Statement { sql: sql.to_owned(), source: Box::new(refusal) },
    }
}

/// Whether the same unit of work may succeed when it is run again: serialization failure, deadlock, a lock waited for in
/// vain, a cancelled statement, a prepared statement that a migration has overtaken.
pub(super) fn is_passing(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_str(), "40001" | "40P01" | "55P03" | "57014") || is_overtaken(refusal)
}

/// Another server has changed the table since the statement was prepared ("cached plan must not change result type").
pub(super) fn is_overtaken(refusal: &Refusal) -> bool {
    refusal.code == "0A000" && refusal.message.contains("cached plan")
}

/// `table.column, table.column` of a unique violation, as SQLite says it. The columns stand in the detail:
/// `Key (a, b)=(1, 2) already exists.`; its values are not shown.
fn violated_columns(refusal: &Refusal) -> String {
    let columns = (refusal.detail.split_once('('))
        .and_then(|(_, rest)| rest.split_once(")=("))
        .map(|(columns, _)| columns.split(", ").map(|column| format!("{}.{column}", refusal.table)))
        .map(|columns| columns.collect::<Vec<_>>().join(", "));
    columns.unwrap_or_else(|| format!("{}.{}", refusal.table, refusal.constraint))
}

/// The type that a parameter is declared with. NULL has none: the server infers it from where it stands.
pub(super) fn type_of(value: &Value<'_>) -> u32 {
    match value {
        Value::Null => 0,
        Value::Integer(_) => INT8,
        Value::Real(_) => FLOAT8,
        Value::Text(_) => TEXT,
        Value::Blob(_) => BYTEA,
    }
}

/// Writes a parameter in text format.
pub(super) fn write(value: &Value<'_>, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
    use std::fmt::Write;
    match value {
        Value::Null => return Ok(IsNull::Yes),
        Value::Integer(number) => write!(out, "{number}")?,
        Value::Real(number) => write!(out, "{number}")?,
        // The one character that PostgreSQL cannot keep in a text becomes the one that stands for what cannot be shown, when
        // it is written and when it is looked for.
        Value::Text(text) if text.contains('\0') => out.put_slice(text.replace('\0', "\u{fffd}").as_bytes()),
        Value::Text(text) => out.put_slice(text.as_bytes()),
        Value::Blob(octets) => {
            out.put_slice(b"\\x");
            octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))?;
        }
    }
    Ok(IsNull::No)
}

/// A row of a result in text format.
pub(super) struct TextRow<'a> {
    body: &'a DataRowBody,
    types: &'a [u32],
    /// Where each column stands in the body; `None` is NULL.
    places: Vec<Option<std::ops::Range<usize>>>,
}

impl<'a> TextRow<'a> {
    pub(super) fn new(types: &'a [u32]) -> impl FnMut(&'a DataRowBody) -> Result<Self, StoreError> {
        move |body| {
            let places =
                body.ranges().collect().map_err(|source| StoreError::Disconnected { source: Box::new(source) })?;
            Ok(Self { body, types, places })
        }
    }
}

impl Columns for TextRow<'_> {
    fn column(&self, index: usize) -> Result<Raw<'_>, StoreError> {
        let wrong = |found: &str| StoreError::Column { index, expected: "a column", found: found.to_owned() };
        let place = self.places.get(index).ok_or_else(|| wrong("past the end"))?;
        let Some(place) = place else { return Ok(Raw::Null) };
        let octets = self.body.buffer().get(place.clone()).ok_or_else(|| wrong("cut short"))?;
        let text = || std::str::from_utf8(octets).map_err(|_| wrong("not UTF-8"));
        let number = || text()?.parse().map(Raw::Integer).map_err(|_| wrong("no integer"));
        let real = || text()?.parse().map(Raw::Real).map_err(|_| wrong("no number"));
        match self.types.get(index).copied().unwrap_or(TEXT) {
            BOOL => Ok(Raw::Integer(i64::from(octets == b"t"))),
            INT2 | INT4 | INT8 | OID => number(),
            FLOAT4 | FLOAT8 => real(),
            // What `sum` makes of integers.
            NUMERIC => number().or_else(|_| real()),
            BYTEA => unhex(text()?).map(|octets| Raw::Blob(Cow::Owned(octets))).ok_or_else(|| wrong("no hexadecimal")),
            _ => Ok(Raw::Text(octets)),
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks(2).map(|pair| Some(value(*pair.first()?)? * 16 + value(*pair.get(1)?)?)).collect()
}
