//! The gate.

use std::{path::PathBuf, time::Duration};

use clap::Args as Group;
use prowl_platform::arguments::{positive_duration, share, within, wrong_use};
use url::Url;

use super::{RequestArgs, ServerArgs, rate, server};
use crate::{
    gate::{self, Limits, Test},
    report,
    scenarios::Scenario,
    thresholds,
};

/// The highest rate of a preview, by the one at which it is compared: beyond what anybody will ask of it, and soon tried.
const HIGHEST: f64 = 5.0;

/// Pull requests whose answers are compared.
pub(super) const COMPARED: u64 = 2_000;

/// `prowl-loadtest gate`
#[derive(Debug, Group)]
pub struct GateArgs {
    /// The gRPC port of the new version
    #[arg(long, value_name = "URL", value_parser = server::url)]
    pub preview: Url,
    /// Its HTTP port, for its memory, what calls cost it, and to see that nobody else asks it
    #[arg(long, value_name = "URL", value_parser = server::url)]
    pub preview_http: Option<Url>,
    /// The gRPC port of the version that serves; without it the preview is judged alone
    #[arg(long, value_name = "URL", value_parser = server::url)]
    pub active: Option<Url>,
    /// Its HTTP port, for what calls cost it, and to tell it from the preview
    #[arg(long, value_name = "URL", value_parser = server::url, requires = "active")]
    pub active_http: Option<Url>,
    /// Name of the model that the new version has to serve
    #[arg(long, value_name = "VERSION")]
    pub expect_version: String,
    /// SHA-256 of that model, in hex [default, and of an empty one: that of the model in the store]
    #[arg(long, value_name = "HEX")]
    pub expect_digest: Option<String>,
    /// Leave out the panel, which is beside the model in the store
    #[arg(long)]
    pub no_panel: bool,
    /// Calls a second on each side
    #[arg(long, value_name = "N", default_value = "200", value_parser = rate)]
    pub rate: f64,
    /// How long both are compared
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    pub run_time: Duration,
    /// A file of rules, one a line, that goose's load test of the preview has to keep
    #[arg(long, value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// What that load test calls, at --rate
    #[arg(long, value_name = "NAME", default_value = "mixed")]
    pub scenario: Scenario,
    /// How long it takes, in whole seconds
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub load_time: Duration,
    /// Pull requests of a batch in it
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = within(1, 10_000))]
    pub batch_size: u64,
    /// Highest rate that the preview alone is tried at, in steps, as long as it keeps up [default: five times --rate]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub highest_rate: Option<f64>,
    /// How long each of the steps towards it takes
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = positive_duration)]
    pub step: Duration,
    /// Pull requests whose answers are compared
    #[arg(long, value_name = "N", default_value_t = COMPARED, value_parser = within(1, 100_000))]
    pub compare: u64,
    /// Folder for verdict.json, verdict.md, report.html and goose.html
    #[arg(long, value_name = "FOLDER", default_value = "verdict")]
    pub output: PathBuf,
    /// Keep the verdict in the store, too, for `prowl-loadtest trend`
    #[arg(long, requires = "store")]
    pub keep: bool,
    /// Print the verdict as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How both are spoken to.
    #[command(flatten)]
    pub server: ServerArgs,
    /// What is sent.
    #[command(flatten)]
    pub requests: RequestArgs,
}

/// What a new version may do.
#[derive(Debug, Clone, Copy, Group)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Highest p99 of the preview, as a multiple of the active version's
    #[arg(long, value_name = "X", default_value_t = Limits::default().p99_ratio, value_parser = at_least_zero)]
    pub max_p99_ratio: f64,
    /// Highest median of the preview, as a multiple of the active version's
    #[arg(long, value_name = "X", default_value_t = Limits::default().p50_ratio, value_parser = at_least_zero)]
    pub max_p50_ratio: f64,
    /// Most time of the processor that a call of the preview takes, as a multiple of the active version's
    #[arg(long, value_name = "X", default_value_t = Limits::default().cpu_ratio, value_parser = at_least_zero)]
    pub max_cpu_ratio: f64,
    /// Highest p99 of the preview, in milliseconds, whatever the active version has
    #[arg(long, value_name = "MS", default_value_t = Limits::default().p99_ms, value_parser = at_least_zero)]
    pub max_p99: f64,
    /// Highest p99 of its first calls, and slowest of the very first, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = Limits::default().first_ms, value_parser = at_least_zero)]
    pub max_first_p99: f64,
    /// Share of calls that may fail, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Limits::default().error_rate, value_parser = share)]
    pub max_error_rate: f64,
    /// Share of the calls that has to be answered before the race is over, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Limits::default().throughput, value_parser = share)]
    pub min_throughput: f64,
    /// Population stability index (PSI) of the percentiles against the active version's
    #[arg(long, value_name = "X", default_value_t = Limits::default().psi, value_parser = at_least_zero)]
    pub max_psi: f64,
    /// Kolmogorov–Smirnov statistic of the same
    #[arg(long, value_name = "X", default_value_t = Limits::default().ks, value_parser = at_least_zero)]
    pub max_ks: f64,
    /// Least rank correlation (Spearman's) of the percentiles with the active version's
    #[arg(long, value_name = "X", default_value_t = Limits::default().rank_correlation, value_parser = at_least_zero)]
    pub min_rank_correlation: f64,
    /// Share of pull requests whose band may be another, or that one version alone judges, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Limits::default().bands_changed, value_parser = share)]
    pub max_bands_changed: f64,
    /// Highest growth of its memory for 1,000 calls, in kB
    #[arg(long, value_name = "kB", default_value_t = Limits::default().memory_kb, value_parser = at_least_zero)]
    pub max_memory_growth: f64,
    /// How late calls may go out, p99 in milliseconds: beyond that nothing can be told
    #[arg(long, value_name = "MS", default_value_t = Limits::default().lag_ms, value_parser = at_least_zero)]
    pub max_lag: f64,
}

impl From<LimitArgs> for Limits {
    fn from(args: LimitArgs) -> Self {
        Self {
            p99_ratio: args.max_p99_ratio,
            p50_ratio: args.max_p50_ratio,
            cpu_ratio: args.max_cpu_ratio,
            p99_ms: args.max_p99,
            first_ms: args.max_first_p99,
            error_rate: args.max_error_rate,
            throughput: args.min_throughput,
            psi: args.max_psi,
            ks: args.max_ks,
            rank_correlation: args.min_rank_correlation,
            bands_changed: args.max_bands_changed,
            memory_kb: args.max_memory_growth,
            lag_ms: args.max_lag,
        }
    }
}

/// A gate, and where its verdict goes.
#[derive(Debug)]
pub struct GateConfig {
    /// What is judged.
    pub gate: gate::Config,
    /// Where its files go.
    pub output: PathBuf,
    /// Whether it is kept in the store.
    pub keep: bool,
    /// Whether it is printed.
    pub json: bool,
}

impl GateArgs {
    /// The gate that is meant, but for the store and the token.
    ///
    /// # Errors
    /// Arguments do not fit together.
    pub fn config(self) -> Result<GateConfig, clap::Error> {
        if self.expect_version == "latest" {
            return Err(wrong_use("--expect-version has to name a version: the newest one may be another in a minute"));
        }
        if self.active.as_ref() == Some(&self.preview) {
            return Err(wrong_use("--preview and --active are the same server: it would be compared with itself"));
        }
        if self.highest_rate.is_some_and(|highest| highest < self.rate) {
            return Err(wrong_use("--highest-rate is below --rate, at which the preview is tried anyway"));
        }
        if self.scenario == Scenario::Burst {
            return Err(wrong_use(
                "--scenario burst is of users who call at once, and the gate's calls come as the dice fall",
            ));
        }
        if self.scenario.needs_http() && self.preview_http.is_none() {
            return Err(wrong_use(format!("--scenario {} needs --preview-http URL", self.scenario.name())));
        }
        let rules = self.thresholds.as_deref().map(thresholds::of_file).transpose().map_err(wrong_use)?;
        let test = Test {
            scenario: self.scenario,
            rules: rules.unwrap_or_default(),
            length: self.load_time,
            batch: self.batch_size as usize,
            report: self.output.join(report::GOOSE),
        };
        Ok(GateConfig {
            gate: gate::Config {
                preview: self.server.address("preview", self.preview, self.preview_http),
                active: self.active.map(|url| self.server.address("active", url, self.active_http)),
                version: self.expect_version,
                // As all others write it.
                digest: self.expect_digest.filter(|digest| !digest.is_empty()).map(|digest| digest.to_lowercase()),
                store: None,
                panel: !self.no_panel,
                patience: self.server.patience,
                deadline: self.server.deadline,
                rate: self.rate,
                length: self.run_time,
                test: Some(test),
                highest: Some(self.highest_rate.unwrap_or(HIGHEST * self.rate)),
                step: self.step,
                compared: self.compare as usize,
                connections: self.server.connections as usize,
                seed: self.requests.seed,
                limits: self.limits.into(),
            },
            output: self.output,
            keep: self.keep,
            json: self.json,
        })
    }
}

fn at_least_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "write 0 or more, such as 1.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parsed(more: &[&str]) -> Result<GateConfig, String> {
        let arguments = ["prowl-loadtest", "gate", "--preview", "http://new:1", "--expect-version", "v"];
        let args = Args::try_parse_from(arguments.iter().chain(more)).map_err(|error| error.to_string())?;
        match args.command {
            Some(Command::Gate(gate)) => gate.config().map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_nobody_sets_is_as_the_gate_has_it() {
        let gate = parsed(&[]).unwrap().gate;
        assert_eq!(gate.limits, Limits::default());
        assert!(gate.panel && gate.active.is_none() && gate.digest.is_none());
        assert_eq!(parsed(&["--expect-digest", ""]).unwrap().gate.digest, None);
    }

    #[test]
    fn each_flag_has_its_limit() {
        let flags = [
            "max-p99-ratio",
            "max-p50-ratio",
            "max-cpu-ratio",
            "max-p99",
            "max-first-p99",
            "max-error-rate",
            "min-throughput",
            "max-psi",
            "max-ks",
            "min-rank-correlation",
            "max-bands-changed",
            "max-memory-growth",
            "max-lag",
        ];
        let default = serde_json::to_value(Limits::default()).unwrap();
        let default = default.as_object().unwrap();
        assert_eq!(default.len(), flags.len());
        let mut set = std::collections::BTreeSet::new();
        for flag in flags {
            let limits = parsed(&[&format!("--{flag}"), "0.125"]).unwrap().gate.limits;
            let limits = serde_json::to_value(limits).unwrap();
            let changed: Vec<_> = default.iter().filter(|(name, value)| limits[name.as_str()] != **value).collect();
            assert_eq!(changed.len(), 1, "{flag}");
            assert_eq!(limits[changed[0].0.as_str()], 0.125);
            set.insert(changed[0].0.clone());
        }
        assert_eq!(set.len(), flags.len());
    }

    #[test]
    fn what_is_asked_is_what_is_meant() {
        let both =
            ["--active", "http://old:1", "--active-http", "http://old:2", "--expect-digest", "AB12", "--no-panel"];
        let gate = parsed(&both).unwrap().gate;
        assert_eq!(gate.active.unwrap().http.unwrap().as_str(), "http://old:2/");
        assert_eq!((gate.digest.as_deref(), gate.panel), (Some("ab12"), false));
        assert!(parsed(&["--active", "http://new:1"]).unwrap_err().contains("same server"));
        assert!(parsed(&["--active-http", "http://old:2"]).unwrap_err().contains("--active"));
        assert!(parsed(&["--max-psi", "much"]).unwrap_err().contains("--max-psi"));
        assert!(parsed(&["--max-psi=-1"]).unwrap_err().contains("write 0 or more"));
        assert!(parsed(&["--max-psi", "0"]).is_ok());
    }
}
