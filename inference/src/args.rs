//! What the user typed, converted once into a [`Config`].

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use prowl_platform::{
    StoreUrl,
    arguments::{address, duration, positive_duration, within, wrong_use},
};
use reqwest::Url;

use crate::{
    config::{AccessLog, Config, Drain, Limits, Shadowing},
    following::Following,
    tls::TlsFiles,
    webhook,
};

const EXAMPLES: &str = "\
Examples:
  prowl-inference --store file://$PWD/store --insecure
  export PROWL_TOKEN=$(openssl rand -hex 24)    # which callers bring
  API_TOKENS=ci:$PROWL_TOKEN prowl-inference --store file:///srv/prowl --model 20261124T214500Z \\
      --grpc-addr 0.0.0.0:50051 --http-addr 0.0.0.0:8080

Logs go to stderr: PROWL_LOG sets the level (info), PROWL_LOG_FORMAT text or json.";

/// Scores pull requests over gRPC (prowl.v1.Scoring) and HTTP (POST /v1/score).
#[derive(Debug, Parser)]
#[command(name = "prowl-inference", version, after_help = EXAMPLES)]
pub struct Args {
    /// Where models are published, as a URL such as `file:///absolute/directory` or `s3://bucket/prefix`
    #[arg(long, env = "PROWL_STORE", value_name = "URL")]
    store: String,

    /// The model to serve: the name of its folder, or `latest`
    #[arg(long, env = "PROWL_MODEL", value_name = "VERSION", default_value = "latest")]
    model: String,

    /// Takes newer models of the store as they are published, without a restart
    #[arg(long, help_heading = "Following")]
    follow: bool,

    /// How often to look for them
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration, help_heading = "Following")]
    follow_every: Duration,

    /// Takes newer histories of features runs that fit the model, which age faster than it does
    #[arg(long, help_heading = "Following")]
    follow_profiles: bool,

    /// How often to look for them
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = positive_duration, help_heading = "Following")]
    follow_profiles_every: Duration,

    /// Has a share of the pull requests judged by a second model as well, beside the calls, and tells how the two differ
    /// (`/v1/shadow`): the name of its folder, or `latest`, which takes newer ones every --follow-every. It takes the memory of
    /// another model; no caller waits for it or sees it
    #[arg(long, value_name = "VERSION", help_heading = "Shadow")]
    shadow: Option<String>,

    /// The share that it judges, drawn anew for each pull request: above 0, and at most 1 for all of them
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share, requires = "shadow", help_heading = "Shadow")]
    shadow_share: f64,

    /// Keeps what reviewers say of answers (`SendFeedback`) in the store, for the next training
    #[arg(long)]
    feedback: bool,

    /// Most deliveries of GitHub's (`POST /webhooks/github`) that wait to be worked on; more are refused. They are taken with the
    /// secret `webhook_secret`, and answered by check runs with `github_app_id` and `github_app_key`, or `github_token`
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = within(1, 65_536), help_heading = "Webhooks")]
    webhook_queue: u64,

    /// Longest time for one of them, with all that is asked of GitHub, and asked again
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = positive_duration, help_heading = "Webhooks")]
    webhook_patience: Duration,

    /// Where GitHub's API is: `https://HOST/api/v3` for GitHub Enterprise Server
    #[arg(long, value_name = "URL", default_value = "https://api.github.com", value_parser = webhook::api_url, help_heading = "Webhooks")]
    github_api_url: Url,

    /// Answers whoever asks, without a token; on loopback addresses only. Without it callers bring one of the tokens of the
    /// secret `api_tokens` (`API_TOKENS` where there is no Vault): `name:token`, several between commas
    #[arg(long, help_heading = "Security")]
    insecure: bool,

    /// Certificate chain in PEM, read anew when it changes; both ports speak TLS 1.3 then. Without it, the secrets `tls_cert`
    /// and `tls_key` are looked for
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Security")]
    tls_cert: Option<PathBuf>,

    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Security")]
    tls_key: Option<PathBuf>,

    /// Certificates in PEM of those who sign certificates of clients: without one of these, no client is let in
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    tls_client_ca: Option<PathBuf>,

    /// Which requests the log tells of, a line each
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = AccessLog::Failed)]
    access_log: AccessLog,

    /// Where gRPC listens; port 0 takes a free one, which the log tells
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051", value_parser = address)]
    grpc_addr: SocketAddr,

    /// Where HTTP listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    http_addr: SocketAddr,

    /// Largest gRPC message or HTTP body; GitHub's JSON of a pull request with 3,000 files has about 5 MB. Times
    /// the sum of --max-in-flight and --max-streams it is the memory that all of them may take, 1312 MiB by default
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, value_parser = within(1 << 10, 1 << 30), help_heading = "Limits")]
    max_request_bytes: u64,

    /// Most pull requests in one batch
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = within(1, 100_000), help_heading = "Limits")]
    max_batch: u64,

    /// Most requests at one time on both ports, each from its head until its answer is sent; a burst waits for a
    /// second at most, more are refused. Times --max-request-bytes it is the memory that those within may take
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = within(1, 65_536), help_heading = "Limits")]
    max_in_flight: u64,

    /// Most streams of requests (`ScoreStream`) at one time; each of their requests takes a place of --max-in-flight, and is
    /// read before it has one
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = within(1, 65_536), help_heading = "Limits")]
    max_streams: u64,

    /// Longest time for one request, from its head until its answer is sent
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = positive_duration, help_heading = "Limits")]
    request_timeout: Duration,

    /// Most open connections on each port; beyond them, the oldest on which nobody with a token has asked for anything gives its
    /// place to the next, or the next waits. Each takes a file descriptor (ulimit -n)
    #[arg(long, value_name = "COUNT", default_value_t = 400, value_parser = within(1, 65_536), help_heading = "Limits")]
    max_connections: u64,

    /// Longest silence on a connection before it is closed; a client that answers the pings of HTTP/2 is not silent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration, help_heading = "Limits")]
    idle_timeout: Duration,

    /// Most reasons in one answer
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = within(0, 50))]
    reasons: u64,

    /// After SIGTERM: time between saying not ready and taking no more requests
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration, help_heading = "Shutdown")]
    drain_grace: Duration,

    /// After that: time for the requests in flight to finish; less than --request-timeout loses those that need longer.
    /// Kubernetes kills 30s after SIGTERM, which is enough for the defaults [default: that of --request-timeout]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Shutdown")]
    drain_timeout: Option<Duration>,
}

/// A share of something, of which there is some.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| 0.0 < *share && *share <= 1.0);
    share.ok_or_else(|| "write a number above 0 and at most 1, for example 0.1".to_owned())
}

impl TryFrom<Args> for Config {
    type Error = clap::Error;

    fn try_from(args: Args) -> Result<Self, clap::Error> {
        let open_to_others = [args.grpc_addr, args.http_addr].into_iter().find(|address| !address.ip().is_loopback());
        if let (true, Some(address)) = (args.insecure, open_to_others) {
            return Err(wrong_use(format!(
                "--insecure answers whoever asks, and {address} can be reached from other machines: leave --insecure out \
                 and set the secret api_tokens, or listen on 127.0.0.1"
            )));
        }
        if args.shadow.as_ref().is_some_and(|shadow| *shadow == args.model && (args.follow || shadow != "latest")) {
            return Err(wrong_use(format!(
                "--shadow {} would be the model that is served, and nothing would be compared: name another",
                args.model
            )));
        }
        let following = Following {
            models: args.follow.then_some(args.follow_every),
            profiles: args.follow_profiles.then_some(args.follow_profiles_every),
            shadow: args.shadow.is_some().then_some(args.follow_every),
        };
        if following.models.is_some() && args.model != "latest" {
            return Err(wrong_use(format!(
                "--follow serves what is newest, and --model {} names another: leave one of them out",
                args.model
            )));
        }
        Ok(Self {
            following,
            tls: TlsFiles { own: args.tls_cert.zip(args.tls_key), clients: args.tls_client_ca },
            shadow: args.shadow.map(|version| Shadowing { version, share: args.shadow_share }),
            insecure: args.insecure,
            feedback: args.feedback,
            webhooks: webhook::Settings {
                queue: args.webhook_queue as usize,
                patience: args.webhook_patience,
                api: args.github_api_url,
            },
            access_log: args.access_log,
            store: StoreUrl::parse(&args.store).map_err(wrong_use)?,
            model: args.model,
            grpc: args.grpc_addr,
            http: args.http_addr,
            limits: Limits {
                request_bytes: args.max_request_bytes as usize,
                batch: args.max_batch as usize,
                in_flight: args.max_in_flight as usize,
                streams: args.max_streams as usize,
                request_time: args.request_timeout,
                connections: args.max_connections as usize,
                idle_time: args.idle_timeout,
                reasons: args.reasons as usize,
            },
            drain: Drain { grace: args.drain_grace, timeout: args.drain_timeout.unwrap_or(args.request_timeout) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["prowl-inference"].iter().chain(args))
    }

    #[test]
    fn defaults_are_valid() {
        let config = Config::try_from(parse(&["--store", "file:///tmp/store"]).unwrap()).unwrap();
        assert!(config.grpc.ip().is_loopback() && config.http.ip().is_loopback());
        assert_eq!(config.drain.grace, Duration::from_millis(500));
        let readers = config.limits.in_flight + config.limits.streams;
        assert_eq!(readers * config.limits.request_bytes, 1_312 << 20, "as the help says");
    }

    #[test]
    fn a_drain_waits_as_long_as_a_request_may_take() {
        let drain = |args: &[&str]| {
            let config = Config::try_from(parse(&[&["--store", "file:///s"], args].concat()).unwrap()).unwrap();
            (config.drain.timeout, config.limits.request_time)
        };
        let (drained, promised) = drain(&[]);
        assert_eq!(drained, promised);
        assert!(Duration::from_millis(500) + drained < Duration::from_secs(30), "Kubernetes waits no longer");
        assert_eq!(drain(&["--request-timeout", "50s"]).0, Duration::from_secs(50));
        assert_eq!(drain(&["--request-timeout", "50s", "--drain-timeout", "5s"]).0, Duration::from_secs(5));
    }

    #[test]
    fn a_shadow_is_another_model() {
        let config = |args: &[&str]| Config::try_from(parse(&[&["--store", "file:///s"], args].concat()).unwrap());
        let shadow = config(&["--shadow", "latest"]).unwrap().shadow.unwrap();
        assert_eq!((shadow.version.as_str(), shadow.share), ("latest", 0.1));
        assert!(config(&["--model", "a", "--shadow", "latest", "--shadow-share", "1"]).is_ok());
        assert!(config(&["--follow", "--shadow", "a"]).is_ok());
        for same in [&["--follow", "--shadow", "latest"][..], &["--model", "a", "--shadow", "a"]] {
            assert!(config(same).unwrap_err().to_string().contains("nothing would be compared"), "{same:?}");
        }
        assert!(config(&[]).unwrap().shadow.is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |args: &[&str]| parse(&[&["--store", "file:///s"], args].concat()).unwrap_err().to_string();
        assert!(refused(&["--drain-grace=-1s"]).contains("500ms"));
        assert!(refused(&["--drain-timeout", "10 bananas"]).contains("10s"));
        assert!(refused(&["--request-timeout", "0s"]).contains("more than 0s"));
        for share in ["0", "1.1", "-0.1", "NaN", "half"] {
            let refused = refused(&["--shadow", "latest", &format!("--shadow-share={share}")]);
            assert!(refused.contains("at most 1"), "{refused}");
        }
        assert!(refused(&["--shadow-share", "0.5"]).contains("--shadow <VERSION>"));
        assert!(refused(&["--max-batch", "0"]).contains("1..=100000"));
        assert!(refused(&["--grpc-addr", "localhost"]).contains("localhost:8080"));
        let named = parse(&["--store", "file:///s", "--http-addr", "localhost:8080"]).unwrap().http_addr;
        assert!(named.ip().is_loopback() && named.port() == 8080);
        assert!(refused(&["--github-api-url", "http://github.example"]).contains("https://HOST"));
        let error = Config::try_from(parse(&["--store", "/srv/prowl"]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("file:///srv/prowl"), "{error}");
    }
}
