//! What was known before a pull request was opened: the second input of the kernel.

use serde::{Deserialize, Serialize};

/// What was known of the author, the repository, the files and the directories of a pull request at the moment it
/// was opened. An event counts only if it happened before that moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Of its author in this repository.
    pub author: AuthorHistory,
    /// Of its repository.
    pub repository: RepositoryHistory,
    /// Of each file it touches, in the order of [`crate::Facts::files`].
    pub files: Vec<FileHistory>,
    /// Of each directory it touches, in the order of [`crate::Facts::directories`].
    pub directories: Vec<DirectoryHistory>,
    /// How often what resembles it was taken back.
    pub reverts: RevertRatios,
}

/// How often earlier merges that resemble a pull request were taken back, as the logarithm to base 2 of the ratio to the
/// repository's own rate: 1 is twice as often. Rates are drawn towards the repository's where little is known. Unknown in a
/// repository that has taken nothing back yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RevertRatios {
    /// Those of about the last year that touched the same files, directories or parts of the repository: the mean of the
    /// three highest ratios.
    pub paths: Option<f32>,
    /// Those with the same words in their titles: the mean over the words.
    pub title: Option<f32>,
    /// Those of about the last year by the same author.
    pub author: Option<f32>,
}

/// An author's earlier work in one repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorHistory {
    /// Pull requests opened.
    pub opened: u32,
    /// Of these, merged.
    pub merged: u32,
    /// Of these, taken back.
    pub reverted: u32,
    /// When the last was opened, in milliseconds since 1970 UTC.
    pub last_opened_at: Option<i64>,
}

/// A repository's earlier pull requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RepositoryHistory {
    /// Pull requests opened.
    pub opened: u32,
    /// Of these, merged.
    pub merged: u32,
    /// Of these, taken back.
    pub reverted: u32,
    /// Lines changed by those opened; unknown before there are a few.
    pub churn: Option<Quartiles>,
    /// Files changed by those opened; unknown before there are a few.
    pub changed_files: Option<Quartiles>,
}

/// Quartiles of `log2(1 + x)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quartiles {
    /// A quarter is below.
    pub lower: f32,
    /// Half is below.
    pub median: f32,
    /// Three quarters are below.
    pub upper: f32,
}

/// The scale of [`Quartiles`]. `libm` rounds alike on every machine, which the platform's own functions need not.
pub(crate) fn log2_1p(value: u64) -> f64 {
    libm::log1p(value as f64) / std::f64::consts::LN_2
}

/// The earlier merged pull requests that touched a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHistory {
    /// How many.
    pub merged: u32,
    /// By how many distinct authors.
    pub authors: u32,
    /// How many were fixes.
    pub fixes: u32,
    /// How many were taken back.
    pub reverts: u32,
    /// When the last was merged, in milliseconds since 1970 UTC.
    pub last_merged_at: Option<i64>,
    /// How many were by the author asked about.
    pub by_author: u32,
}

/// The earlier merged pull requests that touched a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryHistory {
    /// How many.
    pub merged: u32,
    /// How many were taken back.
    pub reverts: u32,
    /// How many were by the author asked about.
    pub by_author: u32,
}
