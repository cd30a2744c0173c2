//! `prowl-fetch`: collects pull requests and publishes them as an export.

use std::process::ExitCode;

use anyhow::Context;
use prowl_fetch::{
    args::{Args, Source},
    export, git, synth,
};
use prowl_platform::{Store, arguments, exit, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    exit::after(run(arguments::parse::<Args>()).await)
}

async fn run(args: Args) -> anyhow::Result<()> {
    telemetry::init("info")?;
    let output = args.source.output().clone();
    let store = Store::open(&output.store)?;
    let report = match args.source {
        Source::Git(args) => {
            let config = git::Config::from(args);
            export::publish(&store, output.part_size, move |outlet| git::read(&config, outlet)).await
        }
        Source::Synth(args) => {
            let config = synth::Config::try_from(args).unwrap_or_else(|wrong_use| wrong_use.exit());
            export::publish(&store, output.part_size, move |outlet| synth::generate(&config, outlet)).await
        }
    }?;
    eprintln!("{}", report.text());
    if output.json {
        println!("{}", serde_json::to_string(&report).context("cannot print the summary")?);
    }
    Ok(())
}
