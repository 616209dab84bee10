//! `make lab`: starts the lab if it is not up, shows the demonstration, and says how to go on. `make lab LAB=NAME`: builds
//! one of the seed labs anew and tells it.

use std::process::ExitCode;
use std::time::Instant;
use system_tests::story::Story;
use system_tests::{Failure, Lab, command, demonstration, labs};

fn main() -> ExitCode {
    let mut story = Story::told();
    let told = match std::env::args().nth(1) {
        None => tell(&mut story),
        Some(name) => tell_lab(&name, &mut story),
    };
    match told {
        Ok(()) if story.wrong().is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(failure) => {
            story.line(format_args!("\nThe demonstration broke off: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn tell(story: &mut Story) -> Result<(), Failure> {
    let lab = Lab::new(&std::env::var("NEUTRONIUM_LAB").unwrap_or_else(|_| "lab".to_owned()));
    let start = Instant::now();
    story.chapter("Four hosts and a world outside (neutronium lab up)");
    command::show(&mut lab.command(&["lab", "up"]))?;
    story.line(format_args!("{}", lab.run(&["lab", "status"])?));
    demonstration::run(&lab, story)?;
    let wrong = story.wrong().len();
    let steps = story.steps().len();
    story.line(format_args!(
        "\n{} of {steps} steps as they should be, in {:.0} s (most of it the start of the Python client, once a command)",
        steps - wrong,
        start.elapsed().as_secs_f64()
    ));
    story.line(format_args!("{GO_ON}"));
    Ok(())
}

/// One of the seed labs, in a lab of that name; it stays up afterwards.
fn tell_lab(name: &str, story: &mut Story) -> Result<(), Failure> {
    let Some(told) = labs::ALL.iter().find(|told| told.name == name) else {
        let names: Vec<&str> = labs::ALL.iter().map(|told| told.name).collect();
        return Err(Failure::Unexpected {
            command: format!("lab {name}"),
            what: format!("there are {}", names.join(", ")),
        });
    };
    let lab = Lab::new(name);
    lab.run(&["lab", "down"])?;
    story.chapter(&format!("{name} (neutronium lab up {}.toml)", told.topology));
    command::show(lab.command(&["lab", "up"]).arg(told.file()))?;
    story.line(format_args!("{}", lab.run(&["lab", "status"])?));
    (told.tell)(&lab, story)?;
    story.line(format_args!(
        "\n{} of {} steps as they should be. The lab stays up:\n  \
         eval \"$(target/debug/neutronium lab --lab {name} openrc)\"     then: .venv/bin/openstack network list\n  \
         target/debug/neutronium lab --lab {name} status, exec HOST, audit, down",
        story.steps().len() - story.wrong().len(),
        story.steps().len()
    ));
    Ok(())
}

const GO_ON: &str = "
Go on:
  eval \"$(target/debug/neutronium lab openrc --user demo --project demo --password neutronium-demo)\"
  openstack network list                                  (the client is in .venv/bin)
  target/debug/neutronium lab exec compute1 -- ovs-ofctl dump-flows br-int
  target/debug/neutronium lab exec network -- ip netns
  target/debug/neutronium probe exec p1 -- ping 10.0.0.1
  make lab-down                                           removes every trace";
