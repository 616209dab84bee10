//! The demonstration, held to every word, on a lab of its own; and again, for a second run must not differ.

use system_tests::story::Story;
use system_tests::{Lab, demonstration};

struct Guard(Lab);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.run(&["lab", "down"]);
    }
}

#[test]
fn two_runs_show_the_same() {
    let lab = Guard(Lab::new("demonstration-test"));
    lab.0.run(&["lab", "up"]).unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut story = Story::told();
        demonstration::run(&lab.0, &mut story).unwrap();
        assert!(story.wrong().is_empty(), "{:#?}", story.wrong());
        let made = |step: &&system_tests::story::Step| !step.why.is_empty();
        told.push(story.steps().iter().filter(made).map(|step| (step.what.clone(), step.right)).collect::<Vec<_>>());
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].len() >= 14, "the whole of it: {told:#?}");
}
