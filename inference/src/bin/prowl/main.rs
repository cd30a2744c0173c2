//! `prowl`: asks a running Prowl server about pull requests, for a person or for a program.
//!
//! It links the generated client of `prowl-proto` and nothing of the service: no model, no feature.

mod ask;
mod documents;
mod explain;
mod model_text;
mod score_text;
mod server;
mod splitter;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use tonic::transport::Endpoint;

use crate::server::Server;

const EXAMPLES: &str = "\
Examples:
  prowl score pull-requests.ndjson.gz --json | jq .percentile
  prowl model

  # A pull request with its files, which GitHub gives apart from it:
  pr=repos/OWNER/NAME/pulls/7
  { gh api $pr; gh api --paginate $pr/files; } |
    jq -s '.[0] + {files: (.[1:] | add)}' | prowl score -

Exit codes: 0 all scored, 1 something failed, 2 wrong use.";

/// Asks a Prowl server how unusual a pull request is, what kind of change, and why.
#[derive(Debug, Parser)]
#[command(name = "prowl", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Score pull requests in GitHub's own JSON
    #[command(after_help = EXAMPLES)]
    Score {
        /// JSON documents, one after another (such as one a line) or in a list; plain, gzip or zstd; `-` reads stdin
        #[arg(value_name = "FILE")]
        file: String,
        #[command(flatten)]
        common: Common,
    },
    /// Describe the model that answers
    Model {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// Where the server's gRPC port is
    #[arg(long, env = "PROWL_SERVER", value_name = "URL", default_value = explain::SERVER, value_parser = explain::endpoint)]
    server: Endpoint,

    /// Longest time for one answer; until then, a server that is busy or restarts is asked again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,

    /// Print JSON for a program, one object a line
    #[arg(long)]
    json: bool,
}

/// `500ms`, `10s`, `1m30s`: at most an hour.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    parsed
        .filter(|time| !time.is_zero() && *time <= Duration::from_hours(1))
        .ok_or_else(|| "write a time up to 1h, for example 500ms or 10s".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(prowl_platform::arguments::parse::<Cli>().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            ask::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; what went wrong with a single document has been said already.
async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Score { file, common } => {
            // A wrong file name is told before a missing server.
            let documents = documents::open(&file)?;
            let server = Server::connect(common.server, common.timeout).await?;
            ask::score(&server, documents, common.json).await
        }
        Command::Model { common } => {
            let server = Server::connect(common.server, common.timeout).await?;
            ask::model(&server, common.json).await?;
            Ok(true)
        }
    }
}
