//! The history of the gate's verdicts.

use clap::Args as Group;
use prowl_platform::arguments::within;

/// `prowl-loadtest trend`
#[derive(Debug, Group)]
pub struct TrendArgs {
    /// The store
    #[arg(long, value_name = "URL", env = "PROWL_STORE")]
    pub store: String,
    /// How many of the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = within(1, 10_000))]
    pub last: u64,
    /// Print them as JSON on stdout, one a line
    #[arg(long)]
    pub json: bool,
}
