//! Paths of the API.

use percent_encoding::percent_decode_str;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `/`
    Versions,
    /// `/v2.0`, `/v2.0/`
    Root,
    /// What is behind `/v2.0/`: `ports`, an id, an action; at least one part.
    Parts(Vec<String>),
    /// Nothing of ours.
    Unknown,
}

impl Path {
    /// Reads a path; `.json` at its end means nothing.
    pub fn parse(path: &str) -> Self {
        let path = path.strip_suffix(".json").unwrap_or(path);
        let mut parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        if parts.is_empty() {
            return Self::Versions;
        }
        if parts.remove(0) != "v2.0" {
            return Self::Unknown;
        }
        if parts.is_empty() { Self::Root } else { Self::Parts(parts) }
    }
}

/// A part as it is meant; what is not UTF-8 is replaced.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        assert_eq!(Path::parse("/"), Path::Versions);
        assert_eq!(Path::parse("/v2.0/"), Path::Root);
        assert_eq!(Path::parse("/v2.0/ports.json"), Path::Parts(vec!["ports".into()]));
        assert_eq!(Path::parse("/v2.0/ports/a%20b+c"), Path::Parts(vec!["ports".into(), "a b+c".into()]));
        assert_eq!(Path::parse("/v3/ports"), Path::Unknown);
    }
}
