//! `prowl-scheduler`: Ballista's scheduler, which also knows Prowl's plans.

use std::process::ExitCode;

use prowl_cluster::args::SchedulerArgs;
use prowl_cluster::session::run_scheduler;
use prowl_platform::{arguments, exit, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    exit::after(run(arguments::parse()).await)
}

async fn run(args: SchedulerArgs) -> anyhow::Result<()> {
    telemetry::init("info,datafusion=warn,ballista=info")?;
    run_scheduler(args).await
}
