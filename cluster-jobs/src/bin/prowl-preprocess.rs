//! `prowl-preprocess`: from an export to a published features run, and a look at what was published.

use std::process::ExitCode;

use anyhow::Context;
use prowl_cluster::args::{Ask, CommandLine};
use prowl_cluster::{inspect, job, prune};
use prowl_platform::{arguments, exit, shutdown, telemetry};
use serde::Serialize;

fn main() -> ExitCode {
    let ask = Ask::try_from(arguments::parse::<CommandLine>()).unwrap_or_else(|wrong_use| wrong_use.exit());
    exit::after(run(&ask))
}

fn run(ask: &Ask) -> anyhow::Result<()> {
    // What the engine reports on its way to an error, the error itself tells in the end.
    let _telemetry = telemetry::init("prowl-preprocess", "off,prowl_cluster=info,prowl_platform=info")?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    match ask {
        Ask::Run(ask) => {
            let summary = runtime.block_on(async { job::run_until(ask, Box::pin(shutdown::signal())).await });
            // A file that is being read may keep a thread busy after a failure; nobody waits for it.
            runtime.shutdown_background();
            tell(&summary?, ask.json).context("the run is published, but its summary cannot be printed")
        }
        Ask::Inspect(ask) => tell(&runtime.block_on(inspect::inspect(ask))?, ask.json).context("cannot print the run"),
        Ask::Prune(ask) => tell(&runtime.block_on(prune::prune(ask))?, ask.json).context("cannot print what went"),
    }
}

/// To the next program on stdout, or to the person at the terminal on stderr.
fn tell(result: &(impl Serialize + std::fmt::Display), json: bool) -> anyhow::Result<()> {
    if json {
        exit::answer(result)?;
    } else {
        exit::say(result);
    }
    Ok(())
}
