//! A ping that goes on while something is done to the lab, and knows which of its packets found no answer.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use system_tests::lab::Probe;

/// Echo requests, twenty a second.
pub struct Stream {
    way: String,
    child: Child,
    /// Sequence numbers that were answered.
    answered: Arc<Mutex<BTreeSet<u32>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    /// Starts on a way that works already.
    pub fn start(from: &Probe, way: &str, to: &str) -> Self {
        // Lines reach us when they are written.
        let mut command = from.command(&["stdbuf", "-oL", "ping", "-n", "-i", "0.05", to]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let answered = Arc::new(Mutex::new(BTreeSet::new()));
        let known = answered.clone();
        let reader = std::thread::spawn(move || {
            for number in lines.map_while(Result::ok).filter_map(|line| answer(&line)) {
                known.lock().unwrap().insert(number);
            }
        });
        Self { way: way.to_owned(), child, answered, reader: Some(reader) }
    }

    fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// Waits until that many more were answered.
    pub fn wait_for_more(&self, more: usize) {
        let (start, wanted) = (Instant::now(), self.count() + more);
        while self.count() < wanted {
            assert!(start.elapsed() < Duration::from_secs(60), "{}: no answers any more", self.way);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it; the sequence numbers that were not answered although later ones were (what is still on its way when it
    /// ends is not lost).
    pub fn stop(mut self) -> (String, Vec<u32>) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let answered = self.answered.lock().unwrap();
        let last = answered.last().copied().unwrap_or(0);
        (self.way.clone(), (1..=last).filter(|number| !answered.contains(number)).collect())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Gone already in the ordinary case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of an answer: `64 bytes from 10.0.0.2: icmp_seq=7 ttl=64 time=0.5 ms`.
fn answer(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once(" bytes from ")?;
    rest.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok()
}

#[test]
fn only_answers_count() {
    assert_eq!(answer("64 bytes from 10.0.0.2: icmp_seq=7 ttl=64 time=0.5 ms"), Some(7));
    assert_eq!(answer("From 10.0.0.1 icmp_seq=7 Destination Host Unreachable"), None);
}
