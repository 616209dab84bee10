//! Requests as bare as can be: what goes over the wire is what the test says.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Value,
}

impl Answer {
    /// A header of the answer; empty if it has none of that name.
    pub fn header(&self, name: &str) -> &str {
        let named = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

/// One request to `http://address/path` on a connection of its own; an answer that cannot be had is an error.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &Value) -> std::io::Result<Answer> {
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut text = format!("{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("{text}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    // A body in chunks is one line of length and the JSON, for short ones.
    let json = body.find(['{', '[']).map_or("", |start| &body[start..]);
    let body = serde_json::Deserializer::from_str(json).into_iter().next().and_then(Result::ok).unwrap_or_default();
    Ok(Answer { status, head: head.to_owned(), body })
}
