//! The door to the outside that Prowl's stages share: the store with its published folders, telemetry,
//! shutdown and exit codes.
//!
//! A stage publishes a whole folder or nothing: the manifest is written last and is the commit, so a reader
//! never sees a folder that is half written, and verifies the SHA-256 of every file it reads.
//!
//! This crate never knows what is inside a file, never changes a published folder, and depends on no stage.

pub mod arguments;
mod draft;
mod error;
mod folder;
mod manifest;
mod name;
pub mod shutdown;
mod store;
pub mod telemetry;
mod upload;

pub use draft::{Draft, DraftWriter, MARKER};
pub use error::{Cause, Error};
pub use folder::Folder;
pub use manifest::{FileEntry, Input, Manifest};
pub use store::{Kind, Store};
pub use upload::Upload;

/// The exit codes of Prowl's programs.
pub mod exit {
    /// The program did what it was asked to.
    pub const DONE: u8 = 0;
    /// It could not; the reason is on stderr.
    pub const FAILED: u8 = 1;
    /// It was called with arguments that do not fit together. `clap` ends with the same code.
    pub const WRONG_USE: u8 = 2;
}
