//! The rows of a features run in memory: one matrix of numbers, the tokens beside it, and the labels.

use std::collections::HashMap;

use ndarray::Array2;
use prowl_model::FeatureInfo;

/// What became of a row, and from when on that was known, in milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// When it was taken back.
    pub reverted_at: Option<i64>,
    /// From when on it was known to have stood the time in which most reverts come.
    pub mature_at: Option<i64>,
}

impl Outcome {
    /// Whether it was taken back, as known just before a moment; `None` where that could not be said.
    pub fn known_before(&self, moment: i64) -> Option<bool> {
        if self.reverted_at.is_some_and(|at| at < moment) {
            Some(true)
        } else {
            self.is_mature(moment).then_some(false)
        }
    }

    /// Whether it had stood its time by a moment, taken back or not. Among younger rows, those that were taken back are
    /// known before the others.
    pub fn is_mature(&self, moment: i64) -> bool {
        self.mature_at.is_some_and(|at| at <= moment)
    }
}

/// Characters of a title that are kept.
const TITLE: usize = 120;

/// Everything that the trainer reads of a features run. A row costs 4 bytes a feature and a token, and its title.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What the columns of `values` are.
    pub features: Vec<FeatureInfo>,
    /// Hexadecimal SHA-256 of the list of features.
    pub features_digest: String,
    /// Rows that were left out because they are older.
    pub older_rows: u64,
    values: Array2<f32>,
    tokens: Lists,
    kind_tokens: Lists,
    titles: Titles,
    created_at: Vec<i64>,
    numbers: Vec<i64>,
    repositories: Vec<u32>,
    repository_names: Vec<String>,
    categories: Vec<Option<u16>>,
    category_names: Vec<String>,
    outcomes: Vec<Outcome>,
    /// Rows, the oldest first.
    by_time: Vec<usize>,
}

impl Dataset {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.created_at.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.created_at.is_empty()
    }

    /// Features of a row in their own units, NaN where unknown; shape (features).
    pub fn row(&self, row: usize) -> &[f32] {
        self.values.row(row).to_slice().expect("rows of the matrix are contiguous")
    }

    /// Hashed tokens of a row.
    pub fn tokens(&self, row: usize) -> &[u32] {
        self.tokens.of(row)
    }

    /// Hashed tokens of what tells the kind of a row's change.
    pub fn kind_tokens(&self, row: usize) -> &[u32] {
        self.kind_tokens.of(row)
    }

    /// The beginning of a row's title; empty where it is unknown.
    pub fn title(&self, row: usize) -> &str {
        self.titles.of(row)
    }

    /// When a row's pull request was opened, in milliseconds since 1970, UTC.
    pub fn created_at(&self, row: usize) -> i64 {
        self.created_at[row]
    }

    /// `owner/name` of a row's repository.
    pub fn repository(&self, row: usize) -> &str {
        &self.repository_names[self.repositories[row] as usize]
    }

    /// Those of these rows that had stood their time by a moment, each with whether it had been taken back.
    pub fn mature(&self, rows: &[usize], moment: i64) -> Vec<(usize, bool)> {
        let outcome = |&row: &usize| (row, self.outcome(row).known_before(moment) == Some(true));
        rows.iter().filter(|&&row| self.outcome(row).is_mature(moment)).map(outcome).collect()
    }

    /// The lines that a row changes, 0 where unknown: what a risk is compared with. None where that is no feature.
    pub fn churn(&self) -> Option<impl Fn(usize) -> f64> {
        let churn = self.features.iter().position(|feature| feature.name == "churn")?;
        Some(move |row: usize| f64::from(self.row(row)[churn].max(0.0)))
    }

    /// Number of a row's pull request in its repository.
    pub fn number(&self, row: usize) -> i64 {
        self.numbers[row]
    }

    /// The declared category of a row.
    pub fn category(&self, row: usize) -> Option<&str> {
        self.categories[row].map(|index| self.category_names[index as usize].as_str())
    }

    /// What became of a row.
    pub fn outcome(&self, row: usize) -> Outcome {
        self.outcomes[row]
    }

    /// Rows in the order of `created_at`, then repository, then number.
    pub fn by_time(&self) -> &[usize] {
        &self.by_time
    }
}

/// One list a row, all in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq)]
struct Lists {
    values: Vec<u32>,
    ends: Vec<usize>,
}

impl Lists {
    fn push(&mut self, list: &[u32]) {
        self.values.extend_from_slice(list);
        self.ends.push(self.values.len());
    }

    fn of(&self, row: usize) -> &[u32] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.values[start..self.ends[row]]
    }
}

/// One text a row, all in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq)]
struct Titles {
    text: String,
    ends: Vec<usize>,
}

impl Titles {
    fn push(&mut self, title: &str) {
        self.text.extend(title.chars().take(TITLE));
        self.ends.push(self.text.len());
    }

    fn of(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[start..self.ends[row]]
    }
}

/// A row on its way into a [`Dataset`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// Number of the pull request.
    pub number: i64,
    /// Milliseconds since 1970, UTC.
    pub created_at: i64,
    /// Features, NaN where unknown.
    pub values: &'a [f32],
    /// Hashed tokens.
    pub tokens: &'a [u32],
    /// Hashed tokens of what tells the kind of the change.
    pub kind_tokens: &'a [u32],
    /// The title, where it is known.
    pub title: Option<&'a str>,
    /// Declared category.
    pub category: Option<&'a str>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Collects rows.
#[derive(Debug)]
pub struct Builder {
    features: Vec<FeatureInfo>,
    features_digest: String,
    values: Vec<f32>,
    tokens: Lists,
    kind_tokens: Lists,
    titles: Titles,
    created_at: Vec<i64>,
    numbers: Vec<i64>,
    repositories: Vec<u32>,
    repository_ids: HashMap<String, u32>,
    categories: Vec<Option<u16>>,
    category_names: Vec<String>,
    outcomes: Vec<Outcome>,
}

impl Builder {
    /// An empty dataset of these features.
    pub fn new(features: Vec<FeatureInfo>, features_digest: String) -> Self {
        Self {
            features,
            features_digest,
            values: Vec::new(),
            tokens: Lists::default(),
            kind_tokens: Lists::default(),
            titles: Titles::default(),
            created_at: Vec::new(),
            numbers: Vec::new(),
            repositories: Vec::new(),
            repository_ids: HashMap::new(),
            categories: Vec::new(),
            category_names: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// The list of features.
    pub fn features(&self) -> &[FeatureInfo] {
        &self.features
    }

    /// Adds a row. What is not finite is taken as unknown.
    ///
    /// # Panics
    /// The row has another number of values than there are features.
    pub fn push(&mut self, row: &Row<'_>) {
        assert_eq!(row.values.len(), self.features.len(), "a row has one value a feature");
        self.values.extend(row.values.iter().map(|&value| if value.is_finite() { value } else { f32::NAN }));
        self.tokens.push(row.tokens);
        self.kind_tokens.push(row.kind_tokens);
        self.titles.push(row.title.unwrap_or_default());
        self.created_at.push(row.created_at);
        self.numbers.push(row.number);
        let next = self.repository_ids.len() as u32;
        let id = match self.repository_ids.get(row.repository) {
            Some(&id) => id,
            None => *self.repository_ids.entry(row.repository.to_owned()).or_insert(next),
        };
        self.repositories.push(id);
        let category = row.category.map(|name| {
            let known = self.category_names.iter().position(|other| other == name);
            known.unwrap_or_else(|| {
                self.category_names.push(name.to_owned());
                self.category_names.len() - 1
            }) as u16
        });
        self.categories.push(category);
        self.outcomes.push(row.outcome);
    }

    /// The dataset. The order of time does not depend on the order in which rows came.
    pub fn build(self) -> Dataset {
        let rows = self.created_at.len();
        let mut names = vec![String::new(); self.repository_ids.len()];
        for (name, id) in self.repository_ids {
            names[id as usize] = name;
        }
        let mut by_time: Vec<usize> = (0..rows).collect();
        by_time.sort_unstable_by_key(|&row| {
            (self.created_at[row], &names[self.repositories[row] as usize], self.numbers[row])
        });
        let values = Array2::from_shape_vec((rows, self.features.len()), self.values);
        Dataset {
            values: values.expect("every row has one value a feature"),
            features: self.features,
            features_digest: self.features_digest,
            older_rows: 0,
            tokens: self.tokens,
            kind_tokens: self.kind_tokens,
            titles: self.titles,
            created_at: self.created_at,
            numbers: self.numbers,
            repositories: self.repositories,
            repository_names: names,
            categories: self.categories,
            category_names: self.category_names,
            outcomes: self.outcomes,
            by_time,
        }
    }
}
