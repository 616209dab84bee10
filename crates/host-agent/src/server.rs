//! The two calls to the server, over plain HTTP/1.1: a stream of lines, and a posted report.
//!
//! Nothing is decided here; who calls decides when to try again. Every wait has a limit.

use crate::AgentError;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Bytes of the longest line that is taken; a host with tens of thousands of ports stays far below.
const LONGEST_LINE: usize = 256 << 20;

/// Where the server is, and the token that opens it.
#[derive(Clone)]
pub(crate) struct Server {
    authority: String,
    address: String,
    authorization: HeaderValue,
}

/// A connection that can be asked again.
pub(crate) struct Connection {
    server: Server,
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
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, AgentError> {
        let wrong = |reason: &str| AgentError::Configuration { reason: format!("[agent] server '{url}': {reason}") };
        let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("only http:// is spoken"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("no address"))?;
        if !matches!(uri.path(), "" | "/") {
            return Err(wrong("a path has no meaning here"));
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| AgentError::Configuration {
                reason: "[agent] secret_file holds characters that no header can carry".to_owned(),
            })?;
        authorization.set_sensitive(true);
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Self { authority: authority.to_string(), address, authorization })
    }

    fn failed(&self, reason: impl ToString) -> AgentError {
        AgentError::Server { server: self.address.clone(), reason: reason.to_string() }
    }

    /// Opens a connection; its driver ends by itself when the connection does.
    pub(crate) async fn connect(&self) -> Result<Connection, AgentError> {
        let connecting = timeout(CONNECT_LIMIT, TcpStream::connect(&self.address)).await;
        let stream = connecting.map_err(|_| self.failed("no connection in time"))?.map_err(|e| self.failed(e))?;
        stream.set_nodelay(true).map_err(|error| self.failed(error))?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(|error| self.failed(error))?;
        tokio::spawn(driver);
        Ok(Connection { server: self.clone(), sender })
    }

    /// Asks for a stream of lines on a connection of its own.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, AgentError> {
        let mut connection = self.connect().await?;
        let response = connection.send("the watch", Method::GET, path, Bytes::new()).await?;
        Ok(Lines { connection, body: response.into_body(), buffer: BytesMut::new(), searched: 0 })
    }
}

impl Connection {
    /// Posts JSON and reads the whole answer.
    pub(crate) async fn post(&mut self, what: &'static str, path: &str, body: Bytes) -> Result<Bytes, AgentError> {
        let response = self.send(what, Method::POST, path, body).await?;
        let collecting = timeout(ANSWER_LIMIT, response.into_body().collect()).await;
        let collected = collecting.map_err(|_| self.server.failed("no answer in time"))?;
        Ok(collected.map_err(|error| self.server.failed(error))?.to_bytes())
    }

    async fn send(
        &mut self,
        what: &'static str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, AgentError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.server.authority)
            .header(AUTHORIZATION, &self.server.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.server.failed(error))?;
        self.sender.ready().await.map_err(|error| self.server.failed(error))?;
        let answering = timeout(ANSWER_LIMIT, self.sender.send_request(request)).await;
        let response = answering.map_err(|_| self.server.failed("no answer in time"))?;
        let response = response.map_err(|error| self.server.failed(error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(AgentError::Refused { what, status: response.status().as_u16() })
        }
    }
}

impl Lines {
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
                Some(Err(error)) => return Err(self.connection.server.failed(error)),
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

    #[test]
    fn addresses_that_cannot_be_meant_are_refused() {
        for wrong in ["https://server:1", "server:9696", "http://server/v2.0", "not a url"] {
            assert!(Server::new(wrong, "t").is_err(), "{wrong}");
        }
        let server = Server::new("http://192.0.2.1:9696/", " secret\n").unwrap();
        assert_eq!(server.address, "192.0.2.1:9696");
        assert_eq!(server.authorization, "Bearer secret");
        assert_eq!(format!("{:?}", server.authorization), "Sensitive");
    }
}
