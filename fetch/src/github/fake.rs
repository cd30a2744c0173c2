//! For tests: one repository of a GitHub, and a collection, in memory. Both fail as they are told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

use super::{
    api::{Changed, Unanswered},
    convert::{self, tests::change},
    doors::{Files, Identity, Outlined, Page, Place, Pull, Shelf, Source},
    patience::Patience,
    trouble::Trouble,
};
use crate::{
    Error,
    document::{self, Document, File},
    mongo::{Repository, Status, Written},
};

pub(super) const ID: &str = "github:h:o/r";
pub(super) const BEGIN: i64 = 1_700_000_000;

/// GitHub and the collection.
pub(super) struct World(Mutex<State>);

pub(super) struct State {
    /// Number and last update of each pull request.
    pub(super) pulls: BTreeMap<u64, i64>,
    pub(super) full_name: String,
    pub(super) node_id: String,
    /// Files of those that have more than one.
    pub(super) files: BTreeMap<u64, usize>,
    /// What is stored: the update, and how many files.
    pub(super) stored: BTreeMap<u64, (i64, Option<usize>)>,
    pub(super) repository: Option<Repository>,
    pub(super) clock: i64,
    /// Pull requests that are null, those whose files take too long, and those whose files end half-way.
    pub(super) null: BTreeSet<u64>,
    pub(super) heavy: BTreeSet<u64>,
    pub(super) cut: BTreeSet<u64>,
    /// A page larger than that takes too long.
    pub(super) largest: u32,
    /// Until when nothing comes at all.
    pub(super) down_until: Option<tokio::time::Instant>,
    /// Cursors given before are none any more.
    pub(super) forgetful: bool,
    /// Share of the pages after which pull requests are updated.
    pub(super) busy: f64,
    /// Share of the answers that lack something for once.
    pub(super) faulty: f64,
    /// Whether another collector has taken the repository.
    pub(super) taken: bool,
    /// Doors that can be passed until the collector dies.
    pub(super) life: Option<u64>,
    /// Whether the last of them does its work.
    pub(super) last_gasp: bool,
    pub(super) pages: u64,
    pub(super) fetched: u64,
    dice: ChaCha8Rng,
}

impl World {
    pub(super) fn new(pulls: u64, seed: u64) -> Self {
        Self(Mutex::new(State {
            pulls: (1..=pulls).map(|number| (number, BEGIN + number as i64)).collect(),
            full_name: "o/r".into(),
            node_id: "R".into(),
            files: BTreeMap::new(),
            stored: BTreeMap::new(),
            repository: None,
            clock: BEGIN + 1_000_000,
            null: BTreeSet::new(),
            heavy: BTreeSet::new(),
            cut: BTreeSet::new(),
            largest: 100,
            down_until: None,
            forgetful: false,
            busy: 0.0,
            faulty: 0.0,
            taken: false,
            life: None,
            last_gasp: false,
            pages: 0,
            fetched: 0,
            dice: ChaCha8Rng::seed_from_u64(seed),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The state as a collector that begins finds it.
    pub(super) fn repository(&self) -> Repository {
        self.lock().repository.clone().unwrap_or_else(|| Repository {
            full_name: "o/r".into(),
            node_id: Some("R".into()),
            ..Repository::new(ID.into())
        })
    }

    /// What is stored, if it is what is there.
    pub(super) fn is_complete(&self) -> bool {
        let state = self.lock();
        let files = |number: &u64| Some(state.files.get(number).copied().unwrap_or(1));
        let there = state.pulls.iter().map(|(number, updated)| (*number, (*updated, files(number))));
        there.collect::<BTreeMap<_, _>>() == state.stored
    }

    /// Passes a door; what is behind it happens before a last gasp.
    fn pass(&self) -> Result<Gasp, Error> {
        let mut state = self.lock();
        match &mut state.life {
            None => Ok(Gasp::None),
            Some(0) => Err(Error::Cancelled),
            Some(life) => {
                *life -= 1;
                Ok(if *life > 0 {
                    Gasp::None
                } else if state.last_gasp {
                    Gasp::After
                } else {
                    Gasp::Before
                })
            }
        }
    }
}

#[derive(PartialEq)]
enum Gasp {
    None,
    Before,
    After,
}

impl State {
    /// Updates some pull requests.
    pub(super) fn update(&mut self, count: u64) {
        for _ in 0..count {
            self.clock += self.dice.random_range(0..3);
            let number = self.dice.random_range(1..=self.pulls.len() as u64);
            let number = if self.dice.random_bool(0.3) { self.pulls.len() as u64 + 1 } else { number };
            self.pulls.insert(number, self.clock);
        }
    }

    /// Newest first.
    fn list(&self, after: Option<&str>, first: u32) -> (Vec<(i64, u64)>, Option<String>) {
        let mut all: Vec<(i64, u64)> = self.pulls.iter().map(|(number, updated)| (*updated, *number)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        let after = after.map(|cursor| {
            let (updated, number) = cursor.split_once(':').unwrap();
            (updated.parse::<i64>().unwrap(), number.parse::<u64>().unwrap())
        });
        all.retain(|place| after.is_none_or(|after| *place < after));
        let more = all.len() > first as usize;
        all.truncate(first as usize);
        let next = all.last().filter(|_| more).map(|(updated, number)| format!("{updated}:{number}"));
        (all, next)
    }

    fn is_down(&self) -> bool {
        self.down_until.is_some_and(|until| tokio::time::Instant::now() < until)
    }
}

/// A hundred at most.
fn list_of_files(begin: usize, count: usize) -> Vec<File> {
    let names = (begin..count.min(begin + 100)).map(|file| format!("{file}.rs"));
    names.map(|filename| File { filename, status: document::Status::Added, additions: 1, deletions: 0 }).collect()
}

fn too_much() -> Unanswered {
    Unanswered::TooMuch("too slow".into())
}

impl Source for World {
    async fn changed(&self, _: &str, etag: Option<&str>) -> Result<Changed, Error> {
        self.pass()?;
        let now = format!("{:?}", self.lock().list(None, 1).0);
        Ok(if etag == Some(&now) { Changed::No } else { Changed::Yes(Some(now)) })
    }

    async fn page(&self, _: &str, place: Place<'_>, patience: &mut Patience) -> Result<Page, Unanswered> {
        tokio::task::yield_now().await;
        self.pass()?;
        let mut state = self.lock();
        state.pages += 1;
        if state.is_down() || (place.files && place.first > state.largest) {
            return Err(too_much());
        }
        if state.forgetful && place.after.is_some() {
            state.forgetful = false;
            return Err(Unanswered::BadCursor("what?".into()));
        }
        let (list, next) = state.list(place.after, place.first);
        if place.files && list.iter().any(|(_, number)| state.heavy.contains(number)) {
            return Err(too_much());
        }
        patience.succeeded();
        let at = Timestamp::from_second(state.clock).unwrap();
        let faulty = state.faulty;
        let lost = if state.dice.random_bool(faulty) { list.len() / 2 } else { usize::MAX };
        let pull = |(place_in_page, (updated, number)): (usize, &(i64, u64))| {
            if place_in_page == lost || state.null.contains(number) {
                return Pull::Absent("null".into());
            }
            let mut change = change(*number, &Timestamp::from_second(*updated).unwrap().to_string());
            if !place.files {
                change["files"] = serde_json::Value::Null;
            }
            let mut whole = convert::document(serde_json::from_value(change).unwrap(), &state.full_name, at);
            if let (Some(count), Some(files)) = (state.files.get(number), &mut whole.document.files) {
                *files = list_of_files(0, *count);
                whole.more_files = (*count > files.len()).then(|| files.len().to_string());
            }
            Pull::Whole(whole)
        };
        let pulls = list.iter().enumerate().map(pull).collect();
        let page = Page {
            repository: Identity {
                node_id: state.node_id.clone(),
                full_name: state.full_name.clone(),
                status: Some(Status::Active),
            },
            total: state.pulls.len() as u64,
            pulls,
            next,
            at,
            cost: 1,
        };
        let busy = state.busy;
        if state.dice.random_bool(busy) {
            state.update(7);
        }
        Ok(page)
    }

    async fn outline(&self, _: &str, place: Place<'_>, patience: &mut Patience) -> Result<Outlined, Unanswered> {
        self.pass()?;
        let state = self.lock();
        if state.is_down() {
            return Err(too_much());
        }
        patience.succeeded();
        let (list, next) = state.list(place.after, place.first);
        let pulls = list.iter().map(|(updated, number)| Some((*number, Timestamp::from_second(*updated).unwrap())));
        Ok(Outlined {
            node_id: state.node_id.clone(),
            full_name: state.full_name.clone(),
            total: state.pulls.len() as u64,
            pulls: pulls.collect(),
            next,
        })
    }

    async fn files(&self, _: &str, id: &str, after: &str, patience: &mut Patience) -> Result<Files, Unanswered> {
        self.pass()?;
        let state = self.lock();
        let number: u64 = id.strip_prefix("PR_").unwrap().parse().unwrap();
        let (begin, count) = (after.parse::<usize>().unwrap(), state.files[&number]);
        if state.is_down() || (state.cut.contains(&number) && begin > count / 2) {
            return Err(too_much());
        }
        patience.succeeded();
        let files = list_of_files(begin, count);
        let end = begin + files.len();
        Ok(Files { files, next: (end < count).then(|| end.to_string()) })
    }

    fn gives_up(&self, says: String, _: &Patience) -> Error {
        Trouble::Patience { host: "h".into(), tried: std::time::Duration::ZERO, says }.into()
    }
}

impl Shelf for World {
    async fn put(&self, documents: Vec<Document>) -> Result<Written, Error> {
        tokio::task::yield_now().await;
        let gasp = self.pass()?;
        if gasp == Gasp::Before {
            return Err(Error::Cancelled);
        }
        let mut written = Written::default();
        let mut state = self.lock();
        state.fetched += documents.len() as u64;
        for document in documents {
            let files = document.files.map(|files| {
                let names: BTreeSet<String> = files.into_iter().map(|file| file.filename).collect();
                names.len()
            });
            let new = (document.updated_at.unwrap().0, files);
            match state.stored.insert(document.number, new) {
                None => written.inserted += 1,
                Some(old) if old.0 < new.0 => written.changed += 1,
                Some(old) if old.0 == new.0 => written.refreshed += 1,
                Some(old) => {
                    written.unchanged += 1;
                    state.stored.insert(document.number, old);
                }
            }
        }
        if gasp == Gasp::After { Err(Error::Cancelled) } else { Ok(written) }
    }

    async fn save(&self, repository: &Repository) -> Result<bool, Error> {
        tokio::task::yield_now().await;
        let gasp = self.pass()?;
        if self.lock().taken {
            return Ok(false);
        }
        if gasp != Gasp::Before {
            self.lock().repository = Some(repository.clone());
        }
        if gasp == Gasp::None { Ok(true) } else { Err(Error::Cancelled) }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.lock().clock).unwrap()
    }
}
