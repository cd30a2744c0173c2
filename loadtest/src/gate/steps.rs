//! The steps of a gate, in their order.

use std::{sync::Arc, time::Duration};

use prowl_platform::Folder;
use prowl_proto::v1::ModelId;
use tokio::time::{Instant, sleep};

use super::{
    Config, Test, answers,
    calls::{self, Called},
    checks::Checks,
    goose, in_flight,
    knee::{self, Way},
    look::{Look, Looks, look},
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
/// Calls after all else, and how long they take at most.
const LAST: usize = 20;
const LAST_LONGEST: Duration = Duration::from_secs(10);
/// So long a server may take to get over what was more than it can answer.
const REST: Duration = Duration::from_secs(1);

pub(super) struct Gate<'a> {
    pub(super) config: &'a Config,
    pub(super) deck: &'a Arc<Deck>,
    pub(super) checks: Checks,
    pub(super) draws: Draws,
}

/// Those who are asked, and what they are expected to be.
struct Sides {
    new: Caller,
    old: Option<Caller>,
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
        let new = self.caller(preview, new);
        let sides = Sides { new, old: old.map(|(target, id)| self.caller(target, id)) };

        let unasked = sides.look().await;
        let Some(asked) = self.first_calls(&sides).await else {
            let why = "the preview, which is judged alone, refuses all that is sent: give other --requests";
            self.checks.untold("requests", why);
            return Ok(());
        };
        let after_first = sides.look().await;
        if is_alike {
            self.two_servers(&unasked, &after_first, asked);
        }
        // What active has to set up is no merit of preview.
        if let Some(old) = &sides.old {
            self.call_first(old).await;
        }
        self.panel(&sides, model).await?;
        // What the first calls of all have it set up once is no leak.
        let before = sides.look().await;
        let raced = self.race(verdict, &sides).await;
        self.looked(&before, &sides.look().await, &raced);
        // What both refuse would fail whole batches, and says nothing of preview.
        let Some(deck) = self.deck.without(&raced.refused).map(Arc::new) else {
            self.checks.untold("requests", "both versions refuse all that is sent: give other --requests");
            return Ok(());
        };
        self.draws = Draws::of(&deck, self.config.seed);
        let mut calls = raced.preview.asked();
        if let Some(test) = &self.config.test {
            calls += self.goose(test, &sides.new, &deck).await;
        }
        // Before the knee: what a server holds for thousands that wait is no leak.
        self.memory(verdict, before.preview, look(preview).await, calls);
        if let Some(highest) = self.config.highest {
            self.knee(verdict, &sides.new, highest).await;
            sleep(REST).await;
        }
        self.still_there(&sides).await;
        Ok(())
    }

    fn caller(&self, target: &Arc<Target>, expected: ModelId) -> Caller {
        let (target, expected) = (Arc::clone(target), Some(Arc::new(expected)));
        Caller { target, expected, deadline: self.config.deadline, answers: None }
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
                verdict.preview = side(preview, &id, took);
                let is_right = self.checks.model(&id, &self.config.version, digest);
                is_right.then_some(id)
            }
        }
    }

    async fn active(&mut self, target: &Target) -> Option<(Side, ModelId)> {
        match target.ready(self.config.patience).await {
            Ok((model, took)) => {
                let id = model.model.unwrap_or_default();
                Some((side(target, &id, took), id))
            }
            Err(error) => {
                // Without it nothing can be compared, which says nothing of the preview.
                self.checks.untold("active is serving", &error.to_string());
                None
            }
        }
    }

    /// The first calls of all; how many preview has to have counted. Nothing where it is alone and can read none of what is
    /// sent: there is nobody to say whose fault that is.
    async fn first_calls(&mut self, sides: &Sides) -> Option<u64> {
        let (over_each, mut all) = self.call_first(&sides.new).await;
        let is_counted = |call: &&Called| !matches!(call.outcome, Outcome::Silent | Outcome::Unreachable);
        let counted = all.iter().filter(is_counted).count() as u64;
        if sides.old.is_none() && all.iter().all(|call| refuses(call.outcome).is_some()) {
            return None;
        }
        if let Some(old) = &sides.old {
            let ask = move |document| async move { old.judge_score(document).await.0 };
            calls::accept_refused(&mut all, ask).await;
        }
        let all: Vec<_> = all.iter().map(|call| (call.outcome, call.took)).collect();
        let (over_each, after) = all.split_at(over_each);
        self.checks.first_calls(over_each, after);
        Some(counted)
    }

    /// Calls a side for the first time; how many of the calls are those over each of its connections, which are before
    /// the others.
    async fn call_first(&mut self, caller: &Caller) -> (usize, Vec<Called>) {
        let until = Instant::now() + FIRST_LONGEST;
        let mut all = calls::over_each(caller, &mut self.draws, until).await;
        let over_each = all.len();
        all.extend(calls::some(caller, &mut self.draws, FIRST, until).await);
        (over_each, all)
    }

    /// Two that serve the same model may be one.
    fn two_servers(&mut self, unasked: &Looks, after_first: &Looks, asked: u64) {
        const NAME: &str = "two servers";
        match (after_first.preview, unasked.active, after_first.active) {
            (Some(preview), Some(before), Some(active)) if preview.is_same_server(&active, &before, asked) => {
                self.checks.untold(NAME, "the two addresses lead to one server: it would be compared with itself");
            }
            (Some(_), Some(_), Some(_)) => self.checks.note(NAME, "they count their calls apart"),
            _ if self.config.names_ports() => {
                let why = "both serve one model, and their HTTP ports do not tell at /metrics whether they are one \
                           server: are --preview-http and --active-http theirs?";
                self.checks.untold(NAME, why);
            }
            _ => {
                let why = "both serve one model, and whether they are one server cannot be told without --preview-http \
                           and --active-http";
                self.checks.note(NAME, why);
            }
        }
    }

    async fn panel(&mut self, sides: &Sides, model: Option<&Folder>) -> Result<(), Error> {
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
            Some(panel) => match panel.play(&sides.new.target, features, self.config.deadline).await {
                Ok(differences) => self.checks.panel(panel.len(), &differences),
                Err(status) => self.checks.untold(NAME, &said(&status)),
            },
        }
        Ok(())
    }

    async fn race(&mut self, verdict: &mut Verdict, sides: &Sides) -> Raced {
        let Config { rate, length, seed, .. } = *self.config;
        let (in_flight, compared) = (in_flight(rate), self.config.compared as u64);
        let settings = Settings { rate, length, seed, in_flight, compared };
        tracing::info!(rate, seconds = length.as_secs(), "racing");
        let raced = race::run(&sides.new, sides.old.as_ref(), self.deck, settings).await;
        let figures = race::figures(&raced, settings);
        self.checks.race(&figures, &raced);
        verdict.machine.noise = race::noise(&raced.active.as_ref().unwrap_or(&raced.preview).samples);
        verdict.machine.generator_limited = self.checks.generator(&figures);
        if sides.old.is_some() {
            verdict.answers = answers::compare(&raced.answers, self.deck);
            self.checks.answers(verdict.answers.as_ref());
        }
        verdict.race = Some(figures);
        raced
    }

    /// Whether preview answered nobody else in the race, and what its calls have cost where there are two to be
    /// compared.
    fn looked(&mut self, before: &Looks, after: &Looks, raced: &Raced) {
        let answered = before.preview.zip(after.preview).and_then(|(before, after)| before.answered(&after));
        match answered {
            Some(answered) => self.checks.alone(answered, raced.preview.asked()),
            None if self.config.preview.http.is_none() => {
                self.checks.note("asked alone", "not looked at: it needs --preview-http");
            }
            None => {
                let why = "the HTTP port of the preview does not tell at /metrics how much it answers, or leads to \
                           more than one process: name that of one by --preview-http";
                self.checks.untold("asked alone", why);
            }
        }
        if let Some(active) = &raced.active {
            self.checks.cpu(before.cost(after), active.asked(), self.config.names_ports());
        }
    }

    /// The load test of goose's; how many calls that were.
    async fn goose(&mut self, test: &Test, caller: &Caller, deck: &Arc<Deck>) -> u64 {
        tracing::info!(scenario = test.scenario.name(), rules = test.rules.len(), "testing with goose");
        let expected = caller.expected.as_deref().cloned().unwrap_or_default();
        match Box::pin(goose::run(self.config, test, &expected, deck)).await {
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
            let why = "the HTTP port of the preview does not tell it at /metrics: is --preview-http its HTTP port?";
            self.checks.untold("memory", why);
            return;
        };
        verdict.memory = first.growth(&last, calls);
        match &verdict.memory {
            Some(growth) => self.checks.memory(growth),
            None => {
                let why = "the HTTP port of the preview does not tell its memory, or leads to more than one process: \
                           name that of one by --preview-http";
                self.checks.untold("memory", why);
            }
        }
    }

    async fn knee(&mut self, verdict: &mut Verdict, caller: &Caller, highest: f64) {
        tracing::info!(highest, "looking for the knee");
        let Config { rate, step, seed, .. } = *self.config;
        let way = Way { from: rate, to: highest, step, seed };
        let climb = knee::climb(caller, &mut self.draws, way).await;
        self.checks.knee(&climb);
        verdict.knee = Some(climb.steps);
    }

    /// At the end it still answers, and is the same.
    async fn still_there(&mut self, sides: &Sides) {
        match sides.new.target.ready(self.config.deadline).await {
            Ok((model, _)) => {
                let last = calls::some(&sides.new, &mut self.draws, LAST, Instant::now() + LAST_LONGEST).await;
                // That it cannot read one is an answer, too.
                let of = |call: &Called| match call.outcome {
                    outcome if refuses(outcome).is_some() => Outcome::Answered,
                    outcome => outcome,
                };
                self.checks.last_calls(last.iter().map(of));
                self.checks.unchanged(&model.model.unwrap_or_default(), sides.new.expected.as_deref());
            }
            Err(error) => self.checks.failed("preview is serving at the end", &error),
        }
    }
}

/// A server that was ready after this time.
fn side(target: &Target, id: &ModelId, took: Duration) -> Side {
    Side {
        url: target.url().to_string(),
        version: id.version.clone(),
        digest: id.digest.clone(),
        ready_seconds: took.as_secs_f64(),
    }
}

impl Sides {
    async fn look(&self) -> Looks {
        let active = async {
            match &self.old {
                Some(old) => look(&old.target).await,
                None => None,
            }
        };
        let (preview, active) = tokio::join!(look(&self.new.target), active);
        Looks { preview, active }
    }
}
