//! Whether a new version may take the place of the active one.
//!
//! ```text
//! ready ─> panel ─> first calls ─> race against active ─> goose's rules ─> knee of preview ─> checks ─> verdict
//!                                  same requests, in turns
//! ```
//!
//! Each step adds checks; one that cannot be made says so, and then the verdict is unknown, which is never a go.

mod answers;
mod checks;
mod goose;
mod knee;
mod limits;
mod memory;
mod panel;
mod race;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prowl_platform::{Folder, Kind, Store};
use prowl_proto::v1::ModelId;
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;

use self::{checks::Checks, panel::Panel, race::Settings};
pub use self::{goose::Test, limits::Limits};
use crate::{
    Error,
    call::Caller,
    deck::{Deck, Draws},
    target::{Address, Target, said},
    verdict::{self, Decision, Machine, Side, Verdict},
};

/// Calls before all else, which the first use of everything may make slow.
const FIRST: usize = 500;
/// How many of them are in flight at one time.
const FIRST_IN_FLIGHT: usize = 4;
/// How long they take at most: a server that does not answer would have them all wait.
const FIRST_LONGEST: Duration = Duration::from_secs(40);

/// What to judge, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The new version.
    pub preview: Address,
    /// The one that serves, if there is one.
    pub active: Option<Address>,
    /// Name of the model that the new one has to serve.
    pub version: String,
    /// Its digest, if that is not to be taken from the store.
    pub digest: Option<String>,
    /// Where the models are, by whose manifest and panel the new one is judged.
    pub store: Option<Store>,
    /// How long the new one may take to be ready.
    pub patience: Duration,
    /// When an answer is given up.
    pub deadline: Duration,
    /// Calls a second on each side.
    pub rate: f64,
    /// How long the race takes.
    pub length: Duration,
    /// What goose tests beside; nothing without.
    pub test: Option<Test>,
    /// The highest rate that the knee is looked for at; none without.
    pub highest: Option<f64>,
    /// How long each of its steps takes.
    pub step: Duration,
    /// Pull requests whose answers are compared.
    pub compared: usize,
    /// Connections to each side.
    pub connections: usize,
    /// Of the dice.
    pub seed: u64,
    /// What it may do.
    pub limits: Limits,
}

impl Config {
    /// The token that calls bring to both sides.
    pub fn bring(&mut self, token: &Option<SecretString>) {
        for address in std::iter::once(&mut self.preview).chain(&mut self.active) {
            address.token.clone_from(token);
        }
    }
}

/// Most calls in flight on a side at this rate: as many as are due in a second, so that a server which answers within one is never
/// kept waiting.
fn in_flight(rate: f64) -> usize {
    (rate as usize).clamp(64, 4_096)
}

/// Judges.
///
/// # Errors
/// What keeps it from judging at all: an address that cannot be used, a store that cannot be read. What is wrong with the
/// new version is no error, but a verdict.
pub async fn judge(config: &Config, deck: &Arc<Deck>) -> Result<Verdict, Error> {
    let (began, begun) = (Timestamp::now(), Instant::now());
    let model = match &config.store {
        Some(store) => Some(store.folder(Kind::Models, &config.version).await?),
        None => None,
    };
    let stored = || model.as_ref()?.manifest().details["model_digest"].as_str().map(str::to_owned);
    let digest = config.digest.clone().or_else(stored);
    let preview = Arc::new(Target::new(&config.preview, config.connections)?);
    let active = match &config.active {
        Some(address) => Some(Arc::new(Target::new(address, config.connections)?)),
        None => None,
    };

    let mut gate = Gate { config, deck, checks: Checks::new(config.limits), draws: Draws::of(deck, config.seed) };
    let mut verdict = gate.empty(began);
    gate.run(&mut verdict, &preview, active.as_ref(), model.as_ref(), digest).await?;
    verdict.checks = gate.checks.into_all();
    verdict.decision = Verdict::decide(&verdict.checks);
    verdict.seconds = begun.elapsed().as_secs_f64();
    Ok(verdict)
}

struct Gate<'a> {
    config: &'a Config,
    deck: &'a Arc<Deck>,
    checks: Checks,
    draws: Draws,
}

impl Gate<'_> {
    async fn run(
        &mut self,
        verdict: &mut Verdict,
        preview: &Arc<Target>,
        active: Option<&Arc<Target>>,
        model: Option<&Folder>,
        digest: Option<String>,
    ) -> Result<(), Error> {
        let Some(new) = self.ready(verdict, preview, digest.as_deref()).await else { return Ok(()) };
        let old = match active {
            Some(target) => {
                let Some((side, id)) = self.active(target).await else { return Ok(()) };
                verdict.active = Some(side);
                Some(self.caller(target, id))
            }
            None => {
                self.checks.note("no active version", "the preview is judged alone");
                None
            }
        };
        let new = self.caller(preview, new);

        self.panel(preview, model).await?;
        self.first_calls(&new).await;
        // What the first calls of all have it set up once is no leak.
        let before = memory::look(preview).await;

        let settings = Settings {
            rate: self.config.rate,
            length: self.config.length,
            seed: self.config.seed,
            in_flight: in_flight(self.config.rate),
        };
        tracing::info!(rate = settings.rate, seconds = settings.length.as_secs(), "racing");
        let raced = race::run(&new, old.as_ref(), &mut self.draws, settings, self.config.compared).await;
        let figures = race::figures(&raced, settings);
        self.checks.race(&figures, &raced);
        verdict.machine.noise = race::noise(raced.active.as_ref().unwrap_or(&raced.preview));
        verdict.machine.generator_limited = self.checks.generator(&figures, raced.shed);
        if old.is_some() {
            verdict.answers = answers::compare(&raced.answers, self.deck);
            self.checks.answers(verdict.answers.as_ref());
        }
        let mut calls = figures.preview.calls;
        verdict.race = Some(figures);

        if let Some(test) = &self.config.test {
            calls += self.goose(test, &new).await;
        }
        if let Some(highest) = self.config.highest {
            tracing::info!(highest, "looking for the knee");
            let steps = knee::climb(&new, &mut self.draws, settings.rate, highest, self.config.step, self.config.seed);
            let steps = steps.await;
            calls += steps.iter().map(|step| (step.rate * self.config.step.as_secs_f64()) as u64).sum::<u64>();
            verdict.knee = Some(steps);
        }
        match (before, memory::look(preview).await) {
            (Some(first), Some(last)) => match memory::growth(first, last, calls) {
                Some(growth) => {
                    self.checks.memory(&growth);
                    verdict.memory = Some(growth);
                }
                None => {
                    let why = "the HTTP port of the preview leads to more than one process: name that of one by --preview-http";
                    self.checks.untold("memory", why);
                }
            },
            _ if self.config.preview.http.is_some() => {
                self.checks.untold("memory", "the HTTP port of the preview does not tell it at /metrics");
            }
            _ => {}
        }
        self.still_there(preview, &new).await;
        Ok(())
    }

    fn caller(&self, target: &Arc<Target>, expected: ModelId) -> Caller {
        Caller { target: Arc::clone(target), expected: Some(expected), deadline: self.config.deadline, batch: 100 }
    }

    /// Waits for the new version, which has to serve what is expected.
    async fn ready(&mut self, verdict: &mut Verdict, preview: &Target, digest: Option<&str>) -> Option<ModelId> {
        tracing::info!(url = %preview.url(), "waiting for the preview");
        match preview.ready(self.config.patience).await {
            Err(error) => {
                self.checks.failed("preview is serving", &error);
                None
            }
            Ok((model, took)) => {
                let id = model.model.unwrap_or_default();
                verdict.preview.version.clone_from(&id.version);
                verdict.preview.digest.clone_from(&id.digest);
                verdict.preview.ready_seconds = took.as_secs_f64();
                let is_right = self.checks.model(&id, &self.config.version, digest);
                is_right.then_some(id)
            }
        }
    }

    async fn active(&mut self, target: &Target) -> Option<(Side, ModelId)> {
        match target.ready(self.config.patience).await {
            Ok((model, took)) => {
                let id = model.model.unwrap_or_default();
                let side = Side {
                    url: target.url().to_string(),
                    version: id.version.clone(),
                    digest: id.digest.clone(),
                    ready_seconds: took.as_secs_f64(),
                };
                Some((side, id))
            }
            Err(error) => {
                // Without it nothing can be compared, which says nothing of the preview.
                self.checks.untold("active is serving", &error.to_string());
                None
            }
        }
    }

    async fn panel(&mut self, preview: &Target, model: Option<&Folder>) -> Result<(), Error> {
        let Some(model) = model else {
            self.checks.note("panel", "not played: it is in the store of the model, and no --store was named");
            return Ok(());
        };
        match Panel::of(model).await? {
            None => self.checks.untold("panel", "the model has none beside it: train it with this version of Prowl"),
            Some(panel) => match panel.play(preview, self.config.deadline).await {
                Ok(differences) => self.checks.panel(panel.len(), &differences),
                Err(status) => self.checks.untold("panel", &said(&status)),
            },
        }
        Ok(())
    }

    /// The first calls of all.
    async fn first_calls(&mut self, caller: &Caller) {
        let each = FIRST / FIRST_IN_FLIGHT;
        let workers = (0..FIRST_IN_FLIGHT).map(|_| {
            let documents: Vec<_> = (0..each).map(|_| self.draws.draw().1).collect();
            let caller = caller.clone();
            tokio::spawn(async move {
                let begun = Instant::now();
                let mut times = Vec::with_capacity(documents.len());
                for document in documents {
                    if begun.elapsed() > FIRST_LONGEST {
                        break;
                    }
                    let sent = Instant::now();
                    let (outcome, _) = caller.score(document).await;
                    times.push((outcome, sent.elapsed()));
                }
                times
            })
        });
        let mut all = Vec::with_capacity(FIRST);
        for worker in workers.collect::<Vec<_>>() {
            match worker.await {
                Ok(times) => all.extend(times),
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
        }
        self.checks.first_calls(&all);
    }

    /// The load test of goose's; how many calls that were.
    async fn goose(&mut self, test: &Test, caller: &Caller) -> u64 {
        tracing::info!(scenario = test.scenario.name(), rules = test.rules.len(), "testing with goose");
        let expected = caller.expected.clone().unwrap_or_default();
        match Box::pin(goose::run(self.config, test, &expected, self.deck)).await {
            Ok(report) => {
                self.checks.load_test(&report);
                report.calls()
            }
            Err(error) => {
                self.checks.untold("load test", &error.to_string());
                0
            }
        }
    }

    /// At the end it is still the same that answers.
    async fn still_there(&mut self, preview: &Target, caller: &Caller) {
        match preview.ready(self.config.deadline).await {
            Ok((model, _)) => self.checks.unchanged(&model.model.unwrap_or_default(), caller.expected.as_ref()),
            Err(error) => self.checks.failed("preview is serving at the end", &error),
        }
    }

    fn empty(&self, began: Timestamp) -> Verdict {
        let config = self.config;
        let side = |address: &Address| Side {
            url: address.url.to_string(),
            version: String::new(),
            digest: String::new(),
            ready_seconds: 0.0,
        };
        Verdict {
            schema: verdict::SCHEMA,
            decision: Decision::Unknown,
            began_at: began.to_string(),
            seconds: 0.0,
            expected: config.version.clone(),
            preview: side(&config.preview),
            active: config.active.as_ref().map(side),
            checks: Vec::new(),
            race: None,
            knee: None,
            answers: None,
            memory: None,
            settings: json!({
                "rate": config.rate,
                "seconds": config.length.as_secs_f64(),
                "highest_rate": config.highest,
                "compared": config.compared,
                "connections": config.connections,
                "deadline_seconds": config.deadline.as_secs_f64(),
                "requests": self.deck.len(),
                "seed": config.seed,
                "limits": config.limits,
            }),
            machine: Machine {
                cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                load: load(),
                noise: f64::NAN,
                generator_limited: false,
            },
        }
    }
}

/// Processes that want to run, of the last minute; nothing where the system does not tell.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
