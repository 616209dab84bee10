//! Cuts text in `ovs-ofctl` notation at commas and spaces, minding quotes and parentheses.

/// `key=value`, `key:value` inside actions, or a lone word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub key: &'a str,
    pub value: Option<&'a str>,
}

/// Where `needle` begins, outside quotes.
pub(super) fn find_outside_quotes(text: &str, needle: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            _ if !quoted && text.get(at..).is_some_and(|rest| rest.starts_with(needle)) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Parts between separators that stand outside quotes and parentheses; empty parts are left out.
fn split(text: &str, separator: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    let (mut quoted, mut depth) = (false, 0usize);
    text.split(move |letter| {
        match letter {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        !quoted && depth == 0 && separator(letter)
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

/// `key=value` pairs and words.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    split(text, |letter| letter == ',' || letter.is_whitespace()).map(|part| match part.split_once('=') {
        Some((key, value)) => Token { key: key.trim(), value: Some(value.trim()) },
        None => Token { key: part, value: None },
    })
}

/// Actions, or arguments inside an action's parentheses.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    split(text, |letter| letter == ',')
}

/// `name(arguments)`, the closing parenthesis being the last letter.
pub(super) fn call<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_inside_quotes_and_parentheses_do_not_count() {
        let parts: Vec<_> = list(r#"output:"a,b",ct(commit,exec(a,b)),,x"#).collect();
        assert_eq!(parts, [r#"output:"a,b""#, "ct(commit,exec(a,b))", "x"]);
        let keys: Vec<_> = tokens(r#"table=1, arp,in_port="a b",x"#).map(|token| token.key).collect();
        assert_eq!(keys, ["table", "arp", "in_port", "x"]);
        assert_eq!(find_outside_quotes(r#"in_port="actions=" actions=drop"#, "actions="), Some(19));
        assert_eq!(call("ct(zone=1)", "ct"), Some("zone=1"));
        assert_eq!(call("ct_clear", "ct"), None);
    }
}
