//! Things that happen later, in the order of their time.

use std::{cmp::Ordering, collections::BinaryHeap};

/// Gives out what was put in by time, and what has one time in the order in which it was put in.
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Later<T>>,
    turn: u64,
}

/// Boxed, since a heap moves its elements often.
struct Later<T> {
    at: i64,
    turn: u64,
    value: Box<T>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), turn: 0 }
    }

    pub(crate) fn push(&mut self, at: i64, value: T) {
        self.turn += 1;
        self.heap.push(Later { at, turn: self.turn, value: Box::new(value) });
    }

    /// The next one that happens before `time`.
    pub(crate) fn pop_before(&mut self, time: i64) -> Option<(i64, Box<T>)> {
        if self.heap.peek()?.at >= time {
            return None;
        }
        self.heap.pop().map(|next| (next.at, next.value))
    }
}

/// The greatest comes out of a heap first: the earliest has to be it.
impl<T> Ord for Later<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.turn).cmp(&(self.at, self.turn))
    }
}
impl<T> PartialOrd for Later<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> PartialEq for Later<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<T> Eq for Later<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_and_then_by_turn() {
        let mut queue = Queue::new();
        for (at, value) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            queue.push(at, value);
        }
        let mut next = |before| queue.pop_before(before).map(|(at, value)| (at, *value));
        assert_eq!((next(4), next(4), next(4)), (Some((1, 'a')), Some((3, 'b')), None));
        assert_eq!((next(6), next(6), next(6)), (Some((5, 'c')), Some((5, 'd')), None));
    }
}
