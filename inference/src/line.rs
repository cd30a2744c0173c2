//! The line before the door of a full house: a burst waits in it, and where it does not become shorter, the next is refused.
//!
//! After a burst, or a moment in which the machine has stood still, more get a place than come. Else the queue is a standing one,
//! and waiting in it would only make all of them late (Nichols and Jacobson, "Controlling queue delay", 2012).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

/// For each place of the house so many may wait: before 64 places as many as a core answers in two fifths of a second, at 5,000 a
/// second.
const A_PLACE: usize = 32;

/// And so many at most, however large the house is.
const MOST: usize = 4_096;

/// How long one waits at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who comes and who gets a place is counted for so long.
const WINDOW: Duration = Duration::from_millis(250);

/// A line that would be empty after so many windows becomes shorter.
const WINDOWS: usize = 16;

/// One that did not for so many windows is a standing one: where it is more than half full, and where it is not. The machine may be
/// slow for a moment, which is over before a line is full, and then nobody need be refused.
const STANDING: [u32; 2] = [2, 4];

/// A wait that is no longer is no queue.
const SHORT: Duration = Duration::from_millis(25);

/// A house in which everybody has found a place for so long was not full.
const CALM: Duration = Duration::from_millis(50);

/// Who waits before the door of a full house.
#[derive(Debug)]
pub(crate) struct Line {
    places: Semaphore,
    length: usize,
    watch: Mutex<Option<Watch>>,
}

impl Line {
    /// Before a house of so many places.
    pub(crate) fn before(places: usize) -> Self {
        let length = MOST.min(places.saturating_mul(A_PLACE));
        Self { places: Semaphore::new(length), length, watch: Mutex::default() }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.length - self.places.available_permits()
    }

    fn fill(&self) -> Fill {
        Fill { waiting: self.waiting(), length: self.length }
    }

    /// Has somebody who finds the house full wait for `place`; nothing where it is refused.
    pub(crate) async fn wait<P>(&self, place: impl Future<Output = P>) -> Option<P> {
        let _in_line = self.join()?;
        let began = Instant::now();
        let place = timeout(PATIENCE, place).await.ok()?;
        let now = Instant::now();
        if let Some(watch) = &mut *self.watch() {
            watch.let_in(now, now - began, self.fill());
        }
        Some(place)
    }

    /// A place in the line, unless it is full or stands.
    fn join(&self) -> Option<SemaphorePermit<'_>> {
        let mut watch = self.watch();
        let watch = Watch::of_full_house(&mut watch, Instant::now(), self.fill());
        if watch.stands {
            return None;
        }
        let place = self.places.try_acquire().ok()?;
        watch.joined += 1;
        Some(place)
    }

    fn watch(&self) -> MutexGuard<'_, Option<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many wait in a line, of how many may.
#[derive(Debug, Clone, Copy)]
struct Fill {
    waiting: usize,
    length: usize,
}

/// What is seen of a line since the house became full.
#[derive(Debug)]
struct Watch {
    /// When the house was last found full.
    full: Instant,
    /// When the window began.
    began: Instant,
    /// How many have come into the line in it.
    joined: usize,
    /// How many have got a place in it. Who gives up waiting is no progress.
    let_in: usize,
    /// How long the last of them has waited.
    last: Option<Duration>,
    /// For how many windows the line has not become shorter. The first one of a burst is that in which all come.
    stood: u32,
    /// Whether the next are refused, until the house is not full any more.
    stands: bool,
}

impl Watch {
    fn from(now: Instant) -> Self {
        Self { full: now, began: now, joined: 0, let_in: 0, last: None, stood: 0, stands: false }
    }

    /// Somebody finds the house full, and a line before it: again, or anew after a calm.
    fn of_full_house(seen: &mut Option<Self>, now: Instant, line: Fill) -> &mut Self {
        let known = seen.take().filter(|watch| now - watch.full < CALM);
        let watch = seen.insert(known.unwrap_or_else(|| Self::from(now)));
        watch.full = now;
        watch.look(now, line);
        watch
    }

    /// Somebody gets a place, having waited for so long.
    fn let_in(&mut self, now: Instant, waited: Duration, line: Fill) {
        self.let_in += 1;
        self.last = Some(waited);
        self.look(now, line);
    }

    /// Judges a window at its end.
    fn look(&mut self, now: Instant, Fill { waiting, length }: Fill) {
        let age = now - self.began;
        if age < WINDOW {
            return;
        }
        let is_short = waiting == 0 || self.last.is_some_and(|waited| waited <= SHORT);
        let becomes_shorter = self.let_in.saturating_sub(self.joined) * WINDOWS >= waiting;
        // If nobody looked for so long, the machine stood still.
        let stood = !is_short && !becomes_shorter && age < 2 * WINDOW;
        let [full, short] = STANDING;
        self.stood = if stood { self.stood + 1 } else { 0 };
        self.stands |= self.stood >= if 2 * waiting > length { full } else { short };
        self.began = now;
        (self.joined, self.let_in, self.last) = (0, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::FutureExt;

    use super::*;

    /// How long the house of these tests takes for one.
    const TAKES: Duration = Duration::from_millis(2);

    /// Of a line before one place.
    fn fill(waiting: usize) -> Fill {
        Fill { waiting, length: A_PLACE }
    }

    /// A house of one place with a line, in a time of its own.
    struct House {
        now: Instant,
        free_at: Instant,
        watch: Option<Watch>,
        /// When those who wait have come.
        line: VecDeque<Instant>,
        refused: u32,
        longest: Duration,
    }

    impl House {
        fn new() -> Self {
            let now = Instant::now();
            let line = VecDeque::new();
            Self { now, free_at: now, watch: None, line, refused: 0, longest: Duration::ZERO }
        }

        fn comes(&mut self) {
            let now = self.now;
            while self.free_at <= now
                && let Some(came) = self.line.pop_front()
            {
                let waited = self.free_at.max(came) - came;
                self.longest = self.longest.max(waited);
                if let Some(watch) = &mut self.watch {
                    watch.let_in(came + waited, waited, fill(self.line.len()));
                }
                self.free_at = self.free_at.max(came) + TAKES;
            }
            if self.free_at <= now {
                self.free_at = now + TAKES;
                return;
            }
            let watch = Watch::of_full_house(&mut self.watch, now, fill(self.line.len()));
            if watch.stands {
                self.refused += 1;
            } else {
                watch.joined += 1;
                self.line.push_back(now);
            }
        }

        /// One comes each `pause` for so long; the share that was refused.
        fn visited(&mut self, pause: Duration, time: Duration) -> f64 {
            let (until, refused) = (self.now + time, self.refused);
            let mut came = 0;
            while self.now < until {
                self.comes();
                self.now += pause;
                came += 1;
            }
            f64::from(self.refused - refused) / f64::from(came)
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_burst_waits_and_nobody_is_refused() {
        for pile in [50, 200, 400] {
            let mut house = House::new();
            // As after a stop of the machine: a pile, and then as many as before, of whom the house answers more.
            (0..pile).for_each(|_| house.comes());
            assert_eq!(house.visited(3 * TAKES / 2, LONG), 0.0, "{pile}");
            assert!(house.line.is_empty());
        }
    }

    #[test]
    fn of_more_than_the_house_answers_the_rest_is_refused_and_nobody_waits_for_long() {
        // The house of one place refuses more than the rest: while it does, nobody waits to come after.
        for (pause, rest) in [(TAKES / 4, 0.75), (TAKES / 2, 0.5), (4 * TAKES / 5, 0.2)] {
            let mut house = House::new();
            house.visited(pause, LONG);
            house.longest = Duration::ZERO;
            let refused = house.visited(pause, LONG);
            assert!((rest - 0.05..=rest + 0.35).contains(&refused), "{pause:?}: {refused}");
            assert!(house.longest <= 3 * WINDOW, "{pause:?}: {:?}", house.longest);
        }
    }

    #[test]
    fn a_line_that_neither_grows_nor_becomes_shorter_is_no_burst() {
        let mut house = House::new();
        (0..300).for_each(|_| house.comes());
        house.visited(TAKES, LONG);
        assert!(house.refused > 0 && house.line.len() < 20, "{} refused, {} wait", house.refused, house.line.len());
    }

    #[test]
    fn where_nobody_gets_a_place_the_line_stands_and_a_short_one_is_given_more_time() {
        for (waiting, windows) in [(A_PLACE, 2), (3, 4)] {
            let begin = Instant::now();
            let mut seen = Some(Watch::from(begin));
            let mut stands_at = None;
            for step in 1..80 {
                let now = begin + step * CALM / 2;
                let watch = Watch::of_full_house(&mut seen, now, fill(waiting));
                watch.joined += 1;
                stands_at = stands_at.or(watch.stands.then_some(now - begin));
            }
            assert_eq!(stands_at, Some(windows * WINDOW), "who gives up is no progress");
        }
    }

    #[test]
    fn a_machine_that_is_slow_for_a_moment_refuses_nobody() {
        // Of 330 a second it answers half for most of a second, and then 500 as before.
        let mut house = House::new();
        let until = house.now + 3 * WINDOW;
        while house.now < until {
            house.comes();
            house.free_at += TAKES;
            house.now += 6 * TAKES;
        }
        assert!(house.line.len() < A_PLACE / 2, "{}", house.line.len());
        assert_eq!(house.visited(3 * TAKES / 2, LONG), 0.0);
        assert!(house.refused == 0 && house.line.is_empty());
    }

    #[test]
    fn a_machine_that_stood_still_is_looked_at_anew() {
        let begin = Instant::now();
        let mut watch = Watch::from(begin);
        watch.joined = 50;
        watch.let_in(begin + WINDOW, WINDOW, fill(40));
        assert_eq!(watch.stood, 1, "it grew");
        watch.let_in(begin + 4 * WINDOW, 3 * WINDOW, fill(40));
        assert!(watch.stood == 0 && !watch.stands);
    }

    #[tokio::test]
    async fn who_waits_gets_the_place_or_is_refused_in_time() {
        let line = Line::before(1);
        assert_eq!(line.wait(async { 7 }).await, Some(7));
        let began = Instant::now();
        assert_eq!(line.wait(std::future::pending::<u8>()).await, None);
        assert!(began.elapsed() >= PATIENCE);
        assert_eq!(line.waiting(), 0);
    }

    #[tokio::test]
    async fn the_line_is_bounded() {
        assert_eq!(Line::before(usize::MAX).length, MOST);
        let line = Line::before(1);
        let mut waiting: Vec<_> = (0..A_PLACE).map(|_| Box::pin(line.wait(std::future::pending::<u8>()))).collect();
        assert!(waiting.iter_mut().all(|waits| waits.now_or_never().is_none()));
        assert_eq!(line.waiting(), A_PLACE);
        assert_eq!(line.wait(async { 7 }).now_or_never(), Some(None), "it is full");
        waiting.pop();
        assert_eq!(line.wait(async { 7 }).await, Some(7));
    }
}
