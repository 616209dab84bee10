//! Commands of a running `ovs-vswitchd`, over the control socket that `ovs-appctl` uses: JSON-RPC, one request per
//! connection.

use crate::DriverError;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A command that takes longer has lost its daemon.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `command` with `arguments`; what it prints. The socket is found by the daemon's pid file in `rundir`.
pub async fn run(rundir: &Path, command: &str, arguments: &[&str]) -> Result<String, DriverError> {
    let failed = |said: String| DriverError::Unixctl { command: command.to_owned(), said };
    let answer = tokio::time::timeout(PATIENCE, ask(rundir, command, arguments)).await;
    let answer = answer.map_err(|_| failed("no answer".into()))?.map_err(|error| failed(error.to_string()))?;
    match (&answer["result"], &answer["error"]) {
        (serde_json::Value::String(text), _) => Ok(text.clone()),
        (_, serde_json::Value::String(error)) => Err(failed(error.trim().to_owned())),
        _ => Err(failed("an answer without result".into())),
    }
}

async fn ask(rundir: &Path, command: &str, arguments: &[&str]) -> std::io::Result<serde_json::Value> {
    let mut stream = UnixStream::connect(socket(rundir)?).await?;
    let request = serde_json::json!({ "id": 0, "method": command, "params": arguments });
    stream.write_all(request.to_string().as_bytes()).await?;
    let mut text = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        text.extend(chunk.iter().take(read));
        match serde_json::from_slice(&text) {
            Ok(answer) => return Ok(answer),
            // The daemon keeps the connection open: an answer that is whole ends it.
            Err(error) if error.is_eof() && read > 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// `ovs-vswitchd.<pid>.ctl`, or a fixed `vswitchd.ctl`.
fn socket(rundir: &Path) -> std::io::Result<PathBuf> {
    let fixed = rundir.join("vswitchd.ctl");
    if fixed.exists() {
        return Ok(fixed);
    }
    let pid = std::fs::read_to_string(rundir.join("ovs-vswitchd.pid"))?;
    Ok(rundir.join(format!("ovs-vswitchd.{}.ctl", pid.trim())))
}
