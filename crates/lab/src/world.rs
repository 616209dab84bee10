//! Something to talk to outside: TCP echo on port 7 (RFC 862) and an HTTP answer on port 80 that says whom it sees, which
//! shows the address behind which a caller was hidden.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::error::Intent;

/// Serves until the process is ended.
pub fn serve() -> Result<()> {
    let listen =
        |port: u16| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).intent(|| format!("listen on port {port}"));
    let (echo, http) = (listen(7)?, listen(80)?);
    thread::spawn(move || each(&echo, answer_echo));
    each(&http, answer_http);
    Ok(())
}

fn each(listener: &TcpListener, answer: fn(TcpStream) -> std::io::Result<()>) {
    for stream in listener.incoming() {
        // One caller's trouble is not the service's.
        let Ok(stream) = stream else { continue };
        let _ = thread::Builder::new().spawn(move || {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(300)));
            let _ = answer(stream);
        });
    }
}

fn answer_echo(stream: TcpStream) -> std::io::Result<()> {
    std::io::copy(&mut stream.try_clone()?, &mut &stream).map(drop)
}

fn answer_http(mut stream: TcpStream) -> std::io::Result<()> {
    let caller = stream.peer_addr()?.ip().to_canonical();
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let body = format!("hello {caller}\n");
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
