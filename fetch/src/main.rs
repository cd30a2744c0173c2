//! `prowl-fetch`: collects pull requests, into MongoDB or straight into an export, and takes them from one to the other.

use std::process::ExitCode;

use anyhow::Context;
use prowl_fetch::{
    args::{Args, Config},
    metrics::Run,
};
use prowl_platform::{arguments, exit, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::try_from(arguments::parse::<Args>()).unwrap_or_else(|wrong_use| wrong_use.exit());
    exit::after(run(config).await)
}

async fn run(Config { command, json, metrics, task }: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("prowl-fetch", "info")?;
    let run = Run::begin(command);
    let (report, failure) = match task.run().await {
        // What could be done was done, and is told before what could not.
        Ok(report) => {
            let incomplete = report.incomplete();
            (Some(report), incomplete)
        }
        Err(error) => (None, Some(error)),
    };
    run.end(&metrics, report.as_ref(), failure.is_some()).await;
    if let Some(report) = &report {
        exit::say(&report.text());
        if json {
            exit::answer(report).context("all of it is done, but its summary cannot be printed")?;
        }
    }
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}
