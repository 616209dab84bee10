//! A demonstration as a person follows it: chapters, steps, what was expected, what was seen, how long it took.

use crate::Failure;
use anstyle::{AnsiColor, Style};
use std::io::Write;
use std::time::{Duration, Instant};

/// One thing that was done or looked at.
#[derive(Debug, Clone)]
pub struct Step {
    /// What, in a few words.
    pub what: String,
    /// Why it is right that way.
    pub why: String,
    /// What came of it.
    pub seen: String,
    /// Whether that is what it should be.
    pub right: bool,
    /// How long it took.
    pub took: Duration,
}

/// Collects the steps, and tells them to a person while they happen.
pub struct Story {
    steps: Vec<Step>,
    out: Box<dyn Write>,
}

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const RIGHT: Style = AnsiColor::Green.on_default().bold();
const WRONG: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();

impl Story {
    /// A story told to the terminal (colours are left out where it is none).
    pub fn told() -> Self {
        Self { steps: Vec::new(), out: Box::new(anstream::stdout()) }
    }

    /// What happened so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Steps that went wrong.
    pub fn wrong(&self) -> Vec<&Step> {
        self.steps.iter().filter(|step| !step.right).collect()
    }

    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.line(format_args!("\n{TITLE}{title}{TITLE:#}"));
    }

    /// Does something that must succeed; `seen` puts its result into words.
    pub fn does<T>(
        &mut self,
        what: &str,
        work: impl FnOnce() -> Result<T, Failure>,
        seen: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let (text, right) = match &result {
            Ok(value) => (seen(value), true),
            Err(failure) => (failure.to_string(), false),
        };
        self.note(Step { what: what.to_owned(), why: String::new(), seen: text, right, took });
        result
    }

    /// Looks at something that must be so; the look says whether it is and what it saw.
    pub fn sees(
        &mut self,
        what: &str,
        why: &str,
        look: impl FnOnce() -> Result<(bool, String), Failure>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let (right, seen) = look()?;
        let took = start.elapsed();
        self.note(Step { what: what.to_owned(), why: why.to_owned(), seen, right, took });
        Ok(())
    }

    fn note(&mut self, step: Step) {
        let (mark, style) = if step.right { ("✔", RIGHT) } else { ("✘", WRONG) };
        let took = format!("{:.1} s", step.took.as_secs_f64());
        self.line(format_args!("  {style}{mark}{style:#} {:<58} {} {QUIET}{took}{QUIET:#}", step.what, step.seen));
        if !step.why.is_empty() {
            self.line(format_args!("      {QUIET}{}{QUIET:#}", step.why));
        }
        self.steps.push(step);
    }

    /// Says something to the person.
    pub fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Nobody listens any more: the steps are kept all the same.
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }
}
