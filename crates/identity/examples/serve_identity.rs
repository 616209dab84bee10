//! The identity service alone, to try the real client against it:
//! `cargo run -p identity --example serve_identity -- FOLDER [ADDRESS:PORT] [ADMIN-PASSWORD]`.

use std::path::PathBuf;

use identity::{Identity, IdentityConfig, Secret};
use store::Store;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("the folder for the database is missing")?);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8774".to_owned());
    let config = IdentityConfig { admin_password: arguments.next().map(Secret::new), ..IdentityConfig::default() };
    std::fs::create_dir_all(&folder)?;
    let store = Store::open(folder.join("identity.db"))?;
    let identity = Identity::open(&store, config, &folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(&address).await?;
        axum::serve(listener, identity.router()).await
    })?;
    Ok(())
}
