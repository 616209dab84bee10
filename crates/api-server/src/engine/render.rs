//! From rows straight to JSON bytes, without a tree per object.
//!
//! One query gives the objects; each is written as it comes, leaving a hole where rows of another table belong. One query
//! per such table then gives the rows of all objects at once, and the holes are filled while copying the bytes together.

use super::shape::{Column, Field, Node, Shape, Source};
use super::sql::{Given, Sql};
use crate::registry::Computed;
use api_schema::{Children, Nested, Resource};
use jiff::Timestamp;
use jiff::tz::Offset;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;
use store::{Row, Snapshot, StoreError, Value};

/// Objects as JSON.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The objects' JSON, one after the other.
    pub bytes: Vec<u8>,
    /// Where each object is in it.
    pub objects: Vec<Range<usize>>,
    /// The objects' ids.
    pub keys: Vec<String>,
    /// The ids of the objects they belong to, where that was asked for.
    owners: Vec<String>,
}

impl Rendered {
    /// One object's JSON.
    pub fn object(&self, index: usize) -> &[u8] {
        self.objects.get(index).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    /// Adds members to each object; `more` has them in the order of the objects.
    pub fn extend(&mut self, more: &[Vec<Computed>]) {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for (index, range) in self.objects.iter_mut().enumerate() {
            let start = bytes.len();
            bytes.extend_from_slice(self.bytes.get(range.clone()).unwrap_or_default());
            add_members(&mut bytes, more.get(index).map_or(&[], Vec::as_slice));
            *range = start..bytes.len();
        }
        self.bytes = bytes;
    }

    /// All objects as a JSON list.
    pub fn write_list(&self, out: &mut Vec<u8>) {
        out.reserve(self.bytes.len() + self.objects.len() + 2);
        out.push(b'[');
        for index in 0..self.objects.len() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(self.object(index));
        }
        out.push(b']');
    }
}

/// Adds members to the JSON object that ends here.
pub fn add_members(object: &mut Vec<u8>, members: &[Computed]) {
    if members.is_empty() || object.pop().is_none() {
        return;
    }
    for (name, json) in members {
        if object.last() != Some(&b'{') {
            object.push(b',');
        }
        object.extend_from_slice(format!("\"{name}\":{json}").as_bytes());
    }
    object.push(b'}');
}

/// How objects of one shape are read: made once, used by many requests.
#[derive(Debug)]
pub struct Fetch {
    /// Of which resource.
    pub resource: &'static Resource,
    fields: Vec<Field>,
    sources: Vec<Reading>,
    /// For each field the position of its guard in the row.
    guards: Vec<Option<usize>>,
    /// The position of the id of the object they belong to.
    owner: Option<usize>,
    /// The statement up to and with FROM, to be completed with WHERE, ORDER BY and LIMIT.
    pub select: Sql,
}

impl Fetch {
    /// Objects by themselves.
    pub fn new(shape: Shape) -> Self {
        Self::of(shape, None)
    }

    /// Objects that belong to others, whose ids `owner` holds.
    fn of(shape: Shape, owner: Option<&str>) -> Self {
        let mut sql = Sql::new();
        let mut list = vec![format!("{}.id", shape.resource.table)];
        list.extend(shape.columns.iter().map(|column| match column {
            Column::Sql(expression) => sql.expression(expression),
            Column::Shared(sharing) => sql.shared(*sharing),
        }));
        let mut guards = Vec::with_capacity(shape.fields.len());
        for field in &shape.fields {
            guards.push(field.guard.as_ref().map(|guard| {
                let condition = sql.condition(shape.resource, guard);
                list.push(format!("CASE WHEN {condition} THEN 1 ELSE 0 END"));
                list.len() - 1
            }));
        }
        list.extend(owner.map(str::to_owned));
        let owner = owner.map(|_| list.len() - 1);
        sql.push(&format!("SELECT {} FROM {}", list.join(", "), shape.resource.from));
        let Shape { resource, fields, sources, .. } = shape;
        let sources = sources.into_iter().map(Reading::new).collect();
        Self { resource, fields, sources, guards, owner, select: sql }
    }

    /// Runs the completed statement.
    pub fn run(&self, snapshot: &Snapshot<'_>, sql: &Sql, given: &Given<'_>) -> Result<Rendered, StoreError> {
        self.run_for(snapshot, sql, given, (&[], Order::AsRead))
    }

    /// The same, the objects then ordered by their ids: less work than having the database order all their values.
    pub fn run_by_id(&self, snapshot: &Snapshot<'_>, sql: &Sql, given: &Given<'_>) -> Result<Rendered, StoreError> {
        self.run_for(snapshot, sql, given, (&[], Order::ById))
    }

    /// Runs it, for the objects that belong to `wanted` where they belong to others.
    fn run_for(
        &self,
        snapshot: &Snapshot<'_>,
        sql: &Sql,
        given: &Given<'_>,
        (wanted, order): (&[&str], Order),
    ) -> Result<Rendered, StoreError> {
        let mut page = Rendered::default();
        let mut holes = Vec::new();
        snapshot.for_each(&sql.text, &sql.values(given, wanted), |row| {
            let start = page.bytes.len();
            self.write_object(row, &mut page.bytes, page.keys.len(), &mut holes)?;
            page.objects.push(start..page.bytes.len());
            page.keys.push(row.text(0)?.into_owned());
            if let Some(owner) = self.owner {
                page.owners.push(row.text(owner)?.into_owned());
            }
            Ok(())
        })?;
        let mut order_of_objects: Vec<usize> = (0..page.keys.len()).collect();
        match order {
            Order::ById => order_of_objects.sort_unstable_by_key(|object| page.keys.get(*object)),
            Order::AsRead if holes.is_empty() => return Ok(page),
            Order::AsRead => {}
        }
        let mut sources = Vec::with_capacity(self.sources.len());
        for (position, source) in self.sources.iter().enumerate() {
            // Objects without the member ask for no rows.
            let mut objects: Vec<usize> =
                holes.iter().filter(|hole| hole.sources.0.contains(&position)).map(|hole| hole.object).collect();
            objects.dedup();
            sources.push(Lists::read(snapshot, source, &page.keys, &objects, given)?);
        }
        Ok(fill(page, &order_of_objects, &holes, &sources))
    }

    fn write_object(
        &self,
        row: &Row<'_>,
        out: &mut Vec<u8>,
        index: usize,
        holes: &mut Vec<Hole>,
    ) -> Result<(), StoreError> {
        out.push(b'{');
        let mut first = true;
        for (field, guard) in self.fields.iter().zip(&self.guards) {
            if let Some(guard) = guard
                && !row.get::<bool>(*guard)?
            {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(field.key.as_bytes());
            write_node(&field.node, row, out, index, holes)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// The order of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// In which the database gives them.
    AsRead,
    /// That of their ids.
    ById,
}

/// Where the rows of a source belong.
struct Hole {
    position: usize,
    object: usize,
    /// The sources, and which of the lists of each.
    sources: (Range<usize>, usize),
}

fn write_node(
    node: &Node,
    row: &Row<'_>,
    out: &mut Vec<u8>,
    object: usize,
    holes: &mut Vec<Hole>,
) -> Result<(), StoreError> {
    // Column 0 is the key.
    match node {
        Node::Text(column) | Node::TextIf(column, _) | Node::Integer(column) => {
            write_value(row.value(column + 1)?, out)
        }
        Node::IntegerText(column) => match row.value(column + 1)? {
            Value::Integer(number) => out.extend_from_slice(format!("\"{number}\"").as_bytes()),
            _ => out.extend_from_slice(b"null"),
        },
        Node::Boolean(column) => match row.value(column + 1)? {
            Value::Integer(flag) => out.extend_from_slice(if flag != 0 { b"true" } else { b"false" }),
            _ => out.extend_from_slice(b"null"),
        },
        Node::Time(column) => write_time(row.get(column + 1)?, (b'T', b"Z"), out),
        Node::AgentTime(column) => write_time(row.get(column + 1)?, (b' ', b""), out),
        Node::Json(column) => match row.value(column + 1)? {
            Value::Text(json) => out.extend_from_slice(json.as_bytes()),
            _ => out.extend_from_slice(b"null"),
        },
        Node::Constant(json) => out.extend_from_slice(json.as_bytes()),
        Node::Sources(sources, list) => {
            holes.push(Hole { position: out.len(), object, sources: (sources.clone(), *list) });
        }
        Node::If(present, inner) => match row.value(present + 1)? {
            Value::Null => out.extend_from_slice(b"null"),
            _ => return write_node(inner, row, out, object, holes),
        },
        Node::Object(present, members) => {
            if row.value(present + 1)? == Value::Null {
                out.extend_from_slice(b"null");
                return Ok(());
            }
            out.push(b'{');
            let mut first = true;
            for (key, member) in members {
                if let Node::TextIf(_, present) = member
                    && row.value(present + 1)? == Value::Null
                {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                out.extend_from_slice(key.as_bytes());
                write_node(member, row, out, object, holes)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Date and time in UTC, with what stands between and behind them. By hand: a list of ports has two thousand of them.
fn write_time(time: Option<Timestamp>, (between, behind): (u8, &[u8]), out: &mut Vec<u8>) {
    let Some(time) = time else {
        out.extend_from_slice(b"null");
        return;
    };
    let at = Offset::UTC.to_datetime(time);
    let two = |number: i8| [b'0' + number.unsigned_abs() / 10, b'0' + number.unsigned_abs() % 10];
    out.push(b'"');
    out.extend_from_slice(format!("{:04}", at.year()).as_bytes());
    for (before, number) in
        [(b'-', at.month()), (b'-', at.day()), (between, at.hour()), (b':', at.minute()), (b':', at.second())]
    {
        out.push(before);
        out.extend_from_slice(&two(number));
    }
    out.extend_from_slice(behind);
    out.push(b'"');
}

fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_text(&text, out),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Real(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Null | Value::Blob(_) => out.extend_from_slice(b"null"),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // Nearly everything that we store needs no escape. Without an early end, so that many bytes are looked at at once.
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    if !text.bytes().fold(false, |found, byte| found | special(byte)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::String(text.to_owned()).to_string().as_bytes());
    }
}

/// The objects in an order, their holes filled.
fn fill(mut page: Rendered, order: &[usize], holes: &[Hole], sources: &[Vec<Lists>]) -> Rendered {
    let extra: usize = sources.iter().flatten().map(|lists| lists.bytes.len() + 2 * page.keys.len()).sum();
    let mut filled = Rendered {
        bytes: Vec::with_capacity(page.bytes.len() + extra),
        objects: Vec::with_capacity(page.objects.len()),
        keys: ordered(&mut page.keys, order),
        owners: ordered(&mut page.owners, order),
    };
    for object in order {
        let range = page.objects.get(*object).cloned().unwrap_or_default();
        let start = filled.bytes.len();
        let mut copied = range.start;
        // They were noted object by object.
        let from = holes.partition_point(|hole| hole.object < *object);
        for hole in holes.iter().skip(from).take_while(|hole| hole.object == *object) {
            filled.bytes.extend_from_slice(page.bytes.get(copied..hole.position).unwrap_or_default());
            copied = hole.position;
            filled.bytes.push(b'[');
            let (range, list) = &hole.sources;
            let several = sources.get(range.clone()).unwrap_or_default().iter();
            let rows = several.filter_map(|lists| lists.get(*list)).map(|lists| lists.of(hole.object));
            for (position, rows) in rows.filter(|rows| !rows.is_empty()).enumerate() {
                if position > 0 {
                    filled.bytes.push(b',');
                }
                filled.bytes.extend_from_slice(rows);
            }
            filled.bytes.push(b']');
        }
        filled.bytes.extend_from_slice(page.bytes.get(copied..range.end).unwrap_or_default());
        filled.objects.push(start..filled.bytes.len());
    }
    filled
}

/// The texts in an order; none if there are none.
fn ordered(texts: &mut [String], order: &[usize]) -> Vec<String> {
    order.iter().filter_map(|object| texts.get_mut(*object).map(std::mem::take)).collect()
}

/// The rows of one source for every object of a page: JSON without the brackets.
struct Lists {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

/// So many ids are asked for with one statement; fewer are filled up by repeating one, so that few texts get prepared.
const SIZES: [usize; 3] = [1, 16, 256];

/// How a source is read.
#[derive(Debug)]
struct Reading {
    what: What,
    /// For each of [`SIZES`].
    statements: [OnceLock<Sql>; SIZES.len()],
}

#[derive(Debug)]
enum What {
    /// Rows of lists.
    Rows(Vec<Children>),
    /// Objects.
    Objects(Nested, Box<Fetch>),
}

impl Reading {
    fn new(source: Source) -> Self {
        let what = match source {
            Source::Rows(lists) => What::Rows(lists),
            Source::Nested(nested, shape) => What::Objects(nested, Box::new(Fetch::of(*shape, Some(nested.owner)))),
        };
        Self { what, statements: Default::default() }
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
            Self::Rows(lists) => {
                let mut sql = Sql::new();
                let Some(Children { table, owner, order, .. }) = lists.first() else { return sql };
                let fields = lists.iter().flat_map(|list| list.fields);
                let columns: Vec<String> = fields.map(|(_, column)| sql.expression(column)).collect();
                let condition = sql.is_wanted(owner, size);
                let columns = columns.join(", ");
                sql.push(&format!(
                    "SELECT {owner}, {columns} FROM {table} WHERE {condition} ORDER BY {owner}, {order}"
                ));
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

impl Lists {
    fn of(&self, object: usize) -> &[u8] {
        self.ranges.get(object).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    /// The lists of one source, of these objects of a page.
    fn read(
        snapshot: &Snapshot<'_>,
        source: &Reading,
        keys: &[String],
        objects: &[usize],
        given: &Given<'_>,
    ) -> Result<Vec<Self>, StoreError> {
        let ids: Vec<&str> = objects.iter().filter_map(|object| keys.get(*object)).map(String::as_str).collect();
        let index: HashMap<&str, usize> = ids.iter().zip(objects).map(|(id, object)| (*id, *object)).collect();
        let count = if let What::Rows(lists) = &source.what { lists.len() } else { 1 };
        let mut lists: Vec<Self> =
            (0..count).map(|_| Self { bytes: Vec::new(), ranges: vec![0..0; keys.len()] }).collect();
        let most = SIZES.iter().copied().max().unwrap_or(1);
        for chunk in ids.chunks(most) {
            let Some(sql) = source.statement(chunk.len()) else { continue };
            match &source.what {
                What::Rows(children) => {
                    read_rows(snapshot, children, &index, (sql, &sql.values(given, chunk)), &mut lists)?;
                }
                What::Objects(_, fetch) => {
                    let rendered = fetch.run_for(snapshot, sql, given, (chunk, Order::AsRead))?;
                    for (position, owner) in rendered.owners.iter().enumerate() {
                        for list in &mut lists {
                            list.append(&index, owner, rendered.object(position));
                        }
                    }
                }
            }
        }
        Ok(lists)
    }

    /// Rows of one object come one after the other.
    fn append(&mut self, index: &HashMap<&str, usize>, owner: &str, json: &[u8]) {
        let Some(range) = index.get(owner).and_then(|index| self.ranges.get_mut(*index)) else { return };
        if range.start == range.end {
            *range = self.bytes.len()..self.bytes.len();
        } else {
            // The same bare value twice (two agents in one zone) is shown once.
            if self.bytes.get(range.clone()).is_some_and(|known| known.ends_with(json) && !json.starts_with(b"{")) {
                return;
            }
            self.bytes.push(b',');
        }
        self.bytes.extend_from_slice(json);
        range.end = self.bytes.len();
    }
}

/// Lists made of the same rows, read with one query.
fn read_rows(
    snapshot: &Snapshot<'_>,
    lists: &[Children],
    index: &HashMap<&str, usize>,
    (sql, values): (&Sql, &[Value<'_>]),
    read: &mut [Lists],
) -> Result<(), StoreError> {
    let mut member = Vec::new();
    snapshot.for_each(&sql.text, values, |row| {
        let key = row.text(0)?;
        let mut column = 1;
        for (list, read) in lists.iter().zip(read.iter_mut()) {
            let first = column;
            column += list.fields.len();
            member.clear();
            match list.fields {
                [("", _)] => match row.value(first)? {
                    Value::Null => continue,
                    value => write_value(value, &mut member),
                },
                fields => {
                    for (position, (key, _)) in fields.iter().enumerate() {
                        member.extend_from_slice(if position == 0 { b"{" } else { b"," });
                        write_text(key, &mut member);
                        member.push(b':');
                        write_value(row.value(first + position)?, &mut member);
                    }
                    member.push(b'}');
                }
            }
            read.append(index, &key, &member);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::write_time;

    #[test]
    fn instants_are_written_to_the_second() {
        let written = |text: &str, form: (u8, &[u8])| {
            let mut out = Vec::new();
            write_time(Some(text.parse().unwrap()), form, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("2026-11-21T09:08:07.999999Z", (b'T', b"Z")), "\"2026-11-21T09:08:07Z\"");
        assert_eq!(written("1970-01-01T00:00:00Z", (b' ', b"")), "\"1970-01-01 00:00:00\"");
        assert_eq!(written("0123-12-31T23:59:59Z", (b'T', b"Z")), "\"0123-12-31T23:59:59Z\"");
    }
}
