//! What the user typed, and what is meant by it.

mod gate;
mod rehearse;
mod server;
mod trend;

use std::{path::PathBuf, sync::Arc};

use clap::{Args as Group, Parser, Subcommand, ValueEnum, builder::PossibleValue};
use goose::config::GooseConfiguration;
use prowl_platform::{
    Folder, Secrets, Store, StoreUrl,
    arguments::{within, wrong_use},
};
use secrecy::{ExposeSecret as _, SecretString};

pub use self::{
    gate::{GateArgs, GateConfig, LimitArgs},
    rehearse::{RehearseArgs, StandInArgs},
    server::ServerArgs,
    trend::TrendArgs,
};
use crate::{
    Error,
    deck::{Deck, Origin},
    load,
    scenarios::Scenario,
    thresholds,
};

const EXAMPLES: &str = "\
Examples:
  prowl-loadtest --host http://localhost:50051 --requests latest --users 16 --run-time 60s
  prowl-loadtest --host http://localhost:50051 --requests prs.ndjson.gz --scenario mixed --rate 1000 --run-time 5m \\
      --http http://localhost:8080 --thresholds staging.rules --report-file report.html
  prowl-loadtest gate --preview http://preview:50051 --active http://active:50051 --expect-version 20261124T214500Z

PROWL_TOKEN holds the token, where the server asks for one.

Exit codes: 0 done, or a go; 1 failed, or it could not be told; 2 wrong use; 3 a rule does not hold, or no go.";

/// Puts a scoring service under load, and says whether a new version of it may go live.
#[derive(Debug, Parser)]
#[command(
    name = "prowl-loadtest",
    about = "Puts a scoring service under load, and says whether a new version of it may go live",
    long_about = None,
    version,
    // goose has one of the same name.
    disable_version_flag = true,
    mut_arg("version", |arg| arg.help("Print version").long_help("Print version")),
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Args {
    /// What else than a load test.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A load test.
    #[command(flatten)]
    pub load: LoadArgs,
    /// goose's own.
    #[command(flatten)]
    pub goose: GooseConfiguration,
}

/// What else than a load test.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge a new version beside the active one: go (0), no go (3), or unknown (1)
    Gate(Box<GateArgs>),
    /// Rehearse the switch from one version to another on this machine, with load on it
    Rehearse(Box<RehearseArgs>),
    /// Tell how the verdicts of a store went
    Trend(TrendArgs),
    /// Stands before a server and plants a fault in what it answers
    #[command(hide = true)]
    StandIn(Box<StandInArgs>),
}

/// A load test.
#[derive(Debug, Group)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// What the users do
    #[arg(long, value_name = "NAME", default_value = "score")]
    pub scenario: Scenario,
    /// Calls a second that become due whether or not others are answered (an open loop), in place of --users
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Most calls in flight, with --rate
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = within(1, 1_000_000))]
    pub in_flight: u64,
    /// Pull requests of a batch; a server takes 1,000 unless it was told otherwise
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = within(1, 10_000))]
    pub batch_size: u64,
    /// Fail unless each answer is of this version of the model
    #[arg(long, value_name = "VERSION")]
    pub expect_version: Option<String>,
    /// Fail unless each answer is of the model with this SHA-256, in hex
    #[arg(long, value_name = "HEX", requires = "expect_version")]
    pub expect_digest: Option<String>,
    /// Make a call again that no server has begun, as clients of others do, and tell whose answers came; with --scenario score
    #[arg(long)]
    pub again: bool,
    /// A file of rules, one a line, beside those of --threshold
    #[arg(long, value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// Where its HTTP port is, for scenarios with calls over HTTP
    #[arg(long, value_name = "URL", value_parser = server::url)]
    pub http: Option<url::Url>,
    /// How the server is spoken to.
    #[command(flatten)]
    pub server: ServerArgs,
    /// What is sent.
    #[command(flatten)]
    pub requests: RequestArgs,
    /// Print the summary as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// What is sent.
#[derive(Debug, Clone, Group)]
#[command(next_help_heading = "Requests")]
pub struct RequestArgs {
    /// Pull requests: `latest` or the name of an export of the store, or files of a document a line
    #[arg(long, value_name = "EXPORT|FILE", num_args = 1.., default_value = "latest")]
    pub requests: Vec<String>,
    /// The store of the export
    #[arg(long, value_name = "URL", env = "PROWL_STORE")]
    pub store: Option<String>,
    /// Most of them, drawn from all over the export; of a large one, from eight of its parts or more
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = within(1, 1_000_000))]
    pub sample: u64,
    /// Of the dice: the same seed sends the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl RequestArgs {
    /// The store, where one is named.
    ///
    /// # Errors
    /// Its URL or its secrets are wrong.
    pub fn store(&self, secrets: &Secrets) -> Result<Option<Store>, Error> {
        let Some(url) = &self.store else { return Ok(None) };
        Ok(Some(Store::open(&StoreUrl::parse(url)?, secrets)?))
    }

    /// The sample.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn deck(&self, store: Option<&Store>) -> Result<Arc<Deck>, Error> {
        let deck = Deck::draw(&self.origin(), store, self.sample as usize, self.seed).await?;
        tracing::info!(pull_requests = deck.len(), "drawn");
        Ok(Arc::new(deck))
    }

    fn origin(&self) -> Origin {
        match &self.requests[..] {
            [name] if name == "latest" || (Folder::is_name(name) && !std::path::Path::new(name).exists()) => {
                Origin::Export(name.clone())
            }
            files => Origin::Files(files.iter().map(PathBuf::from).collect()),
        }
    }
}

impl ValueEnum for Scenario {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.about()))
    }
}

/// What the calls bring to a server that asks for it. No argument: those can be read in the list of processes.
const TOKEN: &str = "prowl_token";

/// The secrets of a load test: those of the store, and the token of its calls.
///
/// # Errors
/// Vault does not give them.
pub async fn secrets() -> Result<Secrets, Error> {
    Ok(Secrets::open(&[&Store::SECRETS[..], &[TOKEN]].concat()).await?)
}

/// The token of the calls, where there is one.
pub fn token(secrets: &Secrets) -> Option<SecretString> {
    secrets.get(TOKEN).filter(|token| !token.expose_secret().trim().is_empty())
}

/// Calls a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.1..=1e6).contains(rate));
    rate.ok_or_else(|| "write calls a second, from 0.1 to 1000000".to_owned())
}

/// Why a flag of goose's would do nothing here, or not what it says.
fn unfit(goose: &GooseConfiguration, is_open: bool) -> Option<String> {
    let named = |flags: &[(&str, bool)]| flags.iter().find(|(_, given)| *given).map(|(flag, _)| (*flag).to_owned());
    let choosing =
        [("list", goose.list), ("scenarios-list", goose.scenarios_list), ("scenarios", goose.scenarios.is_some())];
    if let Some(flag) = named(&choosing) {
        return Some(format!("--{flag} is not for here: --scenario names what users do, and --help lists all of them"));
    }
    let of_its_client = [
        ("timeout", goose.timeout.is_some()),
        ("no-gzip", goose.no_gzip),
        ("sticky-follow", goose.sticky_follow),
        ("accept-invalid-certs", goose.accept_invalid_certs),
        ("throttle-requests", goose.throttle_requests.is_some()),
    ];
    if let Some(flag) = named(&of_its_client) {
        return Some(format!(
            "--{flag} is of goose's own client, which makes no call here: see --deadline, --ca-file, --rate"
        ));
    }
    let of_its_controllers = [
        ("no-autostart", goose.no_autostart),
        ("telnet-host", goose.telnet_host.is_some()),
        ("telnet-port", goose.telnet_port.is_some()),
        ("websocket", goose.websocket),
        ("websocket-host", goose.websocket_host.is_some()),
        ("websocket-port", goose.websocket_port.is_some()),
    ];
    if let Some(flag) = named(&of_its_controllers) {
        return Some(format!("--{flag}: goose's controllers are off, since anybody on this machine could use them"));
    }
    let of_users = [
        ("iterations", goose.iterations.is_some()),
        ("test-plan", load::is_planned(goose)),
        ("increase-rate", goose.increase_rate.is_some()),
        ("increase-time", goose.increase_time.is_some()),
        ("decrease-rate", goose.decrease_rate.is_some()),
        ("decrease-time", goose.decrease_time.is_some()),
    ];
    let flag = named(&of_users).filter(|_| is_open)?;
    Some(format!("--{flag} is about users, of which --rate has none: say how long by --run-time"))
}

impl LoadArgs {
    /// The load test that is meant.
    ///
    /// # Errors
    /// Arguments do not fit together.
    pub fn config(self, mut goose: GooseConfiguration) -> Result<load::Config, clap::Error> {
        let host = goose.host.as_deref().ok_or_else(|| wrong_use("say where the server is, by --host URL"))?;
        let url = server::url(host).map_err(|why| wrong_use(format!("--host: {why}")))?;
        if self.scenario.needs_http() && self.http.is_none() {
            return Err(wrong_use(format!("--scenario {} needs --http URL", self.scenario.name())));
        }
        if self.again && self.scenario != Scenario::Only(crate::call::Kind::Score) {
            return Err(wrong_use("--again is for --scenario score"));
        }
        if self.rate.is_some() && goose.users.is_some() {
            return Err(wrong_use("--rate takes the place of --users: calls become due whoever waits"));
        }
        if self.rate.is_some() && self.scenario == Scenario::Burst {
            return Err(wrong_use(
                "--scenario burst is of users who call at once; with --rate, calls come as the dice fall",
            ));
        }
        if let Some(why) = unfit(&goose, self.rate.is_some()) {
            return Err(wrong_use(why));
        }
        let from_flags = goose.threshold.iter().map(|rule| thresholds::rewritten(rule, || "--threshold".to_owned()));
        let mut rules = from_flags.collect::<Result<Vec<_>, _>>().map_err(wrong_use)?;
        if let Some(path) = &self.thresholds {
            rules.extend(thresholds::of_file(path).map_err(wrong_use)?);
        }
        goose.threshold = rules;
        Ok(load::Config {
            address: self.server.address("server", url, self.http),
            goose,
            scenario: self.scenario,
            rate: self.rate,
            in_flight: self.in_flight as usize,
            connections: self.server.connections as usize,
            // Digests are written in small letters.
            expected: self.expect_version.map(|version| (version, self.expect_digest.map(|hex| hex.to_lowercase()))),
            patience: self.server.patience,
            deadline: self.server.deadline,
            batch: self.batch_size as usize,
            seed: self.requests.seed,
            again: self.again,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<load::Config, String> {
        let arguments = ["prowl-loadtest"].iter().chain(arguments);
        let args = Args::try_parse_from(arguments).map_err(|error| error.to_string())?;
        args.load.config(args.goose).map_err(|error| error.to_string())
    }

    #[test]
    fn the_arguments_are_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_version_is_ours() {
        let args = Args::try_parse_from(["prowl-loadtest", "--version"]).unwrap();
        assert!(args.goose.version && args.command.is_none());
    }

    #[test]
    fn a_subcommand_has_flags_of_its_own() {
        let arguments = ["prowl-loadtest", "gate", "--preview", "http://h:1", "--expect-version", "v", "--rate", "5"];
        let args = Args::try_parse_from(arguments).unwrap();
        assert!(matches!(&args.command, Some(Command::Gate(gate)) if gate.rate == 5.0 && args.load.rate.is_none()));
        let both = Args::try_parse_from(["prowl-loadtest", "--rate", "5", "trend", "--store", "file:///x"]);
        assert!(both.unwrap_err().to_string().contains("cannot be used with"));
    }

    #[test]
    fn gooses_own_flags_are_taken() {
        let config = parsed(&["--host", "http://localhost:50051", "--users", "8", "--run-time", "10s"]).unwrap();
        assert_eq!((config.goose.users, config.goose.run_time.as_deref()), (Some(8), Some("10s")));
        assert_eq!((config.scenario, config.rate), (Scenario::Only(crate::call::Kind::Score), None));
        let rules = ["--host", "http://h:1", "--threshold", "p99<5ms for score"];
        assert_eq!(parsed(&rules).unwrap().goose.threshold, ["p99<5ms for GRPC score"]);
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let told = |arguments: &[&str]| parsed(arguments).unwrap_err();
        assert!(told(&["--users", "1"]).contains("--host"));
        assert!(told(&["--host", "localhost"]).contains("--host"));
        assert!(told(&["--host", "http://h:1", "--users", "1", "--rate", "5"]).contains("takes the place"));
        assert!(told(&["--host", "http://h:1", "--scenario", "burst", "--rate", "5"]).contains("burst"));
        assert!(told(&["--host", "http://h:1", "--test-plan", "5,10s", "--rate", "5"]).contains("--test-plan"));
        assert!(told(&["--host", "http://h:1", "--scenarios", "mixed"]).contains("--scenario names"));
        assert!(told(&["--host", "http://h:1", "--timeout", "5"]).contains("--deadline"));
        assert!(told(&["--host", "http://h:1", "--no-autostart"]).contains("controllers are off"));
        assert!(told(&["--host", "http://h:1", "--scenario", "http"]).contains("--http"));
        assert!(told(&["--host", "http://h:1", "--scenario", "mixed", "--again"]).contains("--scenario score"));
        assert!(told(&["--host", "http://h:1", "--scenario", "sprint"]).contains("burst"));
        assert!(told(&["--host", "http://h:1", "--rate", "fast"]).contains("calls a second"));
        assert!(told(&["--host", "http://h:1", "--threshold", "fast"]).contains("is no rule"));
    }
}
