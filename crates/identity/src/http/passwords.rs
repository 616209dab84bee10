//! Setting and changing passwords. They come in here, are hashed, and go no further.

use jiff::Timestamp;
use serde_json::Value as Json;
use store::{Tx, params};

use super::{Answer, Answered, Call};
use crate::password::MAX_LENGTH;
use crate::resource::Object;
use crate::{Identity, IdentityError};

/// Takes the password out of a user's attributes and hashes it: `None` when there is none, `Some(None)` for null, which
/// means that nobody can authenticate as this user by password.
pub(super) async fn take(identity: &Identity, user: &mut Object) -> Result<Option<Option<String>>, IdentityError> {
    user.remove("original_password");
    match user.remove("password") {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(None)),
        Some(Json::String(password)) => {
            check(&password)?;
            Ok(Some(Some(identity.inner.passwords.hash(password).await?)))
        }
        Some(_) => Err(IdentityError::bad_request("Invalid input for field 'password': it must be a string.")),
    }
}

fn check(password: &str) -> Result<(), IdentityError> {
    if password.len() > MAX_LENGTH {
        return Err(IdentityError::bad_request(format!("The password must not be longer than {MAX_LENGTH} bytes.")));
    }
    Ok(())
}

pub(super) fn store(tx: &Tx<'_>, user_id: &str, hash: Option<&str>) -> Result<(), IdentityError> {
    tx.execute("UPDATE identity_user SET password_hash = ?2 WHERE id = ?1", params![user_id, hash])?;
    Ok(())
}

/// From this moment on, tokens that the user got earlier are no good.
pub(super) fn revoke_tokens_of(tx: &Tx<'_>, user_id: &str, now: Timestamp) -> Result<(), IdentityError> {
    tx.execute("UPDATE identity_user SET tokens_valid_from = ?2 WHERE id = ?1", params![user_id, now])?;
    Ok(())
}

/// `POST /v3/users/{id}/password`: the old password is the proof, so that no token is needed.
pub(super) async fn change(identity: &Identity, call: &Call, user: &str) -> Answered {
    let body = call.json()?;
    let text = |name: &str| {
        body.get("user").and_then(|user| user.get(name)).and_then(Json::as_str).map(str::to_owned).ok_or_else(|| {
            IdentityError::bad_request(format!("Invalid input for field 'user.{name}': it must be a string."))
        })
    };
    let (original, new) = (text("original_password")?, text("password")?);
    check(&new)?;
    if !identity.is_password_of(user, original).await? {
        return Err(IdentityError::unauthorized("wrong user or password"));
    }
    let hash = identity.inner.passwords.hash(new).await?;
    let (id, now) = (user.to_owned(), identity.now());
    identity
        .change(move |tx| {
            store(tx, &id, Some(&hash))?;
            revoke_tokens_of(tx, &id, now)
        })
        .await?;
    Ok(Answer::no_content())
}
