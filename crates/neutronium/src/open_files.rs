//! How many files this process may have open: sockets, most of all. An agent has nine for each network whose DHCP and metadata
//! it answers, a server one for each client; what a login shell allows is soon used up.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as it goes: to the kernel's own for who may (`CAP_SYS_RESOURCE`), else to what was allowed.
pub fn allow_many() {
    let kernel = std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    let Ok((_, allowed)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let most = kernel.unwrap_or(allowed).max(allowed);
    let raised = setrlimit(Resource::RLIMIT_NOFILE, most, most)
        .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, allowed, allowed));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_used() {
        let (_, allowed) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 64, allowed).unwrap();
        allow_many();
        let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(now == most && most >= allowed, "{now} of {most}, {allowed} before");
    }
}
