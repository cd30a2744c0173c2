//! Pull requests that never were: a small world of repositories, files and people that plays through four years.
//!
//! The same configuration gives the same documents for good. Memory depends on repositories, authors and files, and
//! on what is open or waits to be reverted at one time, not on the number of documents. The numbers behind the shapes
//! (lines, files, titles, delays, reverts) follow public repositories.

mod calendar;
mod change;
pub(crate) mod dice;
mod fate;
mod layout;
mod oddity;
mod people;
mod queue;
mod record;
mod repository;
mod text;
#[rustfmt::skip] // Word lists read better dense.
mod words;
mod world;

use std::collections::BTreeMap;

use prowl_platform::{Input, documents::PLANTED};
use serde_json::json;

use crate::{
    Error,
    outlet::{Origin, Outlet},
    progress,
};

/// What to generate.
#[derive(Debug, Clone)]
pub struct Config {
    /// Pull requests.
    pub count: u64,
    /// The same seed gives the same documents.
    pub seed: u64,
    /// Repositories.
    pub repositories: usize,
    /// Regular authors, at least one for each repository.
    pub authors: usize,
    /// Planted oddities: no more than there are pull requests among which they are planted.
    pub oddities: u64,
}

impl Config {
    /// First pull request of those among which oddities are planted: the last seventh, so that whoever learns from
    /// what came before and looks at what came later finds all of them there.
    pub(crate) fn oddities_from(&self) -> u64 {
        self.count - self.count.div_ceil(7)
    }
}

/// Plays the four years and puts every version of every pull request, by the time of its last update.
///
/// # Errors
/// Only when the outlet takes no more.
pub(crate) fn generate(config: &Config, outlet: &mut Outlet) -> Result<Origin, Error> {
    let bar = progress::bar(config.count, "generating");
    let mut world = world::World::new(config);
    for (day, arrivals) in calendar::arrivals(config.count) {
        world.day(day, arrivals, outlet)?;
        bar.inc(arrivals);
    }
    let tally = world.close(outlet)?;
    bar.finish_and_clear();

    let planted = serde_json::to_vec_pretty(&tally.planted).expect("every key is a string");
    let name = format!("seed {}, {} pull requests", config.seed, config.count);
    Ok(Origin {
        input: Input { kind: "synth".to_owned(), name, digest: None },
        details: json!({
            "source": "synth",
            "seed": config.seed,
            "repositories": config.repositories,
            "authors": config.authors,
            "oddities": config.oddities,
        }),
        counts: BTreeMap::from([
            ("pull_requests".to_owned(), config.count),
            ("older_versions".to_owned(), tally.older_versions),
            ("reverted".to_owned(), tally.reverted),
            ("planted".to_owned(), tally.planted.len() as u64),
        ]),
        side_file: Some((PLANTED, planted)),
        notes: vec![format!(
            "{} pull requests, {} of them also in an older version; {} reverted later; {} oddities",
            config.count,
            tally.older_versions,
            tally.reverted,
            tally.planted.len()
        )],
    })
}
