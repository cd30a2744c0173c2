//! The deliveries that wait, are worked on, and were taken.
//!
//! Of each pull request one is worked on at a time, and one waits: the newer one. So none overtakes another, and ten pushes
//! within a minute cost what two do.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::delivery::Delivery;
use crate::error::Error;

/// Deliveries that are remembered, so that none is worked on twice.
const REMEMBERED: usize = 10_000;

/// No more are taken while those that wait hold this many bytes.
const MOST_BYTES: usize = 64 << 20;

pub(super) struct Queue {
    limit: usize,
    most_bytes: usize,
    deliveries: Mutex<Deliveries>,
    changed: Notify,
}

#[derive(Default)]
struct Deliveries {
    waiting: VecDeque<Arc<Delivery>>,
    in_work: Vec<Arc<Delivery>>,
    /// Digests of those that were taken, the newest last. One whose work failed is not among them, so that it may come again.
    taken: VecDeque<[u8; 32]>,
    closed: bool,
}

/// What became of one that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It waits.
    Queued,
    /// It waits in the place of an older state of the same pull request, which is not worked on.
    Replaced,
    /// It was taken before.
    Repeated,
    /// A newer state of the same pull request waits.
    Outdated,
}

impl Queue {
    /// An empty one, in which at most `limit` wait.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, most_bytes: MOST_BYTES, deliveries: Mutex::default(), changed: Notify::new() }
    }

    /// Takes a delivery, unless it was taken before.
    ///
    /// # Errors
    /// [`Error::QueueFull`], and [`Error::Ending`] once it was closed.
    pub(super) fn take(&self, delivery: Delivery) -> Result<Taken, Error> {
        let mut deliveries = self.lock();
        let Deliveries { waiting, taken, closed, .. } = &mut *deliveries;
        if *closed {
            return Err(Error::Ending);
        }
        let bytes: usize = waiting.iter().map(|delivery| delivery.length()).sum();
        if taken.contains(&delivery.digest) {
            return Ok(Taken::Repeated);
        }
        let digest = delivery.digest;
        let became = match waiting.iter_mut().find(|other| other.name == delivery.name) {
            Some(other) if other.updated_at > delivery.updated_at => return Ok(Taken::Outdated),
            Some(older) if bytes - older.length() >= self.most_bytes => return Err(Error::QueueFull),
            Some(older) => {
                *older = Arc::new(delivery);
                Taken::Replaced
            }
            None => {
                if waiting.len() >= self.limit || bytes >= self.most_bytes {
                    return Err(Error::QueueFull);
                }
                waiting.push_back(Arc::new(delivery));
                Taken::Queued
            }
        };
        if taken.len() == REMEMBERED {
            taken.pop_front();
        }
        taken.push_back(digest);
        drop(deliveries);
        self.changed.notify_waiters();
        Ok(became)
    }

    /// The next one to work on, as soon as there is one; `None` where none is left and no more come. Who has worked on it says
    /// so with [`Queue::done`].
    pub(super) async fn next(&self) -> Option<Arc<Delivery>> {
        loop {
            // Told also of what changes between the look and the wait.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut deliveries = self.lock();
                let Deliveries { waiting, in_work, closed, .. } = &mut *deliveries;
                let free = |delivery: &Arc<Delivery>| in_work.iter().all(|other| other.name != delivery.name);
                if let Some(delivery) = waiting.iter().position(free).and_then(|place| waiting.remove(place)) {
                    in_work.push(Arc::clone(&delivery));
                    return Some(delivery);
                }
                if *closed && waiting.is_empty() {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// One was worked on. Where that failed, it may come again.
    pub(super) fn done(&self, delivery: &Arc<Delivery>, failed: bool) {
        let mut deliveries = self.lock();
        deliveries.in_work.retain(|other| !Arc::ptr_eq(other, delivery));
        if failed {
            deliveries.taken.retain(|digest| *digest != delivery.digest);
        }
        drop(deliveries);
        self.changed.notify_waiters();
    }

    /// No more come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Those that are worked on, and those that wait.
    pub(super) fn left(&self) -> Vec<Arc<Delivery>> {
        let deliveries = self.lock();
        deliveries.in_work.iter().chain(&deliveries.waiting).cloned().collect()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::value::RawValue;

    use super::*;
    use crate::webhook::delivery::Name;

    fn delivery(number: u64, updated_at: i64) -> Delivery {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        digest[8..16].copy_from_slice(&updated_at.to_le_bytes());
        Delivery {
            digest,
            name: Name { owner: "o".to_owned(), repository: "n".to_owned(), number },
            updated_at,
            head: "0".repeat(40),
            installation: None,
            document: RawValue::NULL.to_owned(),
            id: String::new(),
            request_id: String::new(),
        }
    }

    fn next(queue: &Queue) -> Option<(u64, i64)> {
        let delivery = queue.next().now_or_never()??;
        Some((delivery.name.number, delivery.updated_at))
    }

    #[test]
    fn of_a_pull_request_the_newest_waits_and_one_is_worked_on() {
        let queue = Queue::new(2);
        let take = |number, updated_at| queue.take(delivery(number, updated_at)).unwrap();
        assert_eq!(take(1, 10), Taken::Queued);
        assert_eq!(next(&queue), Some((1, 10)));
        assert_eq!([take(1, 20), take(1, 40), take(1, 30)], [Taken::Queued, Taken::Replaced, Taken::Outdated]);
        assert_eq!(take(1, 20), Taken::Repeated);
        assert_eq!(next(&queue), None, "one of it is worked on");
        assert_eq!(take(2, 10), Taken::Queued);
        assert!(matches!(queue.take(delivery(3, 10)), Err(Error::QueueFull)));
        assert_eq!(take(1, 50), Taken::Replaced, "the queue is full, and it takes no place of its own");
        assert_eq!((next(&queue), next(&queue)), (Some((2, 10)), None));
        let first = queue.left().remove(0);
        queue.done(&first, false);
        assert_eq!((next(&queue), queue.waiting()), (Some((1, 50)), 0));
    }

    #[test]
    fn what_waits_holds_so_many_bytes() {
        let queue = Queue { most_bytes: "null".len() + 1, ..Queue::new(9) };
        let take = |number, updated_at| queue.take(delivery(number, updated_at));
        take(1, 1).unwrap();
        take(2, 1).unwrap();
        assert!(matches!(take(3, 1), Err(Error::QueueFull)));
        take(2, 2).unwrap();
        next(&queue);
        take(3, 1).unwrap();
    }

    #[test]
    fn what_failed_may_come_again() {
        let queue = Queue::new(9);
        for (failed, then) in [(true, Taken::Queued), (false, Taken::Repeated)] {
            queue.take(delivery(1, 1)).unwrap();
            let taken = queue.next().now_or_never().unwrap().unwrap();
            assert_eq!(queue.take(delivery(1, 1)).unwrap(), Taken::Repeated);
            queue.done(&taken, failed);
            assert_eq!(queue.take(delivery(1, 1)).unwrap(), then);
            if failed {
                let again = queue.next().now_or_never().unwrap().unwrap();
                queue.done(&again, true);
            }
        }
    }

    #[test]
    fn so_many_are_remembered() {
        let queue = Queue::new(1);
        for number in 0..=REMEMBERED as u64 {
            assert_eq!(queue.take(delivery(number, 1)).unwrap(), Taken::Queued);
            let taken = queue.next().now_or_never().unwrap().unwrap();
            queue.done(&taken, false);
        }
        assert_eq!(queue.take(delivery(1, 1)).unwrap(), Taken::Repeated);
        assert_eq!(queue.take(delivery(0, 1)).unwrap(), Taken::Queued, "the oldest is forgotten");
        assert_eq!(queue.lock().taken.len(), REMEMBERED);
    }

    #[tokio::test]
    async fn who_waits_is_told_of_what_comes_and_of_the_end() {
        let queue = Arc::new(Queue::new(9));
        let waiting = |queue: &Arc<Queue>| {
            let queue = Arc::clone(queue);
            tokio::spawn(async move { queue.next().await.map(|delivery| delivery.name.number) })
        };
        let both = [waiting(&queue), waiting(&queue)];
        tokio::task::yield_now().await;
        queue.take(delivery(1, 1)).unwrap();
        queue.take(delivery(2, 1)).unwrap();
        let mut numbers = Vec::new();
        for one in both {
            numbers.push(one.await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [Some(1), Some(2)]);
        let last = waiting(&queue);
        tokio::task::yield_now().await;
        queue.close();
        assert_eq!(last.await.unwrap(), None);
        assert_eq!(queue.left().len(), 2, "nobody has said that they are done");
    }
}
