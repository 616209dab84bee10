//! Changes of a bridge's flows as they happen, told by the switch itself (`ovs-ofctl monitor`), so that nothing has to be
//! dumped while something is measured.

use super::{cannot, unexpected};
use crate::{Failure, Lab};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

/// After so long without a change the bridge counts as settled.
const QUIET: Duration = Duration::from_millis(400);
/// How long a change may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches one bridge; until dropped.
pub struct Watch {
    child: Child,
    lines: Receiver<(SystemTime, String)>,
}

/// What happened between a moment and the next quiet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes {
    /// Flows that came.
    pub added: usize,
    /// Flows that went.
    pub deleted: usize,
    /// Seconds from the moment to the last change.
    pub last_after: f64,
}

impl Watch {
    /// Begins to watch a bridge of a host.
    pub fn start(lab: &Lab, host: &str, bridge: &str) -> Result<Self, Failure> {
        // Lines reach us when they are written; what is there already is of no interest.
        let words = ["stdbuf", "-oL", "ovs-ofctl", "monitor", bridge, "watch:!initial"];
        let mut command = lab.exec_command(host, &words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let shown = crate::command::line(&command);
        let mut child = command.spawn().map_err(cannot(&shown))?;
        let stdout = child.stdout.take().ok_or_else(|| unexpected(&shown, "no pipe"))?;
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send((SystemTime::now(), line)).is_err() {
                    return;
                }
            }
        });
        // It has asked the switch when this has passed; nothing tells.
        std::thread::sleep(QUIET);
        Ok(Self { child, lines })
    }

    /// Forgets what was told so far.
    pub fn forget(&self) {
        while self.lines.try_recv().is_ok() {}
    }

    /// Waits for the first change since `start` that names one of `words` (any change, if none are given), and for quiet
    /// after it.
    pub fn settle(&self, start: SystemTime, words: &[&str]) -> Result<Changes, Failure> {
        let mut changes = Changes::default();
        let begun = Instant::now();
        loop {
            match self.lines.recv_timeout(QUIET) {
                Ok((at, line)) => {
                    let named = words.is_empty() || words.iter().any(|word| line.contains(word));
                    let seconds = at.duration_since(start).map_or(0.0, |since| since.as_secs_f64());
                    if named && line.contains("event=ADDED") {
                        (changes.added, changes.last_after) = (changes.added + 1, seconds);
                    } else if named && line.contains("event=DELETED") {
                        (changes.deleted, changes.last_after) = (changes.deleted + 1, seconds);
                    }
                }
                Err(RecvTimeoutError::Timeout) if changes.added + changes.deleted > 0 => return Ok(changes),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() < PATIENCE => (),
                Err(_) => return Err(unexpected("ovs-ofctl monitor", "the switch told of no change")),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Gone already when the host is.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
