//! Tags: words that users put on objects of any kind that has them.

use crate::{NetworkError, Work};
use network_model::ModelError;
use store::{Snapshot, StoreError, params};
use uuid::Uuid;

/// Most tags of one object, as in Neutron.
pub const MOST: usize = 50;

/// The tags of an object, sorted.
pub fn of_object(snapshot: &Snapshot<'_>, id: Uuid) -> Result<Vec<String>, StoreError> {
    snapshot.query("SELECT tag FROM tags WHERE object_id = ?1 ORDER BY tag", params![id], |row| row.get(0))
}

/// Gives an object these tags and no others.
pub fn replace(work: &Work<'_>, collection: &'static str, id: Uuid, tags: &[String]) -> Result<(), NetworkError> {
    work.tx.execute("DELETE FROM tags WHERE object_id = ?1", params![id])?;
    add(work, collection, id, tags)
}

/// Adds tags; those that it has already stay.
pub fn add(work: &Work<'_>, collection: &'static str, id: Uuid, tags: &[String]) -> Result<(), NetworkError> {
    for tag in tags {
        work.tx.execute(
            "INSERT INTO tags (object_id, tag) VALUES (?1, ?2) ON CONFLICT (object_id, tag) DO NOTHING",
            params![id, tag],
        )?;
    }
    let most = u64::try_from(MOST).unwrap_or(u64::MAX);
    if work.tx.count("SELECT count(*) FROM tags WHERE object_id = ?1", params![id])? > most {
        let msg = format!("The number of tags exceed the per-resource limit of {MOST}");
        return Err(ModelError::BadRequest { resource: collection, msg }.into());
    }
    Ok(())
}

/// Takes one tag away.
pub fn remove(work: &Work<'_>, id: Uuid, tag: &str) -> Result<(), NetworkError> {
    match work.tx.execute("DELETE FROM tags WHERE object_id = ?1 AND tag = ?2", params![id, tag])? {
        0 => Err(not_found(tag)),
        _ => Ok(()),
    }
}

/// That an object has no such tag.
pub fn not_found(tag: &str) -> NetworkError {
    NetworkError::named("TagNotFound", 404, format!("Tag {tag} could not be found."))
}
