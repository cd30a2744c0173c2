//! `prowl-inference`: parse, telemetry, run until a signal, drain.

use std::process::ExitCode;

use clap::Parser;
use prowl_inference::{args::Args, config::Config, server};
use prowl_platform::{exit, shutdown, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::try_from(Args::parse()) {
        Ok(config) => config,
        Err(error) => return fail(exit::WRONG_USE, &error.into()),
    };
    match serve(config).await {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => fail(exit::FAILED, &error),
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::init("info")?;
    let signal = shutdown::signal();
    server::run(config, signal).await
}

fn fail(code: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
