//! Query strings: pairs in order, a name may come several times.

/// The decoded pairs of a query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(pub Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c`; what is not UTF-8 is replaced.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect(),
        )
    }

    /// All values of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a name, as web frameworks take it.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Written again, without those names and with those pairs.
    pub fn with(&self, without: &[&str], more: &[(&str, &str)]) -> String {
        let kept = self.0.iter().filter(|(key, _)| !without.contains(&key.as_str()));
        let pairs = kept.map(|(key, value)| (key.as_str(), value.as_str())).chain(more.iter().copied());
        pairs.map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect::<Vec<_>>().join("&")
    }
}

/// Percent-decodes; a lone `%` stays.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match after {
                [high, low, tail @ ..] => {
                    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
                    match (digit(*high), digit(*low)) {
                        (Some(high), Some(low)) => {
                            decoded.push(high << 4 | low);
                            rest = tail;
                        }
                        _ => decoded.push(byte),
                    }
                }
                _ => decoded.push(byte),
            },
            other => decoded.push(other),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order_and_come_back() {
        let query = Query::parse("id=a&id=b&fixed_ips=ip_address%3D10.0.0.1&name=a+b&x&%zz=%");
        assert_eq!(query.all("id").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(query.last("fixed_ips"), Some("ip_address=10.0.0.1"));
        assert_eq!(query.last("name"), Some("a b"));
        assert_eq!(query.last("x"), Some(""));
        assert_eq!(query.last("%zz"), Some("%"));
        assert_eq!(Query::parse(&query.with(&[], &[])), query);
        assert_eq!(
            query.with(&["id", "x", "%zz", "name"], &[("marker", "m")]),
            "fixed_ips=ip_address%3D10.0.0.1&marker=m"
        );
    }
}
