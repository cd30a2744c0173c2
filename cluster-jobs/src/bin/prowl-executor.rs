//! `prowl-executor`: Ballista's executor, which also knows Prowl's plans.

use clap::Parser;
use prowl_cluster::args::ExecutorArgs;
use prowl_cluster::session::run_executor;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = ExecutorArgs::parse();
    prowl_platform::telemetry::init("info,datafusion=warn,ballista=info")?;
    run_executor(args).await
}
