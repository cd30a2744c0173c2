//! What a change of a kind touches: which files, how many lines, and what that means for its fate.

pub(crate) use prowl_features::Category as Kind;

use super::{
    dice::Dice,
    layout::stem,
    people::Author,
    repository::Repository,
    words::{BUGS, CAPABILITIES, CONDITIONS, INPUTS, THINGS},
};
use crate::document::{File, Status};

/// What people open, and how often. Reverts follow from what was merged.
const BY_PEOPLE: [(Kind, f64); 10] = [
    (Kind::Fix, 0.29),
    (Kind::Feature, 0.26),
    (Kind::Refactor, 0.12),
    (Kind::Docs, 0.09),
    (Kind::Test, 0.06),
    (Kind::Chore, 0.06),
    (Kind::Ci, 0.04),
    (Kind::Build, 0.03),
    (Kind::Performance, 0.03),
    (Kind::Dependency, 0.02),
];

/// What an author opens next.
pub(crate) fn next_kind(author: &Author, dice: &mut Dice) -> Kind {
    match (author.bot, author.login.contains("-release")) {
        (false, _) => dice.weighted(&BY_PEOPLE),
        (true, true) => dice.weighted(&[(Kind::Chore, 0.8), (Kind::Docs, 0.2)]),
        (true, false) => dice.weighted(&[(Kind::Dependency, 0.93), (Kind::Ci, 0.07)]),
    }
}

struct Shape {
    files: (f64, f64),
    lines: f64,
    added: f64,
    risk: f64,
}

impl Shape {
    /// Source files, median and spread of their number; lines of each, as a multiple of the usual; how many of the
    /// changed lines are new; what it adds to the log-odds of a revert.
    fn of(kind: Kind) -> Self {
        let shape = |files, lines, added, risk| Self { files, lines, added, risk };
        match kind {
            Kind::Feature => shape((2.7, 0.95), 2.2, 0.85, 0.25),
            Kind::Fix => shape((1.3, 0.7), 0.8, 0.68, 0.0),
            Kind::Docs => shape((0.0, 0.0), 1.0, 0.8, -3.0),
            Kind::Test => shape((0.0, 0.0), 2.0, 0.85, -2.0),
            Kind::Refactor => shape((3.2, 1.15), 1.5, 0.48, 0.2),
            Kind::Performance => shape((1.3, 0.6), 1.6, 0.62, 0.7),
            Kind::Build => shape((0.0, 0.0), 1.0, 0.6, 0.2),
            Kind::Ci => shape((0.0, 0.0), 1.0, 0.6, -0.2),
            Kind::Dependency => shape((0.0, 0.0), 0.5, 0.5, -0.3),
            Kind::Chore => shape((0.5, 0.6), 0.6, 0.45, -0.8),
            Kind::Revert => shape((0.0, 0.0), 1.0, 0.5, -1.2),
        }
    }
}

/// Files and the words that go with them.
#[derive(Clone)]
pub(crate) struct Change {
    pub kind: Kind,
    pub files: Vec<File>,
    /// The files of the tree among them.
    pub touched: Vec<usize>,
    /// Subsystem of the first.
    pub subsystem: usize,
    pub noun: &'static str,
    pub related: &'static str,
    pub condition: &'static str,
    pub bug: &'static str,
    pub input: &'static str,
    pub thing: &'static str,
    pub capability: &'static str,
    /// Name, version before and after; for a release the version of the project.
    pub dependency: (&'static str, String, String),
    pub sources: usize,
    pub tests: usize,
    pub subsystems: usize,
    pub sensitive: bool,
    /// A chore that puts a new version of the project in its manifests.
    pub release: bool,
}

impl Change {
    pub(crate) fn empty(kind: Kind, subsystem: usize, repository: &Repository, dice: &mut Dice) -> Self {
        let words = repository.subsystems[subsystem].words;
        Self {
            kind,
            files: Vec::new(),
            touched: Vec::new(),
            subsystem,
            noun: dice.pick(&words.nouns),
            related: dice.pick(&words.nouns),
            condition: dice.pick(&CONDITIONS),
            bug: dice.pick(&BUGS),
            input: dice.pick(&INPUTS),
            thing: dice.pick(&THINGS),
            capability: dice.pick(&CAPABILITIES),
            dependency: ("", String::new(), String::new()),
            sources: 0,
            tests: 0,
            subsystems: 1,
            sensitive: false,
            release: false,
        }
    }

    /// A change of that kind by that author.
    pub(crate) fn new(kind: Kind, author: &Author, repository: &mut Repository, dice: &mut Dice) -> Self {
        let count = repository.subsystems.len();
        let home = if dice.chance(0.65) { author.home % count } else { dice.early(count) };
        let mut change = Self::empty(kind, home, repository, dice);
        change.touch_sources(author, repository, dice);
        change.touch_others(repository, dice);
        let others = repository.subsystems[home].words.nouns.iter().filter(|noun| **noun != change.noun);
        change.related = others.copied().nth(dice.below(7)).unwrap_or(change.related);
        change
    }

    pub(crate) fn additions(&self) -> u64 {
        self.files.iter().map(|file| file.additions).sum()
    }

    pub(crate) fn deletions(&self) -> u64 {
        self.files.iter().map(|file| file.deletions).sum()
    }

    /// Base name of the first file, for the text.
    pub(crate) fn main_file(&self) -> &str {
        self.files.first().map_or("", |file| file.filename.rsplit('/').next().unwrap_or_default())
    }

    /// Log-odds of being taken back that the change itself brings: large and wide ones, without tests, in places
    /// that break easily or were reverted before.
    pub(crate) fn risk(&self, repository: &Repository) -> f64 {
        /// Of the changes of a file, about a third are fixes, and one in thirty is reverted, which weighs four times.
        const USUAL: f64 = 0.4;
        let churn = (self.additions() + self.deletions()) as f64;
        let untested = if self.sources > 0 && self.tests == 0 { 0.9 } else { 0.0 };
        let mut worst: f64 = 0.0;
        for file in self.touched.iter().map(|file| &repository.files[*file]) {
            // A share of the file's own past, usual before there is one, so that busy places do not get ever worse.
            let past = (f64::from(4 * file.reverts + file.fixes) + 6.0 * USUAL) / (f64::from(file.changes) + 6.0);
            worst = worst.max(0.6 * file.fragility + 2.4 * (past.min(1.2) - USUAL));
        }
        let sensitive = if self.sensitive { 0.35 } else { 0.0 };
        Shape::of(self.kind).risk
            + 0.17 * (churn.ln_1p() - 3.0)
            + 0.4 * (self.subsystems as f64).log2()
            + untested
            + worst
            + sensitive
            + repository.fragility
    }

    fn touch_sources(&mut self, author: &Author, repository: &mut Repository, dice: &mut Dice) {
        let shape = Shape::of(self.kind);
        let (median, spread) = shape.files;
        if median == 0.0 {
            return;
        }
        let count = dice.around(median * repository.size.sqrt(), spread).round().min(160.0) as usize;
        let count = if self.kind == Kind::Chore { count } else { count.max(1) };
        let mut here = self.subsystem;
        let mut parts = vec![];
        for i in 0..count {
            if i > 0 && dice.chance(0.22) {
                here = dice.early(repository.subsystems.len());
            }
            let new = self.kind == Kind::Feature && dice.chance(0.22);
            let grown = if new { repository.grow(here, dice) } else { None };
            let file = grown.unwrap_or_else(|| repository.source(here, dice));
            if self.touched.contains(&file) {
                continue;
            }
            if i == 0 && !repository.files[file].noun.is_empty() {
                self.noun = repository.files[file].noun;
            }
            if !parts.contains(&here) {
                parts.push(here);
            }
            self.sensitive |= repository.subsystems[here].sensitive;
            let lines = shape.lines * repository.size;
            if grown.is_some() {
                self.add(file, Status::Added, lines * 5.0, 1.0, repository, dice);
            } else if self.kind == Kind::Refactor && dice.chance(0.05) {
                self.add(file, Status::Renamed, 0.3, 0.5, repository, dice);
            } else {
                self.add(file, Status::Modified, lines, shape.added, repository, dice);
            }
            self.sources += 1;
            let test = repository.files[file].test.filter(|test| !self.touched.contains(test));
            if let Some(test) = test
                && dice.chance(author.tests * if count > 3 { 0.6 } else { 0.9 })
            {
                let status = if grown.is_some() { Status::Added } else { Status::Modified };
                self.add(test, status, lines * 1.3, 0.85, repository, dice);
                self.tests += 1;
            }
        }
        self.subsystems = parts.len().max(1);
    }

    /// What is not source: documents, tests alone, workflows, manifests.
    fn touch_others(&mut self, repository: &mut Repository, dice: &mut Dice) {
        let Shape { lines, added, .. } = Shape::of(self.kind);
        let some = |list: &[usize], dice: &mut Dice| list[dice.early(list.len())];
        match self.kind {
            Kind::Feature => {
                if dice.chance(0.2) {
                    let file = some(&repository.docs, dice);
                    self.add(file, Status::Modified, 1.0, 0.9, repository, dice);
                }
                if dice.chance(0.1) {
                    let file = some(&repository.configs, dice);
                    self.add(file, Status::Modified, 0.4, 0.9, repository, dice);
                }
                if dice.chance(0.06) {
                    let filename = repository.migration(self.noun);
                    let additions = dice.around(18.0, 0.9) as u64 + 1;
                    self.files.push(File { filename, status: Status::Added, additions, deletions: 0 });
                }
            }
            Kind::Docs => {
                for _ in 0..=dice.around(0.5, 0.9) as usize {
                    let file = some(&repository.docs, dice);
                    self.add(file, Status::Modified, lines, added, repository, dice);
                }
            }
            Kind::Test => {
                for _ in 0..=dice.around(0.8, 0.9) as usize {
                    let source = repository.source(self.subsystem, dice);
                    if let Some(test) = repository.files[source].test {
                        self.noun = repository.files[test].noun;
                        self.tests += 1;
                        self.add(test, Status::Modified, lines, added, repository, dice);
                    }
                }
                if self.files.is_empty() {
                    let part = repository.subsystems[self.subsystem].words.name;
                    let filename = repository.language.test(&repository.project, part, "", &stem(self.noun));
                    let additions = dice.around(20.0, 1.0) as u64 + 1;
                    self.files.push(File { filename, status: Status::Added, additions, deletions: 0 });
                }
            }
            Kind::Performance => {
                if let Some(benchmark) = repository.subsystems[self.subsystem].benchmark
                    && dice.chance(0.35)
                {
                    self.add(benchmark, Status::Modified, 1.5, 0.9, repository, dice);
                }
            }
            Kind::Build => {
                for _ in 0..=dice.below(2) {
                    let file = some(&repository.builds, dice);
                    self.add(file, Status::Modified, lines, added, repository, dice);
                }
                if dice.chance(0.4) {
                    let file = repository.manifests[0];
                    self.add(file, Status::Modified, 0.5, 0.6, repository, dice);
                }
                self.dependency.2 = format!("1.{}", dice.between(60, 95));
            }
            Kind::Ci => {
                for _ in 0..=dice.around(0.4, 0.8) as usize {
                    let file = some(&repository.workflows, dice);
                    self.add(file, Status::Modified, lines, added, repository, dice);
                }
            }
            Kind::Dependency => {
                self.dependency = repository.bump(dice);
                let manifests = repository.manifests.clone();
                // Most bumps touch one line of the manifest; the lock file has a few per package.
                for (place, file) in manifests.into_iter().enumerate() {
                    let lines = if place == 0 { 0.2 } else { dice.around(1.0, 1.2) };
                    self.add(file, Status::Modified, lines, 0.5, repository, dice);
                }
            }
            Kind::Chore => self.housekeeping(repository, dice),
            Kind::Fix | Kind::Refactor | Kind::Revert => {
                if dice.chance(0.05) {
                    let file = some(&repository.docs, dice);
                    self.add(file, Status::Modified, 0.4, 0.7, repository, dice);
                }
            }
        }
    }

    fn housekeeping(&mut self, repository: &mut Repository, dice: &mut Dice) {
        self.release = dice.chance(0.3);
        if self.release {
            let (major, minor, patch) = repository.version;
            repository.version = if dice.chance(0.4) { (major, minor + 1, 0) } else { (major, minor, patch + 1) };
            let changelog = repository.docs[1];
            self.add(changelog, Status::Modified, 1.5, 0.95, repository, dice);
            let manifests = repository.manifests.clone();
            for file in manifests {
                self.add(file, Status::Modified, 0.1, 0.5, repository, dice);
            }
        } else if self.files.is_empty() || dice.chance(0.5) {
            let file = repository.configs[dice.early(repository.configs.len())];
            self.add(file, Status::Modified, 0.6, 0.5, repository, dice);
        }
        let (major, minor, patch) = repository.version;
        self.dependency.2 = format!("{major}.{minor}.{patch}");
    }

    /// Touches a file of the tree once.
    fn add(&mut self, file: usize, status: Status, lines: f64, added: f64, repository: &Repository, dice: &mut Dice) {
        /// Usual number of changed lines in a file, and how widely it spreads; from two public repositories, where a
        /// quarter is above 30 and one in a hundred above 350 to 800.
        const LINES: (f64, f64) = (7.5, 1.5);
        if self.touched.contains(&file) {
            return;
        }
        self.touched.push(file);
        let churn = dice.around(LINES.0 * lines, LINES.1).clamp(1.0, 12_000.0).round();
        let share = if status == Status::Added { 1.0 } else { (added + 0.18 * dice.normal()).clamp(0.0, 1.0) };
        let additions = (churn * share).round();
        self.files.push(File {
            filename: repository.files[file].path.clone(),
            status,
            additions: additions as u64,
            deletions: (churn - additions) as u64,
        });
    }
}
