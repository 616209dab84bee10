//! Query strings: pairs in order, a name may come several times.

/// The decoded pairs of a query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(pub Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c`; what is not UTF-8 is replaced.
    pub fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
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
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
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
