//! All that is read off the pull request alone: numbers and hashed keys, and no text but the name of its repository and the
//! beginning of its title.

use memchr::memchr_iter;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::catalog::{Compute, FEATURE_COUNT, FEATURES, Missing};
use crate::category::{Category, declared_category};
use crate::hash::{Distinct, key, name_key};
use crate::packed::{as_bytes, mostly_small};
use crate::path::{FileKind, PathFacts};
use crate::reverts::Lifecycle;
use crate::text::{TextFacts, Tokens};
use crate::{FeatureVector, History, PullRequest};

/// Directories beyond this many, and words of a title, give no token of a kind: a change of everything is of no kind by that.
const MOST_OF_A_PLACE: usize = 50;

/// Bytes of a title that are kept: none is read to its end that is longer.
const TITLE_BYTES: usize = 256;

/// What one pull request says by itself. Keys are 64-bit hashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// When what happened to it. The first field, since it is read without the others.
    pub lifecycle: Lifecycle,
    /// `owner/name`, as the document spells it; its case does not count.
    pub repository: String,
    /// Key of the author's login.
    pub author: Option<u64>,
    /// Whether it mends a fault: it declares so, or its title says so.
    pub is_fix: bool,
    /// Lines added and deleted.
    pub churn: Option<u64>,
    /// Files changed.
    pub changed_files: Option<u64>,
    /// Keys of the files touched, each once, in the order of the document.
    #[serde(with = "as_bytes")]
    pub files: Vec<u64>,
    /// Keys of the directories that hold them, each once, in the order of first appearance.
    #[serde(with = "as_bytes")]
    pub directories: Vec<u64>,
    /// Keys of the parts of the repository above these directories, the first one and two names of their paths, each once
    /// and none that is among the directories.
    #[serde(with = "as_bytes")]
    pub areas: Vec<u64>,
    /// The beginning of its title, for people.
    pub title: Option<String>,
    /// Keys of the words of the title without its type of change: ascending, each once.
    #[serde(with = "as_bytes")]
    pub title_words: Vec<u64>,
    /// The features that need no history: one value a row of the catalog that computes from the row, in its order.
    #[serde(with = "mostly_small")]
    pub row: Vec<f32>,
    /// Hashes of its words: ascending, each once.
    #[serde(with = "as_bytes")]
    pub tokens: Vec<u32>,
    /// The kind of change it declares.
    pub category: Option<Category>,
}

/// The first [`TITLE_BYTES`], or a few fewer where a character would be cut.
fn beginning(title: &str) -> &str {
    &title[..title.floor_char_boundary(TITLE_BYTES)]
}

impl Facts {
    /// Reads the facts off a pull request.
    pub fn of(pull_request: &PullRequest<'_>) -> Self {
        let mut files = FileFacts::of(pull_request);
        let text = TextFacts::of(pull_request);
        let category = declared_category(pull_request);
        let (file_keys, directory_keys) = (std::mem::take(&mut files.keys), std::mem::take(&mut files.directories));
        let areas = std::mem::take(&mut files.areas);
        let Tokens { all: tokens, title: title_words } = Tokens::of(pull_request);
        let row = Row {
            pull_request,
            additions: pull_request.additions.or(files.additions),
            deletions: pull_request.deletions.or(files.deletions),
            changed_files: pull_request.changed_files.or(files.listed.map(|listed| listed as u64)),
            distinct_directories: directory_keys.len(),
            files,
            text,
        };
        Self {
            lifecycle: Lifecycle::of(pull_request),
            repository: pull_request.repository.to_string(),
            author: pull_request.user.as_ref().map(|user| name_key(&user.login)),
            is_fix: category == Some(Category::Fix) || row.text.says_fix,
            churn: row.churn(),
            changed_files: row.changed_files,
            files: file_keys,
            directories: directory_keys,
            areas,
            title: pull_request.title.as_deref().map(|title| beginning(title).to_owned()),
            title_words,
            row: FEATURES
                .iter()
                .filter_map(|feature| match feature.compute {
                    Compute::Row(compute) => Some(compute(&row)),
                    Compute::History(_) => None,
                })
                .collect(),
            tokens,
            category,
        }
    }

    /// The features and the tokens, as the model takes them.
    pub fn vector(&self, history: &History) -> FeatureVector {
        FeatureVector { values: self.values(history), tokens: self.tokens.clone(), kind_tokens: self.kind_tokens() }
    }

    /// What tells the kind of a change: words of its title, directories and parts of the repository that it touches, and its
    /// author. Hashes in the order of these, each place's with a seed of its own.
    pub fn kind_tokens(&self) -> Vec<u32> {
        let parts: [(u64, &[u64]); 4] =
            [(1, &self.title_words), (2, &self.directories), (2, &self.areas), (3, self.author.as_slice())];
        let tokens = parts.into_iter().flat_map(|(place, keys)| {
            keys.iter().take(MOST_OF_A_PLACE).map(move |key| xxh3_64_with_seed(&key.to_le_bytes(), place) as u32)
        });
        tokens.collect()
    }

    /// The features: the row's own, joined with those that `history` gives. Before the first pull request that is known
    /// of a repository these are unknown: that none came earlier and that nobody looked are the same to see.
    pub fn values(&self, history: &History) -> [f32; FEATURE_COUNT] {
        let nothing_known = history.repository.opened == 0;
        let mut row = self.row.iter().copied();
        let mut values = [f32::NAN; FEATURE_COUNT];
        for (value, feature) in values.iter_mut().zip(FEATURES) {
            *value = match feature.compute {
                Compute::Row(_) => row.next().unwrap_or(f32::NAN),
                Compute::History(_) if nothing_known && feature.missing == Missing::Unknown => f32::NAN,
                Compute::History(compute) => compute(self, history),
            };
            // One pattern of bits for unknown, so that equal vectors are equal byte by byte.
            if value.is_nan() {
                *value = f32::NAN;
            }
        }
        values
    }

    /// Whether the author belongs to the repository. GitHub's finer words (`CONTRIBUTOR`, `FIRST_TIME_CONTRIBUTOR`,
    /// `NONE`) change when a pull request of the author is merged, so an export tells them as they became later;
    /// only this much is taken as known at creation.
    pub(crate) fn insider(pull_request: &PullRequest<'_>) -> Option<bool> {
        let association = pull_request.author_association.as_deref()?;
        Some(matches!(association, "OWNER" | "MEMBER" | "COLLABORATOR"))
    }
}

/// What the row features are computed from.
pub(crate) struct Row<'a> {
    pub(crate) pull_request: &'a PullRequest<'a>,
    /// As the document says, else the sum over its files.
    pub(crate) additions: Option<u64>,
    pub(crate) deletions: Option<u64>,
    pub(crate) changed_files: Option<u64>,
    pub(crate) distinct_directories: usize,
    pub(crate) files: FileFacts,
    pub(crate) text: TextFacts,
}

impl Row<'_> {
    pub(crate) fn churn(&self) -> Option<u64> {
        Some(self.additions?.saturating_add(self.deletions?))
    }

    /// `value`, if the document lists its files.
    pub(crate) fn of_files(&self, value: impl FnOnce(&FileFacts) -> f32) -> f32 {
        if self.files.listed.is_some() { value(&self.files) } else { f32::NAN }
    }

    /// The share of the change that is in files of `kind`; unknown for a change without files.
    pub(crate) fn share(&self, kind: FileKind) -> f32 {
        match self.files.listed {
            Some(listed) if listed > 0 => self.files.share_by_kind[kind as usize] as f32,
            _ => f32::NAN,
        }
    }
}

/// What the list of files tells, gathered in one pass over it.
#[derive(Default)]
pub(crate) struct FileFacts {
    /// Number of distinct files listed; `None` where the document has no list.
    pub(crate) listed: Option<usize>,
    additions: Option<u64>,
    deletions: Option<u64>,
    keys: Vec<u64>,
    directories: Vec<u64>,
    areas: Vec<u64>,
    pub(crate) subsystems: usize,
    pub(crate) languages: usize,
    pub(crate) deepest: u32,
    /// Whether the source tells what became of any file, or there is none; where it does not, the next three say nothing.
    pub(crate) with_status: bool,
    pub(crate) added: u64,
    pub(crate) removed: u64,
    pub(crate) renamed: u64,
    pub(crate) touches_authentication: bool,
    pub(crate) touches_cryptography: bool,
    pub(crate) touches_migration: bool,
    pub(crate) touches_workflow: bool,
    /// By [`FileKind`]: the share of the changed lines, or of the files where no line is known to have changed.
    pub(crate) share_by_kind: [f64; 9],
    /// Entropy of the change over its files, in bits (Hassan, ICSE 2009).
    pub(crate) entropy: f64,
    pub(crate) largest_share: f64,
}

impl FileFacts {
    fn of(pull_request: &PullRequest<'_>) -> Self {
        let Some(files) = pull_request.files.as_deref() else { return Self::default() };
        let mut facts =
            Self { additions: Some(0), deletions: Some(0), with_status: files.is_empty(), ..Self::default() };
        let mut keys = Distinct::with_capacity(files.len());
        let mut directories = Distinct::default();
        let (mut subsystems, mut areas) = (Distinct::default(), Distinct::default());
        let mut languages: Vec<&str> = Vec::new();
        let mut changes: Vec<(FileKind, f64)> = Vec::with_capacity(files.len());
        let mut lower = String::new();
        for file in files {
            if !keys.insert(key(&file.filename)) {
                continue;
            }
            let path = PathFacts::of(&file.filename, &mut lower);
            if directories.insert(key(path.directory)) {
                for area in areas_above(path.directory) {
                    areas.insert(key(area));
                }
            }
            subsystems.insert(key(path.subsystem));
            // There are a few dozen languages at most; a list is faster than a set for them.
            if let Some(language) = path.language
                && !languages.contains(&language)
            {
                languages.push(language);
            }
            facts.deepest = facts.deepest.max(path.depth);
            facts.with_status |= file.status.is_some();
            match file.status.as_deref() {
                Some("added") => facts.added += 1,
                Some("removed") => facts.removed += 1,
                Some("renamed") => facts.renamed += 1,
                _ => {}
            }
            facts.touches_authentication |= path.sensitive.authentication;
            facts.touches_cryptography |= path.sensitive.cryptography;
            facts.touches_migration |= path.sensitive.migration;
            facts.touches_workflow |= path.sensitive.workflow;
            facts.additions = add(facts.additions, file.additions);
            facts.deletions = add(facts.deletions, file.deletions);
            let lines = file.additions.unwrap_or(0).saturating_add(file.deletions.unwrap_or(0));
            changes.push((path.kind, lines as f64));
        }
        facts.keys = keys.into_vec();
        facts.areas = areas.into_vec();
        facts.areas.retain(|area| !directories.contains(*area));
        facts.directories = directories.into_vec();
        facts.listed = Some(changes.len());
        facts.subsystems = subsystems.into_vec().len();
        facts.languages = languages.len();
        facts.spread(&changes);
        facts
    }

    /// How the change is spread over its files. Files count alike where no line is known to have changed.
    fn spread(&mut self, changes: &[(FileKind, f64)]) {
        let lines: f64 = changes.iter().map(|(_, lines)| lines).sum();
        for (kind, changed) in changes {
            let share = if lines > 0.0 { changed / lines } else { 1.0 / changes.len() as f64 };
            self.share_by_kind[*kind as usize] += share;
            self.largest_share = self.largest_share.max(share);
            if share > 0.0 {
                self.entropy -= share * libm::log2(share);
            }
        }
        // A single file gives -1 * log2(1) = -0; the sign would only confuse.
        self.entropy = self.entropy.max(0.0);
    }
}

/// The first one and two names of a directory's path, as far as it has more.
fn areas_above(directory: &str) -> impl Iterator<Item = &str> {
    memchr_iter(b'/', directory.as_bytes()).take(2).map(|end| &directory[..end])
}

fn add(total: Option<u64>, more: Option<u64>) -> Option<u64> {
    Some(total?.saturating_add(more?))
}
