//! The load of a rehearsal: pull requests are scored through the switch until that has been enough, and of each answer it is
//! noted which model has given it.

use std::{collections::HashSet, sync::Arc, time::Duration};

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

/// Holds it.
///
/// # Errors
/// The switch cannot be spoken to.
pub async fn hold(through: Through, deck: Arc<Deck>, deadline: Duration, seed: u64) -> Result<Carried, Error> {
    let address = Address { name: "switch", url: through.url, http: None, ca_file: None, token: None };
    let target = Arc::new(Target::new(&address, CONNECTIONS)?);
    let caller = Caller { target, expected: None, deadline, batch: 1 };
    let mut draws = Draws::of(&deck, seed);
    let plan = Plan { rate: through.rate, length: FOR_EVER, seed, in_flight: IN_FLIGHT };
    let arrived = arrive(plan, &through.until, |_| {
        let (caller, document) = (caller.clone(), draws.draw().1);
        async move {
            let (outcome, answer) = caller.score_again(document).await;
            let digest = answer.and_then(|answer| answer.model).map(|model| model.digest);
            (outcome, digest)
        }
    })
    .await;
    // There are two of them, and a million calls.
    let mut known: HashSet<Arc<str>> = HashSet::new();
    let mut shared = |digest: String| match known.get(digest.as_str()) {
        Some(known) => Arc::clone(known),
        None => {
            let digest: Arc<str> = digest.into();
            known.insert(Arc::clone(&digest));
            digest
        }
    };
    let (begun, shed) = (arrived.begun, arrived.shed);
    let (samples, digests) =
        arrived.samples.into_iter().map(|(sample, digest)| (sample, digest.map(&mut shared))).unzip();
    Ok(Carried { begun, samples: Samples(samples), digests, shed })
}
