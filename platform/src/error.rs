//! What can go wrong between a program and its store, in words for the person who started the program.
//!
//! A sentence of any program says what is wrong and, behind a colon, what to do; where the cause stands there, what to do follows
//! a semicolon. It begins small and has no full stop.

use std::{fmt::Display, sync::Arc};

use crate::{
    Kind, VaultError,
    reason::{of_s3, reason},
};

/// What lies at the bottom of an error of the store, such as `No space left on device`.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The innermost cause of `error`. An error of an object store or of a connection prints its causes itself and has them as
/// its sources, too, so whoever prints the chain would say the same thing several times.
pub fn innermost<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// What an error says and, where it has one, its source: all of it for one line of a log.
pub fn told_in_full(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Error {
    /// Whether there is nothing to read yet, as before the stage in front has published for the first time.
    pub fn is_nothing_yet(&self) -> bool {
        matches!(self, Self::StoreMissing { .. } | Self::NothingPublished { .. })
    }

    /// What was to be read at `path` could not be.
    pub(crate) fn read(path: impl Display, error: &object_store::Error) -> Self {
        let path = path.to_string();
        match of_s3(error) {
            Some(reason) => Error::S3 { path, reason },
            None => Error::Read { path, source: reason(error).into() },
        }
    }

    /// What was to be written at `path` could not be.
    pub(crate) fn write(path: impl Display, error: &object_store::Error) -> Self {
        let path = path.to_string();
        match of_s3(error) {
            Some(reason) => Error::S3 { path, reason },
            None => Error::Write { path, source: reason(error).into() },
        }
    }
}

/// An error of the store or of the program's surroundings. The text names the thing and the way out; the
/// technical cause, where there is one, is the [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `--store` holds something that is no usable URL.
    #[error("{url:?} is no store URL: {hint}")]
    StoreUrl {
        /// What was given.
        url: String,
        /// What to write instead.
        hint: String,
    },
    /// A program that reads was pointed at a store that is not there.
    #[error("the store {store} does not exist: correct --store, or make it with {}", kind.made_by())]
    StoreMissing {
        /// URL of the store.
        store: String,
        /// What was to be read from it.
        kind: Kind,
    },
    /// The store's URL leads to a file.
    #[error("the store {store} is a file: give a folder with --store")]
    StoreIsFile {
        /// URL of the store.
        store: String,
    },
    /// The store's folder cannot be made or written.
    #[error(
        "cannot write below the store {store}: choose a folder with --store that you may write and that has space left"
    )]
    NotWritable {
        /// URL of the store.
        store: String,
        /// What the file system or object store answered.
        #[source]
        source: Cause,
    },
    /// No folder of this kind has a manifest yet.
    #[error("no finished {} in {store}/{kind}: make one with {}", kind.one(), kind.made_by())]
    NothingPublished {
        /// URL of the store.
        store: String,
        /// What was looked for.
        kind: Kind,
    },
    /// A folder was asked for by a name that no finished folder has.
    #[error("no finished {} {name:?} in {store}/{kind}: {hint}", kind.one())]
    NoSuchFolder {
        /// URL of the store.
        store: String,
        /// What was looked for.
        kind: Kind,
        /// The name that was given.
        name: String,
        /// Which names there are, or how to make one.
        hint: String,
    },
    /// The manifest is there but cannot be understood.
    #[error("{path} is no manifest of {kind}: {reason}; make the folder again with {}", kind.made_by())]
    Manifest {
        /// Path of the manifest.
        path: String,
        /// What the folder should hold.
        kind: Kind,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder was written by a later version of Prowl.
    #[error(
        "{path} has schema {found}, and this program knows {kind} up to schema {known}: update this program, \
         or make the {} again with the version that you run",
        kind.one()
    )]
    NewerSchema {
        /// Path of the manifest.
        path: String,
        /// What the folder holds.
        kind: Kind,
        /// The schema of the manifest.
        found: u64,
        /// The newest schema that this program reads.
        known: u32,
    },
    /// A line of feedback is none.
    #[error("line {line} of {file} in the store is no feedback: {reason}; correct it, or remove the file")]
    Feedback {
        /// Path below the store.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file was asked for that the manifest does not list.
    #[error("the manifest of {folder} lists no file {file:?}: it was made by another version; make the {} again with {}", kind.one(), kind.made_by())]
    NotListed {
        /// URL of the folder.
        folder: String,
        /// The file that was asked for.
        file: String,
        /// What the folder holds.
        kind: Kind,
    },
    /// A file that the manifest lists is gone.
    #[error("{path} is missing although the manifest beside it lists it: the folder is damaged; make it again with {}", kind.made_by())]
    FileMissing {
        /// Path of the file.
        path: String,
        /// What the folder holds.
        kind: Kind,
    },
    /// A file is not the one that was published.
    #[error("{path} was changed after it was published: its {what} is {found}, the manifest says {expected}; make the {} again with {}", kind.one(), kind.made_by())]
    Changed {
        /// Path of the file.
        path: String,
        /// What the folder holds.
        kind: Kind,
        /// `size` or `SHA-256`.
        what: &'static str,
        /// The manifest's value.
        expected: String,
        /// The file's value.
        found: String,
    },
    /// The store answered with an error while reading.
    #[error("cannot read {path}: may this program read there?")]
    Read {
        /// Path of the object.
        path: String,
        /// What the store answered.
        #[source]
        source: Cause,
    },
    /// The store answered with an error while writing.
    #[error("cannot write {path}: is there space left, and may this program write there?")]
    Write {
        /// Path of the object.
        path: String,
        /// What the store answered.
        #[source]
        source: Cause,
    },
    /// S3 could not be reached, or does not do what it was asked to.
    #[error("cannot use {path}: {reason}")]
    S3 {
        /// URL of what was to be read or written.
        path: String,
        /// Why not, and the way out.
        reason: String,
    },
    /// A secret cannot be used.
    #[error("the secret {name} cannot be used: {reason}")]
    Secret {
        /// Its name.
        name: &'static str,
        /// What is wrong with it, without telling it.
        reason: String,
    },
    /// Another program has published a folder of this name.
    #[error("another program has published {folder} in the meantime: that one is left as it is; run this again")]
    Taken {
        /// URL of the folder.
        folder: String,
    },
    /// A file of a draft has a name that a published folder cannot hold.
    #[error("{file:?} cannot be a file of a published folder: {reason}")]
    FileName {
        /// The name that was given.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Vault does not give the secrets of this program.
    #[error(transparent)]
    Vault(#[from] Arc<VaultError>),
    /// Secrets are needed and are not there.
    #[error("there is no secret {name}: {hint}")]
    SecretMissing {
        /// Its name, or several with commas between them.
        name: String,
        /// Where to put it.
        hint: String,
    },
    /// An environment variable cannot be understood.
    #[error("{variable}={value:?} cannot be understood: {hint}")]
    Variable {
        /// Name of the environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What to write instead.
        hint: String,
    },
}
