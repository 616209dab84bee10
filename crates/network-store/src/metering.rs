//! What requests on metering labels and their rules do.

use crate::{NetworkError, Work};
use network_model::ModelError;
use network_model::metering::{Prefixes, check_overlap};
use serde::Deserialize;
use serde_json::json;
use store::{Operation, params};
use uuid::Uuid;

/// A checked POST body of a label.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct LabelCreate {
    pub project_id: String,
    pub name: String,
    pub description: String,
    pub shared: bool,
}

/// A checked POST body of a rule.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct LabelRuleCreate {
    pub project_id: String,
    pub metering_label_id: Uuid,
    pub direction: String,
    pub excluded: bool,
    pub remote_ip_prefix: Option<String>,
    pub source_ip_prefix: Option<String>,
    pub destination_ip_prefix: Option<String>,
}

/// Makes a label that counts nothing yet.
pub fn create_label(work: &Work<'_>, request: &LabelCreate) -> Result<Uuid, NetworkError> {
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO metering_labels (id, project_id, name, description, shared) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, &request.project_id, &request.name, &request.description, request.shared],
    )?;
    work.log("metering_label", id, Operation::Create, None)?;
    Ok(id)
}

/// Removes a label with its rules.
pub fn delete_label(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM metering_labels WHERE id = ?1", params![id])?;
    work.log("metering_label", id, Operation::Delete, None)
}

/// Adds a rule to a label.
pub fn create_rule(work: &Work<'_>, request: &LabelRuleCreate) -> Result<Uuid, NetworkError> {
    let label = request.metering_label_id;
    Prefixes {
        remote: request.remote_ip_prefix.as_deref(),
        source: request.source_ip_prefix.as_deref(),
        destination: request.destination_ip_prefix.as_deref(),
    }
    .check()?;
    if let Some(remote) = &request.remote_ip_prefix {
        let others: Vec<String> = work.tx.query(
            "SELECT remote_ip_prefix FROM metering_label_rules
             WHERE metering_label_id = ?1 AND direction = ?2 AND excluded = ?3 AND remote_ip_prefix IS NOT NULL",
            params![label, &request.direction, request.excluded],
            |row| row.get(0),
        )?;
        check_overlap(remote, others.iter().map(String::as_str))?;
    }
    let id = work.new_id();
    work.tx.execute(
        "INSERT INTO metering_label_rules (id, project_id, metering_label_id, direction, excluded, remote_ip_prefix,
             source_ip_prefix, destination_ip_prefix)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id,
            &request.project_id,
            label,
            &request.direction,
            request.excluded,
            request.remote_ip_prefix.as_deref(),
            request.source_ip_prefix.as_deref(),
            request.destination_ip_prefix.as_deref()
        ],
    )?;
    log_rule(work, id, Operation::Create, label)?;
    Ok(id)
}

/// Takes a rule away from its label.
pub fn delete_rule(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let label =
        work.tx.query_opt("SELECT metering_label_id FROM metering_label_rules WHERE id = ?1", params![id], |row| {
            row.parse(0)
        })?;
    let label = label.ok_or(ModelError::MeteringLabelRuleNotFound { rule_id: id })?;
    work.tx.execute("DELETE FROM metering_label_rules WHERE id = ?1", params![id])?;
    log_rule(work, id, Operation::Delete, label)
}

fn log_rule(work: &Work<'_>, id: Uuid, what: Operation, label: Uuid) -> Result<(), NetworkError> {
    work.log("metering_label_rule", id, what, Some(json!({"metering_label_id": label})))
}
