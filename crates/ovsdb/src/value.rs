//! Values of columns (RFC 7047, section 5.1).
//!
//! A set of exactly one element and the element alone are the same on the wire and here: both are [`Value::Set`]. So
//! values that mean the same compare equal.

use crate::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as Json, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A floating-point number with a total order, for sets and maps.
#[derive(Debug, Clone, Copy)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// `<atom>`: one value. JSON has one kind of number, so a real that is whole arrives as an integer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A 64-bit integer.
    Integer(i64),
    /// A real that is not whole or beyond 64 bits; always finite.
    Real(Real),
    /// True or false.
    Boolean(bool),
    /// Text.
    String(String),
    /// A row.
    Uuid(Uuid),
    /// A row that the same transaction inserts, by its `uuid-name`.
    NamedUuid(String),
}

impl Atom {
    /// As it stands on the wire.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Integer(number) => json!(number),
            Self::Real(real) => json!(real.0),
            Self::Boolean(truth) => json!(truth),
            Self::String(text) => json!(text),
            Self::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
            Self::NamedUuid(name) => json!(["named-uuid", name]),
        }
    }

    /// From the wire.
    pub fn from_json(json: &Json) -> Result<Self, Error> {
        let wrong = || Error::parse("an atom", json);
        match json {
            Json::Bool(truth) => Ok(Self::Boolean(*truth)),
            Json::String(text) => Ok(Self::String(text.clone())),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Ok(Self::Integer(integer)),
                (None, Some(real)) if real.is_finite() => Ok(real_atom(real)),
                _ => Err(wrong()),
            },
            Json::Array(pair) => match pair.as_slice() {
                [Json::String(tag), Json::String(text)] if tag == "uuid" => {
                    text.parse().map(Self::Uuid).map_err(|_| wrong())
                }
                [Json::String(tag), Json::String(text)] if tag == "named-uuid" => Ok(Self::NamedUuid(text.clone())),
                _ => Err(wrong()),
            },
            Json::Null | Json::Object(_) => Err(wrong()),
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Whole reals within the range where they are exact are integers, so that `1.0` and `1` compare equal.
fn real_atom(real: f64) -> Atom {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if real.fract() == 0.0 && real.abs() <= EXACT { Atom::Integer(real as i64) } else { Atom::Real(Real(real)) }
}

impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Atom {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Atom {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for Atom {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Atom {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u16> for Atom {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Atom {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<Uuid> for Atom {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

/// `<value>`: what a column holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// An atom, an optional atom, or a set.
    Set(BTreeSet<Atom>),
    /// A map.
    Map(BTreeMap<Atom, Atom>),
}

impl Default for Value {
    fn default() -> Self {
        Self::empty()
    }
}

impl Value {
    /// The empty set: an optional column that is not set.
    pub fn empty() -> Self {
        Self::Set(BTreeSet::new())
    }

    /// A set.
    pub fn set<A: Into<Atom>>(atoms: impl IntoIterator<Item = A>) -> Self {
        Self::Set(atoms.into_iter().map(Into::into).collect())
    }

    /// A map.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// The only element of a set of one.
    pub fn single(&self) -> Option<&Atom> {
        match self {
            Self::Set(atoms) if atoms.len() == 1 => atoms.first(),
            _ => None,
        }
    }

    /// The elements of a set; of a map, none.
    pub fn atoms(&self) -> impl Iterator<Item = &Atom> {
        match self {
            Self::Set(atoms) => Some(atoms.iter()),
            Self::Map(_) => None,
        }
        .into_iter()
        .flatten()
    }

    /// The only element, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        self.single()?.as_str()
    }

    /// The only element, if it is an integer.
    pub fn as_i64(&self) -> Option<i64> {
        match self.single()? {
            Atom::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The only element, if it is a truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.single()? {
            Atom::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The texts among a set's elements.
    pub fn strings(&self) -> BTreeSet<String> {
        self.atoms().filter_map(|atom| atom.as_str().map(str::to_owned)).collect()
    }

    /// The rows among a set's elements.
    pub fn uuids(&self) -> BTreeSet<Uuid> {
        self.atoms()
            .filter_map(|atom| match atom {
                Atom::Uuid(uuid) => Some(*uuid),
                _ => None,
            })
            .collect()
    }

    /// The pairs of texts in a map.
    pub fn string_map(&self) -> BTreeMap<String, String> {
        match self {
            Self::Set(_) => BTreeMap::new(),
            Self::Map(pairs) => pairs
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned())))
                .collect(),
        }
    }

    /// As it stands on the wire.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Set(atoms) => match self.single() {
                Some(atom) => atom.to_json(),
                None => json!(["set", atoms.iter().map(Atom::to_json).collect::<Vec<_>>()]),
            },
            Self::Map(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(key, value)| json!([key.to_json(), value.to_json()])).collect();
                json!(["map", pairs])
            }
        }
    }

    /// From the wire. Where an element of a set or a key of a map stands twice, once counts.
    pub fn from_json(json: &Json) -> Result<Self, Error> {
        let wrong = || Error::parse("a value", json);
        let Json::Array(array) = json else { return Atom::from_json(json).map(Self::from) };
        match array.as_slice() {
            [Json::String(tag), Json::Array(atoms)] if tag == "set" => {
                atoms.iter().map(Atom::from_json).collect::<Result<_, _>>().map(Self::Set)
            }
            [Json::String(tag), Json::Array(pairs)] if tag == "map" => {
                let pair = |json: &Json| match json.as_array().map(Vec::as_slice) {
                    Some([key, value]) => Ok((Atom::from_json(key)?, Atom::from_json(value)?)),
                    _ => Err(wrong()),
                };
                pairs.iter().map(pair).collect::<Result<_, _>>().map(Self::Map)
            }
            _ => Atom::from_json(json).map(Self::from),
        }
    }
}

impl<A: Into<Atom>> From<A> for Value {
    fn from(atom: A) -> Self {
        Self::set([atom])
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn atom() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::Integer),
            any::<f64>().prop_filter("JSON has no others", |real| real.is_finite()).prop_map(real_atom),
            any::<bool>().prop_map(Atom::Boolean),
            "\\PC{0,8}".prop_map(Atom::String),
            any::<u128>().prop_map(|bits| Atom::Uuid(Uuid::from_u128(bits))),
            "[a-z_]{1,8}".prop_map(Atom::NamedUuid),
        ]
    }

    pub(crate) fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            proptest::collection::btree_set(atom(), 0..4).prop_map(Value::Set),
            proptest::collection::btree_map(atom(), atom(), 0..4).prop_map(Value::Map),
        ]
    }

    /// JSON near enough to values that it often is one.
    pub(crate) fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            prop_oneof![
                Just("set"),
                Just("map"),
                Just("uuid"),
                Just("named-uuid"),
                Just("initial"),
                Just("modify"),
                Just("new"),
                Just("old"),
                Just("delete"),
                Just("insert"),
                Just("Port"),
                Just("name"),
                Just("result"),
                Just("error"),
                Just("id"),
                Just("method"),
                Just("params"),
                Just("00000000-0000-0000-0000-000000000001"),
            ]
            .prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map(
                    "(result|error|id|method|params|Port|name|new|old|modify|initial|00000000-0000-0000-0000-000000000001)",
                    inner,
                    0..4
                )
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in value()) {
            prop_assert_eq!(Value::from_json(&value.to_json()), Ok(value));
        }

        #[test]
        fn arbitrary_json_never_panics(json in json()) {
            if let Ok(value) = Value::from_json(&json) {
                prop_assert_eq!(Value::from_json(&value.to_json()), Ok(value));
            }
        }
    }

    #[test]
    fn the_notations_of_rfc_7047() {
        let uuid: Uuid = "550e8400-e29b-41d4-a716-446655440000".parse().unwrap();
        for (value, wire) in [
            (Value::from("br-int"), json!("br-int")),
            (Value::from(7), json!(7)),
            (Value::from(uuid), json!(["uuid", "550e8400-e29b-41d4-a716-446655440000"])),
            (Value::from(Atom::NamedUuid("row".into())), json!(["named-uuid", "row"])),
            (Value::empty(), json!(["set", []])),
            (Value::set([1, 2]), json!(["set", [1, 2]])),
            (Value::map([("a", "b")]), json!(["map", [["a", "b"]]])),
        ] {
            assert_eq!(value.to_json(), wire);
            assert_eq!(Value::from_json(&wire).unwrap(), value);
        }
        // A set of one may be written either way.
        assert_eq!(Value::from_json(&json!(["set", ["one"]])).unwrap(), Value::from("one"));
    }
}
