//! Rows of other tables that belong to the objects of a page: one statement for many objects, put together by object.

use super::json::{write_text, write_value};
use super::render::{Fetch, Order};
use super::shape::{RowList, Source};
use super::sql::{Given, Sql};
use api_schema::{Known, Members, Nested, Resource};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;
use store::{Raw, Row, Snapshot, StoreError, Value};

/// So many ids are asked for with one statement; fewer are filled up by repeating one, so that few texts get prepared.
const SIZES: [usize; 3] = [1, 16, 256];

/// An object that wants the rows of a source.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Which object of the page.
    pub object: usize,
    /// Where its texts for members that are worked out begin.
    pub texts: usize,
}

/// The objects of a page that ask.
pub struct Asking<'a> {
    /// The ids of all objects of the page.
    pub keys: &'a [String],
    /// Those that want rows, by rising id.
    pub asked: &'a [Asked],
    /// Texts of objects, one after the other.
    pub texts: &'a [String],
}

/// The rows of one list for every object of a page: JSON without the brackets.
pub struct Rows {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

/// How a source is read.
#[derive(Debug)]
pub struct Reading {
    what: What,
    /// Which columns of an object it wants as texts.
    pub of_object: Vec<usize>,
    /// For each of [`SIZES`].
    statements: [OnceLock<Sql>; SIZES.len()],
}

#[derive(Debug)]
enum What {
    /// Rows of lists.
    Rows(Table),
    /// Objects.
    Objects(Nested, Box<Fetch>),
}

/// Rows of which one list is made or several.
#[derive(Debug)]
struct Table {
    name: &'static str,
    owner: &'static str,
    order: &'static str,
    /// What is read of each row, behind the owner.
    columns: Vec<&'static str>,
    lists: Vec<List>,
}

/// One list of a table's rows. Columns are positions in [`Table::columns`].
#[derive(Debug)]
enum List {
    /// Bare values of a column.
    Bare(usize),
    /// Objects.
    Objects {
        /// What stands before a column's value, and the column.
        members: Vec<(String, usize)>,
        derived: Option<Derivation>,
    },
}

#[derive(Debug)]
struct Derivation {
    columns: Vec<usize>,
    /// Of the texts that the source wants of each object, those.
    texts: Range<usize>,
    members: Members,
}

impl Reading {
    /// Of objects of this resource.
    pub fn new(source: Source) -> Self {
        let mut of_object = Vec::new();
        let what = match source {
            Source::Rows(lists) => What::Rows(Table::new(&lists, &mut of_object)),
            Source::Nested(nested, shape) => What::Objects(nested, Box::new(Fetch::of(*shape, Some(nested.owner)))),
        };
        Self { what, of_object, statements: Default::default() }
    }

    /// SQL conditions for there being rows: any at all, or of one object of `resource`. Of joined tables nothing is said: to look
    /// is what would have to be done anyway.
    pub fn presence(&self, resource: &Resource) -> Option<(String, String)> {
        let What::Rows(Table { name, owner, .. }) = &self.what else { return None };
        if *name == resource.table || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let there = |condition: &str| format!("EXISTS (SELECT 1 FROM {name} WHERE {owner} {condition})");
        // Every owner has an id: said so that the index of the owners answers.
        Some((there("> ''"), there(&format!("= {}.id", resource.table))))
    }

    /// The lists of these objects.
    pub fn read(
        &self,
        snapshot: &Snapshot<'_>,
        asking: &Asking<'_>,
        given: &Given<'_>,
    ) -> Result<Vec<Rows>, StoreError> {
        let count = if let What::Rows(table) = &self.what { table.lists.len() } else { 1 };
        let mut lists: Vec<Rows> =
            (0..count).map(|_| Rows { bytes: Vec::new(), ranges: vec![0..0; asking.keys.len()] }).collect();
        let most = SIZES.iter().copied().max().unwrap_or(1);
        for asked in asking.asked.chunks(most) {
            let Some(sql) = self.statement(asked.len()) else { continue };
            let ids: Vec<&str> = asked.iter().map(|asked| asking.key(asked)).collect();
            let mut owners = Owners { ids: &ids, at: 0 };
            match &self.what {
                What::Rows(table) => {
                    snapshot.for_each(&sql.text, &sql.values(given, &ids), |row| {
                        let owner = owners.find(&row.text(0)?).and_then(|position| asked.get(position));
                        owner.map_or(Ok(()), |owner| table.write(row, asking, owner, &mut lists))
                    })?;
                }
                What::Objects(_, fetch) => {
                    let rendered = fetch.run_for(snapshot, sql, given, (&ids, Order::AsRead, b""))?;
                    for (position, owner) in rendered.owners.iter().enumerate() {
                        let owner = owners.find(owner).and_then(|position| asked.get(position));
                        if let (Some(owner), Some(list)) = (owner, lists.first_mut()) {
                            list.add(owner.object, |out| out.extend_from_slice(rendered.object(position)));
                        }
                    }
                }
            }
        }
        Ok(lists)
    }

    /// The statement for so many ids, of the largest of [`SIZES`] at most.
    fn statement(&self, count: usize) -> Option<&Sql> {
        let mut all = SIZES.iter().zip(&self.statements);
        let (size, statement) = all.find(|(size, _)| **size >= count)?;
        Some(statement.get_or_init(|| self.what.statement(*size)))
    }
}

impl What {
    fn statement(&self, size: usize) -> Sql {
        match self {
            Self::Rows(Table { name, owner, order, columns, .. }) => {
                let mut sql = Sql::new();
                let columns: Vec<String> = columns.iter().map(|column| sql.expression(column)).collect();
                let condition = sql.is_wanted(owner, size);
                let columns = columns.join(", ");
                sql.push(&format!("SELECT {owner}, {columns} FROM {name} WHERE {condition} ORDER BY {owner}, {order}"));
                sql
            }
            Self::Objects(Nested { owner, order, .. }, fetch) => {
                let mut sql = fetch.select.clone();
                let condition = sql.is_wanted(owner, size);
                sql.push(&format!(" WHERE {condition} ORDER BY {owner}, {order}"));
                sql
            }
        }
    }
}

impl Asking<'_> {
    fn key(&self, asked: &Asked) -> &str {
        self.keys.get(asked.object).map_or("", String::as_str)
    }
}

/// Finds whose a row is. Rows come by owner, as a rule in the order of the ids that were asked for.
struct Owners<'a> {
    ids: &'a [&'a str],
    at: usize,
}

impl Owners<'_> {
    fn find(&mut self, owner: &str) -> Option<usize> {
        let ahead = self.ids.get(self.at..).unwrap_or_default();
        let skipped = ahead.iter().take_while(|id| **id < owner).count();
        if ahead.get(skipped) == Some(&owner) {
            self.at += skipped;
            return Some(self.at);
        }
        self.ids.binary_search(&owner).ok()
    }
}

impl Table {
    fn new(lists: &[RowList], of_object: &mut Vec<usize>) -> Self {
        let mut table = Self { name: "", owner: "", order: "", columns: Vec::new(), lists: Vec::new() };
        for RowList { rows, derived } in lists {
            (table.name, table.owner, table.order) = (rows.table, rows.owner, rows.order);
            let list = match (rows.fields, derived) {
                ([("", column)], None) => List::Bare(table.column(column)),
                (fields, derived) => {
                    let mut members = Vec::with_capacity(fields.len());
                    for (name, column) in fields {
                        let before = if members.is_empty() { '{' } else { ',' };
                        members.push((format!("{before}\"{name}\":"), table.column(column)));
                    }
                    let derived = derived.as_ref().map(|(derived, columns)| {
                        let texts = of_object.len()..of_object.len() + columns.len();
                        of_object.extend(columns);
                        let columns = members.iter().map(|(_, column)| *column).collect();
                        Derivation { columns, texts, members: derived.members }
                    });
                    List::Objects { members, derived }
                }
            };
            table.lists.push(list);
        }
        table
    }

    fn column(&mut self, sql: &'static str) -> usize {
        self.columns.iter().position(|known| *known == sql).unwrap_or_else(|| {
            self.columns.push(sql);
            self.columns.len() - 1
        })
    }

    /// Adds a row to the lists.
    fn write(&self, row: &Row<'_>, asking: &Asking<'_>, owner: &Asked, lists: &mut [Rows]) -> Result<(), StoreError> {
        for (list, written) in self.lists.iter().zip(lists) {
            match list {
                List::Bare(column) => match row.raw(column + 1)? {
                    Raw::Null => {}
                    value => written.add_value(owner.object, value),
                },
                List::Objects { members, derived } => {
                    let out = written.begin(owner.object);
                    for (before, column) in members {
                        out.extend_from_slice(before.as_bytes());
                        write_value(row.raw(column + 1)?, out);
                    }
                    if let Some(derivation) = derived {
                        derivation.write(row, asking, owner, out)?;
                    }
                    out.push(b'}');
                    written.end(owner.object);
                }
            }
        }
        Ok(())
    }
}

impl Derivation {
    fn write(&self, row: &Row<'_>, asking: &Asking<'_>, owner: &Asked, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match row.value(column + 1)? {
                Value::Text(text) => text,
                _ => Cow::Borrowed(""),
            });
        }
        let texts = asking.texts.get(owner.texts + self.texts.start..owner.texts + self.texts.end).unwrap_or_default();
        (self.members.0)(Known { row: &columns, object: texts }, &mut |name, text| {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            write_text(text.as_bytes(), out);
        });
        Ok(())
    }
}

impl Rows {
    /// Those of one object.
    pub fn of(&self, object: usize) -> &[u8] {
        self.ranges.get(object).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    /// How long all of them are.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Where the object's next row is to be written. The rows of one object come one after the other.
    fn begin(&mut self, object: usize) -> &mut Vec<u8> {
        if let Some(range) = self.ranges.get_mut(object) {
            if range.start == range.end {
                *range = self.bytes.len()..self.bytes.len();
            } else {
                self.bytes.push(b',');
            }
        }
        &mut self.bytes
    }

    /// The row is written.
    fn end(&mut self, object: usize) {
        if let Some(range) = self.ranges.get_mut(object) {
            range.end = self.bytes.len();
        }
    }

    fn add(&mut self, object: usize, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.begin(object));
        self.end(object);
    }

    /// The same bare value twice (two agents in one zone) is shown once.
    fn add_value(&mut self, object: usize, value: Raw<'_>) {
        let before = self.of(object).len();
        let start = self.bytes.len();
        self.add(object, |out| write_value(value, out));
        let Some((known, added)) = self.bytes.split_at_checked(start) else { return };
        let added = added.strip_prefix(b",").unwrap_or(added);
        let known = known.get(known.len() - before..).unwrap_or_default();
        if known.strip_suffix(added).is_some_and(|rest| rest.is_empty() || rest.ends_with(b",")) {
            self.bytes.truncate(start);
            self.end(object);
        }
    }
}
