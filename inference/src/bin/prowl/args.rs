//! What the user typed.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use prowl_platform::arguments::{positive_duration, variable, within};
use prowl_proto::Bearer;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::{ceiling::Ceiling, server::Server};

/// Where a server is that was started without saying where.
const SERVER: &str = "http://127.0.0.1:50051";

const EXAMPLES: &str = "\
Examples:
  prowl score pull-requests.ndjson.gz --json | jq .percentile
  prowl score --top 10 store/exports/20261124T214500Z/part-*
  prowl model
  prowl feedback octocat/hello-world#7 --reverted

  # A pull request with its files, which GitHub gives apart from it:
  pr=repos/OWNER/NAME/pulls/7
  { gh api $pr; gh api --paginate $pr/files; } |
    jq -sc '.[0] + {files: (.[1:] | add)}' | prowl score -

PROWL_TOKEN holds the token, where the server asks for one.

Exit codes: 0 all is well, 1 something failed, 2 wrong use, 3 one is above --fail-above.";

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
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,

        /// Shows only so many, the most unusual first, once all are scored
        #[arg(long, value_name = "COUNT", value_parser = within(1, 10_000))]
        top: Option<u64>,

        /// Fails with exit code 3 where a pull request is above it, or is not judged, whether --top shows it or not: risk=0.2 is a
        /// probability, percentile=99 how unusual it is; may be given several times
        #[arg(long, value_name = "FIGURE=MOST", value_parser = Ceiling::parse)]
        fail_above: Vec<Ceiling>,
        #[command(flatten)]
        common: Common,
    },
    /// Say what became of a pull request, for the next training
    Feedback {
        /// The pull request
        #[arg(value_name = "OWNER/NAME#NUMBER", value_parser = identity)]
        pull_request: (String, u64),

        #[command(flatten)]
        said: Said,

        /// Why, for people; nothing is learnt from it
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Describe the model that answers
    Model {
        #[command(flatten)]
        common: Common,
    },
}

/// What a reviewer says; one of them at least.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Said {
    /// Whether it had to be taken back, or mended at once
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) reverted: Option<bool>,

    /// What kind of change it is, such as fix or docs
    #[arg(long, value_name = "NAME")]
    pub(crate) category: Option<String>,

    /// Whether it is unusual
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) unusual: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where the server's gRPC port is
    #[arg(long, env = "PROWL_SERVER", value_name = "URL", default_value = SERVER, value_parser = endpoint)]
    pub(crate) server: Endpoint,

    /// Certificates in PEM that those of an https server are checked by, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Longest time for one answer; until then, a server that is busy or restarts is asked again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    pub(crate) timeout: Duration,

    /// Print JSON for a program, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

impl Common {
    /// Connects to the server.
    ///
    /// # Errors
    /// Nothing listens there, or the certificates or the token cannot be used.
    pub(crate) async fn connect(&self) -> anyhow::Result<Server> {
        let mut endpoint = self.server.clone();
        if endpoint.uri().scheme_str() == Some("https") {
            let mut tls = ClientTlsConfig::new().with_native_roots();
            if let Some(path) = &self.ca_file {
                let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            }
            endpoint = endpoint.tls_config(tls).context("cannot speak TLS with these certificates")?;
        }
        Server::connect(endpoint, token()?, self.timeout).await
    }
}

/// That of `PROWL_TOKEN`: an argument could be read in the list of processes.
fn token() -> anyhow::Result<Bearer> {
    let Some(token) = variable("PROWL_TOKEN") else { return Ok(Bearer::default()) };
    Bearer::of(&token).context("PROWL_TOKEN holds other than visible characters: set it to the token alone")
}

/// A pull request as GitHub writes it.
fn identity(text: &str) -> Result<(String, u64), String> {
    let parts = || {
        let (repository, number) = text.rsplit_once('#')?;
        let (owner, name) = repository.split_once('/')?;
        let number = number.parse().ok().filter(|number| *number > 0)?;
        let is_one = !owner.is_empty() && !name.is_empty() && !name.contains('/');
        is_one.then(|| (repository.to_owned(), number))
    };
    parts().ok_or_else(|| "write OWNER/NAME#NUMBER, such as octocat/hello-world#7".to_owned())
}

/// A server's address as the user wrote it.
fn endpoint(server: &str) -> Result<Endpoint, String> {
    Endpoint::from_shared(server.to_owned())
        .ok()
        .filter(|endpoint| {
            matches!(endpoint.uri().scheme_str(), Some("http" | "https")) && endpoint.uri().port().is_some()
        })
        .ok_or_else(|| {
            format!("write http://HOST:PORT or https://HOST:PORT, such as {SERVER}; other schemes are not spoken")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_is_named_as_github_names_it() {
        assert_eq!(identity("octocat/hello-world#7"), Ok(("octocat/hello-world".to_owned(), 7)));
        for wrong in
            ["", "#7", "a#7", "a/b", "a/b#", "a/b#0", "a/b#-1", "a/b#x", "/a/b#7", "a//b#7", "a/b/c#7", "a/#7", "/b#7"]
        {
            assert!(identity(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn feedback_says_something() {
        let parse = |more: &[&str]| Cli::try_parse_from([&["prowl", "feedback", "a/b#7"], more].concat());
        assert!(parse(&["--unusual=false", "--comment", "as always"]).is_ok());
        assert!(parse(&["--comment", "hm"]).is_err() && parse(&[]).is_err());
    }
}
