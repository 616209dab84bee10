//! One connection to a PostgreSQL server: octets out, messages in (frontend/backend protocol 3.0).
//!
//! Blocking and without a runtime, because a unit of work is a plain function that any thread may run. Several messages may
//! be written before the first answer is read, which saves the waiting for what nobody needs to look at.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use socket2::Socket;

use super::channel::Channel;
use super::target::Target;

/// Settings of every session. No JIT: compiling costs more than any of our queries. What holds the writers' lock and does
/// nothing (a stopped process, a lost machine) is thrown out, so that the other servers go on.
const SETTINGS: [(&str, &str); 7] = [
    ("client_encoding", "UTF8"),
    ("application_name", "neutronium"),
    ("TimeZone", "UTC"),
    ("client_min_messages", "warning"),
    ("jit", "off"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// What the server refused, by the fields of its message that we use.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    /// SQLSTATE: `23505`.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: String,
    pub(super) table: String,
    pub(super) constraint: String,
    /// The server closes the connection after saying this.
    pub(super) fatal: bool,
}

impl std::fmt::Display for Refusal {
    // Not the detail: it shows values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    pub(super) fn read(body: &ErrorResponseBody) -> Self {
        let mut refusal = Self::default();
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => refusal.code = value,
                b'M' => refusal.message = value,
                b'D' => refusal.detail = value,
                b't' => refusal.table = value,
                b'n' => refusal.constraint = value,
                b'V' => refusal.fatal = matches!(value.as_str(), "FATAL" | "PANIC"),
                _ => {}
            }
        }
        refusal
    }
}

/// Octets and messages.
pub(super) struct Wire {
    channel: Channel,
    incoming: BytesMut,
    /// Messages to be sent by the next [`Wire::flush`].
    pub(super) outgoing: BytesMut,
    chunk: Box<[u8]>,
    /// Payloads of notifications that came meanwhile.
    pub(super) notifications: Vec<String>,
}

impl Wire {
    /// Connects and logs in. The error may name host and user, never the password.
    pub(super) fn connect(target: &Target) -> io::Result<Self> {
        let mut wire = Self {
            channel: Channel::connect(target)?,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            chunk: vec![0; 32 * 1024].into_boxed_slice(),
            notifications: Vec::new(),
        };
        wire.log_in(target)?;
        wire.channel.set_read_timeout(None)?;
        Ok(wire)
    }

    fn log_in(&mut self, target: &Target) -> io::Result<()> {
        let who = [("user", target.user.as_str()), ("database", target.database.as_str())];
        frontend::startup_message(who.into_iter().chain(SETTINGS), &mut self.outgoing)?;
        self.flush()?;
        let password = || {
            let missing = || io::Error::new(io::ErrorKind::PermissionDenied, "the server asks for a password");
            target.password.as_deref().map(str::as_bytes).ok_or_else(missing)
        };
        let mut scram = None;
        loop {
            match self.receive()? {
                Message::AuthenticationOk => {}
                Message::AuthenticationCleartextPassword => {
                    frontend::password_message(password()?, &mut self.outgoing)?;
                    self.flush()?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(target.user.as_bytes(), password()?, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut self.outgoing)?;
                    self.flush()?;
                }
                Message::AuthenticationSasl(body) => {
                    if !body.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256))? {
                        return Err(io::Error::other("the server knows no way to log in that we know"));
                    }
                    let started = ScramSha256::new(password()?, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, started.message(), &mut self.outgoing)?;
                    self.flush()?;
                    scram = Some(started);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let scram = scram.as_mut().ok_or_else(unexpected)?;
                    scram.update(body.data())?;
                    frontend::sasl_response(scram.message(), &mut self.outgoing)?;
                    self.flush()?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    scram.as_mut().ok_or_else(unexpected)?.finish(body.data())?;
                }
                Message::BackendKeyData(_) => {}
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => return Err(io::Error::other(Refusal::read(&body))),
                _ => return Err(io::Error::other("the server asks for a way to log in that we do not know")),
            }
        }
    }

    /// Sends what is in `outgoing`.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let sent = self.channel.write_all(&self.outgoing);
        self.outgoing.clear();
        sent
    }

    /// The next message that belongs to an answer; notices are dropped, notifications kept.
    pub(super) fn receive(&mut self) -> io::Result<Message> {
        loop {
            match Message::parse(&mut self.incoming)? {
                Some(Message::NoticeResponse(_) | Message::ParameterStatus(_)) => {}
                Some(Message::NotificationResponse(body)) => self.notifications.push(body.message()?.to_owned()),
                Some(message) => return Ok(message),
                None => self.fill()?,
            }
        }
    }

    /// Waits at most `patience` for something unasked: whether a notification has come.
    pub(super) fn await_notification(&mut self, patience: Duration) -> io::Result<bool> {
        self.channel.set_read_timeout(Some(patience))?;
        let waited = self.receive();
        self.channel.set_read_timeout(None)?;
        match waited {
            Ok(Message::ErrorResponse(body)) => Err(io::Error::other(Refusal::read(&body))),
            Ok(_) => Err(unexpected()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(!self.notifications.is_empty())
            }
            Err(error) => Err(error),
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let count = loop {
            match self.channel.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the database closed the connection"));
        }
        self.incoming.extend_from_slice(&self.chunk[..count]);
        Ok(())
    }

    /// Whether the connection still stands while nothing is expected from it: a server that went away has left a goodbye or
    /// an end of file behind.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.incoming.is_empty() && self.channel.is_quiet()
    }

    /// A second handle by which another thread can end the waiting of this one.
    pub(super) fn handle(&self) -> io::Result<Socket> {
        self.channel.handle()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.outgoing.clear();
        frontend::terminate(&mut self.outgoing);
        let _ = self.flush();
    }
}

pub(super) fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the database sent a message that does not belong here")
}
