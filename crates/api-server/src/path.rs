//! Paths of the API.

use crate::query::decode;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `/`
    Versions,
    /// `/v2.0`, `/v2.0/`
    Root,
    /// `/v2.0/ports`
    Collection(String),
    /// `/v2.0/ports/ID`
    Item(String, String),
    /// `/v2.0/routers/ID/add_router_interface`
    Member(String, String, String),
    /// `/v2.0/networks/ID/tags/red`
    Deep(Vec<String>),
    /// Nothing of ours.
    Unknown,
}

impl Path {
    /// Reads a path; `.json` at its end means nothing.
    pub fn parse(path: &str) -> Self {
        let path = path.strip_suffix(".json").unwrap_or(path);
        let mut parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(|part| decode(&part.replace('+', "%2B"))).collect();
        if parts.is_empty() {
            return Self::Versions;
        }
        if parts.remove(0) != "v2.0" {
            return Self::Unknown;
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (None, ..) => Self::Root,
            (Some(collection), None, ..) => Self::Collection(collection),
            (Some(collection), Some(id), None, _) => Self::Item(collection, id),
            (Some(collection), Some(id), Some(member), None) => Self::Member(collection, id, member),
            (Some(a), Some(b), Some(c), Some(d)) => Self::Deep([a, b, c, d].into_iter().chain(parts).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        assert_eq!(Path::parse("/"), Path::Versions);
        assert_eq!(Path::parse("/v2.0/"), Path::Root);
        assert_eq!(Path::parse("/v2.0/ports.json"), Path::Collection("ports".into()));
        assert_eq!(Path::parse("/v2.0/ports/a%20b+c"), Path::Item("ports".into(), "a b+c".into()));
        assert_eq!(Path::parse("/v3/ports"), Path::Unknown);
    }
}
