//! Running programs and saying clearly what went wrong.

use std::process::{Command, Output, Stdio};

/// A program did not do what the scenario needs.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be started.
    #[error("cannot run {command}: {source}")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("{command} ended with {status}: {said}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The end of what it wrote.
        said: String,
    },
    /// It answered something else than expected.
    #[error("{command}: {what}")]
    Unexpected {
        /// The command line.
        command: String,
        /// What is wrong with the answer.
        what: String,
    },
}

/// The command line as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs to the end; what it wrote, whatever its status.
pub fn output(command: &mut Command) -> Result<Output, Failure> {
    let shown = line(command);
    let start = |source| Failure::Start { command: shown, source };
    command.stdin(Stdio::null()).output().map_err(start)
}

/// Runs to the end; its standard output. An exit status other than 0 is a failure.
pub fn run(command: &mut Command) -> Result<String, Failure> {
    let output = output(command)?;
    checked(line(command), output)
}

fn checked(command: String, output: Output) -> Result<String, Failure> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        let from = said.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
        Err(Failure::Failed { command, status: output.status, said: said[from..].trim().to_owned() })
    }
}

/// Runs to the end in front of the person: its output is theirs.
pub fn show(command: &mut Command) -> Result<(), Failure> {
    let shown = line(command);
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Failed { command: shown, status, said: "see above".into() }),
        Err(source) => Err(Failure::Start { command: shown, source }),
    }
}
