//! Whether the token of a restricted application credential may make a request. Pure.
//!
//! Paths are compared whole: `{tag}` and `*` stand for one or more characters other than `/`, `**` for any characters.

use crate::AccessRule;

/// Whether one of the rules is for this request to the service.
#[must_use]
pub fn allow(rules: &[AccessRule], service: &str, method: &str, path: &str) -> bool {
    rules.iter().any(|rule| rule.service == service && rule.method == method && matches(&pieces(&rule.path), path))
}

enum Piece {
    Literal(char),
    Segment,
    Anything,
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let (piece, length) = match first {
            '*' if rest.starts_with("**") => (Piece::Anything, 2),
            '*' => (Piece::Segment, 1),
            '{' if let Some(end) = rest.find('}') => (Piece::Segment, end + 1),
            other => (Piece::Literal(other), other.len_utf8()),
        };
        pieces.push(piece);
        rest = rest.get(length..).unwrap_or_default();
    }
    pieces
}

/// Keeps, for each place in the pattern, whether the path read so far can end there: no path takes longer than its length
/// times the pattern's.
fn matches(pieces: &[Piece], path: &str) -> bool {
    // reached[i]: the first i pieces have matched; a Segment counts as matched from its first character on.
    let mut reached = vec![false; pieces.len() + 1];
    reached[0] = true;
    skip_anything(pieces, &mut reached);
    for c in path.chars() {
        let mut next = vec![false; pieces.len() + 1];
        for (i, piece) in pieces.iter().enumerate() {
            let here = reached.get(i).copied().unwrap_or(false);
            let longer = reached.get(i + 1).copied().unwrap_or(false);
            let matched = match piece {
                Piece::Literal(literal) => here && *literal == c,
                Piece::Segment => (here || longer) && c != '/',
                Piece::Anything => here || reached.get(i + 1).copied().unwrap_or(false),
            };
            if matched && let Some(slot) = next.get_mut(i + 1) {
                *slot = true;
            }
        }
        skip_anything(pieces, &mut next);
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

/// `**` may stand for nothing.
fn skip_anything(pieces: &[Piece], reached: &mut [bool]) {
    for (i, piece) in pieces.iter().enumerate() {
        if matches!(piece, Piece::Anything)
            && reached.get(i) == Some(&true)
            && let Some(slot) = reached.get_mut(i + 1)
        {
            *slot = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        let rule = AccessRule { service: "network".into(), method: "GET".into(), path: pattern.into() };
        allow(&[rule], "network", "GET", path)
    }

    #[test]
    fn a_plain_path_is_itself_and_nothing_else() {
        assert!(fits("/v2.0/networks", "/v2.0/networks"));
        for other in ["/v2.0/network", "/v2.0/networks/1", "/v2.0/networks/", "/v2x0/networks", ""] {
            assert!(!fits("/v2.0/networks", other), "{other}");
        }
    }

    #[test]
    fn a_star_or_tag_is_one_segment_of_at_least_one_character() {
        for pattern in ["/v2.0/ports/*", "/v2.0/ports/{port_id}"] {
            assert!(fits(pattern, "/v2.0/ports/1"));
            assert!(fits(pattern, "/v2.0/ports/abc"));
            assert!(!fits(pattern, "/v2.0/ports/"));
            assert!(!fits(pattern, "/v2.0/ports/1/tags"));
        }
        assert!(fits("/v2.0/{c}/{i}/tags", "/v2.0/ports/abc/tags"));
        assert!(!fits("/v2.0/{c}/{i}/tags", "/v2.0/ports//tags"));
        assert!(fits("/*c", "/abc"));
        assert!(!fits("/*c", "/c"));
        assert!(fits("/**", "/") && fits("/*{x}", "/ab") && !fits("/*{x}", "/a"));
    }

    #[test]
    fn two_stars_are_anything() {
        for path in ["/v2.0/", "/v2.0/ports", "/v2.0/ports/1/tags/x"] {
            assert!(fits("/v2.0/**", path), "{path}");
        }
        assert!(fits("**", "") && fits("/a/**/z", "/a/b/c/z") && !fits("/a/**/z", "/a/b/c"));
    }

    #[test]
    fn service_and_method_must_be_those_of_the_rule() {
        let rule = AccessRule { service: "compute".into(), method: "GET".into(), path: "**".into() };
        assert!(!allow(&[rule], "network", "GET", "/v2.0/networks"));
        let rule = AccessRule { service: "network".into(), method: "GET".into(), path: "**".into() };
        assert!(!allow(std::slice::from_ref(&rule), "network", "POST", "/v2.0/networks"));
        assert!(!allow(&[], "network", "GET", "/"));
        assert!(allow(&[rule], "network", "GET", "/"));
    }
}
