//! How Python would print a JSON value inside a message.

use serde_json::Value;
use std::fmt::Write;

/// As `str(value)` prints it: `None`, `True`, `{'a': 1}`; a string is itself.
pub fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let mut text = String::from("{");
            for (position, (key, member)) in members.iter().enumerate() {
                let comma = if position == 0 { "" } else { ", " };
                // Writing into a String cannot fail.
                let _ = write!(text, "{comma}'{key}': {}", repr(member));
            }
            text.push('}');
            text
        }
    }
}
