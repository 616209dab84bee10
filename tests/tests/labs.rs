//! The labs of the seed documents, and what they lack, each held to every word on a lab of its own.
#![allow(clippy::unwrap_used)] // in helpers of tests, too

use system_tests::Lab;
use system_tests::labs::{ALL, Told};
use system_tests::story::Story;

struct Guard(Lab);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.run(&["lab", "down"]);
    }
}

fn is_as_told(name: &str) {
    let told: &Told = ALL.iter().find(|told| told.name == name).unwrap();
    let lab = Guard(Lab::new(&format!("{}-{}", &name[..name.len().min(8)], std::process::id())));
    lab.0.run(&["lab", "up", told.file().to_str().unwrap()]).unwrap();
    let mut story = Story::told();
    (told.tell)(&lab.0, &mut story).unwrap();
    assert!(story.wrong().is_empty(), "{:#?}", story.wrong());
}

#[test]
fn quantum() {
    is_as_told("quantum");
}

#[test]
fn two_externals() {
    is_as_told("two-externals");
}

#[test]
fn packet_walk() {
    is_as_told("packet-walk");
}

#[test]
fn summit() {
    is_as_told("summit");
}

#[test]
fn three_nodes() {
    is_as_told("three-nodes");
}

#[test]
fn segments() {
    is_as_told("segments");
}

#[test]
fn metadata() {
    is_as_told("metadata");
}
