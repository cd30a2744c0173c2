//! One login at Vault, and the secret that is read with it.

use std::{collections::BTreeMap, io, time::Duration};

use rustify::errors::ClientError as HttpError;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Dispatch, dispatcher, instrument::WithSubscriber};
use vaultrs::{
    api::{self, AuthInfo, kv2::requests::ReadSecretRequest},
    auth::{approle, kubernetes},
    client::{Client, VaultClient, VaultClientSettingsBuilder},
    error::ClientError,
    token,
};

use super::{
    Reading, VaultError,
    settings::{Login, Settings},
};
use crate::{Cause, innermost};

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of what Vault says is repeated.
const REPEATED: usize = 300;

pub(super) struct Session {
    client: VaultClient,
    settings: Settings,
    /// The keys of the secret that are read.
    names: Vec<String>,
    lease: Option<Lease>,
}

/// For how long a token is good.
#[derive(Clone, Copy)]
struct Lease {
    since: Instant,
    granted: Duration,
    renewable: bool,
}

impl Lease {
    /// From now on. Nothing is granted to what never ends.
    fn of(seconds: u64, renewable: bool) -> Option<Self> {
        (seconds > 0).then(|| Self { since: Instant::now(), granted: Duration::from_secs(seconds), renewable })
    }

    /// Early enough that it can be tried several times.
    fn renewal(&self) -> Instant {
        self.since + self.granted * 2 / 3
    }
}

/// An answer that says no.
struct Refusal {
    status: u16,
    said: String,
    /// Where the answer is about a version of a secret, which one.
    version: Option<u64>,
}

impl Session {
    /// One that has not logged in yet.
    pub(super) fn new(settings: Settings, names: Vec<String>) -> Result<Self, VaultError> {
        // The client comes without a TLS provider. That there is one already, the same, is well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // All is set here, since what is not is taken from variables of the environment.
        let built = VaultClientSettingsBuilder::default()
            .address(&settings.address)
            .ca_certs(settings.ca_file.iter().cloned().collect())
            .identity(None)
            .timeout(Some(PATIENCE))
            .token("")
            .verify(true)
            .build();
        let built = built.map_err(|error| VaultError::Address { reason: error.to_string() })?;
        let client = dispatcher::with_default(&Dispatch::none(), || VaultClient::new(built));
        let client = client.map_err(|error| {
            let path = settings.ca_file.clone().unwrap_or_default();
            VaultError::CaFile { path, source: innermost(&error).to_string().into() }
        })?;
        Ok(Self { client, settings, names, lease: None })
    }

    /// Path of the secret, as `vault kv get` takes it.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.settings.mount, self.settings.path)
    }

    /// When the login is to be renewed, if it ever ends.
    pub(super) fn renewal(&self) -> Option<Instant> {
        self.lease.as_ref().map(Lease::renewal)
    }

    /// Reads the secret. Logs in where that is needed, which is also when a login that seemed good is refused: somebody may
    /// have revoked it.
    pub(super) async fn ask(&mut self) -> Result<Reading, VaultError> {
        let mut new = self.have_login().await?;
        loop {
            let request = ReadSecretRequest {
                mount: self.settings.mount.clone(),
                path: self.settings.path.clone(),
                version: None,
            };
            match quietly(api::exec_with_result(&self.client, request)).await {
                Ok(answer) => return self.reading(answer.data, answer.metadata.version),
                Err(error) => match self.refusal(error)? {
                    Refusal { status: 403, .. } if !new => {
                        self.log_in().await?;
                        new = true;
                    }
                    refusal => return Err(self.unreadable(refusal).await),
                },
            }
        }
    }

    fn reading(&self, data: Value, version: u64) -> Result<Reading, VaultError> {
        let Value::Object(mut data) = data else { return Err(self.missing()) };
        let mut values = BTreeMap::new();
        for name in &self.names {
            match data.remove(name) {
                None => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(Value::String(text)) => {
                    values.insert(name.clone(), SecretString::from(text));
                }
                Some(_) => return Err(VaultError::NotText { path: self.path(), key: name.clone() }),
            }
        }
        Ok(Reading { values, version })
    }

    /// Makes sure of a login that is good. Tells whether it is new.
    async fn have_login(&mut self) -> Result<bool, VaultError> {
        let now = Instant::now();
        let good = match self.lease {
            // One that never ends, once there is one.
            None => !self.client.settings.token.is_empty(),
            Some(lease) if now < lease.renewal() => true,
            Some(lease) if now < lease.since + lease.granted && lease.renewable => self.renew(lease.granted).await?,
            Some(_) => false,
        };
        if good {
            return Ok(false);
        }
        self.log_in().await?;
        Ok(true)
    }

    /// Whether the login was renewed. Past its longest life Vault grants what is left of that, and says nothing.
    async fn renew(&mut self, granted: Duration) -> Result<bool, VaultError> {
        match quietly(token::renew_self(&self.client, None)).await {
            Ok(auth) if Duration::from_secs(auth.lease_duration) < granted / 2 => Ok(false),
            Ok(auth) => {
                self.lease = Lease::of(auth.lease_duration, auth.renewable);
                tracing::debug!(path = self.path(), seconds = auth.lease_duration, "login to Vault renewed");
                Ok(true)
            }
            Err(error) => self.refusal(error).map(|_| false),
        }
    }

    async fn log_in(&mut self) -> Result<(), VaultError> {
        self.lease = None;
        // An old token has no part in a new login.
        self.client.set_token("");
        let (mount, variables, answer) = match &self.settings.login {
            Login::Token(token) => {
                self.client.set_token(token.expose_secret());
                return self.look_up().await.map(drop);
            }
            Login::AppRole { mount, role_id, secret_id } => {
                let (role_id, secret_id) = (role_id.expose_secret(), secret_id.expose_secret());
                let answer = quietly(approle::login(&self.client, mount, role_id, secret_id)).await;
                (mount, "VAULT_ROLE_ID, VAULT_SECRET_ID, VAULT_AUTH_MOUNT", answer)
            }
            Login::Jwt { mount, role, file } => {
                // Read anew, since Kubernetes replaces it before it expires.
                let jwt = tokio::fs::read_to_string(file).await.map_err(|error| VaultError::JwtFile {
                    path: file.display().to_string(),
                    source: innermost(&error).to_string().into(),
                })?;
                let jwt = SecretString::from(jwt);
                let answer = quietly(kubernetes::login(&self.client, mount, role, jwt.expose_secret().trim())).await;
                (mount, "VAULT_ROLE, VAULT_AUTH_MOUNT", answer)
            }
        };
        match answer {
            Ok(auth) => self.accept(&auth),
            Err(error) => {
                let (mount, refusal) = (mount.clone(), self.refusal(error)?);
                Err(VaultError::Login { address: self.address(), mount, variables, source: refusal.said.into() })
            }
        }
    }

    fn accept(&mut self, auth: &AuthInfo) -> Result<(), VaultError> {
        // The client ends the program over one that is no header.
        if auth.client_token.is_empty() || !auth.client_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(VaultError::Token { of: "what Vault gave at the login" });
        }
        self.client.set_token(&auth.client_token);
        self.lease = Lease::of(auth.lease_duration, auth.renewable);
        tracing::debug!(path = self.path(), seconds = auth.lease_duration, "logged in to Vault");
        Ok(())
    }

    /// Whether Vault knows the present token. It may be one that must not look itself up, so this is no proof.
    async fn look_up(&mut self) -> Result<bool, VaultError> {
        match quietly(token::lookup_self(&self.client)).await {
            Ok(found) => {
                self.lease = Lease::of(found.ttl, found.renewable.unwrap_or(false));
                Ok(true)
            }
            Err(error) => self.refusal(error).map(|_| false),
        }
    }

    /// Why a login that is good in itself does not give the secret.
    async fn unreadable(&mut self, refusal: Refusal) -> VaultError {
        let address = self.address();
        match refusal {
            Refusal { status: 403, .. } => {
                let known = match self.look_up().await {
                    Ok(known) => known,
                    Err(error) => return error,
                };
                match self.settings.login {
                    Login::Token(_) if !known => VaultError::TokenRefused { address },
                    _ => {
                        let path = format!("{}/data/{}", self.settings.mount, self.settings.path);
                        VaultError::Denied { address, path }
                    }
                }
            }
            Refusal { status: 404, version: Some(version), .. } => VaultError::Deleted { path: self.path(), version },
            Refusal { status: 404, .. } => self.missing(),
            Refusal { status, said, .. } => VaultError::Failing { address, status, source: said.into() },
        }
    }

    fn missing(&self) -> VaultError {
        VaultError::Missing { address: self.address(), path: self.path() }
    }

    /// Where Vault is, as a person writes it.
    fn address(&self) -> String {
        self.settings.address.as_str().trim_end_matches('/').to_owned()
    }

    /// The answer that says no; an error where there is no answer of Vault, or one that is about Vault itself.
    fn refusal(&self, error: ClientError) -> Result<Refusal, VaultError> {
        let address = self.address();
        let no_vault = |said: &str| VaultError::NoVault { address: address.clone(), source: said.into() };
        match error {
            ClientError::APIError { code: 503, errors } if errors.iter().any(|error| error.contains("sealed")) => {
                Err(VaultError::Sealed { address })
            }
            ClientError::APIError { code: status @ 500.., errors } => {
                Err(VaultError::Failing { address, status, source: repeated(&errors).into() })
            }
            ClientError::APIError { code: status, errors } => {
                Ok(Refusal { status, said: repeated(&errors), version: None })
            }
            ClientError::RestClientError { source: HttpError::ServerResponseError { code: status, content } } => {
                // What is deleted is answered in the form of what is there.
                let content: Value = content.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                match content.pointer("/data/metadata/version").and_then(Value::as_u64) {
                    Some(version) => Ok(Refusal { status, said: String::new(), version: Some(version) }),
                    None => Err(no_vault(&format!("it answers with status {status}"))),
                }
            }
            ClientError::RestClientError {
                source: error @ (HttpError::RequestError { .. } | HttpError::ResponseError { .. }),
            } => {
                let untrusted = is_of_tls(&error);
                let source: Cause = innermost(&error).to_string().into();
                if untrusted {
                    Err(VaultError::Untrusted { address, source })
                } else {
                    Err(VaultError::Unreachable { address, source })
                }
            }
            // These keep the whole answer, secrets and all, so nothing of them is told.
            _ => Err(no_vault("its answer cannot be understood")),
        }
    }
}

/// Nothing of the Vault client's own log, which tells each error of each request, and might one day tell more.
async fn quietly<T>(request: impl Future<Output = T>) -> T {
    request.with_subscriber(Dispatch::none()).await
}

/// What Vault says, in one line.
fn repeated(errors: &[String]) -> String {
    let said = errors.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
    if said.is_empty() { "it does not say why".to_owned() } else { said.chars().take(REPEATED).collect() }
}

/// Whether a certificate, or another part of TLS, is behind this. An I/O error does not tell its content as its source.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let content = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || content.is_some_and(|content| is_of_tls(content))
        || error.source().is_some_and(is_of_tls)
}
