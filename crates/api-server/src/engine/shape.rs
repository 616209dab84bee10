//! What of a resource a caller gets to see, as a plan for reading rows and writing JSON: the same for all callers of one
//! standing.

use access_policy::{Condition, Credentials, Policy};
use api_schema::{Attribute, Children, Derived, Nested, Resource, Sharing, Stored, Visible, body, resources};
use std::ops::Range;

/// The plan of one object's JSON.
#[derive(Debug)]
pub struct Shape {
    /// Of which resource.
    pub resource: &'static Resource,
    /// The members, in order.
    pub fields: Vec<Field>,
    /// What [`Node`]s refer to by position.
    pub columns: Vec<Column>,
    /// What is read by further queries, referred to by position.
    pub sources: Vec<Source>,
}

/// One value that the database gives for each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// An SQL expression.
    Sql(&'static str),
    /// Whether the object is shared with the caller.
    Shared(Sharing),
}

/// One member.
#[derive(Debug)]
pub struct Field {
    /// `"name":`, ready to be written.
    pub key: String,
    /// Whether this caller may see it depends on the object.
    pub guard: Option<Condition>,
    /// Its value.
    pub node: Node,
}

/// Where a value comes from and how it is written; numbers are positions in [`Shape::columns`] or [`Shape::sources`].
#[derive(Debug)]
pub enum Node {
    /// String or null.
    Text(usize),
    /// String or null, or no such member while the second column is NULL.
    TextIf(usize, usize),
    /// Number or null.
    Integer(usize),
    /// Number as a string, or null.
    IntegerText(usize),
    /// Boolean or null.
    Boolean(usize),
    /// Instant or null.
    Time(usize),
    /// The same in the form of agents.
    AgentTime(usize),
    /// JSON that is stored as such.
    Json(usize),
    /// Written here already.
    Constant(String),
    /// From [`Shape::sources`], and which of the lists that are read there: all of these in one list.
    Sources(Range<usize>, usize),
    /// As the inner one, or null while the column is NULL.
    If(usize, Box<Node>),
    /// An object, or null while the column is NULL.
    Object(usize, Vec<(String, Node)>),
}

/// Rows of other tables.
#[derive(Debug)]
pub enum Source {
    /// Rows, shown as one list or several: all of the same table, owner and order.
    Rows(Vec<RowList>),
    /// Objects of another resource.
    Nested(Nested, Box<Shape>),
}

/// A list made of rows.
#[derive(Debug)]
pub struct RowList {
    /// The rows.
    pub rows: Children,
    /// Members that are worked out, and the columns of the object for that.
    pub derived: Option<(&'static Derived, Vec<usize>)>,
}

impl Shape {
    /// What the caller may see of an object in a list; of that, only `fields` if any are named.
    pub fn visible(resource: &'static Resource, policy: &Policy, who: &Credentials, fields: &[String]) -> Self {
        Self::seen(resource, policy, who, fields, (Visible::Always, false))
    }

    /// What the caller may see of an object that was asked for alone.
    pub fn alone(resource: &'static Resource, policy: &Policy, who: &Credentials, fields: &[String]) -> Self {
        Self::seen(resource, policy, who, fields, (Visible::Alone, false))
    }

    /// What the caller sees of an object that it has just made.
    pub fn made(resource: &'static Resource, policy: &Policy, who: &Credentials) -> Self {
        Self::seen(resource, policy, who, &[], (Visible::Alone, true))
    }

    /// `how`: where it is shown, and whether in the answer to a POST.
    fn seen(
        resource: &'static Resource,
        policy: &Policy,
        who: &Credentials,
        fields: &[String],
        (how, is_new): (Visible, bool),
    ) -> Self {
        let whole = policy.condition(&format!("get_{}", resource.rule()), who);
        let nested = |part: &'static Resource| Self::seen(part, policy, who, &[], (Visible::Nested, is_new));
        Self::build(resource, &nested, &mut |attribute, key| {
            let with = match attribute.visible {
                Visible::With(other) if !is_new => {
                    Some(Condition::Equals { key: other.to_owned(), value: "True".to_owned() })
                }
                _ => None,
            };
            let here = match attribute.visible {
                Visible::Always | Visible::With(_) => true,
                Visible::NestedWhenNew => is_new && how == Visible::Nested,
                other => other == how,
            };
            if !here || (!fields.is_empty() && !fields.iter().any(|field| field == key)) {
                return None;
            }
            match policy.condition_or_always(&format!("get_{}:{}", resource.rule(), attribute.name), who) {
                Condition::Never => None,
                Condition::Always => Some(with),
                // Whoever sees the object meets this.
                same if same == whole => Some(with),
                other => Some(Some(match with {
                    Some(with) => Condition::All(vec![with, other]),
                    None => other,
                })),
            }
        })
    }

    /// The same with more of each object: named values that only this list shows. `fields` are those that are asked for.
    pub fn with(mut self, also: &'static [(&'static str, Stored)], fields: &[String]) -> Self {
        for (name, stored) in also {
            if (fields.is_empty() || fields.iter().any(|field| field == name))
                && let Some(node) = self.node(*stored, &Self::everything)
            {
                self.fields.push(Field { key: format!("\"{name}\":"), guard: None, node });
            }
        }
        self
    }

    /// Everything there is, hidden or not: what policy looks at.
    pub fn everything(resource: &'static Resource) -> Self {
        Self::build(resource, &Self::everything, &mut |_, key| (key != "tenant_id").then_some(None))
    }

    fn build(
        resource: &'static Resource,
        nested: &dyn Fn(&'static Resource) -> Self,
        select: &mut dyn FnMut(&'static Attribute, &str) -> Option<Option<Condition>>,
    ) -> Self {
        let mut shape = Self { resource, fields: Vec::new(), columns: Vec::new(), sources: Vec::new() };
        for attribute in resource.attributes {
            let names: &[&str] =
                if attribute.name == "project_id" { &["tenant_id", "project_id"] } else { &[attribute.name] };
            for name in names {
                if let Some(guard) = select(attribute, name)
                    && let Some(node) = shape.node(attribute.stored, nested)
                {
                    shape.fields.push(Field { key: format!("\"{name}\":"), guard, node });
                }
            }
        }
        shape
    }

    fn column(&mut self, sql: &'static str) -> usize {
        self.value(Column::Sql(sql))
    }

    fn value(&mut self, column: Column) -> usize {
        match self.columns.iter().position(|known| *known == column) {
            Some(position) => position,
            None => {
                self.columns.push(column);
                self.columns.len() - 1
            }
        }
    }

    fn source(&mut self, source: Source) -> Node {
        self.sources.push(source);
        Node::Sources(self.sources.len() - 1..self.sources.len(), 0)
    }

    /// Lists made of the same rows are read together.
    fn rows(&mut self, list: RowList) -> Node {
        for (position, source) in self.sources.iter_mut().enumerate() {
            if let Source::Rows(lists) = source
                && lists.first().is_some_and(|RowList { rows, .. }| {
                    (rows.table, rows.owner, rows.order) == (list.rows.table, list.rows.owner, list.rows.order)
                })
            {
                lists.push(list);
                return Node::Sources(position..position + 1, lists.len() - 1);
            }
        }
        self.source(Source::Rows(vec![list]))
    }

    fn node(&mut self, stored: Stored, nested: &dyn Fn(&'static Resource) -> Self) -> Option<Node> {
        Some(match stored {
            Stored::Text(sql) => Node::Text(self.column(sql)),
            Stored::TextIf(sql, present) => Node::TextIf(self.column(sql), self.column(present)),
            Stored::Integer(sql) => Node::Integer(self.column(sql)),
            Stored::IntegerText(sql) => Node::IntegerText(self.column(sql)),
            Stored::Boolean(sql) => Node::Boolean(self.column(sql)),
            Stored::Time(sql) => Node::Time(self.column(sql)),
            Stored::AgentTime(sql) => Node::AgentTime(self.column(sql)),
            Stored::Json(sql) => Node::Json(self.column(sql)),
            Stored::Shared(sharing) => Node::Boolean(self.value(Column::Shared(sharing))),
            Stored::Constant(literal) => Node::Constant(body::literal(literal).to_string()),
            Stored::Children(rows) => self.rows(RowList { rows, derived: None }),
            Stored::ChildrenIf(present, rows) => {
                let present = self.column(present);
                Node::If(present, Box::new(self.rows(RowList { rows, derived: None })))
            }
            Stored::Derived(derived) => {
                let of_object = derived.of_object.iter().map(|sql| self.column(sql)).collect();
                self.rows(RowList { rows: derived.rows, derived: Some((derived, of_object)) })
            }
            Stored::Nested(what) => {
                let resource = resources::find(what.resource)?;
                self.source(Source::Nested(what, Box::new(nested(resource))))
            }
            Stored::NestedEach(several) => {
                let first = self.sources.len();
                for what in several {
                    self.sources.push(Source::Nested(*what, Box::new(nested(resources::find(what.resource)?))));
                }
                Node::Sources(first..self.sources.len(), 0)
            }
            Stored::Object(object) => {
                let present = self.column(object.present);
                let members = object
                    .members
                    .iter()
                    .filter_map(|(name, stored)| Some((format!("\"{name}\":"), self.node(*stored, nested)?)));
                Node::Object(present, members.collect())
            }
            Stored::Computed(_) | Stored::Nowhere => return None,
        })
    }
}
