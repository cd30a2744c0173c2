//! The two sides of a rollout, and what is counted of each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the two sides of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// The one that is active first.
    Blue,
    /// The one that is to take its place.
    Green,
}

impl Color {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Blue, Self::Green];

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    pub(super) fn place(self) -> usize {
        match self {
            Self::Blue => 0,
            Self::Green => 1,
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

/// Connections that were led to one side.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// That it took.
    pub opened: u64,
    /// That it did not take; their clients were told at once.
    pub refused: u64,
    /// That broke, on either end.
    pub broken: u64,
    /// That were left once the server had ended, and were closed.
    pub closed: u64,
}
