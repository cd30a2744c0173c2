//! A repository: its habits, and a tree of files that grows, gets popular places and remembers its accidents.

use super::{
    dice::Dice,
    layout::{Language, stem},
    words::{OWNERS, PROJECTS, SENSITIVE, VOCABULARIES, Vocabulary},
};

/// Files that a repository may grow to; then changes go to files that are there.
const MOST_FILES: usize = 1_500;
const INNER: [&str; 6] = ["", "", "handlers", "internal", "model", "util"];
const GENERIC: [&str; 8] = ["client", "server", "errors", "registry", "manager", "builder", "codec", "store"];

/// How the description of a pull request is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Template {
    None,
    Checklist,
    Headings,
}

pub(crate) struct Repository {
    pub owner: &'static str,
    pub project: String,
    /// `owner/project`
    pub name: String,
    pub language: Language,
    pub branch: &'static str,
    /// Share of titles in the conventional-commit form.
    pub conventional: f64,
    pub template: Template,
    /// Share of pull requests that get labels.
    pub labelled: f64,
    pub area_labels: bool,
    /// Tracker prefix such as `ATL`, where titles carry one.
    pub tracker: Option<String>,
    /// Usual hours until a merge.
    pub pace: f64,
    /// How large changes are here, 1 is usual.
    pub size: f64,
    /// How much is said in reviews, 1 is usual.
    pub talk: f64,
    /// What is added to the log-odds of a revert.
    pub fragility: f64,
    /// Share of pull requests opened by bots.
    pub bots: f64,
    pub number: u64,
    pub version: (u32, u32, u32),
    /// Patch level of each of the language's dependencies.
    pub dependencies: Vec<u32>,
    pub subsystems: Vec<Subsystem>,
    pub files: Vec<Tracked>,
    pub docs: Vec<usize>,
    pub workflows: Vec<usize>,
    pub configs: Vec<usize>,
    pub builds: Vec<usize>,
    pub manifests: Vec<usize>,
    migrations: u32,
}

pub(crate) struct Subsystem {
    pub words: &'static Vocabulary,
    /// The older ones are changed most.
    pub sources: Vec<usize>,
    pub benchmark: Option<usize>,
    pub sensitive: bool,
}

/// A file and what happened to it.
pub(crate) struct Tracked {
    pub path: String,
    pub noun: &'static str,
    pub test: Option<usize>,
    /// How easily a change here goes wrong, 0 is usual.
    pub fragility: f64,
    pub changes: u32,
    pub fixes: u32,
    pub reverts: u32,
}

impl Repository {
    pub(crate) fn new(place: usize, dice: &mut Dice) -> Self {
        let owner = OWNERS[(place * 7 + place / 30) % OWNERS.len()];
        let turn = place / PROJECTS.len();
        let project = PROJECTS[(place * 11) % PROJECTS.len()];
        let project = if turn == 0 { project.to_owned() } else { format!("{project}-{}", turn + 1) };
        let language = dice.weighted(&Language::ALL);
        let tracker = dice.chance(0.12).then(|| project[..3].to_uppercase());
        let mut repository = Self {
            owner,
            name: format!("{owner}/{project}"),
            project,
            language,
            branch: if dice.chance(0.7) { "main" } else { "master" },
            conventional: dice.weighted(&[(0.03, 0.40), (0.35, 0.25), (0.92, 0.35)]),
            template: dice.weighted(&[(Template::None, 0.5), (Template::Checklist, 0.25), (Template::Headings, 0.25)]),
            labelled: dice.weighted(&[(0.04, 0.4), (0.4, 0.3), (0.8, 0.3)]),
            area_labels: dice.chance(0.4),
            tracker,
            pace: dice.around(18.0, 0.7),
            size: dice.around(1.0, 0.35),
            talk: dice.around(1.0, 0.5),
            fragility: 0.35 * dice.normal(),
            bots: dice.weighted(&[(0.0, 0.3), (0.07, 0.5), (0.2, 0.2)]),
            number: dice.between(1, 400) as u64,
            version: (dice.below(4) as u32, dice.below(12) as u32, 0),
            dependencies: (0..language.dependencies().len()).map(|_| dice.below(20) as u32).collect(),
            subsystems: Vec::new(),
            files: Vec::new(),
            docs: Vec::new(),
            workflows: Vec::new(),
            configs: Vec::new(),
            builds: Vec::new(),
            manifests: Vec::new(),
            migrations: dice.below(40) as u32,
        };
        repository.plant(dice);
        repository
    }

    /// The tree as it is when the story begins.
    fn plant(&mut self, dice: &mut Dice) {
        let mut vocabularies: Vec<usize> = (0..VOCABULARIES.len()).collect();
        // A partial shuffle; one of the sensitive parts is there almost always.
        let count = dice.between(4, 11);
        for i in 0..count {
            vocabularies.swap(i, dice.between(i, VOCABULARIES.len() - 1));
        }
        if dice.chance(0.8) && vocabularies[..count].iter().all(|v| *v >= SENSITIVE) {
            vocabularies[count - 1] = dice.below(SENSITIVE);
        }
        for &vocabulary in &vocabularies[..count] {
            let words = &VOCABULARIES[vocabulary];
            let sensitive = vocabulary < SENSITIVE;
            self.subsystems.push(Subsystem { words, sources: Vec::new(), benchmark: None, sensitive });
            let place = self.subsystems.len() - 1;
            for _ in 0..dice.between(5, 14) {
                self.grow(place, dice);
            }
            let path = self.language.benchmark(words.name);
            self.subsystems[place].benchmark = Some(self.track(path, words.nouns[0], dice));
        }

        let guides: Vec<String> = self.subsystems.iter().map(|s| format!("docs/{}.md", s.words.name)).collect();
        let plain = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let docs = [plain(&["README.md", "CHANGELOG.md"]), guides, plain(&["CONTRIBUTING.md", "docs/faq.md"])].concat();
        self.docs = self.track_all(docs, dice);
        let workflows =
            plain(&[".github/workflows/ci.yml", ".github/workflows/release.yml", ".github/workflows/nightly.yml"]);
        self.workflows = self.track_all(workflows, dice);
        let configs = plain(&["config/default.yaml", "config/production.yaml", ".editorconfig", ".github/CODEOWNERS"]);
        self.configs = self.track_all(configs, dice);
        self.builds =
            self.track_all(plain(&["Makefile", "Dockerfile", "scripts/build.sh", "docker-compose.yml"]), dice);
        self.manifests = self.track_all(plain(self.language.manifests()), dice);
    }

    fn track(&mut self, path: String, noun: &'static str, dice: &mut Dice) -> usize {
        self.files.push(Tracked {
            path,
            noun,
            test: None,
            fragility: 0.6 * dice.normal(),
            changes: 0,
            fixes: 0,
            reverts: 0,
        });
        self.files.len() - 1
    }

    fn track_all(&mut self, paths: Vec<String>, dice: &mut Dice) -> Vec<usize> {
        paths.into_iter().map(|path| self.track(path, "", dice)).collect()
    }

    /// A new source file, `None` when the tree has all the files that it may have or that there are names for.
    pub(crate) fn grow(&mut self, subsystem: usize, dice: &mut Dice) -> Option<usize> {
        if self.files.len() >= MOST_FILES {
            return None;
        }
        let words = self.subsystems[subsystem].words;
        let noun = dice.pick(&words.nouns);
        let name = match dice.below(4) {
            0 => stem(dice.pick(&GENERIC)),
            1 => format!("{}_{}", stem(noun), dice.pick(&GENERIC)),
            _ => stem(noun),
        };
        let directory = dice.pick(&INNER);
        let path = self.language.source(&self.project, words.name, directory, &name);
        if self.subsystems[subsystem].sources.iter().any(|source| self.files[*source].path == path) {
            return None;
        }
        let source = self.track(path, noun, dice);
        if dice.chance(0.75) {
            // Where tests have no directories, one test may stand for two sources.
            let path = self.language.test(&self.project, words.name, directory, &name);
            let known = self.files.iter().position(|file| file.path == path);
            let test = known.unwrap_or_else(|| self.track(path, noun, dice));
            self.files[source].test = Some(test);
        }
        self.subsystems[subsystem].sources.push(source);
        Some(source)
    }

    /// A source file of a subsystem, popular ones first.
    pub(crate) fn source(&self, subsystem: usize, dice: &mut Dice) -> usize {
        let sources = &self.subsystems[subsystem].sources;
        sources[dice.early(sources.len())]
    }

    /// Path of the next database migration.
    pub(crate) fn migration(&mut self, noun: &str) -> String {
        self.migrations += 1;
        format!("migrations/{:04}_{}.sql", self.migrations, stem(noun))
    }

    /// The next number of a pull request; issues take some in between.
    pub(crate) fn next_number(&mut self, dice: &mut Dice) -> u64 {
        self.number += 1 + dice.around(0.6, 1.0) as u64;
        self.number
    }

    /// Counts a dependency up: name, version before, version after.
    pub(crate) fn bump(&mut self, dice: &mut Dice) -> (&'static str, String, String) {
        let names = self.language.dependencies();
        let place = dice.early(names.len());
        let level = self.dependencies[place];
        let next = level + 1 + dice.below(3) as u32;
        self.dependencies[place] = next;
        // Twelve steps make a minor version, forty minor ones a major version.
        let version = |level: u32| format!("{}.{}.{}", 1 + level / 480, level / 12 % 40, level % 12);
        (names[place], version(level), version(next))
    }
}
