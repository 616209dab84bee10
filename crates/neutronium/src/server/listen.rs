//! The sockets that the server answers on: those it opens itself, and those it was started with.

use std::net::TcpListener as StdListener;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tokio::net::TcpListener;

/// The first inherited socket (sd_listen_fds(3)).
const FIRST: i32 = 3;

/// Opens the addresses and takes over what was inherited. To be called inside a runtime.
pub fn all(addresses: &[String]) -> Result<Vec<TcpListener>, String> {
    let mut listeners = inherited()?;
    for address in addresses {
        let listener = StdListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
        listeners.push(listener);
    }
    listeners
        .into_iter()
        .map(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        })
        .collect::<std::io::Result<_>>()
        .map_err(|error| format!("cannot use a listening socket: {error}"))
}

/// What an init system, or the lab, opened for us: LISTEN_FDS sockets from number 3, if LISTEN_PID is us.
fn inherited() -> Result<Vec<StdListener>, String> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS").and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
    (FIRST..FIRST.saturating_add(count)).map(adopt).collect()
}

#[allow(unsafe_code)]
fn adopt(number: i32) -> Result<StdListener, String> {
    // SAFETY: by the protocol of sd_listen_fds(3) the descriptor was opened for us by who started us, and this function
    // is called once per number, so nothing else in this process owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
        .map_err(|error| format!("the socket {number} that LISTEN_FDS promises cannot be used: {error}"))?;
    Ok(StdListener::from(socket))
}
