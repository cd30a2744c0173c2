//! The door to the outside that Prowl's stages share: the store with its published folders, files that people name,
//! secrets, GitHub's API, telemetry, shutdown and exit codes.
//!
//! A stage publishes a whole folder or nothing: the manifest is written last and is the commit, so a reader
//! never sees a folder that is half written, and verifies the SHA-256 of every file it reads.
//!
//! This crate never knows what is inside a file of a published folder, never changes such a folder, and depends on no
//! stage.

#![deny(missing_docs)]

pub mod arguments;
mod backoff;
mod body;
pub mod documents;
mod draft;
mod error;
pub mod exit;
pub mod feedback;
mod folder;
pub mod github;
mod manifest;
mod name;
mod prune;
mod reason;
mod s3;
mod secrets;
pub mod shutdown;
mod store;
mod store_url;
pub mod telemetry;
mod upload;
mod vault;
mod verdicts;

pub use backoff::Backoff;
pub use body::whole_body;
pub use draft::{Draft, DraftWriter, MARKER};
pub use error::{Cause, Error, innermost, told_in_full};
pub use folder::Folder;
pub use manifest::{FileEntry, Input, Manifest};
pub use prune::{Keep, Pruned};
pub use reason::reason;
pub use secrets::Secrets;
pub use store::{Kind, Store};
pub use store_url::StoreUrl;
pub use upload::Upload;
pub use vault::VaultError;
