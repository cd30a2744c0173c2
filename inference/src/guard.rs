//! Who may ask: whoever brings a token that is known. Tokens have names, so that figures and logs tell whose they are without
//! showing them, and change while the server runs.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use prowl_platform::Secrets;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::Error;

/// The secret that holds the tokens: `name:token`, several of them on lines of their own or between commas.
pub(crate) const SECRET: &str = "api_tokens";

/// Shortest token: one that is shorter can be guessed.
const SHORTEST: usize = 16;

/// How long a change of the secret may go unnoticed here.
const PAUSE: Duration = Duration::from_secs(1);

/// Lets those in who are known. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// `None` lets everybody in.
    tokens: Option<Arc<ArcSwap<Tokens>>>,
}

/// Tokens by what SHA-256 makes of them: a comparison of these tells nothing of how much of a token was right.
struct Tokens(Vec<(Arc<str>, [u8; 32])>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Guard {
    /// Lets everybody in.
    pub(crate) fn open() -> Self {
        Self { tokens: None }
    }

    /// Lets those in who bring one of the tokens of the secret, as it is at that moment.
    ///
    /// # Errors
    /// There are none, or what there is cannot be read.
    pub(crate) fn with(secrets: &Secrets) -> Result<Self, String> {
        let secret = secrets.get(SECRET).ok_or_else(|| "there are none".to_owned())?;
        let tokens = Arc::new(ArcSwap::from_pointee(Tokens::parse(&secret)?));
        tokio::spawn(follow(Arc::downgrade(&tokens), secrets.clone(), digest(&secret)));
        Ok(Self { tokens: Some(tokens) })
    }

    /// The name of the token that a request brings; nothing where none is needed.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub(crate) fn name(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Error> {
        let Some(tokens) = &self.tokens else { return Ok(None) };
        let missing = Error::Unauthenticated("a token is needed here: send the header `authorization: Bearer TOKEN`");
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Err(missing) };
        let Some((kind, token)) = value.as_bytes().split_at_checked(7) else { return Err(missing) };
        if !kind.eq_ignore_ascii_case(b"bearer ") {
            return Err(missing);
        }
        let found = tokens.load().name(token);
        found
            .map(Some)
            .ok_or(Error::Unauthenticated("the token is not known here: it was mistyped, or is no longer valid"))
    }
}

impl Tokens {
    fn parse(secret: &SecretString) -> Result<Self, String> {
        let entries = secret.expose_secret().split(['\n', ',']).map(str::trim).filter(|entry| !entry.is_empty());
        let token = |(place, entry): (usize, &str)| {
            let wrong = |what: &str| Err(format!("number {} of them {what}: write name:token", place + 1));
            let Some((name, token)) = entry.split_once(':') else { return wrong("has no name") };
            let named =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !named {
                return wrong("has a name that is not made of letters, digits, `-`, `_` and `.`");
            }
            if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return wrong("has a token that is shorter than 16 characters, or holds others than visible ones");
            }
            Ok((Arc::from(name), Sha256::digest(token).into()))
        };
        let tokens = entries.enumerate().map(token).collect::<Result<Vec<_>, String>>()?;
        if tokens.is_empty() { Err("there are none".to_owned()) } else { Ok(Self(tokens)) }
    }

    /// The name of a token. All are looked at, also after one was found.
    fn name(&self, token: &[u8]) -> Option<Arc<str>> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for (name, known) in &self.0 {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(Arc::clone(name));
            }
        }
        found
    }
}

fn digest(secret: &SecretString) -> [u8; 32] {
    Sha256::digest(secret.expose_secret()).into()
}

/// Takes the tokens as they change, for as long as somebody asks for them. Those that cannot be read change nothing.
async fn follow(tokens: std::sync::Weak<ArcSwap<Tokens>>, secrets: Secrets, mut last: [u8; 32]) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let Some(tokens) = tokens.upgrade() else { return };
        let secret = secrets.get(SECRET).unwrap_or_default();
        let now = digest(&secret);
        if now == last {
            continue;
        }
        last = now;
        match Tokens::parse(&secret) {
            Ok(changed) => {
                tracing::info!(names = ?changed, "tokens changed");
                tokens.store(Arc::new(changed));
            }
            Err(error) => tracing::warn!(error, "the tokens were changed and cannot be read: those before stay"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn guard(tokens: &str) -> Result<Guard, String> {
        Guard::with(&Secrets::fixed(BTreeMap::from([(SECRET.to_owned(), tokens.into())])))
    }

    fn asks(guard: &Guard, value: &str) -> Result<Option<Arc<str>>, Error> {
        guard.name(&HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]))
    }

    #[tokio::test]
    async fn a_token_is_known_by_its_name() {
        let guard = guard("ci:0123456789abcdef\n bot:fedcba9876543210,\n").unwrap();
        assert_eq!(asks(&guard, "Bearer 0123456789abcdef").unwrap().as_deref(), Some("ci"));
        assert_eq!(asks(&guard, "bearer fedcba9876543210").unwrap().as_deref(), Some("bot"));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer ",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer  0123456789abcdef",
        ] {
            assert!(matches!(asks(&guard, wrong), Err(Error::Unauthenticated(_))), "{wrong}");
        }
        assert!(matches!(guard.name(&HeaderMap::new()), Err(Error::Unauthenticated(_))));
        assert_eq!(Guard::open().name(&HeaderMap::new()).unwrap(), None);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_without_being_shown() {
        for tokens in [
            "",
            "  \n",
            "hidden-token-of-nobody",
            "ci:short-secret",
            ":hidden-token-of-nobody",
            "a b:hidden-token-of-nobody",
        ] {
            let error = guard(tokens).unwrap_err();
            assert!(!error.contains("hidden") && !error.contains("secret"), "{error}");
        }
        assert!(guard("a:0123456789abcdef\nshort").unwrap_err().contains("number 2"));
        assert!(!format!("{:?}", guard("ci:0123456789abcdef").unwrap()).contains("0123"));
    }
}
