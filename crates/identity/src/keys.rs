//! The token keys: in a file, read at the start and made on the first; or in the database, where several servers share that.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use store::{Store, params};

use crate::IdentityError;
use crate::fernet::{Key, write_key};

/// The keys that tokens are sealed with: the first seals, all open, so that an operator can put a new one in front.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    keys: Vec<Key>,
}

impl KeyRing {
    /// The keys of this server: those in the file. Without a file on a shared database, those in the database, so that the
    /// servers open each other's tokens without anybody copying anything.
    pub(crate) fn find(store: &Store, path: &Path) -> Result<Self, IdentityError> {
        if !store.is_shared() || path.exists() {
            return Self::open(path);
        }
        let new = write_key(rand::random());
        let lines: Vec<String> = store.write_blocking(move |tx| {
            // The first server to come makes the key; a unit of work is never overtaken by another server's.
            tx.execute(
                "INSERT INTO identity_token_key (position, text)
                 SELECT 1, CAST(?1 AS TEXT) WHERE NOT EXISTS (SELECT 1 FROM identity_token_key)",
                params![&new],
            )?;
            let sql = "SELECT text FROM identity_token_key ORDER BY position";
            tx.query(sql, &[], |row| row.get(0)).map_err(IdentityError::from)
        })?;
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the database holds a key that is none");
        let failed = |source| IdentityError::KeyFile { path: path.to_owned(), source };
        let keys: Option<Vec<Key>> = lines.iter().map(|line| Key::parse(line)).collect();
        keys.map(|keys| Self { keys }).ok_or_else(invalid).map_err(failed)
    }

    /// Reads the file, making it with one new key if it is not there.
    fn open(path: &Path) -> Result<Self, IdentityError> {
        Self::read_or_make(path).map_err(|source| IdentityError::KeyFile { path: path.to_owned(), source })
    }

    fn read_or_make(path: &Path) -> io::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = write_key(rand::random()) + "\n";
                write_secret(path, &text)?;
                // Another server may have been first.
                std::fs::read_to_string(path)?
            }
            Err(error) => return Err(error),
        };
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "the file of token keys can be read by others; chmod 600 it");
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Option<Vec<Key>> = lines.map(Key::parse).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self { keys }),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not one base64url key of 32 bytes per line")),
        }
    }

    pub(crate) fn seal(&self, message: &[u8], seconds: u64) -> Option<String> {
        self.keys.first()?.seal(message, seconds, rand::random())
    }

    pub(crate) fn open_token(&self, token: &str) -> Option<Vec<u8>> {
        self.keys.iter().find_map(|key| key.open(token)).map(|(message, _)| message)
    }
}

/// Writes a new file that only its owner can read: whole or not at all, on the disk before it has its name. A file that
/// is already there wins.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", uuid::Uuid::new_v4().simple()));
    let draft = Path::new(&draft);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match std::fs::hard_link(draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    })();
    let removed = std::fs::remove_file(draft);
    written?;
    removed?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only_and_more_keys_may_stand_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let first = KeyRing::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let old = first.seal(b"old", 1).unwrap();
        assert_eq!(KeyRing::open(&path).unwrap().open_token(&old).unwrap(), b"old");

        let rotated = write_key([9; 32]) + "\n# the former key\n" + &std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, rotated).unwrap();
        let both = KeyRing::open(&path).unwrap();
        assert_eq!(both.open_token(&old).unwrap(), b"old");
        let new = both.seal(b"new", 1).unwrap();
        assert_eq!(first.open_token(&new), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");

        std::fs::write(&path, "nonsense\n").unwrap();
        assert!(matches!(KeyRing::open(&path), Err(IdentityError::KeyFile { .. })));
    }
}
