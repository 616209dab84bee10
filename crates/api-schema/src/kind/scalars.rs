//! Booleans, numbers, words, names, UUIDs.

use super::{Refusal, python_display};
use serde_json::Value;

type Parsed = Result<Value, Refusal>;

pub(super) fn boolean(value: Value) -> Parsed {
    if value.is_boolean() {
        return Ok(value);
    }
    let text = python_display(&value);
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(Value::Bool(true)),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(Value::Bool(false)),
        _ => Err(Refusal::Conversion(format!("'{text}' cannot be converted to boolean"))),
    }
}

/// Python's `int()`: numbers are cut, strings are read, booleans count.
fn whole(value: &Value) -> Result<i64, Refusal> {
    let number = match value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Number(number) => {
            // Beyond 2^53 a float is not exact; such numbers are out of every range that we declare.
            number.as_i64().or_else(|| number.as_f64().filter(|n| n.abs() < 9e15).map(|n| n as i64))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Refusal::Conversion(format!("'{}' is not an integer", python_display(value))))
}

pub(super) fn non_negative(value: Value) -> Parsed {
    let number = whole(&value)?;
    if number < 0 {
        return Err(Refusal::Check(format!("'{number}' should be non-negative")));
    }
    if number > i64::from(i32::MAX) {
        return Err(Refusal::Check(format!("'{number}' is too large - must be no larger than '{}'", i32::MAX)));
    }
    Ok(number.into())
}

pub(super) fn range(value: Value, least: i64, most: i64) -> Parsed {
    let number = whole(&value)?;
    if number < least {
        return Err(Refusal::Check(format!("'{number}' is too small - must be at least '{least}'")));
    }
    if number > most {
        return Err(Refusal::Check(format!("'{number}' is too large - must be no larger than '{most}'")));
    }
    Ok(number.into())
}

pub(super) fn numbers(value: Value, numbers: &[i64]) -> Parsed {
    let number = whole(&value)?;
    if numbers.contains(&number) {
        Ok(number.into())
    } else {
        Err(Refusal::Check(format!("{number} is not in valid_values")))
    }
}

pub(super) fn words(value: Value, words: &[&str]) -> Parsed {
    match value.as_str() {
        Some(word) if words.contains(&word) => Ok(value),
        _ => Err(Refusal::Check(format!("{} is not in valid_values", python_display(&value)))),
    }
}

pub(super) fn text(value: Value, most: usize) -> Parsed {
    let Value::String(text) = &value else {
        return Err(Refusal::Check(format!("'{}' is not a valid string", python_display(&value))));
    };
    if text.chars().count() > most {
        return Err(Refusal::Check(format!("'{text}' exceeds maximum length of {most}")));
    }
    // PostgreSQL keeps no NUL in text.
    if text.contains('\0') {
        return Err(Refusal::Check(format!("'{}' is not a valid string", text.replace('\0', "\\x00"))));
    }
    Ok(value)
}

pub(super) fn name(value: Value, most: usize) -> Parsed {
    let value = text(value, most)?;
    let name = value.as_str().unwrap_or_default();
    let printable = |c: char| !c.is_control() && (!c.is_whitespace() || c == ' ' || c == '\u{a0}');
    let inner = |c: Option<char>| c.is_none_or(|c| !c.is_whitespace());
    if name.chars().all(printable) && inner(name.chars().next()) && inner(name.chars().next_back()) {
        Ok(value)
    } else {
        Err(Refusal::Check(format!("'{name}' is not a valid string")))
    }
}

pub(super) fn uuid(value: Value) -> Parsed {
    match value.as_str().and_then(|text| uuid::Uuid::parse_str(text).ok()) {
        Some(id) => Ok(Value::String(id.hyphenated().to_string())),
        None => Err(Refusal::Check(format!("'{}' is not a valid UUID", python_display(&value)))),
    }
}
