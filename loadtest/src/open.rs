//! The open loop on goose: arrivals and calls run in tasks of ours, and a user of goose's records what came of them, so that its
//! reports and rules hold for them, too.
//!
//! ```text
//! arrivals ──a task a call──> channel ──> recorder (a GooseUser) ──> goose's metrics, report, rules
//!    ^──────────── places in flight ────────┘
//! ```
//!
//! A call keeps its place in flight until it is recorded, so that what waits for the recorder is bounded, too. A recorder looks
//! for a fifth of a second at a time, since goose tells its users to end only between two transactions; what is still in flight
//! then is recorded by the last transaction of all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use goose::prelude::*;
use rand::{SeedableRng as _, rngs::ChaCha8Rng};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, mpsc},
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    arrivals::{Moment, Plan, dispatch},
    call::Kind,
    deck::Draws,
    sample::{Outcome, Sample},
    scenarios::{Scenario, Shared, record},
};

/// How long a recorder looks at a time.
const LOOK: Duration = Duration::from_millis(200);
/// How long calls wait at most until they are recorded: each alone would cost as much as it does to make it.
const PAUSE: Duration = Duration::from_millis(5);
/// What a recorder takes before others have their turn.
const BATCH: usize = 256;
/// So long it goes on without an end: goose says when.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// A call that has ended.
struct Ended {
    kind: Kind,
    sample: Sample,
    /// Another call's, once this one is recorded.
    _place: OwnedSemaphorePermit,
}

/// Calls that were due and not made, by their kind.
#[derive(Default)]
struct Shed([AtomicU64; Kind::ALL.len()]);

impl Shed {
    fn add(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Relaxed);
    }

    /// Those since it was last asked.
    fn take(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.0[kind as usize].swap(0, Relaxed)))
    }
}

/// What a recorder has.
#[derive(Clone)]
struct Recorder {
    ended: Arc<Mutex<mpsc::UnboundedReceiver<Ended>>>,
    shed: Arc<Shed>,
    deadline: Duration,
    stop: CancellationToken,
}

impl Recorder {
    fn of(user: &GooseUser) -> Result<Self, Box<TransactionError>> {
        Ok(user.get_session_data::<Self>().ok_or("a recorder has no session")?.clone())
    }

    /// Records what has ended until now, up to a moment.
    async fn record(&self, user: &mut GooseUser, until: Instant) -> TransactionResult {
        self.record_shed(user).await?;
        let mut ended = self.ended.lock().await;
        let mut count = 0_usize;
        while let Ok(one) = ended.try_recv() {
            one.record(user).await?;
            count += 1;
            if count.is_multiple_of(BATCH) {
                yield_now().await;
                // Where there is always something to record, the time is never looked at otherwise.
                if Instant::now() >= until {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Records all that is in flight.
    async fn record_rest(&self, user: &mut GooseUser) -> TransactionResult {
        self.stop.cancel();
        let mut ended = self.ended.lock().await;
        // Each call has a deadline, and with the last one the channel ends.
        while let Some(one) = ended.recv().await {
            one.record(user).await?;
        }
        self.record_shed(user).await
    }

    /// They were due, and nobody has answered them.
    async fn record_shed(&self, user: &mut GooseUser) -> TransactionResult {
        for (kind, count) in self.shed.take() {
            for _ in 0..count {
                record(user, kind, self.deadline, Outcome::Silent).await?;
            }
        }
        Ok(())
    }
}

impl Ended {
    async fn record(self, user: &mut GooseUser) -> TransactionResult {
        record(user, self.kind, self.sample.took, self.sample.outcome).await
    }
}

/// The scenario for goose, to be run by one user: calls of `scenario` at this rate.
pub(crate) fn of(scenario: Scenario, shared: &Arc<Shared>, rate: f64, in_flight: usize) -> goose::goose::Scenario {
    let begin: TransactionFunction = {
        let shared = Arc::clone(shared);
        Arc::new(move |user| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (sender, ended) = mpsc::unbounded_channel();
                let recorder = Recorder {
                    ended: Arc::new(Mutex::new(ended)),
                    shed: Arc::default(),
                    deadline: shared.caller.deadline,
                    stop: CancellationToken::new(),
                };
                user.set_session_data(recorder.clone());
                let plan = Plan { rate, length: FOR_EVER, seed: shared.seed, in_flight };
                tokio::spawn(make(plan, scenario, shared, recorder.shed, recorder.stop, sender));
                Ok(())
            })
        })
    };
    let look: TransactionFunction = Arc::new(move |user| {
        Box::pin(async move {
            let (recorder, until) = (Recorder::of(user)?, Instant::now() + LOOK);
            while Instant::now() < until {
                recorder.record(user, until).await?;
                sleep(PAUSE).await;
            }
            Ok(())
        })
    });
    let end: TransactionFunction =
        Arc::new(move |user| Box::pin(async move { Recorder::of(user)?.record_rest(user).await }));
    goose::goose::Scenario::new(scenario.name())
        .register_transaction(Transaction::new(begin).set_name("begin").set_on_start())
        .register_transaction(Transaction::new(look).set_name(scenario.name()))
        .register_transaction(Transaction::new(end).set_name("end").set_on_stop())
}

/// Makes the calls of a plan until `stop`.
async fn make(
    plan: Plan,
    scenario: Scenario,
    shared: Arc<Shared>,
    shed: Arc<Shed>,
    stop: CancellationToken,
    ended: mpsc::UnboundedSender<Ended>,
) {
    let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut draws = Draws::of(&shared.deck, plan.seed);
    let tell = move |sample: Sample, kind: Kind, place: OwnedSemaphorePermit| {
        // Who stops listening has stopped the run.
        let _ = ended.send(Ended { kind, sample, _place: place });
    };
    let meet = |moment: Moment| {
        let kind = scenario.kind(&mut dice, shared.has_http);
        if !moment.has_place {
            shared.watch.shed();
            shed.add(kind);
            return None;
        }
        let (documents, shared) = (shared.documents(kind, &mut draws), Arc::clone(&shared));
        // It has some kilobytes, which would otherwise be moved from hand to hand on their way to a task.
        Some(Box::pin(async move {
            shared.watch.sent(moment.age());
            let outcome = shared.caller.call(kind, documents).await;
            shared.watch.ended();
            (outcome, kind)
        }))
    };
    dispatch(plan, Instant::now(), &stop, meet, tell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_made_is_counted_once_and_by_its_kind() {
        let shed = Shed::default();
        for kind in [Kind::Batch, Kind::Score, Kind::Batch] {
            shed.add(kind);
        }
        let counts: Vec<_> = shed.take().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(Kind::Score, 1), (Kind::Batch, 2)]);
        assert!(shed.take().all(|(_, count)| count == 0));
    }
}
