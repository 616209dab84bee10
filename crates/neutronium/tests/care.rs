//! `neutronium agent --dry-run`, `--remove` and `neutronium audit` as operators type them on the hosts of a lab.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_neutronium");

/// A lab of its own, down again at the end.
struct Lab(String);

impl Lab {
    fn up() -> Self {
        let lab = Self(format!("t{}-care", std::process::id()));
        assert!(lab.run(&["up"]).status.success());
        lab
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(PROGRAM).args(["lab", "--lab", &self.0]).args(words).output().unwrap()
    }

    /// A command of the binary's on a host: exit code, standard output, standard error.
    fn on(&self, host: &str, words: &[&str]) -> (Option<i32>, String, String) {
        let output = self.run(&[&["exec", host, "--"], words].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

#[test]
fn a_host_is_audited_previewed_and_cleaned() {
    let lab = Lab::up();
    let settled = lab.run(&["audit", "--wait", "60", "--json"]);
    let answer: Value = serde_json::from_slice(&settled.stdout).unwrap();
    assert_eq!((settled.status.code(), &answer["clean"]), (Some(0), &true.into()), "{answer}");
    let hosts: Vec<&str> =
        answer["hosts"].as_array().unwrap().iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["network", "compute1", "compute2"]);
    assert_eq!(answer["hosts"][0]["view"]["from"], "server");

    // A person's words, and nothing else on any stream.
    let (code, said, logged) = lab.on("compute1", &[PROGRAM, "agent", "--dry-run"]);
    assert!(code == Some(0) && said.contains("nothing would be done") && said.contains("br-int"), "{said}{logged}");
    assert_eq!(logged, "");
    let (code, said, _) = lab.on("compute1", &[PROGRAM, "agent", "--dry-run", "--json"]);
    let plan: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &plan["difference"]), (Some(0), &Value::Array(vec![])));
    assert!(plan["plan"]["flows"]["br-int"].as_array().unwrap().len() > 50);

    // With the agent away, nobody mends what is broken, and the audit says what it is; the audit needs the server as little.
    let (code, _, refused) = lab.on("compute1", &[PROGRAM, "agent", "--remove"]);
    assert!(code == Some(2) && refused.contains("an agent runs on this host already"), "{refused}");
    let status: Value = serde_json::from_slice(&lab.run(&["status", "--json"]).stdout).unwrap();
    let pid = |host: &str, process: &str| {
        let node = status["nodes"].as_array().unwrap().iter().find(|node| node["name"] == host).unwrap();
        let found = node["processes"].as_array().unwrap().iter().find(|found| found["name"] == process).unwrap();
        found["pid"].as_u64().unwrap().to_string()
    };
    for (host, process) in [("compute1", "agent"), ("controller", "server")] {
        assert!(Command::new("kill").args(["-STOP", &pid(host, process)]).status().unwrap().success());
    }
    // Nothing differs yet, and still the host is not well: nobody would mend it. Another one, which is well, is not blamed.
    let (code, said, _) = lab.on("compute1", &[PROGRAM, "audit", "--kept"]);
    assert!(code == Some(3) && said.contains("is what its plan says, but its agent does not answer"), "{said}");
    let (code, said, _) = lab.on("compute1", &[PROGRAM, "audit", "--kept", "--json"]);
    let audit: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &audit["clean"], &audit["agent"]["state"]),
        (Some(3), &false.into(), &"silent".into()),
        "{audit}"
    );
    let of_lab = lab.run(&["audit", "--kept"]);
    let said = String::from_utf8_lossy(&of_lab.stdout).into_owned();
    assert_eq!(of_lab.status.code(), Some(3), "{said}");
    let lines = |what: &str| said.lines().filter(|line| line.contains(what)).count();
    assert!(lines("nobody cares for it") == 1 && lines("does not answer") == 1 && lines("✓") == 2, "{said}");
    let (code, ..) = lab.on("compute1", &["ovs-ofctl", "del-flows", "br-int", "table=72"]);
    assert_eq!(code, Some(0));
    let (code, ..) = lab.on("compute1", &["ovs-vsctl", "del-port", "patch-tun"]);
    assert_eq!(code, Some(0));
    let (code, said, logged) = lab.on("compute1", &[PROGRAM, "audit", "--kept"]);
    assert!(code == Some(1) && said.contains("missing") && said.contains("table=72"), "{said}{logged}");
    assert!(said.contains("the view that was kept") && said.contains("patch-tun"), "{said}");
    let (code, said, _) = lab.on("compute1", &[PROGRAM, "audit", "--json"]);
    let audit: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &audit["clean"], &audit["view"]["from"]), (Some(1), &false.into(), &"kept".into()));
    let of = |layer: &str| audit["findings"].as_array().unwrap().iter().filter(|one| one["layer"] == layer).count();
    assert!(of("flow") >= 10 && of("ovsdb") >= 1, "{audit}");

    // It mends all that once it is there again.
    for (host, process) in [("compute1", "agent"), ("controller", "server")] {
        assert!(Command::new("kill").args(["-CONT", &pid(host, process)]).status().unwrap().success());
    }
    let mended = lab.run(&["audit", "--wait", "60"]);
    assert_eq!(mended.status.code(), Some(0), "{}", String::from_utf8_lossy(&mended.stdout));

    // One sentence for what cannot be used.
    let (code, _, said) = lab.on("compute1", &[PROGRAM, "audit", "--config", "/nowhere"]);
    assert!(code == Some(2) && said.lines().count() == 1 && said.contains("/nowhere"), "{said}");
    let (code, _, said) = lab.on("compute1", &[PROGRAM, "agent", "--dry-run", "--view", "/etc/hosts"]);
    assert!(code == Some(2) && said.contains("/etc/hosts is not a view"), "{said}");
    assert_eq!(lab.run(&["audit", "compute9"]).status.code(), Some(1));
}

#[test]
fn help_has_examples_and_completion_knows_the_commands() {
    for words in [&["agent", "--help"][..], &["audit", "--help"], &["lab", "audit", "--help"], &["metering", "--help"]]
    {
        let help = Command::new(PROGRAM).args(words).output().unwrap();
        assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"), "{words:?}");
    }
    let completion = Command::new(PROGRAM).args(["completion", "bash"]).output().unwrap();
    let script = String::from_utf8_lossy(&completion.stdout).into_owned();
    assert!(script.contains("--dry-run") && script.contains("neutronium__subcmd__audit"), "tab completion knows them");
}
