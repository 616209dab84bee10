//! tcpdump on a host or switch of the lab, from before something happens until after it.

use crate::{Failure, Lab};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A running capture; its end when dropped.
pub struct Capture {
    child: Child,
    shown: String,
}

impl Capture {
    /// Starts capturing on `device` of `node`; returns when tcpdump listens.
    pub fn start(lab: &Lab, node: &str, device: &str, filter: &str) -> Result<Self, Failure> {
        Self::run(lab.exec_command(node, &tcpdump(device)), filter)
    }

    /// The same on a device of a namespace of that host.
    pub fn start_within(lab: &Lab, node: &str, namespace: &str, device: &str, filter: &str) -> Result<Self, Failure> {
        let words = [&["ip", "netns", "exec", namespace], &tcpdump(device)[..]].concat();
        Self::run(lab.exec_command(node, &words), filter)
    }

    fn run(mut command: Command, filter: &str) -> Result<Self, Failure> {
        command.args(filter.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = crate::command::line(&command);
        let failed = |source| Failure::Start { command: shown.clone(), source };
        let mut child = command.spawn().map_err(failed)?;
        let mut said = String::new();
        if let Some(stderr) = child.stderr.take() {
            let mut lines = BufReader::new(stderr);
            while !said.contains("listening on") && lines.read_line(&mut said).map_err(failed)? > 0 {}
            // Its last words must find a reader.
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        }
        if said.contains("listening on") {
            Ok(Self { child, shown })
        } else {
            Err(Failure::Unexpected { command: shown, what: said })
        }
    }

    /// Ends it; what was captured, one packet a line (the details that follow a packet are on its line).
    pub fn stop(self) -> Result<String, Failure> {
        let [captured] = Self::stop_all([self])?;
        Ok(captured)
    }

    /// Ends several of the same time.
    pub fn stop_all<const N: usize>(captures: [Self; N]) -> Result<[String; N], Failure> {
        // Packets reach tcpdump a little after their receiver.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let mut texts = [const { String::new() }; N];
        for (text, capture) in texts.iter_mut().zip(captures) {
            *text = capture.end()?;
        }
        Ok(texts)
    }

    fn end(mut self) -> Result<String, Failure> {
        let failed = |source| Failure::Start { command: self.shown.clone(), source };
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().map_err(failed)?;
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text).map_err(failed)?;
        }
        self.child.wait().map_err(failed)?;
        Ok(text.replace("\n    ", " ").replace("\n\t", " "))
    }
}

fn tcpdump(device: &str) -> [&str; 7] {
    ["tcpdump", "-l", "-nn", "-e", "-v", "-i", device]
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Gone already in the ordinary case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
