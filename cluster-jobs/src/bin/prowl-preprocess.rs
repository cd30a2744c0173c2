//! `prowl-preprocess`: from an export to a published features run.

use std::process::ExitCode;

use anyhow::Context;
use prowl_cluster::args::{Preprocess, PreprocessArgs};
use prowl_cluster::job;
use prowl_platform::{arguments, shutdown, telemetry};

fn main() -> ExitCode {
    let ask = match Preprocess::try_from(arguments::parse::<PreprocessArgs>()) {
        Ok(ask) => ask,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    match run(&ask) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(ask: &Preprocess) -> anyhow::Result<()> {
    // What the engine reports on its way to an error, the error itself tells in the end.
    telemetry::init("off,prowl_cluster=warn,prowl_platform=warn")?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    let summary = runtime.block_on(async { job::run_until(ask, Box::pin(shutdown::signal())).await });
    // Tasks of a job that failed or was stopped may still be at work; nobody waits for them.
    runtime.shutdown_background();
    let summary = summary?;
    if ask.json {
        println!("{}", serde_json::json!(summary));
    } else {
        eprintln!("{summary}");
    }
    Ok(())
}
