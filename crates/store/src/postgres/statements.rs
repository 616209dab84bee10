//! Statements prepared on one connection, by their text as the callers write it.

use std::collections::HashMap;
use std::sync::Arc;

/// Statements kept prepared; the whole API has a few hundred texts, and lists with filters any number.
const KEPT: usize = 512;

/// A statement that the server knows by name.
pub(super) struct Prepared {
    pub(super) name: String,
    /// Type of each result column (`pg_type.oid`); empty when it gives no rows.
    pub(super) columns: Arc<[u32]>,
    /// Types of the parameters as they were declared; 0 left the choice to the server.
    types: Box<[u32]>,
    used: u64,
}

/// The cache. One text may be prepared several times, with parameters of different types (a NULL has none).
#[derive(Default)]
pub(super) struct Statements {
    by_text: HashMap<Box<str>, Vec<Prepared>>,
    count: usize,
    clock: u64,
}

impl Statements {
    /// The statement, if it is prepared for parameters of these types.
    pub(super) fn find(&mut self, sql: &str, types: &[u32]) -> Option<&Prepared> {
        self.clock += 1;
        let clock = self.clock;
        let found = self.by_text.get_mut(sql)?.iter_mut().find(|prepared| *prepared.types == *types)?;
        found.used = clock;
        Some(found)
    }

    /// A name for the next statement.
    pub(super) fn name(&mut self) -> String {
        self.clock += 1;
        format!("s{}", self.clock)
    }

    /// Keeps a statement; the name of the one that had to make room.
    pub(super) fn keep(&mut self, sql: &str, types: &[u32], name: String, columns: Arc<[u32]>) -> Option<String> {
        let prepared = Prepared { name, columns, types: types.into(), used: self.clock };
        self.by_text.entry(sql.into()).or_default().push(prepared);
        self.count += 1;
        (self.count > KEPT).then(|| self.forget_oldest()).flatten()
    }

    /// Forgets one statement, which the server no longer accepts.
    pub(super) fn forget(&mut self, name: &str) {
        for list in self.by_text.values_mut() {
            let before = list.len();
            list.retain(|prepared| prepared.name != name);
            self.count -= before - list.len();
        }
    }

    fn forget_oldest(&mut self) -> Option<String> {
        let oldest = self.by_text.values().flatten().min_by_key(|prepared| prepared.used)?.name.clone();
        self.forget(&oldest);
        self.by_text.retain(|_, list| !list.is_empty());
        Some(oldest)
    }
}

/// The text as PostgreSQL takes it: `?1` becomes `$1`, outside of quotes and comments.
pub(super) fn dollars(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut quote = None;
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        match quote {
            Some('-') if c == '\n' => quote = None,
            Some(open) if open == c && open != '-' => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '-' && rest.peek() == Some(&'-') => quote = Some('-'),
            None if c == '?' => {
                out.push('$');
                continue;
            }
            None => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_rewritten_outside_of_quotes_and_comments() {
        assert_eq!(
            dollars("SELECT '?1 it''s' || ?1, \"?\", ?12 -- why? 'so\n FROM t WHERE a = ?2 - ?3"),
            "SELECT '?1 it''s' || $1, \"?\", $12 -- why? 'so\n FROM t WHERE a = $2 - $3"
        );
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut statements = Statements::default();
        for n in 0..KEPT {
            let name = statements.name();
            assert_eq!(statements.keep(&format!("SELECT {n}"), &[20], name, Arc::from([])), None);
        }
        assert!(statements.find("SELECT 0", &[20]).is_some());
        assert!(statements.find("SELECT 0", &[0]).is_none());
        let second = statements.find("SELECT 2", &[20]).unwrap().name.clone();
        let third = statements.find("SELECT 1", &[20]).unwrap().name.clone();
        let name = statements.name();
        let gone = statements.keep("SELECT 'new'", &[], name, Arc::from([])).unwrap();
        assert!(gone != second && gone != third);
        assert!(statements.find("SELECT 3", &[20]).is_none());
        assert!(statements.find("SELECT 0", &[20]).is_some());
    }
}
