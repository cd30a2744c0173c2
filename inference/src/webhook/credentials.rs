//! Who this server is to GitHub: an App, whose installations have tokens of an hour; or whose token it is given.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prowl_platform::Secrets;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::client::{Ask, Client, Failure};

/// The number of an App and its private key in PEM; and a token, for whoever makes one by other means.
pub(crate) const SECRETS: [&str; 3] = ["github_app_id", "github_app_key", "github_token"];

/// How long the token of an installation is used. It is valid for an hour.
const USED: Duration = Duration::from_mins(50);

/// Most installations whose tokens are kept.
const MOST: usize = 1_000;

/// How long an App's own token is valid; GitHub takes ten minutes at most. Clocks may differ by one.
const VALID: u64 = 480;
const SKEW: u64 = 60;

pub(super) struct Credentials {
    secrets: Secrets,
    /// Tokens of installations, and until when they are used.
    kept: Mutex<HashMap<u64, (SecretString, Instant)>>,
}

impl Credentials {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self { secrets, kept: Mutex::default() }
    }

    /// The token to ask GitHub with; `None` where none is configured.
    pub(super) async fn token(
        &self,
        client: &Client,
        installation: Option<u64>,
        until: Instant,
    ) -> Result<Option<SecretString>, Failure> {
        let [app, key, token] = SECRETS.map(|name| self.secrets.get(name));
        let (app, key) = match (app, key) {
            (Some(app), Some(key)) => (app, key),
            (None, None) => return Ok(token),
            _ => {
                let error = "of the secrets github_app_id and github_app_key one is there without the other";
                return Err(Failure::lasting(error));
            }
        };
        let Some(installation) = installation else {
            let error = "the delivery is of no installation of the App: let the App's own webhook send it";
            return Err(Failure::lasting(error));
        };
        let known = self.lock().get(&installation).filter(|(_, end)| *end > Instant::now()).cloned();
        if let Some((token, _)) = known {
            return Ok(Some(token));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let own = own_token(app.expose_secret().trim(), key.expose_secret(), now).map_err(Failure::lasting)?;
        let id = installation.to_string();
        let path = ["app", "installations", &id, "access_tokens"];
        let ask = Ask { method: Method::POST, path: &path, query: &[], body: None };
        let Given { token } = client.ask(&ask, &own, until).await?;
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(installation, (token.clone().into(), Instant::now() + USED));
        Ok(Some(token.into()))
    }

    /// The number of the App, where this server is one.
    pub(super) fn app(&self) -> Option<String> {
        let app = self.secrets.get(SECRETS[0])?.expose_secret().trim().to_owned();
        Some(app).filter(|app| !app.is_empty() && app.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The token of an installation was refused: what it may do is written into it, and may be another by now.
    pub(super) fn forget(&self, installation: u64) {
        self.lock().remove(&installation);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (SecretString, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Given {
    token: String,
}

/// The token by which an App shows who it is: a JSON Web Token (RFC 7519), signed by RS256.
fn own_token(app: &str, key: &str, now: u64) -> Result<SecretString, String> {
    // The words of the parser may hold what it could not read.
    let unreadable = "the secret github_app_key is no RSA private key in PEM, as GitHub gives it";
    let pair = match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err(unreadable.to_owned()),
    };
    let pair = pair.map_err(|_| unreadable.to_owned())?;
    let claims = json!({"iat": now.saturating_sub(SKEW), "exp": now + VALID, "iss": app});
    let parts = [json!({"alg": "RS256", "typ": "JWT"}), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = parts.join(".");
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "the secret github_app_key cannot sign".to_owned())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_without_being_shown() {
        let rsa = |text: &str| format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n");
        for key in ["", "hidden", &rsa(""), &rsa("aGlkZGVu"), &rsa("hidden!")] {
            let told = own_token("7", key, 0).unwrap_err();
            assert!(told.contains("github_app_key") && !told.contains("hidden"), "{told}");
        }
    }
}
