//! How many of what resembles a pull request were merged, and how many of these were taken back: what the ratios of reverts
//! are made of.

use crate::history::RevertRatios;

/// Merges and reverts of about the last year: those of this calendar window and, fading out as it passes, of the one before.
/// Whole numbers, so that the order of events within one moment does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    /// The window of the newest event, in windows since 1970; 0 where there is none.
    pub(crate) window: u16,
    /// Of that window and of the one before.
    pub(crate) merged: [u32; 2],
    /// The same.
    pub(crate) reverted: [u16; 2],
}

/// Milliseconds of a window: 365 days.
const WINDOW: i64 = 365 * 86_400_000;

impl Recent {
    pub(crate) fn add_merge(&mut self, at: i64) {
        self.advance(at);
        self.merged[0] = self.merged[0].saturating_add(1);
    }

    pub(crate) fn add_revert(&mut self, at: i64) {
        self.advance(at);
        self.reverted[0] = self.reverted[0].saturating_add(1);
    }

    /// Moves on to the window of `at`, which never lies before that of an earlier event.
    fn advance(&mut self, at: i64) {
        let window = window(at);
        match window.saturating_sub(self.window) {
            0 => return,
            1 => {
                self.merged = [0, self.merged[0]];
                self.reverted = [0, self.reverted[0]];
            }
            _ => (self.merged, self.reverted) = ([0; 2], [0; 2]),
        }
        self.window = window;
    }

    /// What counts of it at a moment. One before the newest event is taken for the beginning of its window.
    fn at(self, moment: i64) -> Counts {
        let now = window(moment).max(self.window);
        let passed = (moment - i64::from(now) * WINDOW).max(0) as f64 / WINDOW as f64;
        let [this, before] = match now - self.window {
            0 => [1.0, 1.0 - passed],
            1 => [1.0 - passed, 0.0],
            _ => return Counts::default(),
        };
        Counts {
            merged: f64::from(self.merged[0]) * this + f64::from(self.merged[1]) * before,
            reverted: f64::from(self.reverted[0]) * this + f64::from(self.reverted[1]) * before,
        }
    }
}

fn window(at: i64) -> u16 {
    at.div_euclid(WINDOW).clamp(0, i64::from(u16::MAX)) as u16
}

/// Merges and reverts since the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) merged: u32,
    pub(crate) reverted: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    merged: f64,
    reverted: f64,
}

impl From<Total> for Counts {
    fn from(total: Total) -> Self {
        Self { merged: f64::from(total.merged), reverted: f64::from(total.reverted) }
    }
}

/// The rate of a repository, to which others are compared: as if one of thirty merges more had been taken back.
#[derive(Clone, Copy)]
struct Base(f64);

impl Base {
    fn of(repository: Counts) -> Self {
        Self((repository.reverted + 1.0) / (repository.merged + 30.0))
    }

    /// The rate of `part` against this one, as if `known` merges more had been taken back at this rate.
    fn ratio(self, part: Counts, known: f64) -> f64 {
        (part.reverted / self.0 + known) / (part.merged + known)
    }
}

/// Merges at the usual rate that are added to those of a path or an author.
const KNOWN_OF_PLACES: f64 = 10.0;

/// The same for a word, which says less.
const KNOWN_OF_WORDS: f64 = 30.0;

/// The ratios at `moment`; `None` where the repository has taken nothing back.
pub(crate) fn ratios(
    moment: i64,
    repository: (Total, Recent),
    paths: impl Iterator<Item = Recent>,
    words: impl ExactSizeIterator<Item = Total>,
    author: Option<Recent>,
) -> RevertRatios {
    if repository.0.reverted == 0 {
        return RevertRatios::default();
    }
    let (always, recent) = (Base::of(repository.0.into()), Base::of(repository.1.at(moment)));
    let place = |part: Recent| recent.ratio(part.at(moment), KNOWN_OF_PLACES);
    let (count, mut sum) = (words.len(), 0.0);
    for word in words {
        sum += always.ratio(word.into(), KNOWN_OF_WORDS);
    }
    let doublings = |ratio: f64| libm::log2(ratio) as f32;
    RevertRatios {
        paths: mean_of_highest(paths.map(place)).map(doublings),
        title: (count > 0).then(|| doublings(sum / count as f64)),
        author: author.map(|author| doublings(place(author))),
    }
}

/// The mean of the three highest, or of all where there are fewer.
fn mean_of_highest(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut highest = [f64::NEG_INFINITY; 3];
    let mut count = 0;
    for value in values {
        count += 1;
        if value > highest[2] {
            highest[2] = value;
            highest.sort_unstable_by(|a, b| b.total_cmp(a));
        }
    }
    let count = count.min(highest.len());
    (count > 0).then(|| highest[..count].iter().sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(merges: &[i64], reverts: &[i64]) -> Recent {
        let mut recent = Recent::default();
        let mut events: Vec<_> =
            merges.iter().map(|&at| (at, false)).chain(reverts.iter().map(|&at| (at, true))).collect();
        events.sort_unstable();
        for (at, is_revert) in events {
            if is_revert { recent.add_revert(at) } else { recent.add_merge(at) }
        }
        recent
    }

    #[test]
    fn what_is_old_fades_out() {
        let tally = recent(&[50 * WINDOW, 50 * WINDOW + 1, 51 * WINDOW + 5], &[51 * WINDOW]);
        let merged = |moment: i64| tally.at(moment).merged;
        assert_eq!(merged(51 * WINDOW + WINDOW / 4), 1.0 + 0.75 * 2.0);
        assert_eq!(merged(52 * WINDOW), 1.0);
        assert_eq!(merged(52 * WINDOW + WINDOW / 2), 0.5);
        assert_eq!((merged(53 * WINDOW), merged(90 * WINDOW)), (0.0, 0.0));
        assert_eq!(tally.at(52 * WINDOW + WINDOW / 2).reverted, 0.5);
        assert_eq!(merged(3), 3.0, "a moment before what is known: all of it");
        assert_eq!(recent(&[10 * WINDOW, 30 * WINDOW], &[]).merged, [1, 0], "a window that is long over is forgotten");
        assert_eq!(recent(&[-5, i64::MIN], &[i64::MAX]).window, u16::MAX);
    }

    #[test]
    fn ratios_are_those_worked_out_by_hand() {
        let now = 50 * WINDOW;
        let repository = (Total { merged: 270, reverted: 9 }, recent(&[now; 70], &[now; 1]));
        let touched =
            [recent(&[now; 10], &[now; 1]), recent(&[now; 20], &[]), recent(&[], &[]), recent(&[now; 30], &[])];
        let words = [Total { merged: 30, reverted: 4 }, Total::default()];
        let ratios = ratios(now, repository, touched.into_iter(), words.into_iter(), Some(recent(&[now; 10], &[])));
        // Recently 2 of 100, always 10 of 300.
        let close =
            |found: Option<f32>, ratio: f64| assert!((found.unwrap() - ratio.log2() as f32).abs() < 1e-6, "{found:?}");
        close(ratios.paths, (60.0 / 20.0 + 10.0 / 30.0 + 1.0) / 3.0);
        close(ratios.title, f64::midpoint((4.0 * 30.0 + 30.0) / 60.0, 1.0));
        close(ratios.author, 0.5);
    }

    #[test]
    fn what_is_not_known_has_no_ratio() {
        let now = 50 * WINDOW;
        let none = || std::iter::empty::<Recent>();
        let reverted = (Total { merged: 3, reverted: 1 }, recent(&[now], &[now]));
        assert_eq!(ratios(now, reverted, none(), [].into_iter(), None), RevertRatios::default());
        let without = (Total { merged: 3, reverted: 0 }, recent(&[now], &[]));
        let all = ratios(now, without, [recent(&[now], &[])].into_iter(), [Total::default()].into_iter(), None);
        assert_eq!(all, RevertRatios::default(), "nothing was ever taken back");
    }
}
