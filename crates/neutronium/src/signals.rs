//! The signals that ask a daemon to end.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;

/// Is there when SIGTERM or SIGINT came. To be called inside a runtime.
pub fn end() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let hear = |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot hear signals: {error}")));
    let (mut terminate, mut interrupt) = (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Hears SIGHUP: read again what can be read again. To be called inside a runtime.
pub fn reload() -> Result<tokio::signal::unix::Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| Failure::failed(format!("cannot hear signals: {error}")))
}
