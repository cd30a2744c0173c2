//! The rehearsal, and the stand-in that it starts.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args as Group;
use prowl_platform::{
    Kind, Store,
    arguments::{address, positive_duration, within},
};
use url::Url;

use super::{
    LimitArgs, RequestArgs,
    gate::COMPARED,
    rate,
    server::{self, CONNECTIONS},
};
use crate::{
    Error, gate,
    rehearse::{Break, Candidates, Config, Ports, Served, StandIn},
    target::Address,
};

/// `prowl-loadtest rehearse`
#[derive(Debug, Group)]
pub struct RehearseArgs {
    /// The model that is active first: a version, or `latest`
    #[arg(long, value_name = "VERSION", default_value = "latest")]
    pub blue: String,
    /// The model that is to take its place
    #[arg(long, value_name = "VERSION", default_value = "latest")]
    pub green: String,
    /// The server of blue [default: prowl-inference beside this program]
    #[arg(long, value_name = "PROGRAM")]
    pub blue_binary: Option<PathBuf>,
    /// The server of green [default: the same]
    #[arg(long, value_name = "PROGRAM")]
    pub green_binary: Option<PathBuf>,
    /// Calls a second through the switch
    #[arg(long, value_name = "N", default_value = "1000", value_parser = rate)]
    pub rate: f64,
    /// How often is switched, forth and back
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = within(0, 1_000))]
    pub switches: u64,
    /// Plant a fault in green, which the gate has to catch; nothing is switched then
    #[arg(long = "break", value_name = "FAULT")]
    pub fault: Option<Break>,
    /// How long the gate compares both sides
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = positive_duration)]
    pub gate_time: Duration,
    /// Calls a second of the gate on each side
    #[arg(long, value_name = "N", default_value = "200", value_parser = rate)]
    pub gate_rate: f64,
    /// How long a server may take to be ready, and to drain
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = positive_duration)]
    pub patience: Duration,
    /// When an answer is given up
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    pub deadline: Duration,
    /// Folder for the logs of the servers, the verdict and its report
    #[arg(long, value_name = "FOLDER", default_value = "rehearsal")]
    pub output: PathBuf,
    /// Limits of the gate.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Print what came of it as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// What is sent.
    #[command(flatten)]
    pub requests: RequestArgs,
}

/// `prowl-loadtest stand-in`
#[derive(Debug, Group)]
pub struct StandInArgs {
    /// The gRPC port of the real server
    #[arg(long, value_name = "URL", value_parser = server::url)]
    pub of: Url,
    /// Its HTTP port
    #[arg(long, value_name = "URL", value_parser = server::url)]
    pub of_http: Option<Url>,
    /// What it plants
    #[arg(long = "break", value_name = "FAULT")]
    pub fault: Option<Break>,
    /// Where it takes calls
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub listen: SocketAddr,
    /// Where it tells its memory
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub http: SocketAddr,
    /// Of the dice
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl From<StandInArgs> for StandIn {
    fn from(StandInArgs { of, of_http, fault, listen, http, seed }: StandInArgs) -> Self {
        Self { of, of_http, fault, listen, http, seed }
    }
}

impl RehearseArgs {
    /// The rehearsal that is meant, with the models of this store.
    ///
    /// # Errors
    /// The store has no such model, or this program does not know where it is.
    pub async fn config(&self, store: &Store) -> Result<Config, Error> {
        let program = std::env::current_exe().map_err(|source| Error::File {
            what: "find",
            path: "this program".into(),
            source,
        })?;
        let beside = program.with_file_name("prowl-inference");
        let served = async |model: &str, binary: Option<&PathBuf>| {
            let folder = store.folder(Kind::Models, model).await?;
            Ok::<_, Error>(Served {
                binary: binary.unwrap_or(&beside).clone(),
                store: store.url().to_string(),
                model: folder.name().to_owned(),
            })
        };
        let blue = served(&self.blue, self.blue_binary.as_ref()).await?;
        let green_binary = self.green_binary.as_ref().or(self.blue_binary.as_ref());
        let green = served(&self.green, green_binary).await?;
        // Where both are the same, a third one is the wrong one.
        let third = if self.fault == Some(Break::WrongModel) && blue.model == green.model {
            store.newest(Kind::Models, |model| model.name() != green.model).await?
        } else {
            None
        };
        Ok(Config {
            blue,
            green,
            fault: self.fault,
            wrong_model: third.map(|model| model.name().to_owned()),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            rate: self.rate,
            switches: self.switches as usize,
            calm: Duration::from_secs(4),
            scale_down_delay: Duration::from_secs(1),
            pause: Duration::from_secs(1),
            crash_after: self.gate_time / 2,
            patience: self.patience,
            folder: self.output.clone(),
            program,
            seed: self.requests.seed,
        })
    }

    /// The gate in between, of the models of this store. It looks for no knee and has goose test nothing: both sides share this
    /// machine with the load that is held.
    pub fn gate(&self, candidates: Candidates, store: &Store) -> gate::Config {
        let side =
            |name, ports: Ports| Address { name, url: ports.grpc, http: Some(ports.http), ca_file: None, token: None };
        gate::Config {
            preview: side("preview", candidates.preview),
            active: Some(side("active", candidates.active)),
            version: candidates.expected,
            digest: None,
            store: Some(store.clone()),
            panel: true,
            patience: self.patience,
            deadline: self.deadline,
            rate: self.gate_rate,
            length: self.gate_time,
            test: None,
            highest: None,
            step: Duration::ZERO,
            compared: COMPARED as usize,
            connections: CONNECTIONS as usize,
            seed: self.requests.seed,
            limits: self.limits.into(),
        }
    }
}
