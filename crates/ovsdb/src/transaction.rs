//! A transaction and what comes of it (RFC 7047, section 4.1.3).

use crate::{Error, Operation, Row};
use serde_json::{Value as Json, json};
use std::fmt;
use uuid::Uuid;

/// The database of Open vSwitch.
pub const OPEN_VSWITCH: &str = "Open_vSwitch";

/// Operations that the database does all, or none of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    operations: Vec<Operation>,
}

impl Transaction {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an operation; its position.
    pub fn push(&mut self, operation: Operation) -> usize {
        self.operations.push(operation);
        self.operations.len() - 1
    }

    /// The operations, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Parameters of the `transact` request.
    pub fn params(&self, database: &str) -> Json {
        std::iter::once(json!(database)).chain(self.operations.iter().map(Operation::to_json)).collect()
    }

    /// What came of it, from the `result` of the response: one outcome for each operation. An error names the operation
    /// that was refused.
    pub fn outcome(&self, result: &Json) -> Result<Vec<Outcome>, Error> {
        let results = result.as_array().ok_or_else(|| Error::parse("the results of a transaction", result))?;
        // Operations after the refused one have null; an error of the commit itself stands behind all of them.
        for (index, result) in results.iter().enumerate() {
            if let Some(error) = result.get("error").and_then(Json::as_str) {
                let operation = self.operations.get(index).map_or_else(|| "commit".to_owned(), Operation::to_string);
                let details = result.get("details").and_then(Json::as_str).map(str::to_owned);
                return Err(Error::Transaction { index, operation, error: error.to_owned(), details });
            }
        }
        if results.len() < self.operations.len() {
            return Err(Error::parse("the results of a transaction", result));
        }
        results.iter().zip(&self.operations).map(|(result, operation)| Outcome::from_json(operation, result)).collect()
    }
}

impl FromIterator<Operation> for Transaction {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        Self { operations: operations.into_iter().collect() }
    }
}

/// For people: the operations in words.
impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operation) in self.operations.iter().enumerate() {
            write!(f, "{}{operation}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What came of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An insert: the row's UUID.
    Inserted(Uuid),
    /// A select: the rows.
    Rows(Vec<Row>),
    /// An update, mutate or delete: how many rows it was done to.
    Count(u64),
    /// A wait, comment or assert.
    Done,
}

impl Outcome {
    fn from_json(operation: &Operation, json: &Json) -> Result<Self, Error> {
        let wrong = || Error::parse("the result of an operation", json);
        match operation {
            Operation::Insert { .. } => match json["uuid"].as_array().map(Vec::as_slice) {
                Some([Json::String(tag), Json::String(uuid)]) if tag == "uuid" => {
                    uuid.parse().map(Self::Inserted).map_err(|_| wrong())
                }
                _ => Err(wrong()),
            },
            Operation::Select { .. } => {
                let rows = json["rows"].as_array().ok_or_else(wrong)?;
                rows.iter().map(crate::operation::row_from_json).collect::<Result<_, _>>().map(Self::Rows)
            }
            Operation::Update { .. } | Operation::Mutate { .. } | Operation::Delete { .. } => {
                json["count"].as_u64().map(Self::Count).ok_or_else(wrong)
            }
            Operation::Wait { .. } | Operation::Comment(_) | Operation::Assert { .. } => Ok(Self::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, value::tests::json as any_json};
    use proptest::prelude::*;

    fn transaction() -> Transaction {
        [
            Operation::insert("Port", "p", [("name".to_owned(), "tap1".into())].into()),
            Operation::select("Bridge", vec![Condition::equal("name", "br-int")], &["name"]),
            Operation::mutate("Bridge", Uuid::nil(), vec![]),
            Operation::Comment("neutronium".into()),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn outcomes_belong_to_their_operations() {
        let uuid = Uuid::from_u128(7);
        let result = json!([{"uuid": ["uuid", uuid.to_string()]}, {"rows": [{"name": "br-int"}]}, {"count": 1}, {}]);
        let row: Row = [("name".to_owned(), "br-int".into())].into();
        assert_eq!(
            transaction().outcome(&result).unwrap(),
            [Outcome::Inserted(uuid), Outcome::Rows(vec![row]), Outcome::Count(1), Outcome::Done]
        );
    }

    #[test]
    fn an_error_names_the_refused_operation() {
        let result = json!([{"error": "constraint violation", "details": "no"}, null, null, null]);
        let error = transaction().outcome(&result).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database refused the transaction at insert Port tap1: constraint violation: no"
        );
        assert!(error.is_worth_retrying());

        let ok = json!({"uuid": ["uuid", Uuid::nil().to_string()]});
        let result = json!([ok, {"rows": []}, {"count": 0}, {}, {"error": "referential integrity violation"}]);
        let error = transaction().outcome(&result).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database refused the transaction at commit: referential integrity violation"
        );
        assert!(transaction().outcome(&json!([{}])).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_json_never_panics(json in any_json()) {
            drop(transaction().outcome(&json));
        }
    }
}
