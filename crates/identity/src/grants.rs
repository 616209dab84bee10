//! Who has which role on what: the two tables of assignments, and the roles that roles imply.

use store::{Row, Snapshot, StoreError, Tx, params};

use crate::info::{InDomain, Named};

/// What a role can be given on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Project,
    Domain,
}

impl Target {
    fn table(self) -> &'static str {
        match self {
            Self::Project => "identity_project_role",
            Self::Domain => "identity_domain_role",
        }
    }
}

/// Gives a role; whether it is new.
pub(crate) fn grant(tx: &Tx<'_>, target: Target, id: &str, user: &str, role: &str) -> Result<bool, StoreError> {
    let sql = format!(
        "INSERT INTO {} (user_id, target_id, role_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        target.table()
    );
    Ok(tx.execute(&sql, params![user, id, role])? > 0)
}

/// Takes a role away; whether it was there.
pub(crate) fn revoke(tx: &Tx<'_>, target: Target, id: &str, user: &str, role: &str) -> Result<bool, StoreError> {
    let sql = format!("DELETE FROM {} WHERE user_id = ?1 AND target_id = ?2 AND role_id = ?3", target.table());
    Ok(tx.execute(&sql, params![user, id, role])? > 0)
}

/// The ids of the roles that were given as such.
pub(crate) fn direct(snap: &Snapshot<'_>, target: Target, id: &str, user: &str) -> Result<Vec<String>, StoreError> {
    let sql = format!("SELECT role_id FROM {} WHERE user_id = ?1 AND target_id = ?2 ORDER BY role_id", target.table());
    snap.query(&sql, params![user, id], |row| row.get(0))
}

/// The roles that a user has on something, those implied included.
pub(crate) fn effective(snap: &Snapshot<'_>, target: Target, id: &str, user: &str) -> Result<Vec<Named>, StoreError> {
    let sql = format!(
        "WITH RECURSIVE held (id) AS (
             SELECT role_id FROM {} WHERE user_id = ?1 AND target_id = ?2
             UNION SELECT implied_role_id FROM identity_role_implication JOIN held ON prior_role_id = held.id
         ) SELECT identity_role.id, identity_role.name FROM held JOIN identity_role ON identity_role.id = held.id",
        target.table()
    );
    snap.query(&sql, params![user, id], |row| Ok(Named { id: row.get(0)?, name: row.get(1)? }))
}

/// One assignment with all names, as the list shows it.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) user: InDomain,
    pub(crate) target: AssignedOn,
    pub(crate) role: Named,
    /// The given role that implies this one, if this one was not given itself.
    pub(crate) prior: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum AssignedOn {
    Project(InDomain),
    Domain(Named),
}

/// Which assignments to list.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) user: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) domain: Option<String>,
    /// Implied roles too.
    pub(crate) effective: bool,
}

/// The assignments that pass the filter, in a stable order.
pub(crate) fn list(snap: &Snapshot<'_>, filter: &Filter) -> Result<Vec<Assignment>, StoreError> {
    let held = |table: &str| {
        if filter.effective {
            // UNION removes doubles, so that a cycle of implications would end too.
            format!(
                "(WITH RECURSIVE held (user_id, target_id, role_id, prior) AS (
                    SELECT user_id, target_id, role_id, CAST(NULL AS TEXT) FROM {table}
                    UNION SELECT user_id, target_id, implied_role_id, coalesce(prior, role_id)
                        FROM held JOIN identity_role_implication ON prior_role_id = role_id
                 ) SELECT user_id, target_id, role_id, min(coalesce(prior, '')) AS prior FROM held
                   GROUP BY user_id, target_id, role_id)"
            )
        } else {
            format!("(SELECT user_id, target_id, role_id, '' AS prior FROM {table})")
        }
    };
    let mut found = Vec::new();
    if filter.domain.is_none() {
        let sql = format!(
            "SELECT u.id, u.name, ud.id, ud.name, r.id, r.name, held.prior, p.id, p.name, pd.id, pd.name FROM {} held
             JOIN identity_user u ON u.id = held.user_id JOIN identity_domain ud ON ud.id = u.domain_id
             JOIN identity_role r ON r.id = held.role_id
             JOIN identity_project p ON p.id = held.target_id JOIN identity_domain pd ON pd.id = p.domain_id
             WHERE (CAST(?1 AS TEXT) IS NULL OR u.id = ?1) AND (CAST(?2 AS TEXT) IS NULL OR r.id = ?2) AND (CAST(?3 AS TEXT) IS NULL OR p.id = ?3)
             ORDER BY p.id, u.id, r.name",
            held(Target::Project.table())
        );
        let values = params![filter.user.as_deref(), filter.role.as_deref(), filter.project.as_deref()];
        found.extend(snap.query(&sql, values, |row| {
            assignment(
                row,
                AssignedOn::Project(InDomain {
                    id: row.get(7)?,
                    name: row.get(8)?,
                    domain: Named { id: row.get(9)?, name: row.get(10)? },
                }),
            )
        })?);
    }
    if filter.project.is_none() {
        let sql = format!(
            "SELECT u.id, u.name, ud.id, ud.name, r.id, r.name, held.prior, d.id, d.name FROM {} held
             JOIN identity_user u ON u.id = held.user_id JOIN identity_domain ud ON ud.id = u.domain_id
             JOIN identity_role r ON r.id = held.role_id JOIN identity_domain d ON d.id = held.target_id
             WHERE (CAST(?1 AS TEXT) IS NULL OR u.id = ?1) AND (CAST(?2 AS TEXT) IS NULL OR r.id = ?2) AND (CAST(?3 AS TEXT) IS NULL OR d.id = ?3)
             ORDER BY d.id, u.id, r.name",
            held(Target::Domain.table())
        );
        let values = params![filter.user.as_deref(), filter.role.as_deref(), filter.domain.as_deref()];
        found.extend(snap.query(&sql, values, |row| {
            assignment(row, AssignedOn::Domain(Named { id: row.get(7)?, name: row.get(8)? }))
        })?);
    }
    Ok(found)
}

fn assignment(row: &Row<'_>, target: AssignedOn) -> Result<Assignment, StoreError> {
    Ok(Assignment {
        user: InDomain { id: row.get(0)?, name: row.get(1)?, domain: Named { id: row.get(2)?, name: row.get(3)? } },
        target,
        role: Named { id: row.get(4)?, name: row.get(5)? },
        prior: Some(row.get::<String>(6)?).filter(|prior| !prior.is_empty()),
    })
}

/// Every implication, as (prior, implied), ordered by their names.
pub(crate) fn implications(snap: &Snapshot<'_>, prior: Option<&str>) -> Result<Vec<(Named, Named)>, StoreError> {
    snap.query(
        "SELECT p.id, p.name, i.id, i.name FROM identity_role_implication
         JOIN identity_role p ON p.id = prior_role_id JOIN identity_role i ON i.id = implied_role_id
         WHERE CAST(?1 AS TEXT) IS NULL OR p.id = ?1 ORDER BY p.name, i.name",
        params![prior],
        |row| Ok((Named { id: row.get(0)?, name: row.get(1)? }, Named { id: row.get(2)?, name: row.get(3)? })),
    )
}

/// Lets `prior` imply `implied`.
pub(crate) fn imply(tx: &Tx<'_>, prior: &str, implied: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO identity_role_implication (prior_role_id, implied_role_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![prior, implied],
    )?;
    Ok(())
}

/// Ends an implication; whether there was one.
pub(crate) fn unimply(tx: &Tx<'_>, prior: &str, implied: &str) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "DELETE FROM identity_role_implication WHERE prior_role_id = ?1 AND implied_role_id = ?2",
        params![prior, implied],
    )?;
    Ok(gone > 0)
}
