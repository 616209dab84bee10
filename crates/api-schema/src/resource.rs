//! A resource: everything that the generic engine must know of it.

use crate::attribute::{Attribute, Sharing, Stored};

/// One declaration.
#[derive(Debug)]
pub struct Resource {
    /// What it is called among all resources, in quotas and in the change log (`port`, `qos_policy`).
    pub name: &'static str,
    /// The JSON key of one object where it is not the name (`policy`).
    pub key: &'static str,
    /// The name in policy rules where it is not the key (`floatingip_port_forwarding`).
    pub rule: &'static str,
    /// The API's plural: JSON key of a list (`security_groups`).
    pub collection: &'static str,
    /// The collection in paths, where that is not its name with `-` for `_` (`service_profiles`): as Neutron's clients write it.
    pub segment: &'static str,
    /// What stands before the collection in paths: Neutron's `path_prefix` (`qos`).
    pub prefix: &'static str,
    /// The object in whose path this one stands (`/v2.0/floatingips/ID/port_forwardings`).
    pub inside: Option<Parent>,
    /// The attribute that an object's path names it by; a text that is unique, or unique inside its parent (`host`).
    pub path_key: &'static str,
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
    /// Whether the collection itself can be asked for; where it cannot, objects are known from elsewhere.
    pub listed: bool,
    /// A policy rule that the caller must meet besides to see one alone.
    pub show_rule: Option<&'static str>,
}

/// Error type and message of an object that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFound {
    /// `PortNotFound`.
    pub kind: &'static str,
    /// What stands before the id: "Port "; with `{parent}` as below.
    pub before: &'static str,
    /// What stands behind: " could not be found."; `{parent}` in it is the id of the object in whose path it stands.
    pub after: &'static str,
}

impl NotFound {
    /// "PortNotFound", "Port " and the ending that nearly all have.
    pub const fn new(kind: &'static str, before: &'static str) -> Self {
        Self { kind, before, after: " could not be found." }
    }

    /// The whole message; `parent` is the id of the object in whose path it stands.
    pub fn message(&self, id: &str, parent: Option<&str>) -> String {
        let filled = |text: &str| text.replace("{parent}", parent.unwrap_or_default());
        format!("{}{id}{}", filled(self.before), filled(self.after))
    }
}

/// An object that others belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The parent resource's name, as policy writes it (`network`).
    pub name: &'static str,
    /// The attribute that refers to it (`network_id`). Of objects in the parent's path no attribute of that name has to be
    /// declared: the rules get it beside the attributes of a creation.
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
    /// What a declaration need not say: `..Resource::BASE`.
    pub const BASE: Self = Self {
        name: "",
        key: "",
        rule: "",
        collection: "",
        segment: "",
        prefix: "",
        inside: None,
        path_key: "id",
        not_found: NotFound::new("", ""),
        alias: None,
        table: "",
        from: "",
        attributes: &[],
        parents: &[],
        methods: Methods::READ,
        actions: &[],
        quota: false,
        listed: true,
        show_rule: None,
    };

    /// The JSON key of one object.
    pub const fn key(&self) -> &'static str {
        if self.key.is_empty() { self.name } else { self.key }
    }

    /// The name in policy rules.
    pub const fn rule(&self) -> &'static str {
        if self.rule.is_empty() { self.key() } else { self.rule }
    }

    /// The SQL expression of what an object's path names it by.
    pub fn path_column(&self) -> String {
        match self.path_key {
            "id" => format!("{}.id", self.table),
            key => self.column(key).unwrap_or("NULL").to_owned(),
        }
    }

    /// The attribute of this name; `tenant_id` is `project_id`.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        let name = if name == "tenant_id" { "project_id" } else { name };
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The SQL expression of an attribute that is one column.
    pub fn column(&self, name: &str) -> Option<&'static str> {
        match self.attribute(name)?.stored {
            Stored::Text(sql)
            | Stored::TextIf(sql, _)
            | Stored::Integer(sql)
            | Stored::IntegerText(sql)
            | Stored::Boolean(sql)
            | Stored::Time(sql)
            | Stored::AgentTime(sql)
            | Stored::Json(sql) => Some(sql),
            Stored::Children(_)
            | Stored::ChildrenIf(..)
            | Stored::Derived(_)
            | Stored::Object(_)
            | Stored::Nested(_)
            | Stored::NestedEach(_)
            | Stored::Shared(_)
            | Stored::Constant(_)
            | Stored::Computed(_)
            | Stored::Nowhere => None,
        }
    }

    /// Whether its objects have tags, with requests of their own.
    pub fn is_tagged(&self) -> bool {
        self.attribute("tags").is_some_and(|tags| matches!(tags.stored, Stored::Children(_)))
    }

    /// How its objects come to be used by projects that do not own them; `None`: not at all.
    pub fn sharing(&self) -> Option<Sharing> {
        self.attributes.iter().find_map(|attribute| match attribute.stored {
            Stored::Shared(sharing) => Some(sharing),
            _ => None,
        })
    }

    /// The parent of this name; `ext_parent` is the one in whose path it stands, or else the first.
    pub fn parent(&self, name: &str) -> Option<&Parent> {
        self.all_parents().find(|parent| name == parent.name || name == "ext_parent")
    }

    /// All that it belongs to, the one in whose path it stands first.
    pub fn all_parents(&self) -> impl Iterator<Item = &Parent> {
        self.inside.iter().chain(self.parents)
    }

    /// The collection's part of a path: with `-`, but with `_` below an object, as Neutron writes most of them.
    pub fn segment(&self) -> String {
        match (self.segment, &self.inside) {
            ("", Some(_)) => self.collection.to_owned(),
            ("", None) => self.collection.replace('_', "-"),
            (segment, _) => segment.to_owned(),
        }
    }

    /// The collection's path behind `/v2.0/`; the id of the object that it is inside stands in braces
    /// (`floatingips/{floatingip_id}/port_forwardings`).
    pub fn path(&self) -> String {
        let parent = self.inside.as_ref().and_then(|inside| Some((inside, crate::resources::find(inside.name)?)));
        match parent {
            Some((inside, parent)) => format!("{}/{{{}}}/{}", parent.path(), inside.attribute, self.segment()),
            None if self.prefix.is_empty() => self.segment(),
            None => format!("{}/{}", self.prefix, self.segment()),
        }
    }
}
