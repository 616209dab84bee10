//! A table of figures: aligned Markdown for people and for `docs/benchmarks.md`, objects for programs.

use serde_json::{Map, Value, json};
use std::fmt;

/// One section of the output.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What was measured.
    pub title: String,
    /// How, and what the words mean.
    pub note: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// A value of a row.
#[derive(Debug, Clone)]
pub enum Cell {
    /// A name.
    Text(String),
    /// A figure; shown with three digits that matter.
    Number(f64),
    /// Nothing to say here.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        // Counts of a bench are far below 2^52.
        Self::Number(number as f64)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Number(number) => f.pad(&figure(*number)),
            Self::Empty => f.pad(""),
        }
    }
}

/// Three digits that matter; whole numbers whole.
fn figure(number: f64) -> String {
    let size = number.abs();
    if number.fract() == 0.0 || size >= 100.0 {
        format!("{number:.0}")
    } else if size >= 10.0 {
        format!("{number:.1}")
    } else if size >= 1.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.3}")
    }
}

impl Table {
    /// An empty one.
    pub fn new(title: &str, note: &str, columns: &[&'static str]) -> Self {
        Self { title: title.to_owned(), note: note.to_owned(), columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; one cell per column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// For programs: a row is an object by column.
    pub fn json(&self) -> Value {
        let value = |cell: &Cell| match cell {
            Cell::Text(text) => json!(text),
            Cell::Number(number) => json!(number),
            Cell::Empty => Value::Null,
        };
        let object = |row: &Vec<Cell>| {
            let pairs = self.columns.iter().zip(row).map(|(column, cell)| ((*column).to_owned(), value(cell)));
            Value::Object(Map::from_iter(pairs))
        };
        json!({ "title": self.title, "note": self.note, "rows": self.rows.iter().map(object).collect::<Vec<_>>() })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |index: usize, column: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.to_string().chars().count());
            cells.chain([column.chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(|(index, column)| width(index, column)).collect();
        writeln!(f, "\n## {}\n\n{}\n", self.title, self.note)?;
        for (index, (column, width)) in self.columns.iter().zip(&widths).enumerate() {
            if index == 0 { write!(f, "| {column:<width$} |")? } else { write!(f, " {column:>width$} |")? }
        }
        writeln!(f)?;
        for (index, width) in widths.iter().enumerate() {
            if index == 0 { write!(f, "|:{:-<width$}-|", "")? } else { write!(f, "-{:-<width$}:|", "")? }
        }
        writeln!(f)?;
        for row in &self.rows {
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if index == 0 { write!(f, "| {cell:<width$} |")? } else { write!(f, " {cell:>width$} |")? }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_what_matters() {
        let shown: Vec<String> = [1234.5, 12.34, 1.234, 0.1234, 200.0, 0.0].map(figure).to_vec();
        assert_eq!(shown, ["1234", "12.3", "1.23", "0.123", "200", "0"]);
    }

    #[test]
    fn a_table_reads_as_markdown_and_as_json() {
        let mut table = Table::new("T", "n", &["what", "ms"]);
        table.row(["port show".into(), 0.25.into()]);
        table.row(["all".into(), Cell::Empty]);
        assert_eq!(
            table.to_string(),
            "\n## T\n\nn\n\n| what      |    ms |\n|:----------|------:|\n| port show | 0.250 |\n| all       |       |\n"
        );
        assert_eq!(table.json()["rows"], json!([{ "what": "port show", "ms": 0.25 }, { "what": "all", "ms": null }]));
    }
}
