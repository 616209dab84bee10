//! `neutronium metering`: what metering labels have counted on this host.

use clap::Args;
use host_agent::{Metered, Traffic};
use serde_json::json;

use crate::audit::runtime;
use crate::exit::{Exit, Failure};
use crate::print;
use error_text::sentence;

/// Arguments of `neutronium metering`.
#[derive(Debug, Args)]
#[command(
    after_help = "Counts are those of this host, since the label's first rule came to it; what is counted of a highly
available router is the sum of its hosts. Labels and rules: `openstack network meter`. Reads only, and needs no agent.

Examples:
  neutronium metering                        every label, by router
  neutronium metering --label ID             one label
  neutronium metering --json | jq 'map(.bytes) | add'"
)]
pub struct Arguments {
    /// Only this label's counts, by its id.
    #[arg(long, value_name = "ID")]
    label: Option<String>,
    /// Only what is counted of this router, by its id.
    #[arg(long, value_name = "ID")]
    router: Option<String>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let all = runtime()?.block_on(host_agent::metering()).map_err(|error| Failure::failed(sentence(&error)))?;
    let is_wanted = |wanted: &Option<String>, id: &dyn std::fmt::Display| {
        wanted.as_ref().is_none_or(|wanted| *wanted == id.to_string())
    };
    let wanted = |one: &&Metered| is_wanted(&arguments.label, &one.label) && is_wanted(&arguments.router, &one.router);
    let shown: Vec<&Metered> = all.iter().filter(wanted).collect();
    if arguments.json {
        print::json(&json!(shown))?;
    } else if shown.is_empty() {
        print::line("nothing is counted on this host");
    } else {
        let mut table = print::table(&["label", "router", "packets", "bytes", "of it IPv6"]);
        for one in shown {
            let Traffic { packets, bytes } = one.all;
            let ids = [one.label.to_string(), one.router.to_string()];
            table.add_row(ids.into_iter().chain([packets, bytes, one.ipv6.bytes].map(|number| number.to_string())));
        }
        print::line(table);
    }
    Ok(Exit::DONE)
}
