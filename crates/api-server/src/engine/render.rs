//! From rows straight to JSON bytes, without a tree per object.
//!
//! One query gives the objects; each is written as it comes, leaving a hole where rows of another table belong. One query
//! per such table then gives the rows of all objects at once, and the holes are filled while copying the bytes together.
//! Tables that have no rows for these objects are mostly not asked: the first query says which.

use super::json::{write_number, write_time, write_value};
use super::lists::{Asked, Asking, Reading, Rows};
use super::shape::{Column, Field, Node, Shape};
use super::sql::{Given, Sql};
use crate::registry::Computed;
use access_policy::Condition;
use api_schema::Resource;
use std::ops::Range;
use store::{Raw, Row, Snapshot, StoreError, Value};

/// Objects as JSON.
#[derive(Debug, Default)]
pub struct Rendered {
    /// What the caller wanted in front of them, then the objects' JSON with commas between.
    pub bytes: Vec<u8>,
    /// Where each object is in it.
    pub objects: Vec<Range<usize>>,
    /// The objects' ids.
    pub keys: Vec<String>,
    /// The ids of the objects they belong to, where that was asked for.
    pub owners: Vec<String>,
}

impl Rendered {
    /// One object's JSON.
    pub fn object(&self, index: usize) -> &[u8] {
        self.objects.get(index).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    /// Adds members to each object; `more` has them in the order of the objects.
    pub fn extend(&mut self, more: &[Vec<Computed>]) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 64 * more.len());
        let mut copied = 0;
        for (index, range) in self.objects.iter_mut().enumerate() {
            bytes.extend_from_slice(self.bytes.get(copied..range.start).unwrap_or_default());
            copied = range.end;
            let start = bytes.len();
            bytes.extend_from_slice(self.bytes.get(range.clone()).unwrap_or_default());
            add_members(&mut bytes, more.get(index).map_or(&[], Vec::as_slice));
            *range = start..bytes.len();
        }
        bytes.extend_from_slice(self.bytes.get(copied..).unwrap_or_default());
        self.bytes = bytes;
    }

    /// From here on an object is written.
    fn begin(&mut self) -> usize {
        if !self.objects.is_empty() {
            self.bytes.push(b',');
        }
        self.bytes.len()
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
    /// Each with a comma in front of its key.
    fields: Vec<Field>,
    sources: Vec<Reading>,
    /// For each field the position of its guard in the row.
    guards: Vec<Option<usize>>,
    /// The position of a number in the row, whose bits say of which sources there is anything to be read.
    presence: Option<usize>,
    /// For each source its bit in that; 0 if nothing is said of it.
    bits: Vec<i64>,
    /// The position of the id of the object they belong to.
    owner: Option<usize>,
    /// The statement up to and with FROM, to be completed with WHERE, ORDER BY and LIMIT.
    pub select: Sql,
    /// The same for a single object.
    pub select_one: Sql,
}

/// The order of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In which the database gives them.
    AsRead,
    /// The other way round.
    Reversed,
    /// That of their ids: less work than having the database order all their values.
    ById,
}

impl Fetch {
    /// Objects by themselves.
    pub fn new(shape: Shape) -> Self {
        Self::of(shape, None)
    }

    /// Objects that belong to others, whose ids `owner` holds.
    pub fn of(shape: Shape, owner: Option<&str>) -> Self {
        let mut sql = Sql::new();
        let Shape { resource, mut fields, sources, columns } = shape;
        fields.iter_mut().for_each(|field| field.key.insert(0, ','));
        let sources: Vec<Reading> = sources.into_iter().map(Reading::new).collect();
        let mut list = vec![format!("{}.id", resource.table)];
        list.extend(columns.iter().map(|column| match column {
            Column::Sql(expression) => sql.expression(expression),
            Column::Shared(sharing) => sql.shared(*sharing),
        }));
        let truth = |condition: &str| format!("CASE WHEN {condition} THEN 1 ELSE 0 END");
        let mut guards = Vec::with_capacity(fields.len());
        let mut known: Vec<(&Condition, usize)> = Vec::new();
        for field in &fields {
            guards.push(field.guard.as_ref().map(|guard| {
                if let Some((_, position)) = known.iter().find(|(other, _)| *other == guard) {
                    return *position;
                }
                list.push(truth(&sql.condition(resource, guard)));
                known.push((guard, list.len() - 1));
                list.len() - 1
            }));
        }
        list.extend(owner.map(str::to_owned));
        let owner = owner.map(|_| list.len() - 1);
        let (mut any, mut of_one) = (Vec::new(), Vec::new());
        let mut bits = Vec::with_capacity(sources.len());
        for source in &sources {
            bits.push(source.presence(resource).map_or(0, |(is_any, is_of_one)| {
                let bit = 1 << any.len();
                any.push(format!("CASE WHEN {is_any} THEN {bit} ELSE 0 END"));
                of_one.push(format!("CASE WHEN {is_of_one} THEN {bit} ELSE 0 END"));
                bit
            }));
        }
        let presence = (!any.is_empty()).then_some(list.len());
        let select = |bits: &[String]| {
            let mut sql = sql.clone();
            // A query of its own that depends on no object is answered once for all of them.
            let presence = if bits.is_empty() { String::new() } else { format!(", (SELECT {})", bits.join(" + ")) };
            sql.push(&format!("SELECT {}{presence} FROM {}", list.join(", "), resource.from));
            sql
        };
        let (select, select_one) = (select(&any), select(&of_one));
        Self { resource, fields, sources, guards, presence, bits, owner, select, select_one }
    }

    /// Runs the completed statement. `opening` stands in front of the objects.
    pub fn run(
        &self,
        snapshot: &Snapshot<'_>,
        sql: &Sql,
        given: &Given<'_>,
        order: Order,
        opening: &[u8],
    ) -> Result<Rendered, StoreError> {
        self.run_for(snapshot, sql, given, (&[], order, opening))
    }

    /// Runs it, for the objects that belong to `wanted` where they belong to others.
    pub fn run_for(
        &self,
        snapshot: &Snapshot<'_>,
        sql: &Sql,
        given: &Given<'_>,
        (wanted, order, opening): (&[&str], Order, &[u8]),
    ) -> Result<Rendered, StoreError> {
        let mut page = Rendered { bytes: opening.to_vec(), ..Rendered::default() };
        let mut open = Open::of(&self.sources, &self.bits);
        snapshot.for_each(&sql.text, &sql.values(given, wanted), |row| {
            // All rows of a page say the same.
            if let (Some(presence), true) = (self.presence, page.keys.is_empty()) {
                open.presence = row.get(presence)?;
            }
            let start = page.begin();
            self.write_object(row, &mut page.bytes, page.keys.len(), &mut open)?;
            page.objects.push(start..page.bytes.len());
            page.keys.push(row.text(0)?.into_owned());
            if let Some(owner) = self.owner {
                page.owners.push(row.text(owner)?.into_owned());
            }
            Ok(())
        })?;
        if order == Order::AsRead && open.holes.is_empty() {
            return Ok(page);
        }
        let by_id = by_id(&page.keys);
        let mut lists = Vec::with_capacity(self.sources.len());
        for (source, asked) in self.sources.iter().zip(open.asked) {
            let asked = reordered(&asked, &by_id);
            let asking = Asking { keys: &page.keys, asked: &asked, texts: &open.texts };
            lists.push(if asked.is_empty() { Vec::new() } else { source.read(snapshot, &asking, given)? });
        }
        let objects = match order {
            Order::ById => by_id,
            Order::Reversed => (0..page.keys.len()).rev().collect(),
            Order::AsRead => (0..page.keys.len()).collect(),
        };
        Ok(fill(page, &objects, &open.holes, &lists, opening))
    }

    fn write_object(
        &self,
        row: &Row<'_>,
        out: &mut Vec<u8>,
        object: usize,
        open: &mut Open<'_>,
    ) -> Result<(), StoreError> {
        let start = out.len();
        for (field, guard) in self.fields.iter().zip(&self.guards) {
            if let Some(guard) = guard
                && !row.get::<bool>(*guard)?
            {
                continue;
            }
            out.extend_from_slice(field.key.as_bytes());
            self.write_node(&field.node, row, out, object, open)?;
        }
        // The first comma is none.
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
        Ok(())
    }

    fn write_node(
        &self,
        node: &Node,
        row: &Row<'_>,
        out: &mut Vec<u8>,
        object: usize,
        open: &mut Open<'_>,
    ) -> Result<(), StoreError> {
        // Column 0 is the key.
        match node {
            Node::Text(column) | Node::TextIf(column, _) | Node::Integer(column) => {
                write_value(row.raw(column + 1)?, out)
            }
            Node::IntegerText(column) => match row.raw(column + 1)? {
                Raw::Integer(number) => {
                    out.push(b'"');
                    write_number(number, out);
                    out.push(b'"');
                }
                _ => out.extend_from_slice(b"null"),
            },
            Node::Boolean(column) => match row.raw(column + 1)? {
                Raw::Integer(flag) => out.extend_from_slice(if flag != 0 { b"true" } else { b"false" }),
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
                let mut any = false;
                for source in sources.clone() {
                    any |= open.ask(source, object, row)?;
                }
                if any {
                    open.holes.push(Hole { position: out.len(), object, sources: (sources.clone(), *list) });
                } else {
                    out.extend_from_slice(b"[]");
                }
            }
            Node::If(present, inner) => match row.raw(present + 1)? {
                Raw::Null => out.extend_from_slice(b"null"),
                _ => return self.write_node(inner, row, out, object, open),
            },
            Node::Object(present, members) => {
                if row.raw(present + 1)? == Raw::Null {
                    out.extend_from_slice(b"null");
                    return Ok(());
                }
                out.push(b'{');
                let mut first = true;
                for (key, member) in members {
                    if let Node::TextIf(_, present) = member
                        && row.raw(present + 1)? == Raw::Null
                    {
                        continue;
                    }
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    out.extend_from_slice(key.as_bytes());
                    self.write_node(member, row, out, object, open)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }
}

/// Where the rows of sources belong.
struct Hole {
    position: usize,
    object: usize,
    /// The sources, and which of the lists of each.
    sources: (Range<usize>, usize),
}

/// What is still to be read for the objects of a page.
struct Open<'a> {
    sources: &'a [Reading],
    /// See [`Fetch::bits`].
    bits: &'a [i64],
    /// Which of them are set.
    presence: i64,
    /// Object by object.
    holes: Vec<Hole>,
    /// For each source the objects that want its rows.
    asked: Vec<Vec<Asked>>,
    /// What sources want to know of objects.
    texts: Vec<String>,
}

impl<'a> Open<'a> {
    fn of(sources: &'a [Reading], bits: &'a [i64]) -> Self {
        let asked = sources.iter().map(|_| Vec::new()).collect();
        Self { sources, bits, presence: 0, holes: Vec::new(), asked, texts: Vec::new() }
    }

    /// Notes that the object of this row wants rows of a source; `false` if there are none.
    fn ask(&mut self, source: usize, object: usize, row: &Row<'_>) -> Result<bool, StoreError> {
        if self.bits.get(source).is_some_and(|bit| *bit != 0 && self.presence & bit == 0) {
            return Ok(false);
        }
        let (Some(asked), Some(reading)) = (self.asked.get_mut(source), self.sources.get(source)) else {
            return Ok(false);
        };
        if asked.last().is_some_and(|last| last.object == object) {
            return Ok(true);
        }
        asked.push(Asked { object, texts: self.texts.len() });
        for column in &reading.of_object {
            self.texts.push(match row.value(column + 1)? {
                Value::Text(text) => text.into_owned(),
                _ => String::new(),
            });
        }
        Ok(true)
    }
}

/// The objects in the order of their ids.
fn by_id(keys: &[String]) -> Vec<usize> {
    let mut objects: Vec<(&str, usize)> = keys.iter().map(String::as_str).zip(0..).collect();
    objects.sort_unstable();
    objects.into_iter().map(|(_, object)| object).collect()
}

/// Those that ask, which stand by object, in an order of all objects.
fn reordered(asked: &[Asked], order: &[usize]) -> Vec<Asked> {
    if asked.len() == order.len() {
        return order.iter().filter_map(|object| asked.get(*object).copied()).collect();
    }
    let position = |object: &usize| asked.binary_search_by_key(object, |asked| asked.object).ok();
    order.iter().filter_map(|object| asked.get(position(object)?).copied()).collect()
}

/// The objects in an order, their holes filled.
fn fill(mut page: Rendered, order: &[usize], holes: &[Hole], sources: &[Vec<Rows>], opening: &[u8]) -> Rendered {
    let lists: usize = sources.iter().flatten().map(Rows::size).sum();
    // With the brackets of each hole, and what the caller puts behind.
    let mut bytes = Vec::with_capacity(page.bytes.len() + lists + 2 * holes.len() + 64);
    bytes.extend_from_slice(opening);
    let mut filled = Rendered {
        bytes,
        objects: Vec::with_capacity(page.objects.len()),
        keys: ordered(&mut page.keys, order),
        owners: ordered(&mut page.owners, order),
    };
    for object in order {
        let range = page.objects.get(*object).cloned().unwrap_or_default();
        let start = filled.begin();
        let mut copied = range.start;
        // They were noted object by object.
        let from = holes.partition_point(|hole| hole.object < *object);
        for hole in holes.iter().skip(from).take_while(|hole| hole.object == *object) {
            filled.bytes.extend_from_slice(page.bytes.get(copied..hole.position).unwrap_or_default());
            copied = hole.position;
            filled.bytes.push(b'[');
            let (range, list) = &hole.sources;
            let several = sources.get(range.clone()).unwrap_or_default().iter();
            let rows = several.filter_map(|lists| lists.get(*list)).map(|rows| rows.of(hole.object));
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
