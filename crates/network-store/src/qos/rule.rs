//! What requests on the rules of QoS policies do, whatever their kind.

use super::attach;
use crate::{NetworkError, Work};
use network_model::ModelError;
use network_model::qos::{Given, Rule, RuleKind, check_conflicts};
use serde::Deserialize;
use store::{Snapshot, StoreError, params};
use uuid::Uuid;

/// A checked POST body of any kind of rule.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RuleCreate {
    pub qos_policy_id: Uuid,
    #[serde(alias = "max_kbps", alias = "min_kbps", alias = "max_kpps", alias = "min_kpps", alias = "dscp_mark")]
    pub rate: i64,
    #[serde(default, alias = "max_burst_kbps", alias = "max_burst_kpps")]
    pub burst: i64,
    #[serde(default)]
    pub direction: Option<String>,
}

/// A checked PUT body: what it does not have stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The attributes of the declaration.
pub struct RuleUpdate {
    #[serde(alias = "max_kbps", alias = "min_kbps", alias = "max_kpps", alias = "min_kpps", alias = "dscp_mark")]
    pub rate: Option<i64>,
    #[serde(alias = "max_burst_kbps", alias = "max_burst_kpps")]
    pub burst: Option<i64>,
    pub direction: Option<String>,
}

/// The rules of a policy.
pub(super) fn of_policy(snapshot: &Snapshot<'_>, policy: Uuid) -> Result<Vec<Rule>, StoreError> {
    snapshot.query(
        "SELECT id, kind, direction, rate FROM qos_rules WHERE qos_policy_id = ?1 ORDER BY id",
        params![policy],
        |row| Ok(Rule { id: row.parse(0)?, kind: row.parse(1)?, direction: row.get(2)?, rate: row.get(3)? }),
    )
}

/// Adds a rule to a policy.
pub fn create(work: &Work<'_>, kind: RuleKind, request: &RuleCreate) -> Result<Uuid, NetworkError> {
    let policy = request.qos_policy_id;
    let rule = Rule { id: work.new_id(), kind, direction: request.direction.clone(), rate: request.rate };
    let given = Given { direction: rule.direction.as_deref(), rate: Some(rule.rate) };
    check_conflicts(policy, &of_policy(work.tx, policy)?, &rule, given)?;
    work.tx.execute(
        "INSERT INTO qos_rules (id, qos_policy_id, kind, direction, rate, burst) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![rule.id, policy, kind.as_str(), rule.direction.as_deref(), rule.rate, request.burst],
    )?;
    changed(work, policy, kind)?;
    Ok(rule.id)
}

/// Changes a rule.
pub fn update(work: &Work<'_>, id: Uuid, request: &RuleUpdate) -> Result<(), NetworkError> {
    let (policy, rules) = policy_of(work.tx, id)?;
    let mut rule = find(&rules, id, policy)?.clone();
    if let Some(direction) = &request.direction {
        rule.direction = Some(direction.clone());
    }
    rule.rate = request.rate.unwrap_or(rule.rate);
    check_conflicts(policy, &rules, &rule, Given { direction: request.direction.as_deref(), rate: request.rate })?;
    work.tx.execute(
        "UPDATE qos_rules SET direction = ?2, rate = ?3, burst = COALESCE(CAST(?4 AS BIGINT), burst) WHERE id = ?1",
        params![id, rule.direction.as_deref(), rule.rate, request.burst],
    )?;
    changed(work, policy, rule.kind)
}

/// Takes a rule away from its policy.
pub fn delete(work: &Work<'_>, id: Uuid) -> Result<(), NetworkError> {
    let (policy, rules) = policy_of(work.tx, id)?;
    let kind = find(&rules, id, policy)?.kind;
    work.tx.execute("DELETE FROM qos_rules WHERE id = ?1", params![id])?;
    changed(work, policy, kind)
}

fn policy_of(snapshot: &Snapshot<'_>, id: Uuid) -> Result<(Uuid, Vec<Rule>), NetworkError> {
    let policy =
        snapshot.query_opt("SELECT qos_policy_id FROM qos_rules WHERE id = ?1", params![id], |row| row.parse(0))?;
    let policy = policy.ok_or(ModelError::QosRuleNotFound { rule_id: id, policy_id: Uuid::nil() })?;
    Ok((policy, of_policy(snapshot, policy)?))
}

fn find(rules: &[Rule], id: Uuid, policy: Uuid) -> Result<&Rule, ModelError> {
    rules.iter().find(|rule| rule.id == id).ok_or(ModelError::QosRuleNotFound { rule_id: id, policy_id: policy })
}

/// What follows from a changed rule for those who have its policy.
fn changed(work: &Work<'_>, policy: Uuid, kind: RuleKind) -> Result<(), NetworkError> {
    attach::check_rules_changed(work, policy, kind)?;
    super::changed(work, policy)
}
