//! `prowl-preprocess`: from an export to a published features run.

use std::process::ExitCode;

use anyhow::Context;
use prowl_cluster::args::{Preprocess, PreprocessArgs};
use prowl_cluster::job;
use prowl_platform::{arguments, exit, shutdown, telemetry};

fn main() -> ExitCode {
    let ask = Preprocess::try_from(arguments::parse::<PreprocessArgs>()).unwrap_or_else(|wrong_use| wrong_use.exit());
    exit::after(run(&ask))
}

fn run(ask: &Preprocess) -> anyhow::Result<()> {
    // What the engine reports on its way to an error, the error itself tells in the end.
    telemetry::init("off,prowl_cluster=warn,prowl_platform=warn")?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    let summary = runtime.block_on(async { job::run_until(ask, Box::pin(shutdown::signal())).await });
    // A file that is being read may keep a thread busy after a failure; nobody waits for it.
    runtime.shutdown_background();
    let summary = summary?;
    if ask.json {
        exit::answer(&serde_json::json!(summary)).context("the run is published, but its summary cannot be printed")?;
    } else {
        exit::say(&summary);
    }
    Ok(())
}
