//! Pieces of self-contained HTML pages, which tell people what a program found: text as text, numbers as people write
//! them, tables, plots as SVG, and one style for all of them, in light and in dark. Text as text in Markdown, too.
//!
//! This crate never knows what a page tells of, and never reads or writes a file. What it makes never fetches and never
//! scripts anything.

#![deny(missing_docs)]

mod axis;
mod document;
mod escape;
mod number;
mod plot;
mod table;

pub use axis::Axis;
pub use document::{Document, paragraph, section, tile};
pub use escape::{escaped, markdown, plain};
pub use number::{count, counted, number, percent};
pub use plot::Plot;
pub use table::{Cell, Table, pull_request, pull_request_address};
