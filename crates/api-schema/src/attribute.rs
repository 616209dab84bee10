//! One attribute of a resource: what it takes, who may write it, where it is kept.
//!
//! Attributes are built by constant functions, so that a declaration reads as a table and costs nothing at run time.

use crate::kind::{JsonType, Kind};
use std::borrow::Cow;

/// What a POST without the attribute means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Post {
    /// The attribute may not be in a POST.
    Refused,
    /// The attribute must be in a POST.
    Required,
    /// Absent means this constant; giving the constant counts as not giving the attribute when policy looks.
    Default(Literal),
    /// Absent is told apart from every value: the rules decide (Neutron's `ATTR_NOT_SPECIFIED`).
    Unset,
}

/// A constant default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Literal {
    /// JSON null.
    Null,
    /// true or false.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A string.
    Text(&'static str),
    /// `[]`.
    EmptyList,
    /// `{}`.
    EmptyObject,
}

/// Where an attribute is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// Wherever the object is.
    Always,
    /// Only where the object is shown inside another ([`Stored::Nested`]).
    Nested,
    /// Only where the object is asked for alone, not in lists.
    Alone,
    /// Only of objects of which this attribute, a boolean, is true, and of each in the answer to its POST.
    With(&'static str),
    /// Only where the object is shown inside another in the answer to that one's POST.
    NestedWhenNew,
    /// Nowhere.
    Never,
}

/// What JSON null in a body means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// It is checked like any other value, which refuses it.
    Refused,
    /// It is a value of its own.
    Kept,
    /// It stands for the empty list or object.
    Empty,
}

/// Where an attribute's value comes from when an object is shown. Every `&str` is an SQL expression over
/// [`crate::Resource::from`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stored {
    /// A text, or NULL.
    Text(&'static str),
    /// A text, left out while the second expression is NULL: only for members of an [`Object`].
    TextIf(&'static str, &'static str),
    /// A number, or NULL.
    Integer(&'static str),
    /// A number, or NULL, shown as a string of digits.
    IntegerText(&'static str),
    /// 0 or 1, or NULL.
    Boolean(&'static str),
    /// Microseconds since 1970, shown as `2026-11-21T10:00:00Z`.
    Time(&'static str),
    /// Like [`Stored::Time`], shown as agents show it: `2026-11-21 10:00:00`.
    AgentTime(&'static str),
    /// Text that is JSON already and goes out as it is.
    Json(&'static str),
    /// Rows of another table that belong to the object.
    Children(Children),
    /// Rows of another table, shown as a list while the expression is not NULL, and as null otherwise.
    ChildrenIf(&'static str, Children),
    /// Rows of another table that belong to the object, with members worked out of them here.
    Derived(&'static Derived),
    /// A JSON object of its own (`external_gateway_info`).
    Object(Object),
    /// Objects of another resource that belong to this one, each shown as that resource shows it (the rules of a security
    /// group).
    Nested(Nested),
    /// Whether the object is shared with the caller's project, which depends on who asks.
    Shared(Sharing),
    /// Objects of several resources in one list, one resource after the other (the rules of a QoS policy).
    NestedEach(&'static [Nested]),
    /// The same for every object.
    Constant(Literal),
    /// Of this type, given by the resource's own rule for all objects of a page at once (`Rules::computed` of `api-server`).
    Computed(JsonType),
    /// Not shown: only a request has it. To filter a list by it is understood and changes nothing.
    Nowhere,
}

/// How entries of `/v2.0/rbac-policies` let projects use an object that is not theirs. Who sees the object follows from it:
/// its owner, and every project that an entry names (or all of them, by `*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// SQL: the id of the object that entries name. Mostly the object itself; of a subnet its network.
    pub object: &'static str,
    /// The actions of entries that make it visible. The attribute is true by `access_as_shared` alone.
    pub actions: &'static [&'static str],
}

/// Rows of a table that belong to an object, shown as a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Children {
    /// Table, or tables joined.
    pub table: &'static str,
    /// The column that holds the object's id.
    pub owner: &'static str,
    /// JSON key and column of each member; with one field and the key `""` the list is of bare strings.
    pub fields: &'static [(&'static str, &'static str)],
    /// The column that orders the list.
    pub order: &'static str,
}

/// A list of objects of which some members are worked out from a row and from the object that it belongs to: in place of a
/// database that would do so slowly, and of a join with the object, which is read anyway.
#[derive(Debug, PartialEq)]
pub struct Derived {
    /// The rows, and the members that are columns. These come first.
    pub rows: Children,
    /// SQL expressions over the object's `from` that are texts, never NULL.
    pub of_object: &'static [&'static str],
    /// The further members.
    pub members: Members,
}

/// Works out members of a row.
#[derive(Clone, Copy)]
pub struct Members(pub fn(Known<'_>, &mut AddMember<'_>));

/// What members are worked out from: texts, empty where there is none.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The row's columns, in the order of [`Children::fields`].
    pub row: &'a [Cow<'a, str>],
    /// What [`Derived::of_object`] is.
    pub object: &'a [String],
}

/// Is told each member's name and text.
pub type AddMember<'a> = dyn FnMut(&'static str, &str) + 'a;

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Members")
    }
}

/// A JSON object made of columns and rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// An SQL expression; while it is NULL the attribute is null.
    pub present: &'static str,
    /// JSON key of each member, and where its value comes from. Rows ([`Stored::Children`]) belong to the object that the
    /// attribute is of.
    pub members: &'static [(&'static str, Stored)],
}

/// Objects of another resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nested {
    /// The other resource's name (`security_group_rule`).
    pub resource: &'static str,
    /// The expression, over the other resource's `from`, that holds this object's id.
    pub owner: &'static str,
    /// The expression that orders the list.
    pub order: &'static str,
}

/// One attribute; see [`Attribute::new`].
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// The API's name (`binding:host_id`).
    pub name: &'static str,
    /// What values it takes, and how they are written.
    pub kind: Kind,
    /// What null means.
    pub null: Null,
    /// What a POST may do.
    pub post: Post,
    /// Whether a PUT may change it.
    pub put: bool,
    /// Where it is shown (policy may still hide it).
    pub visible: Visible,
    /// Whether lists can be filtered by it.
    pub filter: bool,
    /// Whether filters compare without case, as those of a Neutron on MySQL do.
    pub any_case: bool,
    /// Whether lists can be sorted by it.
    pub sort: bool,
    /// Whether setting it asks policy for `<action>_<resource>:<attribute>`.
    pub policy: bool,
    /// The extension that brings it; `None`: it belongs to the resource itself.
    pub alias: Option<&'static str>,
    /// Where it is kept.
    pub stored: Stored,
}

impl Attribute {
    /// A visible attribute that no request may write; the functions below add what it can do.
    pub const fn new(name: &'static str, kind: Kind, stored: Stored) -> Self {
        Self {
            name,
            kind,
            null: Null::Refused,
            post: Post::Refused,
            put: false,
            visible: Visible::Always,
            filter: false,
            any_case: false,
            sort: false,
            policy: false,
            alias: None,
            stored,
        }
    }

    /// Must be in a POST.
    pub const fn required(mut self) -> Self {
        self.post = Post::Required;
        self
    }

    /// May be in a POST; absent means `literal`.
    pub const fn default(mut self, literal: Literal) -> Self {
        self.post = Post::Default(literal);
        self
    }

    /// May be in a POST; absent is told apart.
    pub const fn optional(mut self) -> Self {
        self.post = Post::Unset;
        self
    }

    /// May be in a PUT.
    pub const fn put(mut self) -> Self {
        self.put = true;
        self
    }

    /// Null is a value of its own.
    pub const fn nullable(mut self) -> Self {
        self.null = Null::Kept;
        self
    }

    /// Null stands for the empty list or object.
    pub const fn null_is_empty(mut self) -> Self {
        self.null = Null::Empty;
        self
    }

    /// Lists can be filtered by it.
    pub const fn filter(mut self) -> Self {
        self.filter = true;
        self
    }

    /// Filters compare without case: clients have come to rely on it.
    pub const fn any_case(mut self) -> Self {
        self.any_case = true;
        self
    }

    /// Lists can be filtered and sorted by it.
    pub const fn sort(mut self) -> Self {
        self.filter = true;
        self.sort = true;
        self
    }

    /// Setting it asks policy.
    pub const fn policy(mut self) -> Self {
        self.policy = true;
        self
    }

    /// It is never shown.
    pub const fn hidden(mut self) -> Self {
        self.visible = Visible::Never;
        self
    }

    /// It is only shown where the object is shown inside another.
    pub const fn nested(mut self) -> Self {
        self.visible = Visible::Nested;
        self
    }

    /// It is only shown where the object is asked for alone.
    pub const fn alone(mut self) -> Self {
        self.visible = Visible::Alone;
        self
    }

    /// It is only shown where the object is shown inside another that has just been made.
    pub const fn nested_when_new(mut self) -> Self {
        self.visible = Visible::NestedWhenNew;
        self
    }

    /// It is only shown of objects of which `attribute`, a boolean, is true, and of new ones.
    pub const fn with(mut self, attribute: &'static str) -> Self {
        self.visible = Visible::With(attribute);
        self
    }

    /// It comes with an extension.
    pub const fn from_extension(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }
}
