//! `prowl-fetch`: collects pull requests and publishes them as an export.

use std::process::ExitCode;

use anyhow::Context;
use prowl_fetch::{
    args::{Args, Config, SourceConfig},
    export, git, synth,
};
use prowl_platform::{Store, arguments, exit, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::try_from(arguments::parse::<Args>()).unwrap_or_else(|wrong_use| wrong_use.exit());
    exit::after(run(config).await)
}

async fn run(Config { store, part_size, json, source }: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("prowl-fetch", "info")?;
    let store = Store::connect(&store).await?;
    let report = match source {
        SourceConfig::Git(git) => export::publish(&store, part_size, move |outlet| git::read(&git, outlet)).await,
        SourceConfig::Synth(synth) => {
            export::publish(&store, part_size, move |outlet| synth::generate(&synth, outlet)).await
        }
    }?;
    exit::say(&report.text());
    if json {
        exit::answer(&report).context("the export is published, but its summary cannot be printed")?;
    }
    Ok(())
}
