//! The lab's secrets, made once per lab and kept for root only, and the exports that the real client reads.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::error::Intent;
use crate::record::{read, write_json};
use crate::{Error, Lab, Paths, Result};

/// Secrets of one lab. Neither printed nor logged.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// The user admin's.
    pub admin_password: String,
    /// What agents show the server.
    pub agent_secret: String,
}

impl Credentials {
    pub(crate) fn make(paths: &Paths) -> Result<()> {
        let credentials = Self { admin_password: random_hex(12)?, agent_secret: random_hex(32)? };
        write_json(&paths.credentials(), &credentials, 0o600)
    }

    /// Those of a lab that is up.
    pub fn read(paths: &Paths) -> Result<Self> {
        read(&paths.credentials())?.ok_or_else(|| Error::NotUp(paths.name().to_string()))
    }
}

/// `bytes` random bytes as hexadecimal digits.
pub(crate) fn random_hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0; bytes];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut buffer))
        .intent(|| "read /dev/urandom".to_owned())?;
    Ok(buffer.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Whose exports are wished.
#[derive(Debug, Clone)]
pub struct OpenRc {
    /// `OS_PROJECT_NAME`.
    pub project: String,
    /// `OS_USERNAME`.
    pub user: String,
    /// `OS_PASSWORD`; absent: the administrator's for admin, else the user's own name.
    pub password: Option<String>,
}

/// The environment that openstackclient reads, name by name.
pub fn open_rc(paths: &Paths, wish: &OpenRc) -> Result<Vec<(&'static str, String)>> {
    let lab = Lab::read(paths)?;
    let port = lab.server_port(paths)?;
    let password = match (&wish.password, wish.user.as_str()) {
        (Some(password), _) => password.clone(),
        (None, "admin") => Credentials::read(paths)?.admin_password,
        (None, user) => user.to_owned(),
    };
    Ok(vec![
        ("OS_AUTH_URL", format!("http://127.0.0.1:{port}/identity/v3")),
        ("OS_IDENTITY_API_VERSION", "3".to_owned()),
        ("OS_PROJECT_NAME", wish.project.clone()),
        ("OS_PROJECT_DOMAIN_NAME", "Default".to_owned()),
        ("OS_USERNAME", wish.user.clone()),
        ("OS_USER_DOMAIN_NAME", "Default".to_owned()),
        ("OS_PASSWORD", password),
        ("OS_REGION_NAME", "RegionOne".to_owned()),
    ])
}
