//! The history of one repository as it grows: events go in, histories come out.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::Facts;
use crate::hash::{KeyMap, Pair, PairMap};
use crate::history::{AuthorHistory, DirectoryHistory, FileHistory, History, Quartiles, RepositoryHistory, log2_1p};
use crate::tally::{Recent, Total, ratios};

/// All that is known of one repository at one moment.
///
/// Every state is a count, a latest time or a histogram of counts, so the order of events within one moment does
/// not matter and no sum depends on the order of its terms.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(crate) repository: RepositoryState,
    pub(crate) authors: KeyMap<AuthorState>,
    pub(crate) files: KeyMap<FileState>,
    pub(crate) directories: KeyMap<DirectoryState>,
    /// Directories and the parts of the repository above them.
    pub(crate) areas: KeyMap<Recent>,
    /// Words of titles.
    pub(crate) words: KeyMap<Total>,
    /// Merged pull requests of an author that touched a file, by the pair of their keys.
    pub(crate) author_files: PairMap<u32>,
    /// The same for directories.
    pub(crate) author_directories: PairMap<u32>,
    /// Time of the newest event.
    pub(crate) as_of: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RepositoryState {
    pub(crate) opened: u32,
    pub(crate) merged: u32,
    pub(crate) reverted: u32,
    pub(crate) recent: Recent,
    pub(crate) churn: Histogram,
    pub(crate) changed_files: Histogram,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AuthorState {
    pub(crate) history: AuthorHistory,
    pub(crate) recent: Recent,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileState {
    pub(crate) merged: u32,
    pub(crate) authors: u32,
    pub(crate) fixes: u32,
    pub(crate) reverted: u32,
    pub(crate) last_merged_at: Option<i64>,
    pub(crate) recent: Recent,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DirectoryState {
    pub(crate) merged: u32,
    pub(crate) reverted: u32,
}

/// The part of a pull request that later histories need.
#[derive(Debug, Default)]
struct Deed {
    author: Option<u64>,
    files: Vec<u64>,
    directories: Vec<u64>,
    areas: Vec<u64>,
    title: Vec<u64>,
    is_fix: bool,
    churn: Option<u64>,
    changed_files: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Opened,
    Merged,
    Reverted,
}

impl Ledger {
    /// Time of the newest event, in milliseconds since 1970 UTC.
    pub fn as_of(&self) -> Option<i64> {
        self.as_of
    }

    /// What is known for `facts`: of its author, repository, files and directories.
    pub fn history(&self, facts: &Facts) -> History {
        let by_author = |map: &PairMap<u32>, key: u64| {
            facts.author.and_then(|author| map.get(&Pair::of(author, key)).copied()).unwrap_or_default()
        };
        let files: Vec<FileState> =
            facts.files.iter().map(|file| self.files.get(file).copied().unwrap_or_default()).collect();
        let author = facts.author.map(|author| self.authors.get(&author).copied().unwrap_or_default());
        let RepositoryState { opened, merged, reverted, recent, churn, changed_files } = &self.repository;
        let areas = facts.directories.iter().chain(&facts.areas);
        let areas = areas.map(|area| self.areas.get(area).copied().unwrap_or_default());
        let word = |word: &u64| self.words.get(word).copied().unwrap_or_default();
        History {
            author: author.unwrap_or_default().history,
            repository: RepositoryHistory {
                opened: *opened,
                merged: *merged,
                reverted: *reverted,
                churn: churn.quartiles(),
                changed_files: changed_files.quartiles(),
            },
            directories: facts
                .directories
                .iter()
                .map(|directory| {
                    let state = self.directories.get(directory).copied().unwrap_or_default();
                    DirectoryHistory {
                        merged: state.merged,
                        reverts: state.reverted,
                        by_author: by_author(&self.author_directories, *directory),
                    }
                })
                .collect(),
            reverts: ratios(
                facts.lifecycle.created_at,
                (Total { merged: *merged, reverted: *reverted }, *recent),
                files.iter().map(|file| file.recent).chain(areas),
                facts.title_words.iter().map(word),
                author.map(|author| author.recent),
            ),
            files: facts
                .files
                .iter()
                .zip(files)
                .map(|(file, state)| FileHistory {
                    merged: state.merged,
                    authors: state.authors,
                    fixes: state.fixes,
                    reverts: state.reverted,
                    last_merged_at: state.last_merged_at,
                    by_author: by_author(&self.author_files, *file),
                })
                .collect(),
        }
    }

    fn apply(&mut self, at: i64, what: What, deed: &Deed) {
        self.as_of = self.as_of.max(Some(at));
        match what {
            What::Opened => {
                let repository = &mut self.repository;
                repository.opened += 1;
                repository.churn.add(deed.churn);
                repository.changed_files.add(deed.changed_files);
                if let Some(author) = deed.author {
                    let author = &mut self.authors.entry(author).or_default().history;
                    author.opened += 1;
                    author.last_opened_at = author.last_opened_at.max(Some(at));
                }
            }
            What::Merged => {
                self.repository.merged += 1;
                self.repository.recent.add_merge(at);
                if let Some(author) = deed.author {
                    let author = self.authors.entry(author).or_default();
                    author.history.merged += 1;
                    author.recent.add_merge(at);
                }
                for file in &deed.files {
                    let state = self.files.entry(*file).or_default();
                    state.merged += 1;
                    state.fixes += u32::from(deed.is_fix);
                    state.last_merged_at = state.last_merged_at.max(Some(at));
                    state.recent.add_merge(at);
                    if let Some(author) = deed.author {
                        let times = self.author_files.entry(Pair::of(author, *file)).or_default();
                        state.authors += u32::from(*times == 0);
                        *times += 1;
                    }
                }
                for directory in &deed.directories {
                    self.directories.entry(*directory).or_default().merged += 1;
                    if let Some(author) = deed.author {
                        *self.author_directories.entry(Pair::of(author, *directory)).or_default() += 1;
                    }
                }
                for area in deed.directories.iter().chain(&deed.areas) {
                    self.areas.entry(*area).or_default().add_merge(at);
                }
                for word in &deed.title {
                    self.words.entry(*word).or_default().merged += 1;
                }
            }
            What::Reverted => {
                self.repository.reverted += 1;
                self.repository.recent.add_revert(at);
                if let Some(author) = deed.author {
                    let author = self.authors.entry(author).or_default();
                    author.history.reverted += 1;
                    author.recent.add_revert(at);
                }
                for file in &deed.files {
                    let file = self.files.entry(*file).or_default();
                    file.reverted += 1;
                    file.recent.add_revert(at);
                }
                for directory in &deed.directories {
                    self.directories.entry(*directory).or_default().reverted += 1;
                }
                for area in deed.directories.iter().chain(&deed.areas) {
                    self.areas.entry(*area).or_default().add_revert(at);
                }
                for word in &deed.title {
                    self.words.entry(*word).or_default().reverted += 1;
                }
            }
        }
    }
}

/// Plays the pull requests of one repository in the order of their creation and answers, for each, what was known
/// just before it was opened.
///
/// What happens to a pull request later (its merge, its revert) waits in a queue until its own time has come, so an
/// answer sees an event only if the event's time is before the creation asked about.
#[derive(Debug)]
pub struct Replay {
    now: i64,
    ledger: Ledger,
    pending: BinaryHeap<Reverse<Pending>>,
}

#[derive(Debug)]
struct Pending {
    at: i64,
    what: What,
    deed: Arc<Deed>,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Pending {}

impl Replay {
    /// A replay at the moment `now`, in milliseconds since 1970 UTC: an event whose time has not come is left out.
    pub fn new(now: i64) -> Self {
        Self { now, ledger: Ledger::default(), pending: BinaryHeap::new() }
    }

    /// What was known just before `facts` was opened; then queues what `facts` itself adds.
    ///
    /// `facts` must come in ascending order of `created_at`; `reverted_at` is when it became known that it was taken
    /// back ([`crate::Outcomes`]).
    pub fn next(&mut self, facts: &Facts, reverted_at: Option<i64>) -> History {
        self.advance(facts.lifecycle.created_at);
        debug_assert!(
            self.ledger.as_of.is_none_or(|at| at < facts.lifecycle.created_at),
            "pull requests come by creation"
        );
        let history = self.ledger.history(facts);
        let deed = Arc::new(Deed {
            author: facts.author,
            files: facts.files.clone(),
            directories: facts.directories.clone(),
            areas: facts.areas.clone(),
            title: facts.title_words.clone(),
            is_fix: facts.is_fix,
            churn: facts.churn,
            changed_files: facts.changed_files,
        });
        let mut queue = |at: Option<i64>, what| {
            if let Some(at) = at.filter(|at| *at <= self.now) {
                self.pending.push(Reverse(Pending { at, what, deed: Arc::clone(&deed) }));
            }
        };
        queue(Some(facts.lifecycle.created_at), What::Opened);
        queue(facts.lifecycle.merged_at, What::Merged);
        queue(reverted_at, What::Reverted);
        history
    }

    /// The ledger when every event has happened: what a service starts from.
    pub fn finish(mut self) -> Ledger {
        self.advance(i64::MAX);
        self.ledger
    }

    /// Lets everything happen that happened before `moment`.
    fn advance(&mut self, moment: i64) {
        while let Some(Reverse(next)) = self.pending.peek()
            && next.at < moment
        {
            if let Some(Reverse(event)) = self.pending.pop() {
                self.ledger.apply(event.at, event.what, &event.deed);
            }
        }
    }
}

/// Counts of `log2(1 + x)` in quarter steps: enough to tell quartiles to a few per cent, the same whatever the order,
/// and small enough to keep for each repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram(pub(crate) Vec<u32>);

impl Histogram {
    const STEPS_PER_DOUBLING: f64 = 4.0;
    const BINS: usize = 128;
    /// Fewer values than this tell nothing of what is usual.
    const ENOUGH: u64 = 5;

    fn add(&mut self, value: Option<u64>) {
        let Some(value) = value else { return };
        let bin = (log2_1p(value) * Self::STEPS_PER_DOUBLING) as usize;
        let bin = bin.min(Self::BINS - 1);
        if self.0.len() <= bin {
            self.0.resize(bin + 1, 0);
        }
        self.0[bin] += 1;
    }

    fn quartiles(&self) -> Option<Quartiles> {
        let total: u64 = self.0.iter().copied().map(u64::from).sum();
        (total >= Self::ENOUGH).then(|| Quartiles {
            lower: self.quantile(0.25, total),
            median: self.quantile(0.5, total),
            upper: self.quantile(0.75, total),
        })
    }

    /// Linear within the bin that holds the quantile.
    fn quantile(&self, share: f64, total: u64) -> f32 {
        let target = share * total as f64;
        let mut below = 0.0;
        for (bin, count) in self.0.iter().enumerate() {
            let count = f64::from(*count);
            if count > 0.0 && below + count >= target {
                let within = (target - below) / count;
                return ((bin as f64 + within) / Self::STEPS_PER_DOUBLING) as f32;
            }
            below += count;
        }
        (self.0.len() as f64 / Self::STEPS_PER_DOUBLING) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_their_time_alone() {
        let event = |at: i64, what: What| Pending { at, what, deed: Arc::default() };
        assert_eq!(event(1, What::Opened), event(1, What::Merged));
        assert_ne!(event(1, What::Opened), event(2, What::Opened));
        assert!(event(1, What::Reverted) < event(2, What::Opened));
    }

    #[test]
    fn the_largest_sizes_share_the_last_bin() {
        let mut histogram = Histogram::default();
        for value in [Some(0), Some(u64::MAX), Some(u64::MAX), None] {
            histogram.add(value);
        }
        assert_eq!((histogram.0.len(), histogram.0[0], histogram.0[127]), (128, 1, 2));
        assert_eq!(histogram.quartiles(), None, "three are too few");
        assert_eq!(histogram.quantile(2.0, 3), 32.0, "beyond all: where the last bin ends");
    }
}
