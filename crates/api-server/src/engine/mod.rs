//! The generic engine: list, show, create, update, delete and actions over any declaration.
//!
//! Policy comes in as a condition ([`access_policy::Condition`]): of lists and look-ups it becomes part of the WHERE, so
//! that what a caller may not see is not there; of changes it is held against the object as it will be.

mod before_list;
mod change;
mod json;
mod listing;
mod lists;
mod outcome;
mod place;
mod plan;
mod render;
mod shape;
mod sql;
pub mod tags;
mod target;

pub use before_list::{lacks, make_before_list};
pub use change::Change;
pub use listing::Listing;
pub use outcome::Outcome;
pub use place::Place;
pub use plan::Plans;
pub use tags::TagChange;

use crate::api::Api;
use crate::error::ApiError;
use crate::query::Query;
use crate::registry::{Computed, ComputedRule, LookRule, Relation};
use access_policy::Credentials;
use api_schema::{Resource, Stored};
use jiff::{SignedDuration, Timestamp};
use place::is_visible;
use plan::{Plan, Shown};
use render::{Order, Rendered, add_members};
use serde_json::json;
use sql::{Given, Sql};
use store::{Snapshot, StoreError, Value};
use target::ObjectTarget;

/// What statements leave open and this request fills in; without the object that its path names.
fn given<'a>(api: &'a Api, who: &'a Credentials) -> Given<'a> {
    let down = SignedDuration::from_secs(api.network.agent_down_time.into());
    let alive_since = Timestamp::now().checked_sub(down).unwrap_or(Timestamp::UNIX_EPOCH);
    Given { alive_since, who, dot_domain: &api.dot_domain, related_to: None, key: "", parent: "" }
}

/// `{"ports": [...], "ports_links": [...]}`.
///
/// `url` is the address that the client asked, without the query; links point there.
pub fn list(
    api: &Api,
    snapshot: &Snapshot<'_>,
    place: &Place,
    who: &Credentials,
    query: &Query,
    url: &str,
) -> Result<Vec<u8>, ApiError> {
    place.check_parent(api, snapshot, who)?;
    let parent = place.parent().map(|(_, id)| id).unwrap_or_default();
    let given = Given { parent: &parent, ..given(api, who) };
    let among = |sql: &mut Sql| Place::condition(place.resource(), sql);
    let listed =
        Listed { resource: place.resource(), also: &[], computed: place.rules.computed, given: &given, among: &among };
    listed.read(api, snapshot, query, url)
}

/// The objects that another object has to do with.
pub fn related(
    api: &Api,
    snapshot: &Snapshot<'_>,
    relation: &Relation,
    who: &Credentials,
    id: &str,
    query: &Query,
    url: &str,
) -> Result<Vec<u8>, ApiError> {
    if !is_visible(api, snapshot, relation.of, who, id)? {
        return Err(ApiError::not_found(relation.of, id));
    }
    // These rules are about the agents, not about any object's owner.
    if api.policy.condition(relation.policy, who) != access_policy::Condition::Always {
        return Err(ApiError::Forbidden(format!("rule:{}", relation.policy)));
    }
    let id = canonical(id);
    let given = Given { related_to: Some(&id), ..given(api, who) };
    let among = |sql: &mut Sql| sql.expression(relation.condition);
    let (resource, also) = (relation.resource, relation.also);
    Listed { resource, also, computed: None, given: &given, among: &among }.read(api, snapshot, query, url)
}

/// The objects that a list is made from, and what it shows of each.
struct Listed<'a> {
    resource: &'static Resource,
    /// Beside the resource's own attributes.
    also: &'static [(&'static str, Stored)],
    computed: Option<ComputedRule>,
    given: &'a Given<'a>,
    /// The SQL condition that says which objects it has, before any filter.
    among: &'a dyn Fn(&mut Sql) -> String,
}

impl Listed<'_> {
    fn read(&self, api: &Api, snapshot: &Snapshot<'_>, query: &Query, url: &str) -> Result<Vec<u8>, ApiError> {
        let Self { resource, given, .. } = *self;
        let listing = Listing::parse(resource, query, api.config.pagination_max_limit)?;
        let plan = api.plans.of(resource, Shown::Listed(self.also), &listing.fields, (api, given.who));
        let mut sql = plan.listed(api, given.who).clone();
        let select = plan.fetch.select.text.len();
        let among = (self.among)(&mut sql);
        sql.push(&format!(" AND {among}"));
        listing.write_filters(resource, &mut sql)?;
        let order = listing.order(resource);
        if let Some(marker) = &listing.marker {
            after_marker(snapshot, resource, &order, listing.reverse, marker, given, &mut sql)?;
        }
        if !listing.is_whole_by_id() {
            listing.write_order(resource, &order, select, &mut sql);
        }
        let order = match &listing {
            listing if listing.is_whole_by_id() => Order::ById,
            Listing { reverse: true, .. } => Order::Reversed,
            _ => Order::AsRead,
        };
        let opening = format!("{{\"{}\":[", resource.collection);
        let mut page = plan.fetch.run(snapshot, &sql, given, order, opening.as_bytes())?;
        if let Some(computed) = self.computed {
            page.extend(&compute(computed, snapshot, &page.keys, query, &listing.fields)?);
        }
        Ok(write_page(resource, &listing, query, url, page))
    }
}

/// The computed members of objects; of these, only `fields` if any are named.
fn compute(
    computed: ComputedRule,
    snapshot: &Snapshot<'_>,
    ids: &[String],
    query: &Query,
    fields: &[String],
) -> Result<Vec<Vec<Computed>>, StoreError> {
    let mut members = computed(snapshot, ids, query)?;
    for object in members.iter_mut().filter(|_| !fields.is_empty()) {
        object.retain(|(name, _)| fields.iter().any(|field| field == name));
    }
    Ok(members)
}

/// The objects are there: what stands behind them.
fn write_page(resource: &Resource, listing: &Listing, query: &Query, url: &str, mut page: Rendered) -> Vec<u8> {
    let links = links(listing, query, url, &page);
    page.bytes.push(b']');
    if !links.is_empty() {
        let links = serde_json::Value::Array(links);
        page.bytes.extend_from_slice(format!(",\"{}_links\":{links}", resource.collection).as_bytes());
    }
    page.bytes.push(b'}');
    page.bytes
}

/// A short page has nothing after it in the direction of the reading.
fn links(listing: &Listing, query: &Query, url: &str, page: &Rendered) -> Vec<serde_json::Value> {
    let mut links = Vec::new();
    if listing.limit == 0 {
        return links;
    }
    let short = page.objects.len() < listing.limit;
    let href = |marker: Option<&String>, reverse: bool| {
        let mut more: Vec<(&str, &str)> = marker.map(|id| ("marker", id.as_str())).into_iter().collect();
        if reverse {
            more.push(("page_reverse", "True"));
        }
        format!("{url}?{}", query.with(&["marker", "page_reverse"], &more))
    };
    if !short || listing.reverse {
        links.push(json!({"rel": "next", "href": href(page.keys.last(), false)}));
    }
    if !short || !listing.reverse {
        links.push(json!({"rel": "previous", "href": href(page.keys.first(), true)}));
    }
    links
}

/// Only what comes after the marker in the order: (a, b, id) > the marker's.
fn after_marker(
    snapshot: &Snapshot<'_>,
    resource: &Resource,
    order: &[(String, bool)],
    reverse: bool,
    marker: &str,
    given: &Given<'_>,
    sql: &mut Sql,
) -> Result<(), ApiError> {
    let mut look = Sql::new();
    let id = look.bind(marker.to_owned());
    let columns: Vec<String> = order.iter().map(|(column, _)| look.expression(column)).collect();
    let columns = columns.join(", ");
    look.push(&format!("SELECT {columns} FROM {} WHERE {}.id = {id}", resource.from, resource.table));
    let values = snapshot.query_opt(&look.text, &look.values(given, &[]), |row| {
        (0..order.len()).map(|index| row.get::<Value<'static>>(index)).collect::<Result<Vec<_>, _>>()
    })?;
    let values = values.ok_or_else(|| ApiError::not_found(resource, marker))?;
    let mut alternatives = Vec::new();
    let mut equal: Vec<String> = Vec::new();
    for ((column, rises), value) in order.iter().zip(values) {
        let column = sql.expression(column);
        let placeholder = sql.bind(value);
        let mut condition = equal.clone();
        condition.push(format!("{column} {} {placeholder}", if *rises == reverse { "<" } else { ">" }));
        alternatives.push(condition.join(" AND "));
        equal.push(format!("{column} = {placeholder}"));
    }
    sql.push(&format!(" AND (({}))", alternatives.join(") OR (")));
    Ok(())
}

/// `{"port": {...}}`, or that it is not there for this caller.
pub fn show(
    api: &Api,
    snapshot: &Snapshot<'_>,
    place: &Place,
    who: &Credentials,
    id: &str,
    query: &Query,
) -> Result<Vec<u8>, ApiError> {
    let fields: Vec<String> = query.all("fields").filter(|field| !field.is_empty()).map(str::to_owned).collect();
    let plan = api.plans.of(place.resource(), Shown::Alone, &fields, (api, who));
    let (id, mut object) = place.look(api, snapshot, who, &plan, id)?;
    if let Some(rule) = place.resource().show_rule
        && api.policy.condition(rule, who) != access_policy::Condition::Always
    {
        return Err(ApiError::Forbidden(format!("rule:{rule}")));
    }
    if let Some(computed) = place.rules.computed {
        let members = compute(computed, snapshot, &[id], query, &fields)?;
        add_members(&mut object, members.first().map_or(&[], Vec::as_slice));
    }
    Ok(wrapped(place.resource(), &object))
}

/// The answer of a GET action on an object that the caller may see.
pub fn look(
    api: &Api,
    snapshot: &Snapshot<'_>,
    place: &Place,
    who: &Credentials,
    id: &str,
    (name, look): (&str, LookRule),
) -> Result<Vec<u8>, ApiError> {
    let (id, object) = place.object(api, snapshot, who, id)?;
    let target = ObjectTarget { resource: place.resource(), values: &object, snapshot, given: &given(api, who) };
    if !api.policy.condition(name, who).holds(&target) {
        return Err(ApiError::Forbidden(format!("rule:{name}")));
    }
    Ok(look(snapshot, &api.network, id)?.to_string().into_bytes())
}

fn wrapped(resource: &Resource, object: &[u8]) -> Vec<u8> {
    let mut out = format!("{{\"{}\":", resource.key()).into_bytes();
    out.extend_from_slice(object);
    out.push(b'}');
    out
}

/// The first object that a statement of a plan finds: its id and its JSON.
fn one(
    snapshot: &Snapshot<'_>,
    plan: &Plan,
    sql: &Sql,
    given: &Given<'_>,
) -> Result<Option<(String, Vec<u8>)>, ApiError> {
    let mut rendered = plan.fetch.run(snapshot, sql, given, Order::AsRead, b"")?;
    let json = (!rendered.objects.is_empty()).then(|| rendered.object(0).to_vec());
    Ok(json.map(|json| (rendered.keys.swap_remove(0), json)))
}

/// Ids are kept in one form; what is no id is left as it is and found nowhere.
fn canonical(id: &str) -> String {
    uuid::Uuid::parse_str(id).map_or_else(|_| id.to_owned(), |id| id.hyphenated().to_string())
}

#[cfg(test)]
mod tests;
