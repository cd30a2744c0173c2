//! What the user typed.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use prowl_platform::arguments::positive_duration;
use tonic::transport::Endpoint;

/// Where a server is that was started without saying where.
const SERVER: &str = "http://127.0.0.1:50051";

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
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
pub(crate) struct Common {
    /// Where the server's gRPC port is
    #[arg(long, env = "PROWL_SERVER", value_name = "URL", default_value = SERVER, value_parser = endpoint)]
    pub(crate) server: Endpoint,

    /// Longest time for one answer; until then, a server that is busy or restarts is asked again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    pub(crate) timeout: Duration,

    /// Print JSON for a program, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A server's address as the user wrote it.
fn endpoint(server: &str) -> Result<Endpoint, String> {
    Endpoint::from_shared(server.to_owned())
        .ok()
        .filter(|endpoint| endpoint.uri().scheme_str() == Some("http") && endpoint.uri().port().is_some())
        .ok_or_else(|| format!("write http://HOST:PORT, such as {SERVER}; other schemes are not spoken"))
}
