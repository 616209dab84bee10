//! Identity and networking API on one port, without hosts: for trying clients.
//!
//! `cargo run -p api-server --example serve_api -- FOLDER [ADDRESS]`; the admin's password is in `FOLDER/admin-password`.

use api_server::{Api, ApiConfig};
use identity::{Identity, IdentityConfig};
use network_store::{NetworkConfig, NetworkOptions};
use std::path::PathBuf;
use std::sync::Arc;
use store::Store;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("say which folder keeps the database")?);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9696".to_owned());
    std::fs::create_dir_all(&folder)?;
    let store = Store::open(folder.join("neutronium.db"))?;
    network_store::prepare(&store)?;
    let settings = IdentityConfig { network_path: String::new(), ..IdentityConfig::default() };
    let identity = Identity::open(&store, settings, &folder)?;
    let mut options = NetworkOptions::default();
    options.ml2.network_vlan_ranges = vec!["public:100:199".into()];
    let network = Arc::new(NetworkConfig::new(&options)?);
    let api = Api::new(store, Arc::new(identity.clone()), ApiConfig::default(), network);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    axum::serve(listener, identity.router().merge(api_server::router(api))).await?;
    Ok(())
}
