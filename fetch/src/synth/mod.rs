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

use prowl_platform::{Input, arguments::wrong_use};
use serde_json::json;

use crate::{
    Error,
    args::SynthArgs,
    outlet::{Origin, Outlet},
    progress,
};

/// File beside the parts that lists the oddities.
const PLANTED: &str = "planted.json";

/// What to generate.
#[derive(Debug, Clone)]
pub struct Config {
    count: u64,
    seed: u64,
    repositories: usize,
    authors: usize,
    oddities: u64,
}

impl Config {
    /// First pull request of those among which oddities are planted: the last seventh, so that whoever learns from
    /// what came before and looks at what came later finds all of them there.
    fn oddities_from(&self) -> u64 {
        self.count - self.count.div_ceil(7)
    }
}

impl TryFrom<SynthArgs> for Config {
    type Error = clap::Error;

    fn try_from(args: SynthArgs) -> Result<Self, clap::Error> {
        let count = args.count;
        let repositories = args.repositories.map_or_else(|| (count / 600).clamp(3, 200) as usize, |r| r as usize);
        let enough =
            |repositories: usize| ((count / 45) as usize).clamp(6 * repositories, 20_000.max(6 * repositories));
        let authors = args.authors.map_or_else(|| enough(repositories), |a| a as usize);
        let mut config = Self { count, seed: args.seed, repositories, authors, oddities: 0 };
        let room = count - config.oddities_from();
        config.oddities = args.oddities.unwrap_or_else(|| (count / 200).max(5).min(count / 20));
        if config.oddities > room {
            let oddities = config.oddities;
            return Err(wrong_use(format!(
                "--oddities {oddities} does not fit: {count} pull requests have room for {room}"
            )));
        }
        if config.authors < repositories {
            return Err(wrong_use(format!(
                "--authors {authors} does not fit: {repositories} repositories need at least one each"
            )));
        }
        Ok(config)
    }
}

/// Plays the four years and puts every version of every pull request, by the time of its last update.
///
/// # Errors
/// Only when the outlet takes no more.
pub fn generate(config: &Config, outlet: &mut Outlet) -> Result<Origin, Error> {
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
