//! A resource: everything that the generic engine must know of it.

use crate::attribute::{Attribute, Stored};

/// One declaration.
#[derive(Debug)]
pub struct Resource {
    /// The API's singular, which is the JSON key of one object and the name in policy rules and the change log (`port`).
    pub name: &'static str,
    /// The API's plural: JSON key of a list (`security_groups`). In paths `_` is written `-`.
    pub collection: &'static str,
    /// What Neutron's "not found" is called for it (`PortNotFound`).
    pub not_found: NotFound,
    /// The extension that brings it; `None`: core.
    pub alias: Option<&'static str>,
    /// The table whose rows are the objects; its key is the column `id`.
    pub table: &'static str,
    /// What the attributes' expressions stand on: the table, joined with others where one row of each belongs to an object.
    pub from: &'static str,
    /// Attributes in the order in which they are shown and checked.
    pub attributes: &'static [Attribute],
    /// Objects that this one belongs to, whose owner policy may ask for (`network:project_id`).
    pub parents: &'static [Parent],
    /// Which requests exist.
    pub methods: Methods,
    /// Requests on one object beside show, update and delete (`PUT /v2.0/routers/ID/add_router_interface`).
    pub actions: &'static [Action],
    /// Whether objects count against `quota_<name>`.
    pub quota: bool,
}

/// Error type and message of an object that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFound {
    /// `PortNotFound`.
    pub kind: &'static str,
    /// What stands before the id: "Port ".
    pub before: &'static str,
    /// What stands behind: " could not be found.".
    pub after: &'static str,
}

impl NotFound {
    /// "PortNotFound", "Port " and the ending that nearly all have.
    pub const fn new(kind: &'static str, before: &'static str) -> Self {
        Self { kind, before, after: " could not be found." }
    }

    /// The whole message.
    pub fn message(&self, id: &str) -> String {
        format!("{}{id}{}", self.before, self.after)
    }
}

/// An object that others belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The parent resource's name, as policy writes it (`network`).
    pub name: &'static str,
    /// The attribute that refers to it (`network_id`).
    pub attribute: &'static str,
    /// The column of it.
    pub column: &'static str,
    /// The parent's table.
    pub table: &'static str,
}

/// Which of the ordinary requests exist (list and show always do).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// POST on the collection.
    pub create: bool,
    /// PUT on an object.
    pub update: bool,
    /// DELETE on an object.
    pub delete: bool,
}

impl Methods {
    /// All of them.
    pub const ALL: Self = Self { create: true, update: true, delete: true };
    /// No changes by this API.
    pub const READ: Self = Self { create: false, update: false, delete: false };
}

/// A further request on one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// The last part of the path, which is the policy rule's name too (`add_router_interface`).
    pub name: &'static str,
    /// `PUT` or `GET`.
    pub method: &'static str,
}

impl Resource {
    /// The attribute of this name; `tenant_id` is `project_id`.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        let name = if name == "tenant_id" { "project_id" } else { name };
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The SQL expression of an attribute that is one column.
    pub fn column(&self, name: &str) -> Option<&'static str> {
        match self.attribute(name)?.stored {
            Stored::Text(sql)
            | Stored::Integer(sql)
            | Stored::Boolean(sql)
            | Stored::Time(sql)
            | Stored::AgentTime(sql)
            | Stored::Json(sql) => Some(sql),
            Stored::Children(_) | Stored::Object(_) | Stored::Nested(_) | Stored::Constant(_) | Stored::Nowhere => None,
        }
    }

    /// The parent of this name.
    pub fn parent(&self, name: &str) -> Option<&'static Parent> {
        self.parents.iter().find(|parent| parent.name == name)
    }

    /// The collection as it is written in paths.
    pub fn path(&self) -> String {
        self.collection.replace('_', "-")
    }
}
