//! The switch to a new version, rehearsed on one machine: blue and green are real servers behind a TCP switch of our own, and
//! a load is held on it while the gate judges green, the switch goes over, the old side drains, and all goes back again.
//!
//! ```text
//! load ──> switch ──┬──> blue   prowl-inference --model A
//!                   └──> green  prowl-inference --model B   <── gate
//! ```
//!
//! It counts what a rollout must not have: calls that fail, answers of a model that nobody knows; and what it costs: the time in
//! which both versions answer, and the latency through the switch. With a [fault](Break) planted in green nothing is switched:
//! then it tells whether the gate has caught it.
//!
//! The load and the gate are handed in, so that this knows neither.

mod carry;
mod color;
mod error;
mod faults;
mod figures;
mod load;
mod memory;
mod replica;
mod report;
mod stage;
mod stand_in;
mod switch;

use std::{fmt, net::SocketAddr, path::PathBuf, pin::pin, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use url::Url;

pub use self::{
    color::{Color, Counts},
    error::Error,
    faults::Break,
    load::{Carried, Through},
    replica::Served,
    report::{Rehearsal, Turn},
    stand_in::{StandIn, stand_in},
};
use self::{
    report::Circumstances,
    stage::{Stage, Switched},
};
use crate::verdict::{Decision, Verdict};

/// What is rehearsed.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is active first.
    pub blue: Served,
    /// What is to take its place.
    pub green: Served,
    /// What is wrong with green.
    pub fault: Option<Break>,
    /// The version that green serves in place of its own under [`Break::WrongModel`]: blue's where none is named.
    pub wrong_model: Option<String>,
    /// Where the switch listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Calls a second through the switch.
    pub rate: f64,
    /// How often is switched, forth and back.
    pub switches: usize,
    /// How long the load is held before green is there. Of this the first quarter warms up, the rest is compared with.
    pub calm: Duration,
    /// Between a switch and the SIGTERM of the old side, as `scaleDownDelaySeconds` of a rollout.
    pub scale_down_delay: Duration,
    /// Between the moment at which the old side is there again and the next switch.
    pub pause: Duration,
    /// When [`Break::Crash`] kills green, since the begin of the gate.
    pub crash_after: Duration,
    /// How long a server may take to be ready, and to drain.
    pub patience: Duration,
    /// Where the logs of the servers go.
    pub folder: PathBuf,
    /// This program itself, which is started as a stand-in.
    pub program: PathBuf,
    /// Of the dice of faults.
    pub seed: u64,
}

/// What the gate is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// Green.
    pub preview: Ports,
    /// Blue.
    pub active: Ports,
    /// The version that green has to serve.
    pub expected: String,
}

/// Where one side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// Its gRPC port.
    pub grpc: Url,
    /// Its HTTP port, which has `/metrics`.
    pub http: Url,
}

/// What was seen beside the calls.
struct Played<E> {
    calm: (Instant, Instant),
    gate: Result<Verdict, E>,
    switched: Vec<Switched>,
}

/// Plays it. `load` makes calls through the switch until it is told to end; `gate` judges green once, in between. That the gate
/// fails is a part of what is told: it is never a go.
///
/// # Errors
/// A server does not start, serve or end as it has to, or the load ends too early: then nothing can be said.
pub async fn rehearse<L, LF, G, GF, E>(config: &Config, load: L, gate: G) -> Result<Rehearsal, Error>
where
    L: FnOnce(Through) -> LF,
    LF: Future<Output = Result<Carried, E>> + Send + 'static,
    G: FnOnce(Candidates) -> GF,
    GF: Future<Output = Result<Verdict, E>>,
    E: fmt::Display + Send + 'static,
{
    let mut stage = Stage::set(config).await?;
    let (begun, until) = (Instant::now(), CancellationToken::new());
    let through = Through { url: stage.switch.url(), rate: config.rate, until: until.clone() };
    // A task of its own: it has to go on while a server is started or waited for.
    let mut carrying = AbortOnDropHandle::new(tokio::spawn(load(through)));
    let played = tokio::select! {
        played = play(config, &mut stage, gate) => played?,
        ended = &mut carrying => {
            let reason = match ended {
                Ok(Ok(_)) => "it ended before it was told to".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic.to_string(),
            };
            return Err(Error::Load { reason });
        }
    };
    until.cancel();
    let length = begun.elapsed();
    let carried = match timeout(config.patience, carrying).await {
        Ok(Ok(Ok(carried))) => carried,
        Ok(Ok(Err(error))) => return Err(Error::Load { reason: error.to_string() }),
        Ok(Err(panic)) => return Err(Error::Load { reason: panic.to_string() }),
        Err(_) => return Err(Error::Load { reason: "it did not end when it was told to".to_owned() }),
    };
    let connections = stage.counts();
    stage.end().await?;
    let counted = carried.count(stage.digests(), played.calm, &played.switched);
    let gate = played.gate.map_err(|error| error.to_string());
    let (fault, rate) = (config.fault, config.rate);
    Ok(Rehearsal::new(counted, Circumstances { fault, rate, length, connections, gate }))
}

/// All that happens while the load is held.
async fn play<G, GF, E>(config: &Config, stage: &mut Stage<'_>, gate: G) -> Result<Played<E>, Error>
where
    G: FnOnce(Candidates) -> GF,
    GF: Future<Output = Result<Verdict, E>>,
{
    sleep(config.calm / 4).await;
    let warm = Instant::now();
    sleep(config.calm * 3 / 4).await;
    let calm = (warm, Instant::now());
    stage.start(Color::Green).await?;
    let ports = |color| stage.ports(color).expect("both were started");
    let expected = config.green.model.clone();
    let gate = gate(Candidates { preview: ports(Color::Green), active: ports(Color::Blue), expected });
    tracing::info!(fault = config.fault.map(Break::name), "the gate begins");
    let gate = match config.fault {
        Some(Break::Crash) => in_the_middle(gate, config.crash_after, || stage.kill(Color::Green)).await?,
        _ => gate.await,
    };
    let passed = gate.as_ref().is_ok_and(|verdict| verdict.decision == Decision::Go);
    tracing::info!(passed, "the gate has ended");
    let mut switched = Vec::new();
    // What is broken is not let near the load, whatever the gate says.
    if passed && config.fault.is_none() {
        for _ in 0..config.switches {
            switched.push(stage.turn().await?);
            sleep(config.pause).await;
        }
    }
    Ok(Played { calm, gate, switched })
}

/// Does something while a gate goes on, which has to last until then.
async fn in_the_middle<T>(gate: impl Future<Output = T>, after: Duration, then: impl FnOnce()) -> Result<T, Error> {
    let mut gate = pin!(gate);
    tokio::select! {
        _ = &mut gate => Err(Error::NotPlanted { after }),
        () = sleep(after) => {
            then();
            Ok(gate.await)
        }
    }
}

impl Config {
    /// What a side serves.
    fn served(&self, color: Color) -> Result<Served, Error> {
        match (color, self.fault) {
            (Color::Blue, _) => Ok(self.blue.clone()),
            (Color::Green, Some(Break::WrongModel)) => {
                let model = self.wrong_model.as_ref().unwrap_or(&self.blue.model).clone();
                if model == self.green.model {
                    return Err(Error::NoOther { expected: model });
                }
                Ok(Served { model, ..self.green.clone() })
            }
            (Color::Green, _) => Ok(self.green.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
