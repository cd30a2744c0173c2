//! `prowl-scheduler`: Ballista's scheduler, which also knows Prowl's plans.

use prowl_cluster::args::SchedulerArgs;
use prowl_cluster::session::run_scheduler;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = prowl_platform::arguments::parse::<SchedulerArgs>();
    prowl_platform::telemetry::init("info,datafusion=warn,ballista=info")?;
    run_scheduler(args).await
}
