//! The load of a rehearsal: pull requests are scored through the switch until that has been enough, and of each answer it is
//! noted which model has given it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Error,
    arrivals::{Plan, arrive},
    call::Caller,
    deck::{Deck, Draws},
    rehearse::{Carried, Through},
    sample::Samples,
    target::{Address, Target},
};

/// So long it goes on without an end: the rehearsal says when.
const FOR_EVER: Duration = Duration::from_hours(24);
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 4_096;

/// The digests that were seen. There are two of them, and a million calls.
#[derive(Default)]
struct Digests(Mutex<Vec<Arc<str>>>);

impl Digests {
    /// The one text of a digest.
    fn shared(&self, digest: &Bytes) -> Arc<str> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.iter().find(|known| known.as_bytes() == digest) {
            return Arc::clone(known);
        }
        let new: Arc<str> = String::from_utf8_lossy(digest).into();
        // One that is no text would be another each time.
        if new.as_bytes() == digest {
            seen.push(Arc::clone(&new));
        }
        new
    }
}

/// Holds it.
///
/// # Errors
/// The switch cannot be spoken to.
pub async fn hold(through: Through, deck: Arc<Deck>, deadline: Duration, seed: u64) -> Result<Carried, Error> {
    let address = Address { name: "switch", url: through.url, http: None, ca_file: None, token: None };
    let target = Arc::new(Target::new(&address, CONNECTIONS)?);
    let caller = Caller { target, expected: None, deadline, answers: None };
    let mut draws = Draws::of(&deck, seed);
    let plan = Plan { rate: through.rate, length: FOR_EVER, seed, in_flight: IN_FLIGHT };
    let (digests, again) = (Arc::<Digests>::default(), Arc::<AtomicU64>::default());
    let arrived = arrive(plan, &through.until, |_| {
        let (caller, document) = (caller.clone(), draws.draw().1);
        let (digests, again) = (Arc::clone(&digests), Arc::clone(&again));
        async move {
            let asked = caller.judge_score_persistently(document).await;
            again.fetch_add(asked.again, Relaxed);
            (asked.outcome, asked.digest.map(|digest| digests.shared(&digest)))
        }
    })
    .await;
    let (begun, shed, again) = (arrived.begun, arrived.shed, again.load(Relaxed));
    let (samples, digests) = arrived.samples.into_iter().unzip();
    Ok(Carried { begun, samples: Samples(samples), digests, shed, again })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_was_seen_is_kept_once() {
        let digests = Digests::default();
        let [one, other, again] = ["a", "b", "a"].map(|digest| digests.shared(&Bytes::from_static(digest.as_bytes())));
        assert!(Arc::ptr_eq(&one, &again) && &*other == "b");
        assert_eq!(&*digests.shared(&Bytes::from_static(b"\xff")), "\u{fffd}");
        assert_eq!(digests.0.lock().unwrap().len(), 2);
    }
}
