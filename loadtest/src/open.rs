//! The open loop on goose: arrivals and calls run in tasks of ours, and a user of goose's records what came of them, so that its
//! reports and rules hold for them, too.
//!
//! ```text
//! arrivals ──a task a call──> channel ──> recorder (a GooseUser) ──> goose's metrics, report, rules
//! ```
//!
//! A recorder looks for a fifth of a second at a time, since goose tells its users to end only between two transactions;
//! what is still in flight then is recorded by the last transaction of all.

use std::{sync::Arc, time::Duration};

use goose::prelude::*;
use rand::{SeedableRng as _, rngs::ChaCha8Rng};
use tokio::{
    sync::{Mutex, Semaphore, mpsc},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    arrivals::{Plan, come},
    call::Kind,
    deck::Draws,
    sample::Outcome,
    scenarios::{Scenario, Shared, record},
};

/// How long a recorder looks at a time.
const LOOK: Duration = Duration::from_millis(200);
/// What a recorder takes at a time.
const BATCH: usize = 256;
/// So long it goes on without an end: goose says when.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// A call that has ended.
struct Ended {
    kind: Kind,
    took: Duration,
    outcome: Outcome,
}

/// What a recorder has.
#[derive(Clone)]
struct Recorder {
    ended: Arc<Mutex<mpsc::UnboundedReceiver<Ended>>>,
    stop: CancellationToken,
}

/// The scenario for goose, to be run by one user: calls of `scenario` at this rate.
pub(crate) fn of(scenario: Scenario, shared: &Arc<Shared>, rate: f64, in_flight: usize) -> goose::goose::Scenario {
    let begin: TransactionFunction = {
        let shared = Arc::clone(shared);
        Arc::new(move |user| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (sender, ended) = mpsc::unbounded_channel();
                let stop = CancellationToken::new();
                user.set_session_data(Recorder { ended: Arc::new(Mutex::new(ended)), stop: stop.clone() });
                tokio::spawn(async move {
                    let arriving = arrive(scenario, &shared, rate, in_flight, sender);
                    stop.run_until_cancelled(arriving).await;
                });
                Ok(())
            })
        })
    };
    let look: TransactionFunction = Arc::new(move |user| {
        Box::pin(async move {
            let ended = Arc::clone(&user.get_session_data::<Recorder>().ok_or("a recorder has no session")?.ended);
            let (mut ended, until) = (ended.lock().await, Instant::now() + LOOK);
            let mut some = Vec::with_capacity(BATCH);
            while let Ok(count) = timeout_at(until, ended.recv_many(&mut some, BATCH)).await {
                if count == 0 {
                    sleep_until(until).await;
                    break;
                }
                for Ended { kind, took, outcome } in some.drain(..) {
                    record(user, kind, took, outcome).await?;
                }
                // Where there is always something to record, the time is never looked at otherwise.
                if Instant::now() >= until {
                    break;
                }
            }
            Ok(())
        })
    });
    let end: TransactionFunction = Arc::new(move |user| {
        Box::pin(async move {
            let recorder = user.get_session_data::<Recorder>().ok_or("a recorder has no session")?.clone();
            recorder.stop.cancel();
            let mut ended = recorder.ended.lock().await;
            // Each call has a deadline, and with the last one the channel ends.
            while let Some(Ended { kind, took, outcome }) = ended.recv().await {
                record(user, kind, took, outcome).await?;
            }
            Ok(())
        })
    });
    goose::goose::Scenario::new(scenario.name())
        .register_transaction(Transaction::new(begin).set_name("begin").set_on_start())
        .register_transaction(Transaction::new(look).set_name(scenario.name()))
        .register_transaction(Transaction::new(end).set_name("end").set_on_stop())
}

async fn arrive(scenario: Scenario, shared: &Shared, rate: f64, in_flight: usize, ended: mpsc::UnboundedSender<Ended>) {
    let begun = Instant::now();
    let mut dice = ChaCha8Rng::seed_from_u64(shared.seed);
    let mut draws = Draws::of(&shared.deck, shared.seed);
    let places = Arc::new(Semaphore::new(in_flight));
    let mut moments = come(Plan { rate, length: FOR_EVER, seed: shared.seed, in_flight }, begun);
    while let Some(due) = moments.recv().await {
        let kind = scenario.kind(&mut dice, shared.has_http);
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // It was due, and nobody has answered it.
            shared.watch.shed();
            let shed = Ended { kind, took: shared.caller.deadline, outcome: Outcome::Silent };
            if ended.send(shed).is_err() {
                return;
            }
            continue;
        };
        shared.watch.sent(begun.elapsed().saturating_sub(due));
        let (caller, ended, watch) = (shared.caller.clone(), ended.clone(), Arc::clone(&shared.watch));
        let documents = draws.take(caller.documents(kind));
        tokio::spawn(async move {
            let outcome = caller.call(kind, documents).await;
            watch.ended();
            // Who stops listening has stopped the run.
            let _ = ended.send(Ended { kind, took: begun.elapsed().saturating_sub(due), outcome });
            drop(place);
        });
    }
}
