//! The secret of one stage in Vault, followed as long as the program runs: its login is renewed, and a value that changes
//! there is used here soon after.

mod error;
mod session;
mod settings;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    mem,
    sync::Arc,
    time::Duration,
};

pub use error::VaultError;
use secrecy::SecretString;
use session::Session;
pub(crate) use settings::Settings;
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::told_in_full;

/// What a secret holds: a text under each of the keys that were asked for and are there.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) values: BTreeMap<String, SecretString>,
    /// Vault counts the versions of a secret from one.
    pub(crate) version: u64,
}

/// A secret and the task that follows it. The task ends when this is dropped.
pub(crate) struct Vault {
    asking: Arc<Asking>,
    task: JoinHandle<()>,
}

impl Vault {
    /// Logs in, reads the keys `names`, and follows them, asking again about every `poll`.
    pub(crate) async fn open(settings: Settings, names: &[&str], poll: Duration) -> Result<Self, VaultError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut session = Session::new(settings, names)?;
        let path = session.path();
        let reading = session.ask().await?;
        tracing::info!(path, version = reading.version, "secrets read from Vault");
        let present = watch::Sender::new(Arc::new(reading));
        let asked = Asked { session, last: Instant::now(), outcome: Ok(()) };
        let asking = Asking { path, present, asked: Mutex::new(asked) };
        let asking = Arc::new(asking);
        let followed = Arc::clone(&asking);
        let task = tokio::spawn(async move { followed.follow(poll).await });
        Ok(Self { asking, task })
    }

    /// What was read last.
    pub(crate) fn present(&self) -> Arc<Reading> {
        Arc::clone(&self.asking.present.borrow())
    }

    /// Path of the secret, as `vault kv get` takes it.
    pub(crate) fn path(&self) -> &str {
        &self.asking.path
    }

    /// Reads the secret now. Several who ask at the same time are answered by one request.
    pub(crate) async fn refresh(&self) -> Result<(), Arc<VaultError>> {
        self.asking.ask(Instant::now()).await.map(drop)
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Asking {
    path: String,
    present: watch::Sender<Arc<Reading>>,
    asked: Mutex<Asked>,
}

struct Asked {
    session: Session,
    /// When Vault was last asked, and what came of it.
    last: Instant,
    outcome: Result<(), Arc<VaultError>>,
}

impl Asking {
    /// Reads the secret, unless somebody has begun to after `since`; then that answer is the answer. Tells when Vault wants
    /// to be asked again for the login's sake.
    async fn ask(&self, since: Instant) -> Result<Option<Instant>, Arc<VaultError>> {
        let mut asked = self.asked.lock().await;
        if asked.last < since {
            let begun = Instant::now();
            let answer = asked.session.ask().await;
            asked.last = begun;
            asked.outcome = answer.map(|reading| self.replace(reading)).map_err(Arc::new);
        }
        asked.outcome.clone().map(|()| asked.session.renewal())
    }

    fn replace(&self, reading: Reading) {
        let version = reading.version;
        let before = self.present.send_replace(Arc::new(reading)).version;
        if before != version {
            tracing::info!(path = self.path, version, before, "secrets changed in Vault");
        }
    }

    /// Asks again and again. What was read last stays while Vault is away, and that is told once.
    async fn follow(&self, poll: Duration) {
        let mut renewal = self.asked.lock().await.session.renewal();
        let mut told = None;
        loop {
            sleep(pause(poll, renewal)).await;
            renewal = match self.ask(Instant::now()).await {
                Ok(next) => {
                    if told.take().is_some() {
                        tracing::info!(path = self.path, "Vault gives the secrets again");
                    }
                    next
                }
                Err(error) => {
                    let kind = mem::discriminant(&*error);
                    if told.replace(kind) != Some(kind) {
                        let error = told_in_full(&*error);
                        tracing::warn!(path = self.path, error, "the secrets stay as they were last read");
                    }
                    None
                }
            };
        }
    }
}

/// How long to wait until Vault is asked again: about `poll`, or until the login is to be renewed.
fn pause(poll: Duration, renewal: Option<Instant>) -> Duration {
    // Services that were started at the same time shall not ask at the same time for ever.
    let dice = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    let usual = poll.mul_f64(0.8 + 0.4 * dice);
    // A login that ends within a moment is no reason to ask without a pause.
    let least = usual.min(Duration::from_secs(1));
    renewal.map_or(usual, |at| usual.min(at.saturating_duration_since(Instant::now()).max(least)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_about_the_usual_one_and_ends_when_the_login_is_to_be_renewed() {
        let second = Duration::from_secs(1);
        let poll = 30 * second;
        let pauses: Vec<Duration> = (0..100).map(|_| pause(poll, None)).collect();
        assert!(pauses.iter().all(|pause| (24 * second..=36 * second).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| pause != &pauses[0]), "all would ask at the same time");

        assert!(pause(poll, Some(Instant::now() + 10 * second)) <= 10 * second);
        assert!(pause(poll, Some(Instant::now() + 100 * second)) >= 24 * second);
        assert_eq!(pause(poll, Some(Instant::now())), second);
    }
}
