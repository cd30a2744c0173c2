//! Whether a new version may take the place of the active one.
//!
//! ```text
//! ready ─> first calls ─> panel ─> race against active ─> goose's rules ─> knee ─> last calls ─> checks ─> verdict
//!                                  same requests, side by side
//! ```
//!
//! Each step adds checks; one that cannot be made says so, and then the verdict is unknown, which is never a go.

mod answers;
mod calls;
mod checks;
mod goose;
mod knee;
mod limits;
mod look;
mod panel;
mod race;
mod steps;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prowl_platform::{Kind, Store};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;

use self::{checks::Checks, steps::Gate};
pub use self::{goose::Test, limits::Limits};
use crate::{
    Error,
    deck::{Deck, Draws},
    target::{Address, Target},
    verdict::{self, Decision, Machine, Side, Verdict},
};

/// What to judge, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The new version.
    pub preview: Address,
    /// The one that serves, if there is one.
    pub active: Option<Address>,
    /// Name of the model that the new one has to serve.
    pub version: String,
    /// Its digest, if that is not to be taken from the store.
    pub digest: Option<String>,
    /// Where the models are, by whose manifest and panel the new one is judged.
    pub store: Option<Store>,
    /// Whether its panel is to be played: without a store that has it, nothing is known then.
    pub panel: bool,
    /// How long the new one may take to be ready.
    pub patience: Duration,
    /// When an answer is given up.
    pub deadline: Duration,
    /// Calls a second on each side.
    pub rate: f64,
    /// How long the race takes.
    pub length: Duration,
    /// What goose tests beside; nothing without.
    pub test: Option<Test>,
    /// The highest rate that the knee is looked for at; none without.
    pub highest: Option<f64>,
    /// How long each of its steps takes.
    pub step: Duration,
    /// Pull requests whose answers are compared.
    pub compared: usize,
    /// Connections to each side.
    pub connections: usize,
    /// Of the dice.
    pub seed: u64,
    /// What it may do.
    pub limits: Limits,
}

impl Config {
    /// The token that calls bring to both sides.
    pub fn bring(&mut self, token: &Option<SecretString>) {
        for address in std::iter::once(&mut self.preview).chain(&mut self.active) {
            address.token.clone_from(token);
        }
    }

    /// Whether the HTTP ports of both sides were named.
    fn names_ports(&self) -> bool {
        self.preview.http.is_some() && self.active.as_ref().is_some_and(|active| active.http.is_some())
    }
}

/// Most calls in flight on a side at this rate: as many as are due in a second, so that a server which answers within one is never
/// kept waiting.
fn in_flight(rate: f64) -> usize {
    (rate as usize).clamp(64, 4_096)
}

/// Judges.
///
/// # Errors
/// What keeps it from judging at all: an address that cannot be used, a store that cannot be read. What is wrong with the
/// new version is no error, but a verdict.
pub async fn judge(config: &Config, deck: &Arc<Deck>) -> Result<Verdict, Error> {
    let (began, begun) = (Timestamp::now(), Instant::now());
    let model = match &config.store {
        Some(store) => Some(store.folder(Kind::Models, &config.version).await?),
        None => None,
    };
    let stored = || model.as_ref()?.manifest().details["model_digest"].as_str().map(str::to_owned);
    let digest = config.digest.clone().or_else(stored);
    let preview = Arc::new(Target::new(&config.preview, config.connections)?);
    let active = match &config.active {
        Some(address) => Some(Arc::new(Target::new(address, config.connections)?)),
        None => None,
    };

    let mut gate = Gate { config, deck, checks: Checks::new(config.limits), draws: Draws::of(deck, config.seed) };
    let mut verdict = empty(config, deck, began);
    gate.run(&mut verdict, &preview, active.as_ref(), model.as_ref(), digest).await?;
    verdict.checks = gate.checks.into_all();
    verdict.decision = Verdict::decide(&verdict.checks);
    verdict.seconds = begun.elapsed().as_secs_f64();
    Ok(verdict)
}

fn empty(config: &Config, deck: &Deck, began: Timestamp) -> Verdict {
    let side = |address: &Address| Side {
        url: address.url.to_string(),
        version: String::new(),
        digest: String::new(),
        ready_seconds: 0.0,
    };
    Verdict {
        schema: verdict::SCHEMA,
        decision: Decision::Unknown,
        began_at: began.strftime("%FT%TZ").to_string(),
        seconds: 0.0,
        expected: config.version.clone(),
        preview: side(&config.preview),
        active: config.active.as_ref().map(side),
        checks: Vec::new(),
        race: None,
        knee: None,
        answers: None,
        memory: None,
        settings: json!({
            "rate": config.rate,
            "seconds": config.length.as_secs_f64(),
            "highest_rate": config.highest,
            "compared": config.compared,
            "connections": config.connections,
            "deadline_seconds": config.deadline.as_secs_f64(),
            "requests": deck.len(),
            "seed": config.seed,
            "limits": config.limits,
        }),
        machine: Machine {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            load: load(),
            noise: f64::NAN,
            generator_limited: false,
        },
    }
}

/// Processes that want to run, of the last minute; nothing where the system does not tell.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_in_flight_as_are_due_in_a_second_within_reason() {
        assert_eq!([0.1, 64.0, 200.0, 4_096.0, 1e6].map(in_flight), [64, 64, 200, 4_096, 4_096]);
    }
}
