//! The closed loop: goose's users, each with a call in flight at a time, by scenario.
//!
//! Each loop of a user takes ten milliseconds at least: goose makes up for what a stall hides (coordinated omission) only
//! where a loop takes some, and users of a real service pause, too.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use goose::prelude::*;
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use tokio::time::{Instant, sleep_until};

use crate::{
    call::{Caller, Documents, Kind},
    deck::{Deck, Draws},
    generator::Watch,
    sample::Outcome,
    thresholds::method,
};

/// The shortest loop of a user.
const LOOP: Duration = Duration::from_millis(10);
/// Pull requests that one stream carries before another takes its place.
const STREAM: usize = 50;
/// Calls of a burst, and how long it is from one to the next.
const BURST: usize = 20;
const REST: Duration = Duration::from_secs(1);

/// What a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// One kind of call.
    Only(Kind),
    /// Kinds as a day has them: mostly single pull requests, now and then many.
    Mixed,
    /// Twenty calls at once, then none for a second.
    Burst,
    /// As mixed, for hours: what to look at is the memory.
    Soak,
}

/// Of a hundred calls of a day.
const DAY: [(Kind, u32); 5] =
    [(Kind::Score, 70), (Kind::Http, 15), (Kind::Oip, 8), (Kind::Batch, 5), (Kind::Stream, 2)];

impl Scenario {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Only(Kind::Score),
        Self::Only(Kind::Batch),
        Self::Only(Kind::Stream),
        Self::Only(Kind::Oip),
        Self::Only(Kind::Http),
        Self::Mixed,
        Self::Burst,
        Self::Soak,
        Self::Only(Kind::Abuse),
    ];

    /// As it is named on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Only(kind) => kind.name(),
            Self::Mixed => "mixed",
            Self::Burst => "burst",
            Self::Soak => "soak",
        }
    }

    /// What it does, as the command line tells it.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Only(Kind::Score) => "One pull request a call",
            Self::Only(Kind::Batch) => "Many in one call, as many as --batch-size",
            Self::Only(Kind::Stream) => "Fifty over one stream",
            Self::Only(Kind::Oip) => "One a call, over the Open Inference Protocol",
            Self::Only(Kind::Http) => "One a call, over HTTP",
            Self::Only(Kind::Abuse) => "What is wrong, and has to be refused at once",
            Self::Mixed => "Kinds of calls as a day has them",
            Self::Burst => "Twenty calls at once, then none for a second",
            Self::Soak => "As mixed, for hours",
        }
    }

    /// Whether it is of nothing but calls over HTTP.
    pub(crate) fn needs_http(self) -> bool {
        matches!(self, Self::Only(kind) if kind.is_http())
    }

    /// The kind of the next call.
    pub(crate) fn kind(self, dice: &mut ChaCha8Rng, has_http: bool) -> Kind {
        match self {
            Self::Only(kind) => kind,
            Self::Burst => Kind::Score,
            Self::Mixed | Self::Soak => loop {
                let mut place = dice.random_range(0..DAY.iter().map(|(_, share)| share).sum::<u32>());
                let kind = DAY.into_iter().find_map(|(kind, share)| {
                    if place < share {
                        return Some(kind);
                    }
                    place -= share;
                    None
                });
                match kind {
                    Some(kind) if kind.is_http() && !has_http => {}
                    Some(kind) => return kind,
                    None => return Kind::Score,
                }
            },
        }
    }
}

/// What all users have in common.
pub(crate) struct Shared {
    pub(crate) caller: Caller,
    /// Pull requests of a batch.
    pub(crate) batch: usize,
    pub(crate) deck: Arc<Deck>,
    pub(crate) seed: u64,
    pub(crate) has_http: bool,
    pub(crate) watch: Arc<Watch>,
}

impl Shared {
    /// What a call of this kind is about.
    pub(crate) fn documents(&self, kind: Kind, draws: &mut Draws) -> Documents {
        match kind {
            Kind::Score | Kind::Oip | Kind::Http | Kind::Abuse => Documents::One(draws.draw().1),
            Kind::Batch => Documents::Many(draws.take(self.batch)),
            Kind::Stream => Documents::Many(draws.take(STREAM)),
        }
    }

    /// Makes a call, and tells how long it took.
    async fn call(&self, (kind, documents): (Kind, Documents)) -> (Kind, Duration, Outcome) {
        self.watch.sent(Duration::ZERO);
        let sent = Instant::now();
        let outcome = self.caller.call(kind, documents).await;
        self.watch.ended();
        (kind, sent.elapsed(), outcome)
    }
}

/// What a user has of its own. goose asks that it can be cloned, which dice cannot.
#[derive(Clone)]
struct Session(Arc<Mutex<Own>>);

struct Own {
    draws: Draws,
    dice: ChaCha8Rng,
}

impl Session {
    /// The kind of the next call, and what it is about.
    fn draw(&self, scenario: Scenario, shared: &Shared) -> (Kind, Documents) {
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = scenario.kind(&mut own.dice, shared.has_http);
        (kind, shared.documents(kind, &mut own.draws))
    }
}

/// The scenario for goose.
pub(crate) fn of(scenario: Scenario, shared: &Arc<Shared>) -> goose::goose::Scenario {
    let begin: TransactionFunction = {
        let shared = Arc::clone(shared);
        Arc::new(move |user| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                // Users draw in orders of their own.
                let seed = shared.seed.wrapping_add(1 + user.weighted_users_index as u64);
                let own = Own { draws: Draws::of(&shared.deck, seed), dice: ChaCha8Rng::seed_from_u64(seed) };
                user.set_session_data(Session(Arc::new(Mutex::new(own))));
                Ok(())
            })
        })
    };
    let shared = Arc::clone(shared);
    let work: TransactionFunction = Arc::new(move |user| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let begun = Instant::now();
            let session = user.get_session_data::<Session>().ok_or("a user has no session")?;
            let rest = if scenario == Scenario::Burst {
                let calls = (0..BURST).map(|_| shared.call(session.draw(scenario, &shared)));
                for (kind, took, outcome) in join_all(calls).await {
                    record(user, kind, took, outcome).await?;
                }
                REST
            } else {
                let (kind, took, outcome) = shared.call(session.draw(scenario, &shared)).await;
                record(user, kind, took, outcome).await?;
                LOOP
            };
            sleep_until(begun + rest).await;
            Ok(())
        })
    });
    goose::goose::Scenario::new(scenario.name())
        .register_transaction(Transaction::new(begin).set_name("begin").set_on_start())
        .register_transaction(Transaction::new(work).set_name(scenario.name()))
}

/// Tells goose what came of a call.
pub(crate) async fn record(user: &mut GooseUser, kind: Kind, took: Duration, outcome: Outcome) -> TransactionResult {
    // Codes of the server's as they are; goose takes none for 0, which is gRPC's OK, so that ours lie beyond them.
    let code = match outcome {
        Outcome::Answered => 0,
        Outcome::Refused(code) => code,
        Outcome::Silent => 1_000,
        Outcome::Unreachable => 1_001,
        Outcome::Wrong(_) => 1_002,
    };
    let failure = (outcome != Outcome::Answered).then(|| outcome.to_string());
    let answered = failure.is_none();
    user.record_custom_request_duration(method(kind), kind.name(), took, answered, Some(code), failure.as_deref()).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_day_has_its_weights() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let mut counts = BTreeMap::new();
        for _ in 0..10_000 {
            *counts.entry(Scenario::Mixed.kind(&mut dice, true).name()).or_insert(0) += 1;
        }
        assert!((6_800..7_200).contains(&counts["score"]) && (400..600).contains(&counts["batch"]), "{counts:?}");
        assert_eq!(counts.len(), 5);
        assert!((0..1_000).all(|_| Scenario::Soak.kind(&mut dice, false) != Kind::Http));
    }

    #[test]
    fn scenarios_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = Scenario::ALL.into_iter().map(Scenario::name).collect();
        assert_eq!(names.len(), Scenario::ALL.len());
    }

    #[test]
    fn each_kind_has_a_scenario_of_its_own() {
        assert!(Kind::ALL.into_iter().all(|kind| Scenario::ALL.contains(&Scenario::Only(kind))));
    }
}
