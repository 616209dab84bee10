//! `/v2.0/network-ip-availabilities`: how many addresses of networks are used, for administrators.

use crate::api::Api;
use crate::auth::Caller;
use crate::error::{ApiError, json_response};
use crate::http::Asked;
use access_policy::Condition;
use api_schema::body;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use network_store::ip_availability::{Availability, Counts, Filter, of_networks};
use serde_json::json;
use std::sync::Arc;

/// The policy rule.
const RULE: &str = "get_network_ip_availability";

fn may(api: &Api, who: &Caller) -> bool {
    api.policy.condition(RULE, &who.credentials) == Condition::Always
}

/// All networks, or those that the filters name.
pub async fn list(api: &Arc<Api>, who: &Caller, asked: &Asked) -> Result<Response, ApiError> {
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchMethod);
    }
    let filter = filter(asked)?;
    // What one may not see is not there.
    let found = match may(api, who) {
        true => api.store.read(move |snapshot| of_networks(snapshot, &filter)).await?,
        false => Vec::new(),
    };
    let fields = fields(asked);
    let shown: Vec<String> = found.iter().map(|network| shown(network, &fields)).collect();
    let body = format!("{{\"network_ip_availabilities\":[{}]}}", shown.join(","));
    Ok(json_response(StatusCode::OK, body.into_bytes()))
}

/// One network.
pub async fn show(api: &Arc<Api>, who: &Caller, asked: &Asked, id: &str) -> Result<Response, ApiError> {
    if asked.method != Method::GET {
        return Err(ApiError::NoSuchMethod);
    }
    let filter = Filter { network_ids: vec![id.to_owned()], ..Filter::default() };
    let found = match may(api, who) {
        true => api.store.read(move |snapshot| of_networks(snapshot, &filter)).await?,
        false => Vec::new(),
    };
    let network = found.first().ok_or_else(|| ApiError::NotFound {
        kind: "NetworkNotFound",
        message: format!("Network {id} could not be found."),
    })?;
    let body = format!("{{\"network_ip_availability\":{}}}", shown(network, &fields(asked)));
    Ok(json_response(StatusCode::OK, body.into_bytes()))
}

fn fields(asked: &Asked) -> Vec<String> {
    asked.query.all("fields").filter(|field| !field.is_empty()).map(str::to_owned).collect()
}

fn filter(asked: &Asked) -> Result<Filter, ApiError> {
    let mut filter = Filter::default();
    let mut unknown = Vec::new();
    for (name, value) in &asked.query.0 {
        match name.as_str() {
            "network_id" => filter.network_ids.push(value.clone()),
            "network_name" => filter.network_names.push(value.clone()),
            "project_id" | "tenant_id" => filter.project_ids.push(value.clone()),
            // What is no number is no version of any subnet.
            "ip_version" => filter.ip_versions.push(value.parse().unwrap_or(-1)),
            "fields" | "limit" | "marker" | "page_reverse" | "sort_key" | "sort_dir" => {}
            _ => unknown.push(name.clone()),
        }
    }
    if unknown.is_empty() { Ok(filter) } else { Err(body::unknown_filters(&unknown).into()) }
}

/// The members are written one by one: IPv6 has more addresses than most JSON numbers can tell.
fn shown(network: &Availability, fields: &[String]) -> String {
    let all: Counts = network.subnets.iter().map(|subnet| subnet.counts).sum();
    let subnets: Vec<String> = network
        .subnets
        .iter()
        .map(|subnet| {
            let version = if subnet.cidr.addr().is_ipv4() { 4 } else { 6 };
            format!(
                "{{\"subnet_id\":{},\"ip_version\":{version},\"cidr\":{},\"subnet_name\":{},\"used_ips\":{},\"total_ips\":{},\
                 \"ip_availability_details\":{}}}",
                json!(subnet.subnet_id),
                json!(subnet.cidr),
                json!(subnet.subnet_name),
                subnet.counts.used,
                subnet.counts.total,
                details(&subnet.counts)
            )
        })
        .collect();
    let members = [
        ("network_id", json!(network.network_id).to_string()),
        ("network_name", json!(network.network_name).to_string()),
        ("tenant_id", json!(network.project_id).to_string()),
        ("project_id", json!(network.project_id).to_string()),
        ("subnet_ip_availability", format!("[{}]", subnets.join(","))),
        ("used_ips", all.used.to_string()),
        ("total_ips", all.total.to_string()),
        ("ip_availability_details", details(&all)),
    ];
    let wanted = |name: &str| fields.is_empty() || fields.iter().any(|field| field == name);
    let members = members.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn details(counts: &Counts) -> String {
    format!(
        "{{\"total_ips_in_subnet\":{},\"total_ips_in_allocation_pool\":{},\"used_ips_in_subnet\":{},\
         \"used_ips_in_allocation_pool\":{}}}",
        counts.total_in_subnet, counts.total_in_pools, counts.used, counts.used_in_pools
    )
}
