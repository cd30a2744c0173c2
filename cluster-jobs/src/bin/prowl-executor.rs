//! `prowl-executor`: Ballista's executor, which also knows Prowl's plans.

use std::process::ExitCode;

use prowl_cluster::args::ExecutorArgs;
use prowl_cluster::session::run_executor;
use prowl_platform::{arguments, exit, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    exit::after(run(arguments::parse()).await)
}

async fn run(args: ExecutorArgs) -> anyhow::Result<()> {
    telemetry::init("info,datafusion=warn,ballista=info")?;
    run_executor(args).await
}
