//! The two calls to the server, over plain HTTP/1.1: a stream of lines, and a posted report; and to which of several servers.
//!
//! Servers that share a database are all as good. An agent stays with one, stream and reports alike, until that one cannot be
//! reached, refuses, or falls silent ([`Connection::leave`]); then both go over to the next that can be connected to. What
//! the new server tells may be older for a moment than what is known, as after its restart; the receiver leaves that aside.
//!
//! Who calls decides when to try again. Every wait has a limit.

use crate::backoff::random;
use crate::{AgentConfig, AgentError};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Bytes of the longest line that is taken; a host with tens of thousands of ports stays far below.
const LONGEST_LINE: usize = 256 << 20;

/// Where the servers are, and the token that opens them. Clones go from one server to the next together.
#[derive(Clone)]
pub(crate) struct Servers {
    all: Arc<[Server]>,
    /// Which of them is tried first.
    current: Arc<AtomicUsize>,
    authorization: HeaderValue,
}

struct Server {
    authority: String,
    address: String,
}

/// A connection that can be asked again.
pub(crate) struct Connection {
    servers: Servers,
    /// To which of them.
    at: usize,
    sender: SendRequest<Full<Bytes>>,
}

/// Lines of an answer that does not end.
pub(crate) struct Lines {
    // Kept whole: it closes when its sender is dropped.
    connection: Connection,
    body: Incoming,
    buffer: BytesMut,
    /// Bytes of `buffer` in which no line ends.
    searched: usize,
}

impl Server {
    /// `url` is `http://ADDRESS[:PORT]`.
    fn parse(url: &str) -> Result<Self, AgentError> {
        let wrong = |reason: &str| AgentError::Configuration { reason: format!("[agent] server '{url}': {reason}") };
        let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("only http:// is spoken"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("no address"))?;
        if !matches!(uri.path(), "" | "/") {
            return Err(wrong("a path has no meaning here"));
        }
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Self { authority: authority.to_string(), address })
    }

    fn failed(&self, reason: impl ToString) -> AgentError {
        AgentError::Server { server: self.address.clone(), reason: reason.to_string() }
    }

    /// Opens a connection; its driver ends by itself when the connection does.
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, AgentError> {
        let connecting = timeout(CONNECT_LIMIT, TcpStream::connect(&self.address)).await;
        let stream = connecting.map_err(|_| self.failed("no connection in time"))?.map_err(|e| self.failed(e))?;
        stream.set_nodelay(true).map_err(|error| self.failed(error))?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(|error| self.failed(error))?;
        tokio::spawn(driver);
        Ok(sender)
    }
}

impl Servers {
    /// `urls` are `http://ADDRESS[:PORT]`, of which the `first` is tried first (counted around): agents that begin with
    /// different ones share the servers among them.
    pub(crate) fn new(urls: &[String], token: &str, first: u64) -> Result<Self, AgentError> {
        let wrong = |reason: &str| AgentError::Configuration { reason: reason.to_owned() };
        let all: Arc<[Server]> = urls.iter().map(|url| Server::parse(url)).collect::<Result<_, _>>()?;
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let first = first.checked_rem(count).ok_or_else(|| wrong("[agent] server names no server"))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| wrong("[agent] secret_file holds characters that no header can carry"))?;
        authorization.set_sensitive(true);
        let current = Arc::new(AtomicUsize::new(usize::try_from(first).unwrap_or(0)));
        Ok(Self { all, current, authorization })
    }

    /// The servers of a configuration, with the token that its file holds.
    pub(crate) fn load(config: &AgentConfig) -> Result<Self, AgentError> {
        let path = &config.agent.secret_file;
        let token =
            std::fs::read_to_string(path).map_err(|source| AgentError::ReadFile { path: path.clone(), source })?;
        Self::new(&config.agent.server, &token, random())
    }

    /// Opens a connection to the first server that can be reached.
    pub(crate) async fn connect(&self) -> Result<Connection, AgentError> {
        let mut failure = AgentError::Configuration { reason: "[agent] server names no server".to_owned() };
        for _ in 0..self.all.len() {
            let at = self.current.load(Ordering::Relaxed);
            let Some(server) = self.all.get(at) else { break };
            match server.connect().await {
                Ok(sender) => return Ok(Connection { servers: self.clone(), at, sender }),
                Err(error) => failure = error,
            }
            self.leave(at);
        }
        Err(failure)
    }

    /// From now on the one after this is tried first, unless another one is already.
    fn leave(&self, at: usize) {
        let next = (at + 1) % self.all.len().max(1);
        if next != at && self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let address = |at: usize| self.all.get(at).map_or("", |server| server.address.as_str());
            tracing::warn!(from = address(at), to = address(next), "going over to another server");
        }
    }

    /// Asks for a stream of lines on a connection of its own.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, AgentError> {
        let mut connection = self.connect().await?;
        let sent = connection.send("the watch", Method::GET, path, Bytes::new()).await;
        let response = sent.inspect_err(|_| connection.leave())?;
        Ok(Lines { connection, body: response.into_body(), buffer: BytesMut::new(), searched: 0 })
    }
}

impl Connection {
    /// This server is of no use (any more).
    pub(crate) fn leave(&self) {
        self.servers.leave(self.at);
    }

    fn failed(&self, reason: impl ToString) -> AgentError {
        let server = self.servers.all.get(self.at);
        let address = server.map_or_else(String::new, |server| server.address.clone());
        AgentError::Server { server: address, reason: reason.to_string() }
    }

    /// Posts JSON and reads the whole answer.
    pub(crate) async fn post(&mut self, what: &'static str, path: &str, body: Bytes) -> Result<Bytes, AgentError> {
        let response = self.send(what, Method::POST, path, body).await?;
        let collecting = timeout(ANSWER_LIMIT, response.into_body().collect()).await;
        let collected = collecting.map_err(|_| self.failed("no answer in time"))?;
        Ok(collected.map_err(|error| self.failed(error))?.to_bytes())
    }

    async fn send(
        &mut self,
        what: &'static str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, AgentError> {
        let authority = self.servers.all.get(self.at).map_or("", |server| server.authority.as_str());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority)
            .header(AUTHORIZATION, &self.servers.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.failed(error))?;
        self.sender.ready().await.map_err(|error| self.failed(error))?;
        let answering = timeout(ANSWER_LIMIT, self.sender.send_request(request)).await;
        let response = answering.map_err(|_| self.failed("no answer in time"))?;
        let response = response.map_err(|error| self.failed(error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(AgentError::Refused { what, status: response.status().as_u16() })
        }
    }
}

impl Lines {
    /// Nothing good comes from this server (any more).
    pub(crate) fn leave(&self) {
        self.connection.leave();
    }

    /// The next line without its end; none when the stream has ended. Safe to be cancelled.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, AgentError> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + at).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.searched > LONGEST_LINE {
                return Err(AgentError::NotUnderstood { what: "watch", reason: "a line has no end".to_owned() });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.connection.failed(error)),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(urls: &[&str], first: u64) -> Result<Servers, AgentError> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        Servers::new(&urls, " secret\n", first)
    }

    #[test]
    fn addresses_that_cannot_be_meant_are_refused() {
        for wrong in ["https://server:1", "server:9696", "http://server/v2.0", "not a url"] {
            assert!(servers(&["http://good", wrong], 0).is_err(), "{wrong}");
        }
        assert!(servers(&[], 0).is_err());
        let good = servers(&["http://192.0.2.1:9696/"], 7).unwrap();
        assert_eq!(good.all[0].address, "192.0.2.1:9696");
        assert_eq!(good.authorization, "Bearer secret");
        assert_eq!(format!("{:?}", good.authorization), "Sensitive");
    }

    #[tokio::test]
    async fn whoever_leaves_a_server_takes_the_others_along_once() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let open = format!("http://{}", listener.local_addr().unwrap());
        // Nobody listens on the discard port.
        let servers = servers(&["http://127.0.0.1:9", &open, &open], 3).unwrap();
        let (one, other) = (servers.connect().await.unwrap(), servers.clone().connect().await.unwrap());
        assert_eq!((one.at, other.at), (1, 1), "the first cannot be reached");
        one.leave();
        other.leave();
        assert_eq!(servers.connect().await.unwrap().at, 2);
        assert_eq!(servers.connect().await.unwrap().at, 2, "there is no way back without a reason");
    }
}
