//! Who a program is to GitHub: an App, whose installations have tokens of an hour; or whose token it is given.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout_at},
};

use super::{
    client::{Client, Request},
    jwt,
    refusal::{Again, Failure, Kind},
};
use crate::Secrets;

/// The number of an App and its private key in PEM; and a token, for whoever makes one by other means.
pub const SECRETS: [&str; 3] = ["github_app_id", "github_app_key", "github_token"];

/// How long the token of an installation is used. It is valid for an hour.
const USED: Duration = Duration::from_mins(50);

/// Most installations whose tokens are kept, most owners whose installation is, and most of whom only one may ask.
const MOST: usize = 1_000;

/// The tokens that a program asks GitHub with.
pub struct Credentials {
    secrets: Secrets,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Tokens of installations, and until when they are used.
    tokens: HashMap<u64, (SecretString, Instant)>,
    /// Installations by the owner of repositories, in lower case.
    installations: HashMap<String, u64>,
    /// Whose turn it is to ask about an installation, by its number or its owner.
    turns: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
}

/// An App: its number, and the key that it signs with.
struct App {
    id: SecretString,
    key: SecretString,
}

impl Credentials {
    /// Those that `secrets` hold under the names of [`SECRETS`], at each use anew.
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, kept: Mutex::default() }
    }

    /// The token to ask GitHub with about what an installation of the App has sent; without an App, the one that is given;
    /// `None` where none is configured.
    ///
    /// # Errors
    /// A secret cannot be used, or GitHub gives no token.
    pub async fn token(
        &self,
        client: &Client,
        installation: Option<u64>,
        until: Instant,
    ) -> Result<Option<SecretString>, Failure> {
        let Some(app) = self.app()? else { return Ok(self.given()) };
        let Some(installation) = installation else {
            let error = "the delivery is of no installation of the App: let the App's own webhook send it";
            return Err(Failure::lasting(error));
        };
        let _turn = self.turn(installation.to_string(), until).await?;
        self.of_installation(client, &app, installation, until).await.map(Some)
    }

    /// The token that may read the repositories of `owner`: that of the App's installation there, or without an App the
    /// one that is given.
    ///
    /// # Errors
    /// A secret is missing or cannot be used, the App is not installed there, or GitHub gives no token.
    pub async fn token_for_owner(&self, client: &Client, owner: &str, until: Instant) -> Result<SecretString, Failure> {
        let Some(app) = self.app()? else {
            return self.given().ok_or_else(|| {
                Failure::lasting(
                    "there is no secret github_token, nor github_app_id and github_app_key: set one of them",
                )
            });
        };
        let name = owner.to_lowercase();
        let _turn = self.turn(name.clone(), until).await?;
        let known = self.lock().installations.get(&name).copied();
        let installation = match known {
            Some(installation) => installation,
            None => installation_of(client, &app, owner, until).await?,
        };
        let token = self.of_installation(client, &app, installation, until).await;
        let installations = &mut self.lock().installations;
        if token.as_ref().is_err_and(|failure| failure.kind == Kind::NotFound) {
            // It was taken away since; the next call looks whether there is another.
            installations.remove(&name);
        } else {
            keep(installations, name, installation);
        }
        token
    }

    /// The number of the App, where the program is one.
    pub fn app_id(&self) -> Option<String> {
        let app = self.secrets.get(SECRETS[0])?.expose_secret().trim().to_owned();
        Some(app).filter(|app| !app.is_empty() && app.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// A token was refused: what that of an installation may do is written into it, and may be another by now, so the next
    /// call makes a new one.
    pub fn forget(&self, token: &SecretString) {
        self.lock().tokens.retain(|_, (kept, _)| kept.expose_secret() != token.expose_secret());
    }

    fn given(&self) -> Option<SecretString> {
        self.secrets.get(SECRETS[2])
    }

    fn app(&self) -> Result<Option<App>, Failure> {
        match (self.secrets.get(SECRETS[0]), self.secrets.get(SECRETS[1])) {
            (Some(id), Some(key)) => Ok(Some(App { id, key })),
            (None, None) => Ok(None),
            _ => {
                let error = "of the secrets github_app_id and github_app_key one is there without the other: set both or neither";
                Err(Failure::lasting(error))
            }
        }
    }

    /// Waits until nobody else asks about an installation: of many who need its token at once one asks, and the others
    /// find what that one was given.
    async fn turn(&self, name: String, until: Instant) -> Result<OwnedMutexGuard<()>, Failure> {
        let turn = {
            let turns = &mut self.lock().turns;
            let turn = turns.get(&name).cloned().unwrap_or_default();
            keep(turns, name, Arc::clone(&turn));
            turn
        };
        timeout_at(until, turn.lock_owned()).await.map_err(|_| Failure {
            error: "GitHub does not give a token in time".to_owned(),
            again: Again::Soon,
            kind: Kind::Timeout,
        })
    }

    async fn of_installation(
        &self,
        client: &Client,
        app: &App,
        installation: u64,
        until: Instant,
    ) -> Result<SecretString, Failure> {
        #[derive(Deserialize)]
        struct Given {
            token: String,
        }
        let known = self.lock().tokens.get(&installation).filter(|(_, end)| *end > Instant::now()).cloned();
        if let Some((token, _)) = known {
            return Ok(token);
        }
        let id = installation.to_string();
        let path = ["app", "installations", &id, "access_tokens"];
        let request = Request { method: Method::POST, ..Request::get(&path, &[]) };
        let Given { token } = client.ask(&request, &app.token()?, until).await?;
        let token = SecretString::from(token);
        keep(&mut self.lock().tokens, installation, (token.clone(), Instant::now() + USED));
        Ok(token)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

impl App {
    /// The token by which it shows who it is.
    fn token(&self) -> Result<SecretString, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        jwt::sign(self.id.expose_secret().trim(), self.key.expose_secret(), now).map_err(Failure::lasting)
    }
}

/// The App's installation at an owner of repositories, who is an organisation or a person.
async fn installation_of(client: &Client, app: &App, owner: &str, until: Instant) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Installation {
        id: u64,
    }
    for owners in ["orgs", "users"] {
        let path = [owners, owner, "installation"];
        match client.ask(&Request::get(&path, &[]), &app.token()?, until).await {
            Ok(Installation { id }) => return Ok(id),
            Err(failure) if failure.kind == Kind::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    let error = format!("the App is not installed at {owner}: install it there, with read access to pull requests");
    Err(Failure { kind: Kind::NotFound, ..Failure::lasting(error) })
}

/// Keeps a value, and the others only while they are not too many.
fn keep<K: Eq + std::hash::Hash, V>(kept: &mut HashMap<K, V>, key: K, value: V) {
    if kept.len() >= MOST && !kept.contains_key(&key) {
        kept.clear();
    }
    kept.insert(key, value);
}
