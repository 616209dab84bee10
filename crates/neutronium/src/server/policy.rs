//! The operator's policy file: read at the start, and again on SIGHUP or when it has changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use access_policy::Policy;
use api_server::ApiConfig;
use tokio::signal::unix::Signal;

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// A policy file.
pub struct File {
    path: PathBuf,
    /// What it looked like when it was last read.
    seen: Option<Look>,
}

/// What tells that a file has changed.
type Look = (SystemTime, u64);

impl File {
    /// The file that the configuration names.
    pub fn of(config: &ApiConfig) -> Option<Self> {
        (!config.policy_file.is_empty()).then(|| Self::at(Path::new(&config.policy_file)))
    }

    /// The file at a path.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: look(path) }
    }

    /// Neutron's rules with those of the file over them. The error is one sentence.
    pub fn read(&self) -> Result<Policy, String> {
        let place = self.path.display();
        let text = std::fs::read_to_string(&self.path).map_err(|error| format!("policy file {place}: {error}"))?;
        Policy::with_file(&text).map_err(|error| format!("policy file {place}: {error}"))
    }

    /// Hands on the rules with every good change of the file. After a bad one the former rules stay.
    pub async fn follow(mut self, mut reload: Signal, mut hold: impl FnMut(Policy)) {
        loop {
            let asked = tokio::select! {
                signal = reload.recv() => signal.is_some(),
                () = tokio::time::sleep(PERIOD) => false,
            };
            let now = look(&self.path);
            if !asked && now == self.seen {
                continue;
            }
            self.seen = now;
            match self.read() {
                Ok(policy) => {
                    hold(policy);
                    tracing::info!(file = %self.path.display(), "policy read again");
                }
                Err(reason) => tracing::error!(reason, "the former policy stays"),
            }
        }
    }
}

fn look(path: &Path) -> Option<Look> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Number, raise};
    use tokio::sync::mpsc;

    /// What a file says of creating networks.
    fn says(policy: &Policy) -> String {
        policy.rules().iter().find(|rule| rule.name == "create_network").unwrap().check.to_owned()
    }

    #[tokio::test]
    async fn a_good_change_holds_and_a_bad_one_does_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "create_network: role:first").unwrap();
        let rules = File::at(file.path());
        assert_eq!(says(&rules.read().unwrap()), "role:first");
        let (hold, mut held) = mpsc::unbounded_channel();
        let followed = tokio::spawn(rules.follow(crate::signals::reload().unwrap(), move |policy| {
            hold.send(policy).unwrap();
        }));
        std::fs::write(file.path(), "create_network: role:second").unwrap();
        raise(Number::SIGHUP).unwrap();
        assert_eq!(says(&held.recv().await.unwrap()), "role:second");
        std::fs::write(file.path(), "create_network: role:").unwrap();
        let mut seen = Vec::new();
        // The bad one may be met by the signal or by looking; nothing comes of either.
        raise(Number::SIGHUP).unwrap();
        tokio::task::yield_now().await;
        std::fs::write(file.path(), "create_network: role:third-and-last").unwrap();
        while seen.last().map(String::as_str) != Some("role:third-and-last") {
            raise(Number::SIGHUP).unwrap();
            seen.push(says(&held.recv().await.unwrap()));
        }
        assert!(seen.iter().all(|check| check == "role:third-and-last" || check == "role:second"), "{seen:?}");
        followed.abort();
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "create_netwrk: role:x").unwrap();
        let said = File::at(file.path()).read().unwrap_err();
        assert_eq!(
            said,
            format!(
                "policy file {}: there is no rule 'create_netwrk'; did you mean 'create_network'?",
                file.path().display()
            )
        );
        assert!(File::at(Path::new("/nowhere/policy.yaml")).read().unwrap_err().starts_with("policy file /nowhere"));
    }
}
