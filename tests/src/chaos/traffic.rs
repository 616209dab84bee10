//! Senders and echoes: what runs in a probe or on a host, and talks to the scene over its standard streams.
//!
//! A sender sends a number each interval and knows of each whether, and how often, it came back: lost, twice, out of order. It
//! says how far it is in a line now and then, ends when its standard input does, waits for stragglers and prints its [`Count`].

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an echo may take before it counts as lost.
const STRAGGLERS: Duration = Duration::from_secs(3);
/// Bytes of a number and of the padding around it.
const RECORD: usize = 64;

/// What a sender speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Datagrams.
    Udp,
    /// Echo requests.
    Icmp,
    /// One stream.
    Tcp,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
        }
    }
}

/// What became of all that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// Numbers sent.
    pub sent: u64,
    /// When the numbers were sent that never came back: milliseconds since 1970.
    pub lost: Vec<u64>,
    /// Came back more than once.
    pub duplicated: u64,
    /// Came back after a later one.
    pub reordered: u64,
    /// Milliseconds of the longest time in which nothing came back.
    pub longest_silence: u64,
    /// Why the stream broke, if it did.
    pub broken: Option<String>,
}

/// Now, in milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Numbers on their way.
#[derive(Default)]
struct Ledger {
    /// When each number was sent.
    sent: Vec<u64>,
    /// How often each came back.
    back: Vec<u32>,
    highest: Option<u64>,
    last_back: Option<u64>,
    count: Count,
}

impl Ledger {
    /// The next number.
    fn send(&mut self) -> u64 {
        self.sent.push(now());
        self.back.push(0);
        self.sent.len() as u64 - 1
    }

    fn take(&mut self, number: u64) {
        let now = now();
        let Some(times) = usize::try_from(number).ok().and_then(|index| self.back.get_mut(index)) else { return };
        *times += 1;
        if *times > 1 {
            self.count.duplicated += 1;
            return;
        }
        if self.highest.is_some_and(|highest| number < highest) {
            self.count.reordered += 1;
        }
        self.highest = self.highest.max(Some(number));
        let silence = self.last_back.map_or(0, |before| now.saturating_sub(before));
        self.count.longest_silence = self.count.longest_silence.max(silence);
        self.last_back = Some(now);
    }

    fn close(&mut self) -> Count {
        self.count.sent = self.sent.len() as u64;
        let lost = self.sent.iter().zip(&self.back).filter(|(_, times)| **times == 0);
        self.count.lost = lost.map(|(at, _)| *at).collect();
        self.count.clone()
    }
}

/// Echoes UDP and TCP on a port until standard input ends.
pub fn echo(port: u16) -> io::Result<()> {
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            // An answer that cannot be sent now is lost, and counted where it was expected.
            if let Ok((length, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(buffer.get(..length).unwrap_or_default(), from);
            }
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone()?, stream);
                to.set_nodelay(true)?;
                io::copy(&mut from, &mut to)
            });
        }
    });
    say("ready");
    wait_for_end();
    Ok(())
}

/// Sends until standard input ends.
pub fn send(kind: Kind, to: Ipv4Addr, port: u16, interval: Duration) -> io::Result<()> {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let ends = Arc::new(AtomicBool::new(false));
    let ended = ends.clone();
    thread::spawn(move || {
        wait_for_end();
        ended.store(true, Ordering::Relaxed);
    });
    let mut way = Way::open(kind, to, port, &ledger)?;
    let mut told = 0;
    while !ends.load(Ordering::Relaxed) {
        let number = with(&ledger, Ledger::send);
        if let Err(error) = way.send(number) {
            // A datagram that cannot be sent is lost; a stream that cannot be written to is broken.
            if kind == Kind::Tcp {
                with(&ledger, |ledger| ledger.count.broken = Some(error.to_string()));
                break;
            }
        }
        let (last, sent) = with(&ledger, |ledger| (ledger.last_back.unwrap_or(0), ledger.sent.len()));
        if now().saturating_sub(told) >= 100 {
            told = now();
            say(&format!("progress {sent} {last}"));
        }
        thread::sleep(interval);
    }
    thread::sleep(STRAGGLERS);
    let count = with(&ledger, Ledger::close);
    say(&format!("count {}", serde_json::to_string(&count).unwrap_or_default()));
    Ok(())
}

fn with<T>(ledger: &Mutex<Ledger>, work: impl FnOnce(&mut Ledger) -> T) -> T {
    work(&mut ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// A socket towards the echo, and the thread that hears what comes back.
enum Way {
    Udp(UdpSocket, SocketAddrV4),
    Icmp(Arc<Socket>, SocketAddrV4, u16),
    Tcp(TcpStream),
}

impl Way {
    fn open(kind: Kind, to: Ipv4Addr, port: u16, ledger: &Arc<Mutex<Ledger>>) -> io::Result<Self> {
        let (ledger, to) = (ledger.clone(), SocketAddrV4::new(to, port));
        match kind {
            Kind::Udp => {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                let hears = socket.try_clone()?;
                thread::spawn(move || {
                    let mut record = [0; RECORD];
                    loop {
                        if let Ok(RECORD) = hears.recv(&mut record) {
                            with(&ledger, |ledger| ledger.take(number(&record)));
                        }
                    }
                });
                Ok(Self::Udp(socket, to))
            }
            Kind::Icmp => {
                let socket = Arc::new(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?);
                let own = u16::try_from(std::process::id() & 0xffff).unwrap_or(0);
                let hears = socket.clone();
                thread::spawn(move || {
                    let mut packet = [0; 2048];
                    loop {
                        if let Ok(length) = (&*hears).read(&mut packet)
                            && let Some(record) = echo_reply(packet.get(..length).unwrap_or_default(), own)
                        {
                            with(&ledger, |ledger| ledger.take(number(record)));
                        }
                    }
                });
                Ok(Self::Icmp(socket, to, own))
            }
            Kind::Tcp => {
                let stream = TcpStream::connect(to)?;
                stream.set_nodelay(true)?;
                let mut hears = stream.try_clone()?;
                thread::spawn(move || {
                    let mut record = [0; RECORD];
                    loop {
                        match hears.read_exact(&mut record) {
                            Ok(()) => with(&ledger, |ledger| ledger.take(number(&record))),
                            Err(error) => {
                                return with(&ledger, |ledger| ledger.count.broken = Some(error.to_string()));
                            }
                        }
                    }
                });
                Ok(Self::Tcp(stream))
            }
        }
    }

    fn send(&mut self, number: u64) -> io::Result<()> {
        let mut record = [0x5a; RECORD];
        for (to, from) in record.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        match self {
            Self::Udp(socket, to) => socket.send_to(&record, *to).map(drop),
            Self::Icmp(socket, to, own) => {
                socket.send_to(&echo_request(*own, number, &record), &(*to).into()).map(drop)
            }
            Self::Tcp(stream) => stream.write_all(&record),
        }
    }
}

/// The number that a record begins with.
fn number(record: &[u8]) -> u64 {
    record.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// RFC 792, type 8.
fn echo_request(own: u16, number: u64, record: &[u8]) -> Vec<u8> {
    let sequence = u16::try_from(number & 0xffff).unwrap_or(0);
    let mut packet = vec![8, 0, 0, 0];
    packet.extend(own.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(record);
    let sum = checksum(&packet).to_be_bytes();
    for (to, from) in packet.iter_mut().skip(2).zip(sum) {
        *to = from;
    }
    packet
}

/// The record of an answer to one of ours, from a packet with its IP header.
fn echo_reply(packet: &[u8], own: u16) -> Option<&[u8]> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let icmp = packet.get(header..)?;
    let ours = icmp.first() == Some(&0) && icmp.get(4..6) == Some(&own.to_be_bytes());
    icmp.get(8..8 + RECORD).filter(|_| ours)
}

/// RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let word = |pair: &[u8]| {
        let high = pair.first().copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([high, pair.get(1).copied().unwrap_or(0)]))
    };
    let mut sum: u32 = octets.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn wait_for_end() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}

/// A line for whoever started this; one that has left is no error.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_back_is_lost_and_what_comes_twice_or_late_is_told() {
        let mut ledger = Ledger::default();
        for _ in 0..5 {
            ledger.send();
        }
        for number in [0, 2, 1, 1, 4] {
            ledger.take(number);
        }
        let count = ledger.close();
        assert_eq!((count.sent, count.lost.len(), count.duplicated, count.reordered), (5, 1, 1, 1));
    }

    #[test]
    fn a_request_adds_up_and_its_answer_is_known_again() {
        let record = [7; RECORD];
        let request = echo_request(0x1234, 9, &record);
        assert_eq!(checksum(&request), 0);
        let mut reply = vec![0x45; 20];
        reply.extend(&request);
        assert_eq!(echo_reply(&reply, 0x1234), None, "a request is no answer");
        reply[20] = 0;
        assert_eq!(echo_reply(&reply, 0x1234), Some(&record[..]));
        assert_eq!(echo_reply(&reply, 0x1235), None, "somebody else's");
    }
}
