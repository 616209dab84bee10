//! Packets that flows send to the agent: a connection to a bridge that hears of nothing else.
//!
//! A connection of its own, apart from the one that writes flows, because it is read no faster than its reader can use
//! what comes: the switch keeps a hundred packets and drops what is more.

use crate::DriverError;
use ::openflow::wire::{AsyncConfig, Body, Framer, Hello, Message, PacketIn, SwitchConfig};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// `OFPR_APPLY_ACTION` as a bit: packets that an action of a flow sends.
const BY_ACTION: u32 = 1 << 1;

/// An open connection.
#[derive(Debug)]
pub struct PacketIns {
    bridge: String,
    stream: UnixStream,
    framer: Framer,
}

impl PacketIns {
    /// Connects to `RUNDIR/BRIDGE.mgmt` and asks for packets.
    pub async fn connect(rundir: &Path, bridge: &str) -> Result<Self, DriverError> {
        let path = rundir.join(format!("{bridge}.mgmt"));
        let lost = |source| DriverError::OpenFlowLost { bridge: bridge.to_owned(), source };
        let stream = UnixStream::connect(path).await.map_err(lost)?;
        let mut connection = Self { bridge: bridge.to_owned(), stream, framer: Framer::default() };
        connection.send(0, Body::Hello(Hello::openflow14())).await?;
        // Without a length the switch sends nothing at all.
        connection.send(1, Body::SetConfig(SwitchConfig { flags: 0, miss_send_len: u16::MAX })).await?;
        connection.send(2, Body::SetAsync(AsyncConfig { packet_in: BY_ACTION, ..AsyncConfig::default() })).await?;
        Ok(connection)
    }

    /// The next packet. May be given up while it waits: nothing is lost by that.
    pub async fn next(&mut self) -> Result<PacketIn, DriverError> {
        loop {
            while let Some(frame) = self.framer.next_frame().map_err(|error| self.refused(&error))? {
                match frame.decode() {
                    Ok(Message { body: Body::PacketIn(packet), .. }) => return Ok(packet),
                    Ok(Message { xid, body: Body::EchoRequest(octets) }) => {
                        self.send(xid, Body::EchoReply(octets)).await?;
                    }
                    Ok(Message { body: Body::Error(error), .. }) => return Err(self.refused(&error)),
                    Ok(_) => {}
                    Err(error) => tracing::debug!(bridge = self.bridge, %error, "a message cannot be read"),
                }
            }
            let mut chunk = vec![0; 16 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(count @ 1..) => self.framer.push(chunk.get(..count).unwrap_or_default()),
                Ok(_) => return Err(self.lost(std::io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    async fn send(&mut self, xid: u32, body: Body) -> Result<(), DriverError> {
        let octets = Message::new(xid, body).encode().map_err(|error| self.refused(&error))?;
        self.stream.write_all(&octets).await.map_err(|source| self.lost(source))
    }

    fn lost(&self, source: std::io::Error) -> DriverError {
        DriverError::OpenFlowLost { bridge: self.bridge.clone(), source }
    }

    fn refused(&self, said: &dyn std::fmt::Display) -> DriverError {
        DriverError::OpenFlowRefused { bridge: self.bridge.clone(), said: said.to_string() }
    }
}
