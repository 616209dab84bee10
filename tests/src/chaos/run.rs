//! A run: calm, then harm after harm, then the account.

use super::postgres::Postgres;
use super::random::Random;
use super::scene::{HOSTS, Scene};
use super::traffic::{Count, Kind, now};
use crate::{Failure, Lab};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long nothing is harmed at first, so that it is known what the datapath loses by itself.
const CALM: Duration = Duration::from_secs(4);
/// What was sent so shortly before a datapath died may die with it.
const ON_ITS_WAY_MS: u64 = 500;

/// What to do.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// Gives the order of the harms and the pauses between them.
    pub seed: u64,
    /// How long at least; every harm is done once in any case.
    pub at_least: Duration,
    /// How long the management network is cut and the disk is full.
    pub fault: Duration,
    /// The program of the senders.
    pub program: PathBuf,
    /// Where the server keeps its state; none: in SQLite, on a disk that is filled.
    pub postgres: Option<Postgres>,
}

/// One harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// `kill -9` of a process of a host.
    Kill(&'static str, &'static str),
    /// The management network is cut.
    Cut,
    /// The server's disk is full.
    Full,
    /// `kill -9` of the server's PostgreSQL, all its processes.
    Database,
}

impl Harm {
    /// Everything that can be done to a server with SQLite, or with PostgreSQL, whose disk is not the server's.
    fn all(postgres: bool) -> Vec<Self> {
        let on_hosts = HOSTS
            .into_iter()
            .flat_map(|host| ["agent", "ovs-vswitchd", "ovsdb-server"].map(|process| Self::Kill(host, process)));
        let database = if postgres { Self::Database } else { Self::Full };
        on_hosts.chain([Self::Kill("controller", "server"), Self::Cut, database]).collect()
    }

    /// Whether it is the datapath itself that dies.
    fn is_the_datapaths(self) -> bool {
        matches!(self, Self::Kill(_, "ovs-vswitchd"))
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(host, process) => write!(f, "kill -9 {process} on {host}"),
            Self::Cut => f.write_str("management network cut"),
            Self::Full => f.write_str("server's disk full"),
            Self::Database => f.write_str("kill -9 PostgreSQL"),
        }
    }
}

/// A harm that was done: from when until when packets may have felt it.
#[derive(Debug, Clone)]
struct Done {
    harm: Option<Harm>,
    from: u64,
    to: u64,
}

/// What a run came to.
#[derive(Debug)]
pub struct Account {
    streams: Vec<(&'static str, Kind, Count)>,
    done: Vec<Done>,
}

/// Harms a lab of its own and counts. Says what it does, line by line, to `say`.
pub fn run(lab: Lab, chaos: &Chaos, say: &mut dyn FnMut(&str)) -> Result<Account, Failure> {
    let (mut scene, streams) = Scene::build(lab, &chaos.program, chaos.postgres.as_ref())?;
    if chaos.postgres.is_none() {
        scene.move_state_to_a_small_disk()?;
    }
    scene.audit()?;
    scene.everything_flows(&streams)?;
    say("calm");
    let mut done = vec![];
    let begin = now();
    std::thread::sleep(CALM);
    done.push(Done { harm: None, from: begin, to: now() });

    let (mut random, start) = (Random::new(chaos.seed), Instant::now());
    while done.len() == 1 || start.elapsed() < chaos.at_least {
        let mut harms = Harm::all(chaos.postgres.is_some());
        random.shuffle(&mut harms);
        for harm in harms {
            let pause = Duration::from_millis(random.below(800));
            say(&harm.to_string());
            let from = now();
            match harm {
                Harm::Kill(host, process) => scene.kill(host, process)?,
                Harm::Cut => scene.cut_management(chaos.fault)?,
                Harm::Full => scene.fill_disk(chaos.fault)?,
                Harm::Database => {
                    if let Some(postgres) = &chaos.postgres {
                        postgres.kill()?;
                        scene.writes_again()?;
                    }
                }
            }
            std::thread::sleep(pause);
            scene.everything_flows(&streams)?;
            if harm.is_the_datapaths() {
                // The next one must not be blamed for this.
                scene.audit()?;
                scene.everything_flows(&streams)?;
            }
            done.push(Done { harm: Some(harm), from, to: now() });
        }
    }
    say("audit");
    scene.audit()?;
    let streams = Scene::counts(streams)?;
    scene.end()?;
    Ok(Account { streams, done })
}

impl Account {
    /// Packets lost in a time.
    fn lost(&self, from: u64, to: u64) -> usize {
        let lost = self.streams.iter().filter(|(_, kind, _)| *kind != Kind::Tcp).flat_map(|(.., count)| &count.lost);
        lost.filter(|at| (from..to).contains(at)).count()
    }

    /// Packets that the law says must not have been lost: all but those that were under way when a datapath died.
    pub fn lost_by_law(&self) -> usize {
        let by_switch = |at: u64| {
            let switches = self.done.iter().filter(|done| done.harm.is_some_and(Harm::is_the_datapaths));
            switches.into_iter().any(|done| (done.from.saturating_sub(ON_ITS_WAY_MS)..done.to).contains(&at))
        };
        let lost = self.streams.iter().filter(|(_, kind, _)| *kind != Kind::Tcp).flat_map(|(.., count)| &count.lost);
        lost.filter(|at| !by_switch(**at)).count()
    }

    /// Packets lost while nothing was harmed.
    pub fn lost_in_calm(&self) -> usize {
        self.done.iter().filter(|done| done.harm.is_none()).map(|done| self.lost(done.from, done.to)).sum()
    }

    /// TCP streams that broke, or brought back something else than was sent.
    pub fn broken(&self) -> Vec<String> {
        let bad = |(way, kind, count): &(&str, Kind, Count)| {
            let reason = match &count.broken {
                Some(reason) => reason.clone(),
                None if *kind == Kind::Tcp && !count.lost.is_empty() => "not everything came back".to_owned(),
                None => return None,
            };
            Some(format!("{} {way}: {reason}", kind.as_str()))
        };
        self.streams.iter().filter_map(bad).collect()
    }

    /// Whether the law was kept; if not, why.
    pub fn verdict(&self) -> Result<(), String> {
        let (broken, lost, calm) = (self.broken(), self.lost_by_law(), self.lost_in_calm());
        if !broken.is_empty() {
            return Err(format!("streams broke: {}", broken.join("; ")));
        }
        // Calm is part of what the law speaks of: what the datapath loses by itself is nobody's fault.
        if lost > calm {
            Err(format!("{lost} packets were lost, {calm} of them while nothing was harmed"))
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<40} {:>10} {:>8}", "harm", "took (s)", "lost")?;
        for done in &self.done {
            let name = done.harm.map_or_else(|| "none".to_owned(), |harm| harm.to_string());
            let seconds = Duration::from_millis(done.to.saturating_sub(done.from)).as_secs_f64();
            let from = if done.harm.is_some_and(Harm::is_the_datapaths) { ON_ITS_WAY_MS } else { 0 };
            writeln!(f, "{name:<40} {seconds:>10.2} {:>8}", self.lost(done.from.saturating_sub(from), done.to))?;
        }
        writeln!(
            f,
            "\n{:<6} {:<24} {:>7} {:>6} {:>6} {:>9} {:>12}",
            "", "way", "sent", "lost", "twice", "reordered", "silence (ms)"
        )?;
        for (way, kind, count) in &self.streams {
            writeln!(
                f,
                "{:<6} {way:<24} {:>7} {:>6} {:>6} {:>9} {:>12}",
                kind.as_str(),
                count.sent,
                count.lost.len(),
                count.duplicated,
                count.reordered,
                count.longest_silence
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_datapaths_death_excuses_a_loss() {
        let count = |lost: &[u64]| Count { sent: 100, lost: lost.to_vec(), ..Count::default() };
        let kill = |process| Some(Harm::Kill("network", process));
        let account = |lost: &[u64]| Account {
            streams: vec![("across hosts", Kind::Udp, count(lost)), ("across hosts", Kind::Tcp, count(&[]))],
            done: vec![
                Done { harm: None, from: 0, to: 1000 },
                Done { harm: kill("agent"), from: 1000, to: 2000 },
                Done { harm: kill("ovs-vswitchd"), from: 3000, to: 4000 },
            ],
        };
        assert_eq!(account(&[]).verdict(), Ok(()));
        assert_eq!(account(&[2900, 3500]).verdict(), Ok(()));
        assert!(account(&[1500]).verdict().is_err());
        assert_eq!(account(&[500]).verdict(), Ok(()), "the datapath's own");
        assert!(account(&[500, 1500]).verdict().is_err());
        let mut torn = account(&[]);
        torn.streams[1].2.lost.push(3500);
        assert!(torn.verdict().is_err(), "a stream loses nothing at all");
    }
}
