//! What people see: the only place that writes to stdout and stderr. Colours vanish where nobody would see them.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};

/// Good.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Bad.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Not yet.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Beside the point.
pub const DIM: Style = Style::new().dimmed();
/// A heading.
pub const BOLD: Style = Style::new().bold();

/// Text in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A line on stdout. A reader that has left is no error.
pub fn line(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// A line on stderr.
pub fn note(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A failure on stderr.
pub fn error(sentence: &str) {
    note(format!("{} {sentence}", styled(RED, "error:")));
}

/// A value as JSON on stdout.
pub fn json(value: &impl serde::Serialize) -> Result<(), crate::exit::Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| crate::exit::Failure::failed(error.to_string()))?;
    line(text);
    Ok(())
}

/// An empty table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(headings);
    table
}

/// Steps on stderr, each with the time it took.
#[derive(Debug, Default)]
pub struct Steps {
    current: String,
}

impl lab::Progress for Steps {
    fn begin(&mut self, step: &str) {
        self.current = step.to_owned();
        if std::io::stderr().is_terminal() {
            let mut err = anstream::stderr();
            let _ = write!(err, "  {} {step} ...", styled(YELLOW, "·"));
            let _ = err.flush();
        }
    }

    fn done(&mut self, took: Duration) {
        let again = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        let took = styled(DIM, format!("{:.2} s", took.as_secs_f64()));
        note(format!("{again}  {} {} {took}", styled(GREEN, "✓"), self.current));
    }

    fn failed(&mut self) {
        let again = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        note(format!("{again}  {} {}", styled(RED, "✗"), self.current));
    }

    fn note(&mut self, text: &str) {
        note(format!("  {} {text}", styled(YELLOW, "!")));
    }
}
