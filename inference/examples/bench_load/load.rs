//! When calls are made: at a rate, or as answers come.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use crate::tally::Tally;
use crate::wire::Wire;

/// Timers of the runtime are exact to a millisecond; what is due sooner is waited for by asking the clock.
const EXACT: Duration = Duration::from_millis(2);

/// Calls that become due `rate` times a second, by the dice of a Poisson process, until the time of the tally is over. At most
/// `outstanding` are in flight: while they are, others become due and wait.
pub(crate) async fn open(wire: Wire, bodies: Vec<Bytes>, rate: f64, outstanding: usize, tally: &Arc<Mutex<Tally>>) {
    let (from, until) = Tally::of(tally).time();
    let wire = Arc::new(wire);
    let places = Arc::new(Semaphore::new(outstanding));
    let mut dice = StdRng::seed_from_u64(1);
    let mut due = Instant::now();
    for (turn, body) in bodies.iter().cycle().enumerate() {
        due += Duration::from_secs_f64(-(1.0 - dice.random::<f64>()).ln() / rate);
        if due >= until {
            break;
        }
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if left > EXACT {
                tokio::time::sleep(left.saturating_sub(EXACT / 2)).await;
            } else {
                yield_now().await;
            }
        }
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        // A load that cannot keep up ends, too.
        if Instant::now() > until + (until - from) {
            tally.lock().expect(crate::tally::WHOLE).unsent += 1;
            continue;
        }
        let (wire, tally, body) = (Arc::clone(&wire), Arc::clone(tally), body.clone());
        tokio::spawn(async move {
            let outcome = wire.call(turn, body).await;
            tally.lock().expect(crate::tally::WHOLE).count_due(due, &outcome);
            drop(place);
        });
    }
    let _all = places.acquire_many(u32::try_from(outstanding).unwrap_or(u32::MAX)).await;
}

/// As many calls in flight as there are `workers`, for as long.
pub(crate) async fn closed(wire: Wire, bodies: Vec<Bytes>, workers: usize, tally: &Arc<Mutex<Tally>>) {
    let (_, until) = Tally::of(tally).time();
    let (wire, bodies) = (Arc::new(wire), Arc::new(bodies));
    let mut all = JoinSet::new();
    for worker in 0..workers {
        let (wire, bodies, tally) = (Arc::clone(&wire), Arc::clone(&bodies), Arc::clone(tally));
        all.spawn(async move {
            // Each begins elsewhere, so that not all send the same at one time.
            let mut place = worker * bodies.len() / workers;
            while Instant::now() < until {
                let sent = Instant::now();
                let outcome = wire.call(worker, bodies[place % bodies.len()].clone()).await;
                tally.lock().expect(crate::tally::WHOLE).count_done(sent, &outcome);
                place += 1;
            }
        });
    }
    let _ = all.join_all().await;
}
