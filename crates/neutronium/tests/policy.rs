//! `neutronium policy` as operators type it.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::Value;

fn policy(file: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_neutronium"));
    command.arg("policy").arg("--policy-file").arg(path).args(arguments).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn what_holds_is_listed() {
    let changed = policy("create_network: role:boss", &["list", "--changed"]);
    assert_eq!(said(&changed), (Some(0), "\"create_network\": \"role:boss\"".to_owned()));
    let all: Value = serde_json::from_slice(&policy("", &["list", "--json"]).stdout).unwrap();
    assert!(all.as_array().unwrap().len() > 300);
    // What is printed is a policy file itself.
    let text = String::from_utf8(policy("", &["list"]).stdout).unwrap();
    assert_eq!(policy(&text, &["check", "create_network", "--role", "admin"]).status.code(), Some(0));
}

#[test]
fn a_question_is_answered_by_word_and_exit_code() {
    let own = ["check", "create_network", "--role", "member", "--project-id", "p"];
    assert_eq!(said(&policy("", &own)), (Some(0), "yes: project_id is p".to_owned()));
    let target = |project| [&own[..], &["--target", project][..]].concat();
    assert_eq!(said(&policy("", &target("project_id=p"))).0, Some(0));
    assert_eq!(said(&policy("", &target("project_id=q"))).0, Some(1));
    let never = policy("", &["check", "create_network:shared", "--role", "member", "--project-id", "p", "--json"]);
    let answer: Value = serde_json::from_slice(&never.stdout).unwrap();
    assert_eq!(
        (never.status.code(), &answer["allowed"], &answer["condition"]),
        (Some(1), &false.into(), &"never".into())
    );
}

#[test]
fn a_bad_file_is_refused() {
    let refused = policy("create_network: rule:nobody", &["list"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refers to the rule 'nobody', which does not exist"));
}
