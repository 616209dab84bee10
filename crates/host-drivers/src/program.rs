//! Runs a program inside a namespace: the child is started from a thread that is in there and inherits it.

use crate::{DriverError, Place};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs to the end with `input`; what it wrote to standard output. An exit status other than 0 is an error with its words.
pub async fn run(
    place: &Place,
    program: &'static str,
    arguments: Vec<String>,
    input: Vec<u8>,
) -> Result<Vec<u8>, DriverError> {
    let output = place.run(move || feed(program, &arguments, &input)).await?;
    let output = output.map_err(|error| DriverError::Program { program, said: error.to_string() })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(DriverError::Program { program, said: if said.is_empty() { output.status.to_string() } else { said } })
}

fn feed(program: &str, arguments: &[String], input: &[u8]) -> std::io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    // Written beside reading, so that neither waits for the other's full pipe. A program that does not read all of it has
    // its reasons, and says so by its status.
    std::thread::scope(|scope| {
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    })
}
