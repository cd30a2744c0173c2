//! The steps of a gate, in their order.

use std::{collections::BTreeSet, panic::resume_unwind, sync::Arc, time::Duration};

use bytes::Bytes;
use prowl_platform::Folder;
use prowl_proto::v1::ModelId;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Config, FIRST_IN_FLIGHT, Test, answers,
    checks::Checks,
    goose, in_flight,
    knee::{self, Way},
    look::{Look, look},
    panel::Panel,
    race::{self, Raced, Settings, refuses},
};
use crate::{
    Error,
    call::Caller,
    deck::{Deck, Draws},
    sample::Outcome,
    target::{Target, said},
    verdict::{Side, Verdict},
};

/// Calls before all else, which the first use of everything may make slow.
const FIRST: usize = 500;
/// How long they take at most: a server that does not answer would have them all wait.
const FIRST_LONGEST: Duration = Duration::from_secs(40);

pub(super) struct Gate<'a> {
    pub(super) config: &'a Config,
    pub(super) deck: &'a Arc<Deck>,
    pub(super) checks: Checks,
    pub(super) draws: Draws,
}

/// Those who are asked, and what they are expected to be.
struct Sides<'a> {
    preview: &'a Target,
    active: Option<&'a Target>,
    new: Caller,
    old: Option<Caller>,
}

/// What preview and active tell of themselves at one time.
#[derive(Clone, Copy)]
struct Looks {
    preview: Option<Look>,
    active: Option<Look>,
}

/// One of the first calls.
struct First {
    /// How many its worker had made before.
    turn: usize,
    document: Bytes,
    outcome: Outcome,
    took: Duration,
}

impl Gate<'_> {
    pub(super) async fn run(
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
                Some((target, id))
            }
            None => {
                self.checks.note("no active version", "the preview is judged alone");
                None
            }
        };
        let is_alike = old.as_ref().is_some_and(|(_, id)| id.digest == new.digest);
        let sides = Sides {
            preview,
            active: active.map(Arc::as_ref),
            new: self.caller(preview, new),
            old: old.map(|(target, id)| self.caller(target, id)),
        };

        let unasked = sides.look().await;
        let asked = self.first_calls(&sides).await;
        let after_first = sides.look().await;
        if is_alike {
            self.two_servers(unasked, after_first, asked);
        }
        self.panel(&sides, model).await?;
        // What the first calls of all have it set up once is no leak.
        let before = sides.look().await;
        let raced = self.race(verdict, &sides).await;
        self.cost(before, sides.look().await, sides.active.is_some());
        let mut calls = raced.preview.samples.len() as u64 + raced.preview.refused;
        if let Some(test) = &self.config.test {
            calls += self.goose(test, &sides.new).await;
        }
        // Before the knee: what a server holds for thousands that wait is no leak.
        self.memory(verdict, before.preview, look(preview).await, calls);
        if let Some(highest) = self.config.highest {
            self.knee(verdict, &sides.new, highest, &raced.refused).await;
        }
        self.still_there(&sides).await;
        Ok(())
    }

    fn caller(&self, target: &Arc<Target>, expected: ModelId) -> Caller {
        let (target, expected) = (Arc::clone(target), Some(Arc::new(expected)));
        Caller { target, expected, deadline: self.config.deadline }
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

    /// The first calls of all; how many were answered.
    async fn first_calls(&mut self, sides: &Sides<'_>) -> u64 {
        let each = FIRST / FIRST_IN_FLIGHT;
        let workers = (0..FIRST_IN_FLIGHT).map(|_| {
            let (documents, caller) = (self.draws.take(each), sides.new.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                let begun = Instant::now();
                let mut calls = Vec::with_capacity(documents.len());
                for (turn, document) in documents.into_iter().enumerate() {
                    if begun.elapsed() > FIRST_LONGEST {
                        break;
                    }
                    let sent = Instant::now();
                    let (outcome, _) = caller.judge_score(document.clone()).await;
                    calls.push(First { turn, document, outcome, took: sent.elapsed() });
                }
                calls
            }))
        });
        let mut all = Vec::with_capacity(FIRST);
        for worker in workers.collect::<Vec<_>>() {
            all.extend(worker.await.unwrap_or_else(|failed| resume_unwind(failed.into_panic())));
        }
        all.sort_by_key(|call| call.turn);
        let answered = all.iter().filter(|call| call.outcome == Outcome::Answered).count() as u64;
        if let Some(old) = &sides.old {
            accept_refused(&mut all, old).await;
        }
        let calls: Vec<_> = all.iter().map(|call| (call.outcome, call.took)).collect();
        self.checks.first_calls(&calls);
        answered
    }

    /// Two that serve the same model may be one.
    fn two_servers(&mut self, unasked: Looks, after_first: Looks, asked: u64) {
        const NAME: &str = "two servers";
        match (after_first.preview, unasked.active, after_first.active) {
            (Some(preview), Some(before), Some(active)) if preview.is_same_server(&active, &before, asked) => {
                self.checks.untold(NAME, "the two addresses lead to one server: it would be compared with itself");
            }
            (Some(_), Some(_), Some(_)) => self.checks.note(NAME, "they count their calls apart"),
            _ => {
                let why = "both serve one model, and whether they are one server cannot be told without --preview-http \
                           and --active-http";
                self.checks.note(NAME, why);
            }
        }
    }

    async fn panel(&mut self, sides: &Sides<'_>, model: Option<&Folder>) -> Result<(), Error> {
        const NAME: &str = "panel";
        if !self.config.panel {
            self.checks.note(NAME, "not played, as --no-panel says");
            return Ok(());
        }
        let Some(model) = model else {
            let why = "it is beside the model: name the store by --store, or leave it out by --no-panel";
            self.checks.untold(NAME, why);
            return Ok(());
        };
        let features = sides.new.expected.as_ref().map_or("", |expected| expected.features_digest.as_str());
        match Panel::of(model).await? {
            None => self.checks.untold(NAME, "the model has none beside it: train it with this version of Prowl"),
            Some(panel) => match panel.play(sides.preview, features, self.config.deadline).await {
                Ok(differences) => self.checks.panel(panel.len(), &differences),
                Err(status) => self.checks.untold(NAME, &said(&status)),
            },
        }
        Ok(())
    }

    async fn race(&mut self, verdict: &mut Verdict, sides: &Sides<'_>) -> Raced {
        let Config { rate, length, seed, .. } = *self.config;
        let (in_flight, compared) = (in_flight(rate), self.config.compared as u64);
        let settings = Settings { rate, length, seed, in_flight, compared };
        tracing::info!(rate, seconds = length.as_secs(), "racing");
        let raced = race::run(&sides.new, sides.old.as_ref(), self.deck, settings).await;
        let figures = race::figures(&raced, settings);
        self.checks.race(&figures, &raced);
        verdict.machine.noise = race::noise(&raced.active.as_ref().unwrap_or(&raced.preview).samples);
        verdict.machine.generator_limited = self.checks.generator(&figures, &raced);
        if sides.old.is_some() {
            verdict.answers = answers::compare(&raced.answers, self.deck);
            self.checks.answers(verdict.answers.as_ref());
        }
        verdict.race = Some(figures);
        raced
    }

    /// What calls have cost, where there are two to be compared.
    fn cost(&mut self, before: Looks, after: Looks, has_active: bool) {
        let cost = |before: Option<Look>, after: Option<Look>| before?.cost(&after?);
        let costs = cost(before.preview, after.preview).zip(cost(before.active, after.active));
        if has_active {
            self.checks.cpu(costs.map(|(ours, theirs)| [ours, theirs]));
        }
    }

    /// The load test of goose's; how many calls that were.
    async fn goose(&mut self, test: &Test, caller: &Caller) -> u64 {
        tracing::info!(scenario = test.scenario.name(), rules = test.rules.len(), "testing with goose");
        let expected = caller.expected.as_deref().cloned().unwrap_or_default();
        match Box::pin(goose::run(self.config, test, &expected, self.deck)).await {
            Ok(report) => {
                self.checks.load_test(&report, test.rules.len());
                report.calls()
            }
            Err(error) => {
                self.checks.untold("load test", &error.to_string());
                0
            }
        }
    }

    fn memory(&mut self, verdict: &mut Verdict, first: Option<Look>, last: Option<Look>, calls: u64) {
        if self.config.preview.http.is_none() {
            self.checks.note("memory", "not looked at: it needs --preview-http");
            return;
        }
        let Some((first, last)) = first.zip(last) else {
            self.checks.untold("memory", "the HTTP port of the preview does not tell it at /metrics");
            return;
        };
        verdict.memory = first.growth(&last, calls);
        match &verdict.memory {
            Some(growth) => self.checks.memory(growth),
            None => {
                let why = "the HTTP port of the preview does not tell its memory and when it began, or leads to more \
                           than one process: name that of one by --preview-http";
                self.checks.untold("memory", why);
            }
        }
    }

    async fn knee(&mut self, verdict: &mut Verdict, caller: &Caller, highest: f64, refused: &BTreeSet<usize>) {
        tracing::info!(highest, "looking for the knee");
        let Config { rate, step, seed, .. } = *self.config;
        let way = Way { from: rate, to: highest, step, seed };
        let climb = knee::climb(caller, &mut self.draws, way, refused).await;
        self.checks.knee(&climb);
        verdict.knee = Some(climb.steps);
    }

    /// At the end it is still the same that answers.
    async fn still_there(&mut self, sides: &Sides<'_>) {
        match sides.preview.ready(self.config.deadline).await {
            Ok((model, _)) => {
                self.checks.unchanged(&model.model.unwrap_or_default(), sides.new.expected.as_deref());
            }
            Err(error) => self.checks.failed("preview is serving at the end", &error),
        }
    }
}

impl Sides<'_> {
    async fn look(&self) -> Looks {
        let active = async {
            match self.active {
                Some(active) => look(active).await,
                None => None,
            }
        };
        let (preview, active) = tokio::join!(look(self.preview), active);
        Looks { preview, active }
    }
}

/// What the active version refuses as well says nothing of the new one. Ends with the first that it does not.
async fn accept_refused(calls: &mut [First], active: &Caller) {
    for call in calls.iter_mut().filter(|call| refuses(call.outcome).is_some()) {
        if active.judge_score(call.document.clone()).await.0 != call.outcome {
            return;
        }
        call.outcome = Outcome::Answered;
    }
}
