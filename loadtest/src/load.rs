//! A load test: goose's users or arrivals of our own, its report, and its rules.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use goose::{
    GooseAttack, GooseError, client::GooseClientBuilder, config::GooseConfiguration, metrics::GooseMetrics,
    threshold::ThresholdResult,
};
use prowl_proto::v1::ModelId;
use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    call::{Answers, Caller},
    deck::Deck,
    generator::{Generator, Watch},
    open,
    sample::Outcome,
    scenarios::{self, Scenario, Shared},
    target::{Address, Target},
};

/// Users a second that goose starts where nobody says otherwise: all at once, or the first seconds would measure the start.
const START: &str = "10000";
/// How often goose is told to end: it forgets what it was told before it began.
const TELL: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// goose's own settings.
    pub goose: GooseConfiguration,
    /// Who is asked.
    pub address: Address,
    /// What is done.
    pub scenario: Scenario,
    /// Calls a second of the open loop; a closed one without.
    pub rate: Option<f64>,
    /// Most calls in flight of an open loop.
    pub in_flight: usize,
    /// Connections to the server.
    pub connections: usize,
    /// The model that has to answer, by version and perhaps digest.
    pub expected: Option<(String, Option<String>)>,
    /// How long the server may take to be ready.
    pub patience: Duration,
    /// When an answer is given up.
    pub deadline: Duration,
    /// Pull requests of a batch.
    pub batch: usize,
    /// Of the dice.
    pub seed: u64,
    /// Whether a call that no server has begun is made again, and it is told whose answers came.
    pub again: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The model that was asked.
    pub version: String,
    /// Its digest.
    pub digest: String,
    /// By kind of call.
    pub rows: Vec<Row>,
    /// What it cost to make the load.
    pub generator: Generator,
    /// What became of the rules.
    pub rules: Vec<Rule>,
    /// Calls that failed, by what came of them instead.
    pub failures: BTreeMap<String, usize>,
    /// Answers by the digest of the model that gave them, where calls are made again.
    pub answers: Option<BTreeMap<String, u64>>,
    /// How often calls were made again that no server had begun.
    pub again: u64,
    /// Whether it came to its end, all rules hold, something was answered, and no answer was wrong.
    pub holds: bool,
    /// The signal that ended it early.
    pub stopped: Option<&'static str>,
}

/// Calls of a kind. Times are in milliseconds, those that failed among them.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// As goose names it.
    pub name: String,
    /// How many there were.
    pub calls: usize,
    /// Those that failed.
    pub failed: usize,
    /// Half took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// The 99th percentile with what stalls have hidden from a closed loop.
    pub corrected_p99: Option<f64>,
}

/// What became of a rule.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// As goose writes it.
    pub rule: String,
    /// What was found.
    pub observed: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Leaves Ctrl-C to this program, before goose takes it: its own handler would end the program before that says anything, and
/// there can be one.
pub fn keep_interrupts() {
    let _ = ctrlc::set_handler(|| {});
}

/// Runs it to its end, or until `stop`, which names the signal.
///
/// # Errors
/// The server cannot be asked, it is to stop before it answers, or goose does not take its settings.
pub async fn run(
    config: Config,
    deck: Arc<Deck>,
    mut stop: impl Future<Output = &'static str> + Send + Unpin + 'static,
) -> Result<Report, Error> {
    let target = Arc::new(Target::new(&config.address, config.connections)?);
    // Before any user begins, so that a wrong address or token is one error.
    let (model, _) = tokio::select! {
        ready = target.ready(config.patience) => ready?,
        signal = &mut stop => return Err(Error::Stopped(signal)),
    };
    let model = model.model.unwrap_or_default();
    let expected = config.expected.map(|(version, digest)| {
        Arc::new(ModelId {
            version,
            digest: digest.unwrap_or_else(|| model.digest.clone()),
            features_digest: model.features_digest.clone(),
        })
    });
    let answers = config.again.then(Arc::<Answers>::default);
    let shared = Arc::new(Shared {
        caller: Caller { target, expected, deadline: config.deadline, answers: answers.clone() },
        batch: config.batch,
        deck,
        seed: config.seed,
        has_http: config.address.http.is_some(),
        watch: Arc::new(Watch::begin()),
    });
    let scenario = match config.rate {
        Some(rate) => open::of(config.scenario, &shared, rate, config.in_flight),
        None => scenarios::of(config.scenario, &shared),
    };
    let attack = attack(settled(config.goose, config.rate.is_some(), config.address.url.as_str()))?;
    let attack = attack.register_scenario(scenario);

    let ended = CancellationToken::new();
    let watch = tokio::spawn(watched(stop, ended.clone()));
    let metrics = Box::pin(attack.execute()).await;
    ended.cancel();
    let stopped = watch.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    let metrics = match metrics {
        Ok(metrics) => metrics,
        Err(GooseError::ThresholdsFailed { metrics, .. }) => *metrics.0,
        Err(error) => return Err(goose(error)),
    };
    match shared.watch.open() {
        0 => Ok(Report::of(&model, &metrics, shared.watch.end(), stopped).with(answers.as_deref())),
        lost => Err(Error::Lost(lost)),
    }
}

/// Tells goose to end when a signal comes.
async fn watched(stop: impl Future<Output = &'static str>, ended: CancellationToken) -> Option<&'static str> {
    let signal = ended.run_until_cancelled(stop).await?;
    while !ended.is_cancelled() {
        goose::trigger_killswitch(signal);
        let _ = ended.run_until_cancelled(sleep(TELL)).await;
    }
    Some(signal)
}

/// goose's settings, as far as they are not for the user to choose.
fn settled(mut goose: GooseConfiguration, is_open: bool, host: &str) -> GooseConfiguration {
    goose.host = Some(host.to_owned());
    // Anybody on this machine could use its controllers.
    goose.no_telnet = true;
    // What a program reads goes to stdout, and its tables would, too.
    goose.no_print_metrics = true;
    goose.no_threshold_abort = true;
    // What failed is told in the report.
    goose.no_error_summary = false;
    // A plan of its own says when users start.
    if goose.increase_rate.is_none() && goose.increase_time.is_none() && !is_planned(&goose) {
        goose.increase_rate = Some(START.to_owned());
    }
    // A transaction is a call and a rest, or a look of the recorder, and its time that of nothing: calls are told as requests.
    (goose.no_transaction_metrics, goose.no_scenario_metrics) = (true, true);
    if is_open {
        // One records what the arrivals bring, from the moment at which each was due: there is nothing to make up for.
        goose.users = Some(1);
        goose.co_mitigation = Some(goose::metrics::GooseCoordinatedOmissionMitigation::Disabled);
    } else if goose.co_mitigation.is_none() {
        goose.co_mitigation = Some(goose::metrics::GooseCoordinatedOmissionMitigation::Average);
    }
    goose
}

/// Whether it has a `--test-plan`: only its written form tells.
pub(crate) fn is_planned(goose: &GooseConfiguration) -> bool {
    serde_json::to_value(goose).is_ok_and(|settings| !settings["test_plan"].is_null())
}

fn attack(settings: GooseConfiguration) -> Result<GooseAttack, Error> {
    let client = GooseClientBuilder::new().without_cookies();
    let attack = GooseAttack::initialize_with_config(settings).map_err(goose)?;
    // Otherwise each user would read the certificates of the system for a client that none of them uses.
    attack.set_client_builder_without_cookies(client).map_err(goose)
}

fn goose(error: GooseError) -> Error {
    Error::Goose(match error {
        // Its own words leave out what is wrong.
        GooseError::InvalidOption { option, value, detail } => format!("{option} {value}: {detail}"),
        other => other.to_string(),
    })
}

impl Report {
    fn of(model: &ModelId, metrics: &GooseMetrics, generator: Generator, stopped: Option<&'static str>) -> Self {
        let milliseconds = |microseconds: u64| microseconds as f64 / 1e3;
        // goose's own count holds those that its mitigation has made up.
        let failed = |name: &str| {
            let of_it =
                metrics.errors.values().filter(|error| format!("{} {}", error.custom_method, error.name) == name);
            of_it.map(|error| error.occurrences).sum()
        };
        let mut rows: Vec<Row> = metrics
            .requests
            .iter()
            .map(|(name, row)| Row {
                name: name.clone(),
                calls: row.raw_data.counter,
                failed: failed(name),
                p50: milliseconds(row.raw_data.percentile_us(0.5)),
                p99: milliseconds(row.raw_data.percentile_us(0.99)),
                max: milliseconds(row.raw_data.maximum_time_us),
                corrected_p99: row
                    .coordinated_omission_data
                    .as_ref()
                    .map(|data| milliseconds(data.percentile_us(0.99))),
            })
            .collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let rules: Vec<Rule> = metrics
            .thresholds
            .iter()
            .map(|ThresholdResult { rule, observed, passed, .. }| Rule {
                rule: rule.clone(),
                observed: observed.clone(),
                holds: *passed,
            })
            .collect();
        let mut failures = BTreeMap::new();
        for failure in metrics.errors.values() {
            *failures.entry(failure.error.clone()).or_insert(0) += failure.occurrences;
        }
        let is_wrong = failures.keys().any(|failure| Outcome::is_wrong(failure));
        let is_answered = rows.iter().any(|row| row.failed < row.calls);
        let holds = rules.iter().all(|rule| rule.holds) && is_answered && !is_wrong && stopped.is_none();
        let (version, digest) = (model.version.clone(), model.digest.clone());
        Self { version, digest, rows, generator, rules, failures, answers: None, again: 0, holds, stopped }
    }

    fn with(self, answers: Option<&Answers>) -> Self {
        Self { answers: answers.map(Answers::by_digest), again: answers.map_or(0, Answers::again), ..self }
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.rows.iter().map(|row| row.calls as u64).sum()
    }

    /// The summary for a person.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "asked the model {} for {:.1} s: {} calls, {:.1} a second",
            self.version,
            self.generator.seconds,
            self.calls(),
            self.generator.rate
        )];
        for row in &self.rows {
            let corrected =
                row.corrected_p99.map(|p99| format!(" ({p99:.2} ms with what stalls hide)")).unwrap_or_default();
            lines.push(format!(
                "  {}: {} calls, {} failed; p50 {:.2} ms, p99 {:.2} ms{corrected}, longest {:.2} ms",
                row.name, row.calls, row.failed, row.p50, row.p99, row.max
            ));
        }
        for (failure, count) in &self.failures {
            let fails = if Outcome::is_wrong(failure) { "FAILS: " } else { "" };
            lines.push(format!("    {fails}{count} {failure}"));
        }
        for (digest, count) in self.answers.iter().flatten() {
            lines.push(format!("    {count} answers of {digest:.12}"));
        }
        if self.again > 0 {
            lines.push(format!("    {} calls were made again, since no server had begun them", self.again));
        }
        if self.rows.iter().all(|row| row.failed == row.calls) {
            lines.push("  FAILS: no call was answered".to_owned());
        }
        lines.push(format!("  {}", self.generator.text()));
        for Rule { rule, observed, holds } in &self.rules {
            lines.push(format!("  {} {rule}: {observed}", if *holds { "holds" } else { "FAILS" }));
        }
        lines.extend(unjudged(&self.rows, &self.rules).into_iter().map(|note| format!("  note: {note}")));
        lines.join("\n")
    }
}

/// What happened and no rule judges.
fn unjudged(rows: &[Row], rules: &[Rule]) -> Vec<String> {
    let judge = |metric: &str| rules.iter().any(|rule| rule.rule.starts_with(metric));
    let (calls, failed) = rows.iter().fold((0, 0), |(calls, failed), row| (calls + row.calls, failed + row.failed));
    let mut notes = Vec::new();
    if failed > 0 && !judge("error-rate") {
        notes.push(format!("no rule judges that {failed} of {calls} calls failed, as error-rate<0.1% would"));
    }
    let hides = |row: &Row| row.corrected_p99.is_some_and(|corrected| corrected > 2.0 * row.p99);
    if rows.iter().any(hides) && judge("p") {
        notes.push("no rule sees what stalls hide; in an open loop (--rate) they do".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_rule_judges_is_said() {
        let row = Row {
            name: "GRPC score".to_owned(),
            calls: 300,
            failed: 7,
            p50: 1.0,
            p99: 5.0,
            max: 4_000.0,
            corrected_p99: Some(3_900.0),
        };
        let notes = |rules: &[&str], row: Row| {
            let rule = |rule: &&str| Rule { rule: (*rule).to_owned(), observed: "5ms".to_owned(), holds: true };
            unjudged(&[row], &rules.iter().map(rule).collect::<Vec<_>>())
        };
        let [failed, hidden] = ["no rule judges that 7 of 300 calls failed, as error-rate<0.1% would", "no rule sees"];
        assert_eq!(notes(&["p99<50ms"], row.clone())[0], failed);
        assert!(notes(&["p99<50ms"], row.clone())[1].starts_with(hidden));
        assert_eq!(notes(&[], row.clone()), [failed]);
        assert!(notes(&["error-rate<5%"], row.clone()).is_empty());
        assert!(notes(&["p99<50ms"], Row { failed: 0, corrected_p99: Some(6.0), ..row }).is_empty());
    }
}
