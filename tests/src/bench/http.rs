//! A small HTTP/1.1 client on one kept-alive connection, so that what is measured is the server and not the client.

use super::{cannot, unexpected};
use crate::Failure;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection.
pub struct Connection {
    /// None: is made for the next request.
    stream: Option<TcpStream>,
    address: SocketAddr,
    host: String,
    read: Vec<u8>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` and so on.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// `X-Auth-Token`, if any.
    pub token: Option<std::sync::Arc<str>>,
    /// Further header lines, each ended by CR LF.
    pub headers: String,
    /// JSON, or nothing.
    pub body: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self, Failure> {
        Ok(Self { stream: Some(connect(address)?), ..Self::later(address) })
    }

    /// Connects with the first request: a server may tire of a connection that says nothing.
    pub fn later(address: SocketAddr) -> Self {
        Self { stream: None, address, host: address.to_string(), read: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and reads the whole answer.
    pub fn call(&mut self, request: &Request) -> Result<Answer, Failure> {
        let what = format!("{} {}", request.method, request.path);
        let mut text = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, request.path, self.host);
        if let Some(token) = &request.token {
            text.push_str(&format!("x-auth-token: {token}\r\n"));
        }
        text.push_str(&request.headers);
        if !request.body.is_empty() {
            text.push_str("content-type: application/json\r\n");
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{}", request.body.len(), request.body));
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        self.stream.insert(stream).write_all(text.as_bytes()).map_err(cannot(&what))?;
        let answer = self.answer(&what)?;
        if header(&answer.head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = None;
        }
        Ok(answer)
    }

    fn answer(&mut self, what: &str) -> Result<Answer, Failure> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more(what)?;
        };
        let head = String::from_utf8_lossy(self.read.get(..end).unwrap_or_default()).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| unexpected(what, format!("not HTTP: {head}")))?;
        let length = header(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
        // Every answer of this server has a length, except those that have no body.
        let length = match length {
            Some(length) => length,
            None if status == 204 => 0,
            None => return Err(unexpected(what, "an answer without content-length")),
        };
        while self.read.len() < end + length {
            self.more(what)?;
        }
        let body = self.read.get(end..end + length).unwrap_or_default().to_vec();
        self.read.drain(..end + length);
        Ok(Answer { status, head, body })
    }

    fn more(&mut self, what: &str) -> Result<(), Failure> {
        let mut chunk = [0; 64 * 1024];
        let count = match &mut self.stream {
            Some(stream) => stream.read(&mut chunk).map_err(cannot(what))?,
            None => 0,
        };
        if count == 0 {
            return Err(unexpected(what, "the server closed the connection"));
        }
        self.read.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(())
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let what = format!("connect to {address}");
    let stream = TcpStream::connect(address).map_err(cannot(&what))?;
    stream.set_nodelay(true).map_err(cannot(&what))?;
    stream.set_read_timeout(Some(Duration::from_secs(600))).map_err(cannot(&what))?;
    Ok(stream)
}

/// A header's value.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
