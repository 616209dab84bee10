//! Runs a tool and turns its failure into one sentence.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::error::Intent;
use crate::{Error, Result};

/// Runs `program` with `arguments` and returns what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    finish(Command::new(program).args(arguments), None)
}

/// The same, with `input` on its standard input.
pub(crate) fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    finish(Command::new(program).args(arguments), Some(input))
}

fn finish(command: &mut Command, input: Option<&str>) -> Result<String> {
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ");
    let mut child = command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .intent(|| format!("run `{line}`"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A tool that closes early says why by its exit status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().intent(|| format!("wait for `{line}`"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = match said.trim() {
        "" => output.status.to_string(),
        text => text.lines().map(str::trim).collect::<Vec<_>>().join("; "),
    };
    Err(Error::Tool { command: line, reason })
}
