//! Commands of a running `ovs-vswitchd`, over the control socket that `ovs-appctl` uses: JSON-RPC.

use crate::DriverError;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A command that takes longer has lost its daemon.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `command` with `arguments`; what it prints. The socket is found by the daemon's pid file in `rundir`.
pub async fn run(rundir: &Path, command: &str, arguments: &[&str]) -> Result<String, DriverError> {
    let failed = |error: std::io::Error| DriverError::Unixctl { command: command.to_owned(), said: error.to_string() };
    Session::open(rundir).await.map_err(failed)?.run(command, arguments).await
}

/// A connection over which many commands are run, one after the other.
#[derive(Debug)]
pub struct Session {
    stream: UnixStream,
    /// Octets that came after the last whole answer.
    read: Vec<u8>,
    next_id: u64,
}

impl Session {
    /// Connects to the daemon whose pid file or `vswitchd.ctl` is in `rundir`.
    pub async fn open(rundir: &Path) -> std::io::Result<Self> {
        Ok(Self { stream: UnixStream::connect(socket(rundir)?).await?, read: Vec::new(), next_id: 0 })
    }

    /// Runs a command; what it prints. After an error the session may be out of step and should be opened anew, unless the
    /// daemon itself refused.
    pub async fn run(&mut self, command: &str, arguments: &[&str]) -> Result<String, DriverError> {
        let failed = |said: String| DriverError::Unixctl { command: command.to_owned(), said };
        let answer = tokio::time::timeout(PATIENCE, self.ask(command, arguments)).await;
        let answer = answer.map_err(|_| failed("no answer".into()))?.map_err(|error| failed(error.to_string()))?;
        match (&answer["result"], &answer["error"]) {
            (serde_json::Value::String(text), _) => Ok(text.clone()),
            (_, serde_json::Value::String(error)) => Err(failed(error.trim().to_owned())),
            _ => Err(failed("an answer without result".into())),
        }
    }

    async fn ask(&mut self, command: &str, arguments: &[&str]) -> std::io::Result<serde_json::Value> {
        let id = self.next_id;
        self.next_id += 1;
        let request = serde_json::json!({ "id": id, "method": command, "params": arguments });
        self.stream.write_all(request.to_string().as_bytes()).await?;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            // The daemon keeps the connection open: an answer that is whole ends it.
            let mut values = serde_json::Deserializer::from_slice(&self.read).into_iter::<serde_json::Value>();
            match values.next() {
                Some(Ok(answer)) => {
                    let end = values.byte_offset();
                    self.read.drain(..end);
                    if answer["id"] == id {
                        return Ok(answer);
                    }
                    continue;
                }
                Some(Err(error)) if !error.is_eof() => return Err(error.into()),
                Some(Err(_)) | None => {}
            }
            match self.stream.read(&mut chunk).await? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => self.read.extend(chunk.iter().take(count)),
            }
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
