//! Whether a thread serves one connection only, as far as the last moments tell.
//!
//! In: from which connection each read on this thread was. Out: [`is_alone`], for the store: a thread that nobody else has
//! asked for anything lately may wait for a commit itself. Who comes just then waits for the rest of it, once: from then on
//! the thread serves several.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// So long after another connection has asked for something, it is expected to ask again.
const LATELY: Duration = Duration::from_millis(20);

static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The connection that was read from last.
    static LAST: Cell<Option<u64>> = const { Cell::new(None) };
    /// When it was the turn of another one.
    static CHANGED: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn note(connection: u64) {
    if LAST.get() != Some(connection) {
        LAST.set(Some(connection));
        CHANGED.set(Some(Instant::now()));
    }
}

/// Whether this thread answers requests, lately of one connection only.
pub fn is_alone() -> bool {
    CHANGED.get().is_some_and(|changed| changed.elapsed() >= LATELY)
}

/// A connection that notes on its thread when it is read from.
pub struct Noted {
    stream: TcpStream,
    number: u64,
}

impl Noted {
    /// A connection that nothing has been read from yet.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, number: CONNECTIONS.fetch_add(1, Ordering::Relaxed) }
    }
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            note(self.number);
        }
        read
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_alone_when_one_connection_asks_for_long_enough() {
        assert!(!is_alone(), "a thread that answers nobody is not");
        note(1);
        assert!(!is_alone());
        let earlier = Instant::now().checked_sub(LATELY);
        CHANGED.set(earlier);
        note(1);
        assert!(is_alone());
        note(2);
        assert!(!is_alone());
        CHANGED.set(earlier);
        assert!(is_alone());
    }
}
