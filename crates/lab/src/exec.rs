//! Becomes a command inside a host, so that its exit code, terminal and signals are the command's own.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::Intent;
use crate::process::MARK;
use crate::{Error, Lab, Paths, Result, namespace, up};

/// Moves the calling process, which must have one thread only, into a host's namespaces.
pub fn enter(paths: &Paths, host: &str) -> Result<Lab> {
    let lab = Lab::read(paths)?;
    let node = lab
        .node(paths, host)?
        .filter(|node| node.supervisor.lives())
        .ok_or_else(|| Error::Broken { lab: paths.name().to_string(), host: host.to_owned() })?;
    namespace::enter(node.supervisor.pid).intent(|| format!("enter the host {host}"))?;
    Ok(lab)
}

/// Enters a host and becomes `command` (a shell if there is none). Returns only if that fails.
pub fn exec(paths: &Paths, host: &str, command: &[OsString]) -> Result<Infallible> {
    let lab = enter(paths, host)?;
    let shell = [std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())];
    let (program, arguments) = match command.split_first().or_else(|| shell.split_first()) {
        Some(split) => split,
        None => return Err(Error::NotUp(paths.name().to_string())),
    };
    let error = Command::new(program).args(arguments).env(MARK, &lab.id).env("PATH", up::search_path()).exec();
    Err(error).intent(|| format!("run {} on {host}", program.display()))
}
