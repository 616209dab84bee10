//! A connection with its prepared statements: questions out, whole replies in.

use std::io;
use std::sync::Arc;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend::{self, BindError};
use socket2::Socket;
use std::time::Duration;

use super::meaning;
use super::statements::{Statements, dollars};
use super::target::Target;
use super::wire::{Refusal, Wire, unexpected};
use crate::Value;

/// All that came back until the server was ready for the next question.
#[derive(Default)]
pub(super) struct Reply {
    pub(super) rows: Vec<DataRowBody>,
    /// Types of the rows' columns, when the question was one statement.
    pub(super) columns: Option<Arc<[u32]>>,
    /// What the last statement did: `INSERT 0 1`.
    pub(super) tag: String,
    pub(super) refused: Option<Refusal>,
    /// `I` outside of a transaction, `T` in one, `E` in a failed one.
    pub(super) status: u8,
    parsed: bool,
}

impl Reply {
    /// The first column of the last row.
    pub(super) fn last_text(&self) -> Option<String> {
        let row = self.rows.last()?;
        let place = row.ranges().next().ok()??;
        std::str::from_utf8(row.buffer().get(place?)?).ok().map(str::to_owned)
    }
}

/// The connection.
pub(super) struct Link {
    wire: Wire,
    statements: Statements,
    /// Questions sent whose replies nobody has waited for.
    unread: u32,
}

impl Link {
    pub(super) fn connect(target: &Target) -> io::Result<Self> {
        Ok(Self { wire: Wire::connect(target)?, statements: Statements::default(), unread: 0 })
    }

    /// Runs `control` (statements without parameters, none if empty), then one statement; one trip for both. With `first`
    /// the server stops after the first row.
    pub(super) fn run(
        &mut self,
        control: &str,
        sql: &str,
        params: &[Value<'_>],
        first: bool,
    ) -> io::Result<(Option<Reply>, Reply)> {
        let out = &mut self.wire.outgoing;
        if !control.is_empty() {
            frontend::query(control, out)?;
        }
        let types: Vec<u32> = params.iter().map(meaning::type_of).collect();
        let known = self.statements.find(sql, &types).map(|known| (known.name.clone(), Arc::clone(&known.columns)));
        let (name, columns) = match known {
            Some((name, columns)) => (name, Some(columns)),
            None => {
                let name = self.statements.name();
                frontend::parse(&name, &dollars(sql), types.iter().copied(), out)?;
                frontend::describe(b'S', &name, out)?;
                (name, None)
            }
        };
        frontend::bind("", &name, [], params, meaning::write, [], out).map_err(|error| match error {
            BindError::Conversion(source) => io::Error::other(source),
            BindError::Serialization(source) => source,
        })?;
        frontend::execute("", i32::from(first), out)?;
        frontend::sync(out);
        self.flush()?;
        let control = if control.is_empty() { None } else { Some(self.reply()?) };
        let mut reply = self.reply()?;
        match (columns, &reply.columns) {
            (Some(columns), _) => reply.columns = Some(columns),
            (None, Some(columns)) if reply.parsed => {
                if let Some(gone) = self.statements.keep(sql, &types, name.clone(), Arc::clone(columns)) {
                    frontend::close(b'S', &gone, &mut self.wire.outgoing)?;
                }
            }
            (None, _) => {}
        }
        if reply.refused.as_ref().is_some_and(meaning::is_overtaken) {
            self.statements.forget(&name);
        }
        Ok((control, reply))
    }

    /// Runs statements without parameters.
    pub(super) fn simple(&mut self, sql: &str) -> io::Result<Reply> {
        self.send(sql)?;
        self.drain(1)?;
        self.reply_expected()
    }

    /// Like [`Link::simple`], without waiting for the reply.
    pub(super) fn send(&mut self, sql: &str) -> io::Result<()> {
        frontend::query(sql, &mut self.wire.outgoing)?;
        self.wire.flush()?;
        self.unread += 1;
        Ok(())
    }

    /// Sends; then reads away what was not waited for earlier.
    fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()?;
        self.drain(0)
    }

    fn drain(&mut self, left: u32) -> io::Result<()> {
        while self.unread > left {
            self.reply()?;
            self.unread -= 1;
        }
        Ok(())
    }

    fn reply_expected(&mut self) -> io::Result<Reply> {
        let reply = self.reply()?;
        self.unread = self.unread.saturating_sub(1);
        Ok(reply)
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut reply = Reply::default();
        loop {
            match self.wire.receive()? {
                Message::ReadyForQuery(body) => {
                    reply.status = body.status();
                    return Ok(reply);
                }
                Message::DataRow(body) => reply.rows.push(body),
                Message::RowDescription(body) => {
                    reply.columns = Some(body.fields().map(|field| Ok(field.type_oid())).collect::<Vec<_>>()?.into());
                }
                Message::NoData => reply.columns = Some(Arc::from([])),
                Message::ParseComplete => reply.parsed = true,
                Message::CommandComplete(body) => body.tag()?.clone_into(&mut reply.tag),
                Message::ErrorResponse(body) => {
                    let refusal = Refusal::read(&body);
                    if refusal.fatal {
                        return Err(io::Error::other(refusal));
                    }
                    reply.refused.get_or_insert(refusal);
                }
                Message::BindComplete
                | Message::CloseComplete
                | Message::PortalSuspended
                | Message::EmptyQueryResponse
                | Message::ParameterDescription(_) => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// Whether the connection stands, as far as can be told without asking.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.drain(0).is_ok() && self.wire.is_quiet()
    }

    /// Waits at most `patience` for notifications; those that came.
    pub(super) fn notifications(&mut self, patience: Duration) -> io::Result<Vec<String>> {
        if self.wire.notifications.is_empty() {
            self.wire.await_notification(patience)?;
        }
        Ok(std::mem::take(&mut self.wire.notifications))
    }

    /// By which another thread can end the waiting.
    pub(super) fn handle(&self) -> io::Result<Socket> {
        self.wire.handle()
    }
}
