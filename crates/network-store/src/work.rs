//! What every unit of work holds in its hands.

use crate::{NetworkConfig, NetworkError};
use jiff::Timestamp;
use serde_json::Value as Json;
use std::fmt::Display;
use store::{Operation, Tx, params};
use uuid::Uuid;

/// For whom the work is done.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The project of the token; empty for the server itself.
    pub project_id: &'a str,
    /// Whether rules that bind projects do not bind this caller.
    pub is_admin: bool,
}

impl Caller<'_> {
    /// The server itself.
    pub const SYSTEM: Caller<'static> = Caller { project_id: "", is_admin: true };
}

/// An open unit of work. Time, ids and randomness come from here, so that tests can fix them.
pub struct Work<'a> {
    /// The transaction.
    pub tx: &'a Tx<'a>,
    /// For whom.
    pub caller: Caller<'a>,
    /// What the operator decided.
    pub config: &'a NetworkConfig,
    /// The instant that everything in this unit of work happens at.
    pub now: Timestamp,
    /// 128 random bits with every call.
    pub random: &'a dyn Fn() -> u128,
}

/// 128 bits, of which a version 4 UUID leaves 122 random: hashing spreads them over the places that callers cut out.
fn random() -> u128 {
    let (a, b) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u128());
    a ^ b.rotate_left(64)
}

impl<'a> Work<'a> {
    /// A unit of work by the machine's clock and randomness.
    pub fn new(tx: &'a Tx<'a>, config: &'a NetworkConfig, caller: Caller<'a>) -> Self {
        Self { tx, caller, config, now: Timestamp::now(), random: &random }
    }

    /// One for the server itself: scheduling, DHCP ports.
    pub fn system(tx: &'a Tx<'a>, config: &'a NetworkConfig) -> Self {
        Self::new(tx, config, Caller::SYSTEM)
    }

    /// A new id.
    pub fn new_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes((self.random)().to_be_bytes()).into_uuid()
    }

    /// Notes a change of an object for everybody who follows the change log. `extra` is for those to whom the row may be
    /// gone: `{"network_id", "host"}`.
    pub fn log(
        &self,
        resource: &str,
        id: impl Display,
        what: Operation,
        extra: Option<Json>,
    ) -> Result<(), NetworkError> {
        self.tx.log_change(resource, &id.to_string(), what, extra.as_ref())?;
        Ok(())
    }

    /// Makes units of work on the same object wait for each other: what is read behind this stays so until the commit, also
    /// when several servers share the database. For decisions over many rows, which no unique index can hold.
    pub fn lock(&self, table: &'static str, id: Uuid) -> Result<(), NetworkError> {
        self.tx.execute(&format!("UPDATE {table} SET id = id WHERE id = ?1"), params![id])?;
        Ok(())
    }

    /// Raises an object's revision and the time of its last change.
    pub fn touch(&self, table: &'static str, id: Uuid) -> Result<(), NetworkError> {
        self.tx.execute(
            &format!("UPDATE {table} SET revision_number = revision_number + 1, updated_at = ?2 WHERE id = ?1"),
            params![id, self.now],
        )?;
        Ok(())
    }

    /// Writes one column of an object when a request gives it a value.
    pub fn set<'v, V: Into<store::Value<'v>>>(
        &self,
        table: &'static str,
        id: Uuid,
        column: &'static str,
        value: Option<V>,
    ) -> Result<(), NetworkError> {
        if let Some(value) = value {
            self.tx.execute(&format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1"), &[id.into(), value.into()])?;
        }
        Ok(())
    }
}
