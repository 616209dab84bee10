//! Exit codes and the one sentence on stderr.

use std::process::ExitCode;

use crate::print;
use error_text::sentence;

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// All is well.
    pub const DONE: Self = Self(0);
    /// It was tried and failed.
    pub const FAILED: Self = Self(1);
    /// The machine or the input is at fault; nothing was changed.
    pub const REFUSED: Self = Self(2);
    /// Nothing is wrong but that somebody does not answer who should.
    pub const SILENT: Self = Self(3);
}

/// An error with the exit code it deserves.
#[derive(Debug)]
pub struct Failure {
    sentence: String,
    exit: Exit,
}

impl Failure {
    /// The machine or the input is at fault; nothing was changed.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), exit: Exit::REFUSED }
    }

    /// It was tried and failed.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), exit: Exit::FAILED }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<lab::Error> for Failure {
    fn from(error: lab::Error) -> Self {
        let exit = if error.before_any_change() { Exit::REFUSED } else { Exit::FAILED };
        Self { sentence: sentence(&error), exit }
    }
}

/// Says the sentence and turns the outcome into the process's exit code.
pub fn finish(outcome: Result<Exit, Failure>) -> ExitCode {
    match outcome {
        Ok(exit) => ExitCode::from(exit.0),
        Err(failure) => {
            print::error(&failure.sentence);
            ExitCode::from(failure.exit.0)
        }
    }
}
