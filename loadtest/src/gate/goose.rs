//! The load test that goose makes of the preview: the rules of an environment, and goose's own report beside the verdict.

use std::{future::pending, path::PathBuf, sync::Arc, time::Duration};

use goose::config::GooseConfiguration;
use prowl_proto::v1::ModelId;

use super::{Config, in_flight};
use crate::{
    Error,
    deck::Deck,
    load::{self, Report},
    scenarios::Scenario,
};

/// What goose tests.
#[derive(Debug, Clone)]
pub struct Test {
    /// What is called, at the rate of the race.
    pub scenario: Scenario,
    /// Rules in goose's words.
    pub rules: Vec<String>,
    /// How long, in whole seconds.
    pub length: Duration,
    /// Pull requests of a batch.
    pub batch: usize,
    /// Where goose's report goes.
    pub report: PathBuf,
}

/// Runs it.
pub(super) async fn run(config: &Config, test: &Test, expected: &ModelId, deck: &Arc<Deck>) -> Result<Report, Error> {
    let load = load::Config {
        goose: settings(test),
        address: config.preview.clone(),
        scenario: test.scenario,
        rate: Some(config.rate),
        in_flight: in_flight(config.rate),
        connections: config.connections,
        expected: Some((expected.version.clone(), Some(expected.digest.clone()))),
        // It was ready before.
        patience: config.deadline,
        deadline: config.deadline,
        batch: test.batch,
        seed: config.seed,
        again: false,
    };
    // Who ends the gate ends this with it.
    load::run(load, Arc::clone(deck), pending()).await
}

fn settings(test: &Test) -> GooseConfiguration {
    let mut goose = GooseConfiguration::default();
    goose.run_time = Some(test.length.as_secs().max(1).to_string());
    goose.threshold.clone_from(&test.rules);
    goose.report_file = vec![test.report.display().to_string()];
    goose
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goose_is_told_the_rules_how_long_and_where_its_report_goes() {
        let rules = vec!["p99<20ms for GRPC score".to_owned(), "error-rate<1%".to_owned()];
        let test = Test {
            scenario: Scenario::Mixed,
            rules: rules.clone(),
            length: Duration::from_millis(2_900),
            batch: 20,
            report: PathBuf::from("verdict/goose.html"),
        };
        let goose = settings(&test);
        assert_eq!((goose.threshold, goose.run_time.as_deref()), (rules, Some("2")));
        assert_eq!(goose.report_file, ["verdict/goose.html"]);
    }
}
