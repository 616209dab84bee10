//! What a list asks for: filters, order, page.

use super::sql::Sql;
use crate::error::ApiError;
use crate::query::Query;
use api_schema::{Attribute, Children, Resource, SchemaError, Sharing, Stored, body, python_display};
use jiff::Timestamp;
use store::Value;

/// A list's query string, checked against the declaration.
#[derive(Debug)]
pub struct Listing {
    /// Members to show; none: all.
    pub fields: Vec<String>,
    filters: Vec<Filter>,
    /// Attribute and whether it rises.
    sort: Vec<(&'static Attribute, bool)>,
    /// 0: no pages.
    pub limit: usize,
    /// The last object that the client has seen.
    pub marker: Option<String>,
    /// Towards the beginning.
    pub reverse: bool,
}

#[derive(Debug)]
enum Filter {
    /// The attribute has one of these values.
    Values(&'static Attribute, Vec<String>),
    /// Which tags the object has: all or any of them, or not.
    Tags { all: bool, not: bool, tags: Vec<String> },
    /// Changed at or after.
    ChangedSince(Timestamp),
}

/// Query parameters that are not filters.
const CONTROL: &[&str] = &["fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"];

/// Most tags in the filters of one list.
const MOST_TAGS: usize = 200;
/// Most parameters of one query string.
const MOST_PARAMETERS: usize = 500;

impl Listing {
    /// Reads and checks a query string.
    pub fn parse(resource: &'static Resource, query: &Query, most: i64) -> Result<Self, ApiError> {
        let fields = query.all("fields").filter(|field| !field.is_empty()).map(str::to_owned).collect();
        let limit = limit(query, most)?;
        Ok(Self {
            fields,
            filters: filters(resource, query)?,
            sort: sort(resource, query)?,
            limit,
            marker: query.last("marker").filter(|marker| limit > 0 && !marker.is_empty()).map(str::to_owned),
            reverse: query.last("page_reverse").is_some_and(|flag| flag.eq_ignore_ascii_case("true")),
        })
    }

    /// Adds `AND ...` for every filter.
    pub fn write_filters(&self, resource: &Resource, sql: &mut Sql) -> Result<(), ApiError> {
        for filter in &self.filters {
            let condition = match filter {
                Filter::Values(attribute, values) => match attribute.stored {
                    Stored::Children(children) => children_filter(resource, attribute, &children, values, sql)?,
                    Stored::Derived(derived) => children_filter(resource, attribute, &derived.rows, values, sql)?,
                    Stored::Shared(sharing) => shared_filter(attribute, sharing, values, sql)?,
                    Stored::Constant(literal) => {
                        let shown = body::literal(literal);
                        let fits = values
                            .iter()
                            .any(|value| body::filter_value(attribute, value).is_ok_and(|value| value == shown));
                        (if fits { "1 = 1" } else { "1 = 0" }).to_owned()
                    }
                    Stored::Computed(_) | Stored::Nowhere => continue,
                    _ => column_filter(resource, attribute, values, sql)?,
                },
                Filter::Tags { all, not, tags } => tags_filter(resource, *all, *not, tags, sql),
                Filter::ChangedSince(time) => {
                    let column = resource.column("updated_at").unwrap_or("NULL");
                    format!("{column} >= {}", sql.bind(*time))
                }
            };
            sql.push(&format!(" AND {condition}"));
        }
        Ok(())
    }

    /// Whether everything is asked for, in the order that nobody asked for: by id.
    pub fn is_whole_by_id(&self) -> bool {
        self.sort.is_empty() && self.limit == 0 && !self.reverse
    }

    /// Has the database order the list, and give one page of it. `select` is how long the statement is up to its conditions.
    ///
    /// What is ordered are ids: to carry all values of all objects through the sorting would cost more than to look up the few
    /// of a page again.
    pub fn write_order(&self, resource: &Resource, order: &[(String, bool)], select: usize, sql: &mut Sql) {
        let mut directions = Vec::with_capacity(order.len());
        for (column, rises) in order {
            let column = sql.expression(column);
            directions.push(format!("{column} {}", if *rises == self.reverse { "DESC" } else { "ASC" }));
        }
        let order_by = format!(" ORDER BY {}", directions.join(", "));
        if self.limit == 0 {
            sql.push(&order_by);
            return;
        }
        let limit = sql.bind(self.limit);
        let page = format!("{order_by} LIMIT {limit}");
        // Joined tables may have several rows of an id.
        if resource.from == resource.table && sql.text.is_char_boundary(select) {
            let conditions = sql.text.split_off(select);
            let table = resource.table;
            sql.push(&format!(" WHERE {table}.id IN (SELECT {table}.id FROM {table}{conditions}{page}){order_by}"));
        } else {
            sql.push(&page);
        }
    }

    /// The expressions (as declarations have them) that order the list, the id last, and whether each rises.
    pub fn order(&self, resource: &Resource) -> Vec<(String, bool)> {
        let mut order: Vec<(String, bool)> = Vec::new();
        for (attribute, rises) in &self.sort {
            if let Some(column) = resource.column(attribute.name) {
                // NULL sorts first everywhere, and can be compared with.
                let least = if matches!(attribute.stored, Stored::Text(_) | Stored::Json(_)) { "''" } else { "-1" };
                order.push((format!("COALESCE({column}, {least})"), *rises));
            }
        }
        if !self.sort.iter().any(|(attribute, _)| attribute.name == "id") {
            order.push((format!("{}.id", resource.table), true));
        }
        order
    }
}

fn limit(query: &Query, most: i64) -> Result<usize, ApiError> {
    let given = query.last("limit").unwrap_or("0");
    let limit: i64 = given.trim().parse().ok().filter(|limit| *limit >= 0).ok_or_else(|| {
        ApiError::Schema(SchemaError::Named {
            kind: "BadRequest",
            message: format!("Bad limit request: Limit must be an integer 0 or greater and not '{given}'."),
        })
    })?;
    let limit = match most {
        most if most > 0 && (limit == 0 || limit > most) => most,
        _ => limit,
    };
    Ok(usize::try_from(limit).unwrap_or(usize::MAX).min(i32::MAX as usize))
}

fn filters(resource: &'static Resource, query: &Query) -> Result<Vec<Filter>, ApiError> {
    let mut filters: Vec<Filter> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    let tagged = resource.is_tagged();
    for (name, value) in &query.0 {
        if CONTROL.contains(&name.as_str()) {
            continue;
        }
        let tags = || value.split(',').map(str::to_owned).collect();
        match name.as_str() {
            "tags" if tagged => filters.push(Filter::Tags { all: true, not: false, tags: tags() }),
            "tags-any" if tagged => filters.push(Filter::Tags { all: false, not: false, tags: tags() }),
            "not-tags" if tagged => filters.push(Filter::Tags { all: true, not: true, tags: tags() }),
            "not-tags-any" if tagged => filters.push(Filter::Tags { all: false, not: true, tags: tags() }),
            "changed_since" if resource.attribute("updated_at").is_some() => {
                filters.push(Filter::ChangedSince(instant(value)?));
            }
            _ => match resource.attribute(name).filter(|attribute| attribute.filter) {
                Some(attribute) => {
                    let known = filters.iter_mut().find_map(|filter| match filter {
                        Filter::Values(other, values) if other.name == attribute.name => Some(values),
                        _ => None,
                    });
                    match known {
                        Some(values) => values.push(value.clone()),
                        None => filters.push(Filter::Values(attribute, vec![value.clone()])),
                    }
                }
                None if unknown.contains(name) => {}
                None => unknown.push(name.clone()),
            },
        }
    }
    // Each tag is a condition of its own, and databases limit how many one statement may have.
    let tags: usize = filters.iter().map(|f| if let Filter::Tags { tags, .. } = f { tags.len() } else { 0 }).sum();
    if tags > MOST_TAGS || query.0.len() > MOST_PARAMETERS {
        return Err(ApiError::bad("Too many filters"));
    }
    if unknown.is_empty() { Ok(filters) } else { Err(body::unknown_filters(&unknown).into()) }
}

fn instant(text: &str) -> Result<Timestamp, ApiError> {
    let utc = |text: &str| text.parse::<Timestamp>().or_else(|_| format!("{text}Z").parse());
    utc(text).map_err(|_| {
        ApiError::Schema(SchemaError::InvalidInput(format!(
            "The input changed_since must be in the following format: YYYY-MM-DDTHH:MM:SS[Z], got '{text}'"
        )))
    })
}

fn sort(resource: &'static Resource, query: &Query) -> Result<Vec<(&'static Attribute, bool)>, ApiError> {
    let keys: Vec<&str> = query.all("sort_key").filter(|key| !key.is_empty()).collect();
    let directions: Vec<&str> = query.all("sort_dir").filter(|direction| !direction.is_empty()).collect();
    if keys.len() != directions.len() {
        return Err(ApiError::bad("The number of sort_keys and sort_dirs must be same"));
    }
    let listed = |names: Vec<&str>| python_display(&names.into());
    let sortable = |key: &str| {
        resource.attribute(key).filter(|attribute| attribute.sort && resource.column(attribute.name).is_some())
    };
    let wrong: Vec<&str> = keys.iter().copied().filter(|key| sortable(key).is_none()).collect();
    if !wrong.is_empty() {
        return Err(ApiError::bad(format!("{} is invalid attribute for sort_keys", listed(wrong))));
    }
    let wrong: Vec<&str> = directions.iter().copied().filter(|d| !matches!(*d, "asc" | "desc")).collect();
    if !wrong.is_empty() {
        return Err(ApiError::bad(format!(
            "{} is invalid value for sort_dirs, valid value is 'asc' and 'desc'",
            listed(wrong)
        )));
    }
    let mut sort: Vec<(&'static Attribute, bool)> = Vec::new();
    for (key, direction) in keys.into_iter().zip(directions) {
        // A key that comes again cannot order any further.
        if let Some(attribute) = sortable(key).filter(|a| !sort.iter().any(|(known, _)| known.name == a.name)) {
            sort.push((attribute, direction == "asc"));
        }
    }
    Ok(sort)
}

fn column_filter(
    resource: &Resource,
    attribute: &'static Attribute,
    values: &[String],
    sql: &mut Sql,
) -> Result<String, ApiError> {
    let Some(column) = resource.column(attribute.name) else { return Ok("1 = 0".to_owned()) };
    let column = sql.expression(column);
    let mut wanted = Vec::with_capacity(values.len());
    for value in values {
        wanted.push(match attribute.stored {
            Stored::Time(_) | Stored::AgentTime(_) => instant(value).map_or(Value::Null, Value::from),
            _ => match body::filter_value(attribute, value)? {
                serde_json::Value::Bool(flag) => flag.into(),
                serde_json::Value::Number(number) => number.as_i64().map_or(Value::Null, Value::from),
                serde_json::Value::String(text) if attribute.any_case => text.to_lowercase().into(),
                serde_json::Value::String(text) => text.into(),
                _ => Value::Null,
            },
        });
    }
    let column = if attribute.any_case { format!("lower({column})") } else { column.to_string() };
    Ok(sql.is_one_of(&column, wanted))
}

fn shared_filter(
    attribute: &'static Attribute,
    sharing: Sharing,
    values: &[String],
    sql: &mut Sql,
) -> Result<String, ApiError> {
    let mut ways = Vec::with_capacity(values.len());
    for value in values {
        let wanted = body::filter_value(attribute, value)? == true;
        ways.push(sql.is_shared(sharing, wanted));
    }
    Ok(format!("({})", ways.join(" OR ")))
}

/// `fixed_ips=ip_address=10.0.0.1&fixed_ips=subnet_id=...`, or `security_groups=ID`: objects with such a row.
fn children_filter(
    resource: &Resource,
    attribute: &Attribute,
    children: &Children,
    values: &[String],
    sql: &mut Sql,
) -> Result<String, ApiError> {
    let mut conditions = Vec::new();
    if let [("", column)] = children.fields {
        conditions.push(sql.is_one_of(column, values.iter().map(|value| value.clone().into())));
    } else {
        let mut pairs = Vec::with_capacity(values.len());
        for value in values {
            let pair = value.split_once('=').map(|(key, wanted)| (key.trim(), wanted.trim()));
            pairs.push(pair.filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
                ApiError::Schema(SchemaError::InvalidInput(format!("'{value}' is not of the form <key>=[value]")))
            })?);
        }
        for (name, column) in children.fields {
            let wanted: Vec<Value<'static>> =
                pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.to_string().into()).collect();
            if !wanted.is_empty() {
                conditions.push(sql.is_one_of(column, wanted));
            }
            let part = format!("{name}_substr");
            for (_, value) in pairs.iter().filter(|(key, _)| *key == part) {
                let escaped = value.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                conditions.push(format!("{column} LIKE {} ESCAPE '\\'", sql.bind(format!("%{escaped}%"))));
            }
        }
        let known = |key: &str| {
            children.fields.iter().any(|(name, _)| key == *name || key.strip_suffix("_substr") == Some(name))
        };
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !known(key)) {
            return Err(ApiError::bad(format!("'{key}' is not a filter of {}", attribute.name)));
        }
    }
    Ok(format!(
        "{}.id IN (SELECT {} FROM {} WHERE {})",
        resource.table,
        children.owner,
        children.table,
        conditions.join(" AND ")
    ))
}

fn tags_filter(resource: &Resource, all: bool, not: bool, tags: &[String], sql: &mut Sql) -> String {
    let id = format!("{}.id", resource.table);
    let with = |condition: String| format!("{id} IN (SELECT object_id FROM tags WHERE {condition})");
    let condition = if all {
        let each: Vec<String> = tags.iter().map(|tag| with(sql.is_one_of("tag", [Value::from(tag.clone())]))).collect();
        format!("({})", each.join(" AND "))
    } else {
        with(sql.is_one_of("tag", tags.iter().map(|tag| Value::from(tag.clone()))))
    };
    if not { format!("NOT {condition}") } else { condition }
}
