//! Calls by which it is seen how a server is, before it is under load and after: a few at a time, and each is looked
//! at.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::race::refuses;
use crate::{call::Caller, deck::Draws, sample::Outcome};

/// How many are in flight at one time.
pub(super) const AT_ONCE: usize = 4;

/// One call.
#[derive(Debug)]
pub(super) struct Called {
    /// How many its worker had made before.
    turn: usize,
    document: Bytes,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

async fn make(caller: &Caller, turn: usize, document: Bytes) -> Called {
    let sent = Instant::now();
    let (outcome, _) = caller.judge_score(document.clone()).await;
    Called { turn, document, outcome, took: sent.elapsed() }
}

/// One call over each connection, until a moment: there may be several servers behind an address, and each has its own
/// first call. What it takes to connect is not in their times.
pub(super) async fn over_each(caller: &Caller, draws: &mut Draws, until: Instant) -> Vec<Called> {
    let mut all = Vec::new();
    for target in caller.target.by_connection() {
        if Instant::now() > until {
            break;
        }
        target.connect().await;
        let alone = Caller { target: Arc::new(target), ..caller.clone() };
        all.push(make(&alone, 0, draws.draw().1).await);
    }
    all
}

/// So many calls, until a moment: a server that does not answer would have them all wait. Those that were sent first
/// are before the others.
pub(super) async fn some(caller: &Caller, draws: &mut Draws, count: usize, until: Instant) -> Vec<Called> {
    let workers = (0..AT_ONCE).map(|_| {
        let (documents, caller) = (draws.take(count / AT_ONCE), caller.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut calls = Vec::with_capacity(documents.len());
            for (turn, document) in documents.into_iter().enumerate() {
                if Instant::now() > until {
                    break;
                }
                calls.push(make(&caller, turn, document).await);
            }
            calls
        }))
    });
    let mut all = Vec::with_capacity(AT_ONCE);
    for worker in workers.collect::<Vec<_>>() {
        all.push(worker.await.unwrap_or_else(|failed| resume_unwind(failed.into_panic())));
    }
    by_turn(all)
}

/// The calls of all workers, the first of each first.
fn by_turn(workers: Vec<Vec<Called>>) -> Vec<Called> {
    let mut all: Vec<Called> = workers.into_iter().flatten().collect();
    all.sort_by_key(|call| call.turn);
    all
}

/// What the active version refuses as well says nothing of the new one. Ends with the first that it does not.
pub(super) async fn accept_refused<F>(calls: &mut [Called], ask_active: impl Fn(Bytes) -> F)
where
    F: Future<Output = Outcome>,
{
    for call in calls.iter_mut().filter(|call| refuses(call.outcome).is_some()) {
        if ask_active(call.document.clone()).await != call.outcome {
            return;
        }
        call.outcome = Outcome::Answered;
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;

    fn called(turn: usize, number: u8, outcome: Outcome) -> Called {
        Called { turn, document: Bytes::from(vec![number]), outcome, took: Duration::from_millis(u64::from(number)) }
    }

    #[test]
    fn those_that_were_sent_first_are_before_the_others() {
        let call = |turn: u8, of: u8| called(usize::from(turn), of + turn, Outcome::Answered);
        let worker = |of: u8| (0..3).map(|turn| call(turn, of)).collect::<Vec<_>>();
        let all = by_turn(vec![worker(10), worker(20), worker(30)]);
        let told: Vec<u8> = all.iter().map(|call| call.document[0]).collect();
        assert_eq!(told, [10, 20, 30, 11, 21, 31, 12, 22, 32]);
    }

    #[tokio::test]
    async fn what_active_refuses_as_well_is_accepted_up_to_the_first_that_it_reads() {
        let (unread, long) = (Outcome::Refused(3), Outcome::Refused(11));
        let outcomes = [Outcome::Answered, unread, Outcome::Silent, Outcome::Refused(8), long, unread, unread];
        let calls =
            || -> Vec<Called> { (0..).zip(outcomes).map(|(number, outcome)| called(0, number, outcome)).collect() };
        let told = |calls: &[Called]| calls.iter().map(|call| call.outcome).collect::<Vec<_>>();

        let (mut all, asked) = (calls(), Cell::new(0));
        let refuse = |document: Bytes| {
            asked.set(asked.get() + 1);
            ready(if document[0] == 4 { long } else { unread })
        };
        accept_refused(&mut all, refuse).await;
        let left = [Outcome::Answered, Outcome::Answered, Outcome::Silent, Outcome::Refused(8)];
        assert_eq!((told(&all), asked.get()), ([&left[..], &[Outcome::Answered; 3]].concat(), 4));

        // It reads the second of them, and is not asked again; that it refuses it in another way is no better.
        for other in [Outcome::Answered, unread] {
            let (mut all, asked) = (calls(), Cell::new(0));
            let read = |document: Bytes| {
                asked.set(asked.get() + 1);
                ready(if document[0] == 4 { other } else { unread })
            };
            accept_refused(&mut all, read).await;
            assert_eq!((told(&all), asked.get()), ([&left[..], &[long, unread, unread]].concat(), 2));
        }
    }
}
