//! `prowl`: asks a running Prowl server about pull requests, for a person or for a program.
//!
//! It links the generated client of `prowl-proto` and nothing of the service: no model, no feature.

mod ask;
mod documents;
mod explain;
mod model_text;
mod score_text;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use prowl_proto::v1::scoring_client::ScoringClient;
use tonic::transport::Channel;

const EXAMPLES: &str = "\
Examples:
  gh api repos/OWNER/NAME/pulls/7 | prowl score -
  prowl score pull-requests.ndjson.gz --json | jq .percentile
  prowl model

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
    Score {
        /// One JSON document or several, such as one a line, plain or gzip; `-` reads stdin
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
    #[arg(long, env = "PROWL_SERVER", value_name = "URL", default_value = "http://127.0.0.1:50051")]
    server: String,

    /// Print JSON for a program, one object a line
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
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
            let client = connect(&common.server).await?;
            ask::score(client, &common.server, documents, common.json).await
        }
        Command::Model { common } => {
            let client = connect(&common.server).await?;
            ask::model(client, &common.server, common.json).await
        }
    }
}

async fn connect(server: &str) -> anyhow::Result<ScoringClient<Channel>> {
    let endpoint = explain::endpoint(server)?;
    let channel = endpoint.connect().await.map_err(|error| explain::unreachable(server, &error))?;
    Ok(ScoringClient::new(channel).max_decoding_message_size(usize::MAX))
}
