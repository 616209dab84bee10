//! oslo.policy's rule language: `(rule:admin_only) or (role:member and project_id:%(project_id)s)`.

/// A rule as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `@`, or nothing at all.
    Always,
    /// `!`
    Never,
    /// `role:member`
    Role(String),
    /// `service_roles:service`
    ServiceRole(String),
    /// `rule:admin_only`
    Reference(String),
    /// `project_id:%(network:project_id)s`: something of the caller equals something of the target.
    Matches {
        /// The caller's side.
        caller: String,
        /// The target's key.
        target: String,
    },
    /// `user_id:abc`: something of the caller is a constant.
    Constant {
        /// The caller's side.
        caller: String,
        /// The constant.
        value: String,
    },
    /// `True:%(shared)s` or `'compute:nova':%(device_owner)s`: something of the target is a constant.
    Literal {
        /// The constant, as Python shows it.
        value: String,
        /// The target's key.
        target: String,
    },
    /// `field:networks:shared=True`: something of the target is a constant.
    Field {
        /// The collection whose field is meant.
        collection: String,
        /// The field.
        field: String,
        /// What it must be; `~network:` and `~^network:` mean a beginning.
        expected: String,
    },
    /// All hold.
    And(Vec<Rule>),
    /// One holds.
    Or(Vec<Rule>),
    /// It does not hold.
    Not(Box<Rule>),
}

/// A rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text ends where something is missing.
    #[error("rule '{0}' ends too early")]
    Incomplete(String),
    /// A word stands where none belongs, or a parenthesis has no partner.
    #[error("rule '{rule}': '{word}' is out of place")]
    Unexpected {
        /// The whole text.
        rule: String,
        /// The word.
        word: String,
    },
    /// A check is not of the form `kind:match`, or uses what we do not know: regular expressions beyond a fixed beginning,
    /// roles that the target names, questions to other servers (`http:`).
    #[error("rule '{rule}': cannot read the check '{check}'")]
    Check {
        /// The whole text.
        rule: String,
        /// The check.
        check: String,
    },
}

/// How deep parentheses may nest: rules come from files, and reading is recursive.
const DEPTH: usize = 64;

impl std::str::FromStr for Rule {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let words = words(text);
        if words.is_empty() {
            return Ok(Self::Always);
        }
        let mut reader = Reader { text, words: &words, position: 0, depth: 0 };
        let rule = reader.any()?;
        match reader.peek() {
            None => Ok(rule),
            Some(word) => Err(reader.unexpected(word)),
        }
    }
}

/// Splits at spaces and parentheses, but keeps those that belong to a check: `%(key)s`.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for piece in text.split_whitespace() {
        let mut rest = piece;
        while let Some(inner) = rest.strip_prefix('(') {
            words.push(&rest[..1]);
            rest = inner;
        }
        let opened = rest.matches('(').count();
        let closed = rest.matches(')').count();
        let mut closing = closed.saturating_sub(opened);
        let mut kept = rest;
        while closing > 0 && kept.ends_with(')') {
            kept = &kept[..kept.len() - 1];
            closing -= 1;
        }
        if !kept.is_empty() {
            words.push(kept);
        }
        for position in kept.len()..rest.len() {
            words.push(&rest[position..=position]);
        }
    }
    words
}

struct Reader<'a> {
    text: &'a str,
    words: &'a [&'a str],
    position: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.position).copied()
    }

    fn unexpected(&self, word: &str) -> PolicyError {
        PolicyError::Unexpected { rule: self.text.to_owned(), word: word.to_owned() }
    }

    fn accept(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        self.position += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Rule, PolicyError> {
        let mut rules = vec![self.all()?];
        while self.accept("or") {
            rules.push(self.all()?);
        }
        Ok(one_or(rules, Rule::Or))
    }

    fn all(&mut self) -> Result<Rule, PolicyError> {
        let mut rules = vec![self.term()?];
        while self.accept("and") {
            rules.push(self.term()?);
        }
        Ok(one_or(rules, Rule::And))
    }

    fn term(&mut self) -> Result<Rule, PolicyError> {
        let word = self.peek().ok_or_else(|| PolicyError::Incomplete(self.text.to_owned()))?;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.unexpected(word));
        }
        let rule = if self.accept("not") {
            Rule::Not(Box::new(self.term()?))
        } else if self.accept("(") {
            let rule = self.any()?;
            if !self.accept(")") {
                return Err(match self.peek() {
                    Some(word) => self.unexpected(word),
                    None => PolicyError::Incomplete(self.text.to_owned()),
                });
            }
            rule
        } else if ["and", "or", ")"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) {
            return Err(self.unexpected(word));
        } else {
            self.position += 1;
            check(word).ok_or_else(|| PolicyError::Check { rule: self.text.to_owned(), check: word.to_owned() })?
        };
        self.depth -= 1;
        Ok(rule)
    }
}

fn one_or(mut rules: Vec<Rule>, join: fn(Vec<Rule>) -> Rule) -> Rule {
    match rules.pop() {
        Some(only) if rules.is_empty() => only,
        Some(last) => {
            rules.push(last);
            join(rules)
        }
        None => Rule::Never,
    }
}

fn check(word: &str) -> Option<Rule> {
    match word {
        "@" => return Some(Rule::Always),
        "!" => return Some(Rule::Never),
        _ => {}
    }
    let (kind, rest) = split(word)?;
    if kind.is_empty() || rest.is_empty() {
        return None;
    }
    let target = rest.strip_prefix("%(").and_then(|key| key.strip_suffix(")s"));
    if let Some(value) = literal(kind) {
        return Some(Rule::Literal { value, target: target?.to_owned() });
    }
    Some(match kind {
        "role" | "service_roles" | "rule" if rest.contains("%(") => return None,
        "http" | "https" => return None,
        "role" => Rule::Role(rest.to_owned()),
        "service_roles" => Rule::ServiceRole(rest.to_owned()),
        "rule" => Rule::Reference(rest.to_owned()),
        "field" => {
            let (collection, comparison) = rest.split_once(':')?;
            let (field, expected) = comparison.split_once('=')?;
            let plain = |text: &str| !text.contains(['*', '+', '?', '[', '(', '|', '\\', '$', '.']);
            if expected.strip_prefix('~').is_some_and(|pattern| !plain(pattern)) {
                return None;
            }
            Rule::Field { collection: collection.to_owned(), field: field.to_owned(), expected: expected.to_owned() }
        }
        caller => match target {
            Some(target) => Rule::Matches { caller: caller.to_owned(), target: target.to_owned() },
            None => Rule::Constant { caller: caller.to_owned(), value: rest.to_owned() },
        },
    })
}

/// At the first colon that is not inside quotes.
fn split(word: &str) -> Option<(&str, &str)> {
    let quoted = word.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let from = match quoted {
        Some(quote) => word.get(1..)?.find(quote)? + 2,
        None => 0,
    };
    let colon = from + word.get(from..)?.find(':')?;
    Some((word.get(..colon)?, word.get(colon + 1..)?))
}

/// A Python literal, as Python shows it.
fn literal(kind: &str) -> Option<String> {
    for quote in ['\'', '"'] {
        if let Some(inner) = kind.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return Some(inner.to_owned());
        }
    }
    let constant = matches!(kind, "True" | "False" | "None") || kind.parse::<i64>().is_ok();
    constant.then(|| kind.to_owned())
}
