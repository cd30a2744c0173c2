//! What may go wrong with an answer, and plans of it.

use std::sync::Mutex;
use std::time::Duration;

use super::asked::Asked;
use super::seed::Dice;

/// Something that goes wrong with one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The points are used up for so many seconds: status 200 and an error, for this request and all until then.
    PrimaryLimit(u64),
    /// A secondary limit: this status (403 or 429) with so many seconds in `retry-after`, for this request and all until then.
    SecondaryLimit(u16, u64),
    /// A status of 500 or more, without JSON.
    Status(u16),
    /// The right answer, so much later.
    Slow(Duration),
    /// Some pull requests of a page are null, with an error for each; the first so many are.
    NullNodes(usize),
    /// The query failed in the middle: status 200, null, and an error.
    Failed,
    /// The query was too large for this page: status 200, null in place of the nodes, and an error.
    ResourceLimits,
    /// The connection is cut after so many bytes of the answer.
    Cut(usize),
    /// A page of HTML with status 200.
    Garbage,
}

/// Decides what goes wrong with a request.
pub type Rule = dyn Fn(&Asked) -> Option<Fault> + Send + Sync;

/// A plan by which this share of the answers is wrong, in all ways alike. The same seed gives the same row of faults.
pub fn at_random(seed: u64, share: f64) -> impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static {
    let dice = Mutex::new(Dice::new(seed));
    move |asked| {
        let mut dice = dice.lock().unwrap();
        dice.chance(share).then(|| any(&mut dice, asked))
    }
}

fn any(dice: &mut Dice, asked: &Asked) -> Fault {
    match dice.below(11) {
        0 => Fault::PrimaryLimit(1),
        1 => Fault::SecondaryLimit(403, 1),
        2 => Fault::SecondaryLimit(429, 1),
        3 => Fault::Status(502),
        4 => Fault::Status(504),
        5 => Fault::Slow(Duration::from_millis(dice.below(1_500) as u64)),
        6 => Fault::Cut(0),
        7 => Fault::Cut(200 + dice.below(20_000)),
        8 => Fault::Garbage,
        // What follows is of GraphQL alone.
        9 if asked.is_graphql() => Fault::NullNodes(1 + dice.below(3)),
        10 if asked.is_graphql() && dice.chance(0.5) => Fault::Failed,
        10 if asked.is_graphql() => Fault::ResourceLimits,
        _ => Fault::Status(500),
    }
}
