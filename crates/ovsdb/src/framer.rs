//! Cuts an octet stream into JSON values.
//!
//! OVSDB's JSON-RPC has no lengths and no separators (RFC 7047, section 4): messages are JSON objects, one after another,
//! with white space between them or none. In: octets as they arrive. Out: whole objects. Limits on depth and size hold
//! before anything is parsed, so that a peer cannot exhaust stack or memory.

use crate::Error;
use serde_json::Value;

/// Nesting that no message of OVSDB comes near: the deepest, an update with a set of UUIDs, has eight levels.
pub const MAX_DEPTH: usize = 64;
/// Octets of one message; the first answer to a monitor holds the whole database.
pub const MAX_SIZE: usize = 256 * 1024 * 1024;

/// What a stream has brought so far.
///
/// ```
/// let mut framer = ovsdb::Framer::default();
/// framer.feed(br#"{"id":"echo","method":"ec"#);
/// assert_eq!(framer.next_value(), Ok(None));
/// framer.feed(br#"ho","params":[]}"#);
/// assert_eq!(framer.next_value().unwrap().unwrap()["method"], "echo");
/// ```
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// How much of the buffer has been scanned.
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    max_size: usize,
    broken: bool,
}

impl Default for Framer {
    fn default() -> Self {
        Self::with_max_size(MAX_SIZE)
    }
}

impl Framer {
    /// With another limit than [`MAX_SIZE`].
    pub fn with_max_size(max_size: usize) -> Self {
        Self { buffer: Vec::new(), scanned: 0, depth: 0, in_string: false, escaped: false, max_size, broken: false }
    }

    /// Takes what has arrived.
    pub fn feed(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// The next whole object; none until more has arrived. After an error the stream is lost and every further call
    /// fails too.
    pub fn next_value(&mut self) -> Result<Option<Value>, Error> {
        if self.broken {
            return Err(frame("the stream broke before"));
        }
        let result = self.scan();
        self.broken = result.is_err();
        result
    }

    fn scan(&mut self) -> Result<Option<Value>, Error> {
        if self.depth == 0 {
            let blank = self.buffer.iter().take_while(|octet| octet.is_ascii_whitespace()).count();
            self.buffer.drain(..blank);
            self.scanned = 0;
        }
        for octet in self.buffer.iter().skip(self.scanned) {
            self.scanned += 1;
            match octet {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' if self.depth > 0 => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' if self.depth < MAX_DEPTH && (self.depth > 0 || *octet == b'{') => self.depth += 1,
                b'{' | b'[' if self.depth > 0 => return Err(frame("nested too deeply")),
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let rest = self.buffer.split_off(self.scanned);
                        let message = std::mem::replace(&mut self.buffer, rest);
                        self.scanned = 0;
                        return serde_json::from_slice(&message).map(Some).map_err(|error| frame(&error.to_string()));
                    }
                }
                _ if self.depth == 0 => return Err(frame("something else than an object")),
                _ => {}
            }
            if self.scanned > self.max_size {
                return Err(frame("a message is too large"));
            }
        }
        Ok(None)
    }
}

fn frame(reason: &str) -> Error {
    Error::Frame { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn all(framer: &mut Framer) -> Result<Vec<Value>, Error> {
        std::iter::from_fn(|| framer.next_value().transpose()).collect()
    }

    #[test]
    fn brackets_and_quotes_in_strings_do_not_count() {
        let mut framer = Framer::default();
        framer.feed(br#" {"a":"}]\"{\\"}{"b":[1,{}]} "#);
        assert_eq!(all(&mut framer).unwrap(), [json!({"a": "}]\"{\\"}), json!({"b": [1, {}]})]);
    }

    #[test]
    fn limits_hold_and_a_broken_stream_stays_broken() {
        let mut deep = Framer::default();
        deep.feed(b"{\"a\":");
        deep.feed(&[b'['; MAX_DEPTH]);
        assert!(deep.next_value().is_err());
        deep.feed(b"{}");
        assert!(deep.next_value().is_err());

        let mut large = Framer::with_max_size(10);
        large.feed(br#"{"a":"bbbbbbbbbbbbbbbb"#);
        assert!(large.next_value().is_err());

        for wrong in ["[1]", "7 ", "}", "{]", "{\"a\":}", "\"x\""] {
            let mut framer = Framer::default();
            framer.feed(wrong.as_bytes());
            assert!(framer.next_value().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_values(
            texts in proptest::collection::vec("\\PC{0,12}", 0..6),
            cuts in proptest::collection::vec(1usize..9, 1..20),
        ) {
            let values: Vec<Value> = texts.iter().map(|text| json!({ text.as_str(): [text, 1, null, {"x": text}] })).collect();
            let stream: String = values.iter().map(Value::to_string).collect();
            let (mut framer, mut found, mut rest) = (Framer::default(), vec![], stream.as_bytes());
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at(rest.len().min(*cut));
                framer.feed(piece);
                found.extend(all(&mut framer).unwrap());
                rest = behind;
                if rest.is_empty() { break }
            }
            prop_assert_eq!(found, values);
        }

        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>, text in "[{}\\[\\]\",:a1 \\\\]{0,40}") {
            for input in [octets, text.into_bytes()] {
                let mut framer = Framer::default();
                framer.feed(&input);
                drop(all(&mut framer));
            }
        }
    }
}
