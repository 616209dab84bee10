//! `neutronium audit`: whether this host is what its plan says; and how findings are shown, also of a dry run and of a lab.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use host_agent::{AgentConfig, Audit, Finding, How, Layer, Source, ViewFrom};
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::print::{self, styled};
use error_text::sentence;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// Findings of one kind at one place that are shown to a person.
const SHOWN: usize = 6;
/// Characters of a text that are shown to a person in one cell.
const WIDEST: usize = 100;

/// Arguments of `neutronium audit`.
#[derive(Debug, Args)]
#[command(
    after_help = "Compares in every layer: OVSDB, flows, tunnel endpoint and neighbours; namespaces with their devices,
addresses, routes, kernel parameters, nftables and listening sockets. Reads only, and needs no running agent; but asks
it whether it is there, for two seconds at most: a host that nobody cares for does not stay what it is.
What is wrong is said first by network, router and port, a sentence each, then in every layer's own language.

Exit code: 0 the host is what its plan says, 1 it is not, 2 the configuration cannot be used,
           3 it is, but its agent does not run or does not answer.

Examples:
  neutronium audit                     once, now
  neutronium audit --wait 30           until it is so, at most half a minute
  neutronium audit --kept              by the view that the agent has kept, without asking the server
  neutronium audit --json | jq '.findings[] | select(.layer == \"flow\")'"
)]
pub struct Arguments {
    /// The agent's configuration, TOML.
    #[arg(long, default_value = "/etc/neutronium/agent.toml")]
    config: PathBuf,
    #[command(flatten)]
    look: Look,
}

/// How to look, and how to show what was found: the same for one host and for a lab.
#[derive(Debug, Args)]
pub struct Look {
    /// Looks again until nothing differs, for at most so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u64,
    /// Goes by what the agent has kept, without asking the server.
    #[arg(long)]
    pub kept: bool,
    /// Shows every finding, however many there are.
    #[arg(long)]
    pub all: bool,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let config = configuration(&arguments.config)?;
    let from = if arguments.look.kept { ViewFrom::Kept } else { ViewFrom::Server };
    let audit = runtime()?.block_on(async {
        let until = Instant::now() + Duration::from_secs(arguments.look.wait);
        loop {
            let outcome = host_agent::audit(&config, from.clone()).await;
            let settled = match &outcome {
                Ok(audit) => audit.is_clean(),
                Err(error) => !error.is_worth_retrying(),
            };
            if settled || Instant::now() >= until {
                return outcome.map_err(|error| Failure::failed(sentence(&error)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    })?;
    if arguments.look.json {
        print::json(&json!({
            "host": audit.host, "view": audit.view, "agent": audit.agent, "clean": audit.is_clean(),
            "diagnosis": audit.diagnosis, "findings": audit.findings,
        }))?;
    } else {
        show(&audit, arguments.look.all);
    }
    Ok(match (audit.is_as_planned(), audit.agent.answers()) {
        (true, true) => Exit::DONE,
        (true, false) => Exit::SILENT,
        (false, _) => Exit::FAILED,
    })
}

/// The agent's configuration, or one sentence about it.
pub fn configuration(path: &std::path::Path) -> Result<AgentConfig, Failure> {
    AgentConfig::load(path).map_err(|error| Failure::refused(format!("{}: {}", path.display(), sentence(&error))))
}

/// A runtime for one command.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the event loop: {error}")))
}

fn show(audit: &Audit, all: bool) {
    let view = view(&audit.view);
    let complaint = audit.agent.complaint();
    if audit.is_as_planned() {
        print::line(format!(
            "{} {} is what its plan says{} ({}; {view})",
            if complaint.is_none() { styled(print::GREEN, "✓") } else { styled(print::RED, "✗") },
            styled(print::BOLD, &audit.host),
            complaint.map(|complaint| format!(", but its agent {complaint}")).unwrap_or_default(),
            amount(audit)
        ));
        return;
    }
    let count = audit.findings.len();
    print::line(format!(
        "{} {}: {count} {} not as planned ({view})",
        styled(print::RED, "✗"),
        styled(print::BOLD, &audit.host),
        if count == 1 { "thing is" } else { "things are" }
    ));
    print::line(diagnosis(&audit.diagnosis));
    print::line(findings(&audit.findings, all, word));
}

/// What is wrong, in sentences, before it is told in every layer's own language.
pub fn diagnosis(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("  {} {sentence}", styled(print::RED, "▸"))).collect::<Vec<_>>().join("\n")
}

/// What a plan has, in a few words.
pub fn amount(audit: &Audit) -> String {
    let plan = &audit.plan;
    let ports: usize = plan.bridges.values().map(|bridge| bridge.ports.len()).sum();
    let flows: usize = plan.flows.values().map(Vec::len).sum();
    let devices: usize = plan.namespaces.values().map(|namespace| namespace.devices.len()).sum();
    format!(
        "{} bridges, {ports} own ports, {flows} flows, {} namespaces with {devices} devices",
        plan.bridges.len(),
        plan.namespaces.len()
    )
}

/// Which view was gone by.
pub fn view(source: &Source) -> String {
    let why = |reason: &Option<String>| reason.as_ref().map(|reason| format!(", for {reason}")).unwrap_or_default();
    match source {
        Source::Server { revision } => format!("the server's view, revision {revision}"),
        Source::Kept { revision, reason } => format!("the view that was kept, revision {revision}{}", why(reason)),
        Source::Given => "the view that was given".to_owned(),
        Source::Nobody { reason } => format!("nothing is wanted of this host as far as is known{}", why(reason)),
    }
}

/// How a finding is named when nothing is done about it.
pub fn word(how: How) -> String {
    match how {
        How::Missing => styled(print::RED, "missing"),
        How::Unexpected => styled(print::YELLOW, "unexpected"),
        How::Different => styled(print::RED, "different"),
    }
}

/// Findings as lines below the place where they are; of many of one kind there a few, unless `all` are wanted.
pub fn findings(findings: &[Finding], all: bool, word: fn(How) -> String) -> String {
    let mut places: BTreeMap<(Layer, &str), BTreeMap<How, Vec<&Finding>>> = BTreeMap::new();
    for finding in findings {
        let place = places.entry((finding.layer, &finding.place)).or_default();
        place.entry(finding.how).or_default().push(finding);
    }
    let mut lines = vec![];
    for ((layer, place), kinds) in places {
        lines.push(format!("  {} {place}", styled(print::BOLD, layer.as_str())));
        for (how, of_kind) in kinds {
            let limit = if all { of_kind.len() } else { SHOWN };
            let word = word(how);
            lines.extend(of_kind.iter().take(limit).flat_map(|finding| text(finding, &word, all)));
            if of_kind.len() > limit {
                let more = format!("and {} more (--all shows them)", of_kind.len() - limit);
                lines.push(format!("    {word} {}", styled(print::DIM, more)));
            }
        }
    }
    lines.join("\n")
}

fn text(finding: &Finding, word: &str, all: bool) -> Vec<String> {
    let shown = |text: &str| {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if all || line.chars().count() <= WIDEST {
            return line;
        }
        line.chars().take(WIDEST).chain("...".chars()).collect()
    };
    let detail = |name: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("        {} {}", styled(print::DIM, name), shown(text)))
    };
    let first = format!("    {word} {}", shown(&finding.what));
    let details = [detail("planned", &finding.planned), detail("found  ", &finding.found)];
    std::iter::once(first).chain(details.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_one_kind_are_counted_and_long_texts_cut() {
        let finding = |what: String| Finding {
            layer: Layer::Flow,
            place: "br-int".to_owned(),
            how: How::Missing,
            what,
            planned: None,
            found: None,
            about: None,
        };
        let many: Vec<Finding> = (0..20).map(|number| finding(format!("flow {number}"))).collect();
        let shown = findings(&many, false, |_| "gone".to_owned());
        assert!(shown.contains("and 14 more") && !shown.contains("flow 6"), "{shown}");
        assert!(findings(&many, true, |_| String::new()).contains("flow 19"));
        let long = findings(&[finding("x".repeat(200))], false, |_| "gone".to_owned());
        assert!(long.ends_with(&format!("gone {}...", "x".repeat(WIDEST))), "{long}");
    }
}
