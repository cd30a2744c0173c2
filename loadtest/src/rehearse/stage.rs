//! What a rehearsal is played on: the switch, and blue and green behind it, each of its own process.

use std::{path::PathBuf, process::Command, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Break, Color, Config, Counts, Error, Ports,
    replica::{Replica, Served, Stopped, without_secrets},
    switch::{Switch, url_of},
};

/// Once a server has ended, so long its connections may take to be closed.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The pieces.
pub(super) struct Stage<'a> {
    config: &'a Config,
    pub(super) switch: Switch,
    /// By their place.
    standing: [Option<Standing>; 2],
    digests: [String; 2],
    started: usize,
}

/// A server, and the stand-in before it.
struct Standing {
    replica: Replica,
    stand_in: Option<Replica>,
}

impl Standing {
    fn front(&self) -> &Replica {
        self.stand_in.as_ref().unwrap_or(&self.replica)
    }
}

/// What was seen of one switch.
#[derive(Debug)]
pub(super) struct Switched {
    pub(super) to: Color,
    pub(super) at: Instant,
    /// When the last connection to the old side was closed.
    pub(super) drained: Instant,
    pub(super) stopped: Stopped,
    pub(super) cut: u64,
    /// How long the old side took to be there again.
    pub(super) ready_after: Duration,
}

impl<'a> Stage<'a> {
    /// Blue, active behind the switch.
    pub(super) async fn set(config: &'a Config) -> Result<Self, Error> {
        std::fs::create_dir_all(&config.folder).map_err(|source| Error::Log { path: config.folder.clone(), source })?;
        let address = config.listen;
        let switch = Switch::start(address, Color::Blue).await.map_err(|source| Error::Listen { address, source })?;
        let mut stage =
            Self { config, switch, standing: [None, None], digests: [String::new(), String::new()], started: 0 };
        stage.start(Color::Blue).await?;
        Ok(stage)
    }

    /// Starts a side and says to the switch where it is.
    pub(super) async fn start(&mut self, color: Color) -> Result<Duration, Error> {
        let served = self.config.served(color)?;
        let (name, log) = self.name("", color);
        let replica = Replica::start(name, served.command(), log, self.config.patience).await?;
        check_model(color, &served, &replica)?;
        let mut standing = Standing { replica, stand_in: None };
        if self.config.fault.is_some_and(Break::is_in_front) {
            let (name, log) = self.name("stand-in-of-", color);
            let command = self.stand_in(color, &standing.replica);
            standing.stand_in = Some(Replica::start(name, command, log, self.config.patience).await?);
        }
        let front = standing.front();
        self.switch.point(color, front.grpc());
        self.digests[color.place()].clone_from(&front.model().digest);
        let ready_after = standing.replica.ready_after();
        let megabytes = standing.replica.resident_bytes().map(|bytes| bytes >> 20);
        tracing::info!(%color, grpc = %front.grpc(), model = front.model().version, ?ready_after, megabytes, "started");
        self.standing[color.place()] = Some(standing);
        Ok(ready_after)
    }

    /// The gRPC and the HTTP port of a side, if it stands.
    pub(super) fn ports(&self, color: Color) -> Option<Ports> {
        let front = self.standing[color.place()].as_ref()?.front();
        Some(Ports { grpc: url_of(front.grpc()), http: url_of(front.http()) })
    }

    /// Digests of what blue and green serve; empty where one was never started.
    pub(super) fn digests(&self) -> [&str; 2] {
        self.digests.each_ref().map(String::as_str)
    }

    /// What became of the connections to blue and green.
    pub(super) fn counts(&self) -> [Counts; 2] {
        Color::ALL.map(|color| self.switch.counts(color))
    }

    /// Ends a side as a crash does.
    pub(super) fn kill(&mut self, color: Color) {
        if let Some(standing) = &mut self.standing[color.place()] {
            tracing::info!(%color, "killed");
            standing.replica.kill();
        }
    }

    /// Switches to the other side, drains the one that was active, and has it ready again for the way back.
    pub(super) async fn turn(&mut self) -> Result<Switched, Error> {
        let from = self.switch.active();
        let to = from.other();
        self.switch.switch_to(to);
        let at = Instant::now();
        tracing::info!(%to, "switched");
        // What was connected last is still in the queue of the old server; in a rollout this is `scaleDownDelaySeconds`.
        sleep(self.config.scale_down_delay).await;
        let stopped = self.stop(from).await?;
        let cut = if self.switch.drained(from, LAST_WORDS).await {
            0
        } else {
            let cut = self.switch.close_rest(from);
            self.switch.drained(from, LAST_WORDS).await;
            cut
        };
        let drained = Instant::now();
        let ready_after = self.start(from).await?;
        Ok(Switched { to, at, drained, stopped, cut, ready_after })
    }

    /// Ends both sides as they are ended in a cluster.
    pub(super) async fn end(&mut self) -> Result<(), Error> {
        for color in Color::ALL {
            if self.standing[color.place()].is_some() {
                self.stop(color).await?;
            }
        }
        self.switch.close(LAST_WORDS).await;
        Ok(())
    }

    /// Sends SIGTERM to a side and waits for its end: the stand-in first, which hands on what was begun.
    async fn stop(&mut self, color: Color) -> Result<Stopped, Error> {
        let Some(Standing { replica, stand_in }) = self.standing[color.place()].take() else {
            return Ok(Stopped { code: None, after: Duration::ZERO });
        };
        if let Some(stand_in) = stand_in {
            stand_in.stop(self.config.patience).await?;
        }
        let stopped = replica.stop(self.config.patience).await?;
        tracing::info!(%color, code = stopped.code, after = ?stopped.after, "ended");
        Ok(stopped)
    }

    /// A name, and a log that no earlier start has written.
    fn name(&mut self, of: &str, color: Color) -> (String, PathBuf) {
        self.started += 1;
        let name = format!("{of}{color}");
        let log = self.config.folder.join(format!("{:03}-{name}.log", self.started));
        (name, log)
    }

    /// This program as a stand-in. Before blue it plants nothing.
    fn stand_in(&self, color: Color, real: &Replica) -> Command {
        let mut command = Command::new(&self.config.program);
        command.args(["stand-in", "--of", url_of(real.grpc()).as_str()]);
        command.args(["--of-http", url_of(real.http()).as_str()]);
        command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--seed", &self.config.seed.to_string()]);
        if let (Some(fault), Color::Green) = (self.config.fault, color) {
            command.args(["--break", fault.name()]);
        }
        without_secrets(&mut command, |_| false);
        command
    }
}

fn check_model(color: Color, served: &Served, replica: &Replica) -> Result<(), Error> {
    let found = &replica.model().version;
    if *found == served.model {
        return Ok(());
    }
    Err(Error::OtherModel { name: color.to_string(), expected: served.model.clone(), found: found.clone() })
}
