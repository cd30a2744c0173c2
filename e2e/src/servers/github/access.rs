//! Who may ask: personal tokens, and a GitHub App whose tokens are signed and end.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::{of_the_system, succeed};
use super::pull_request::rfc3339;
use super::world::Repository;

/// A token that may read everything. Planted: nobody may ever say it.
pub const TOKEN: &str = "ghp_plantedtokenofthecollector";
/// How the tokens of installations begin.
const OF_INSTALLATIONS: &str = "ghs_plantedtokenoftheinstallation";
/// The longest life of a token that an App signs for itself, in seconds.
const LONGEST: i64 = 600;

/// What a token may.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose budget it spends.
    pub account: String,
    /// Whose private repositories it sees.
    pub private: Private,
    /// Whether it may read pull requests.
    pub pull_requests: bool,
    /// Whether it has the scopes that queries need at all.
    pub scopes: bool,
    /// Until when it lasts, by the clock of the world, in seconds since 1970 UTC.
    pub ends: Option<i64>,
}

/// Whose private repositories a token sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum Private {
    All,
    None,
    Of(String),
}

impl Grant {
    /// All, under this account.
    pub fn all(account: &str) -> Self {
        Self { account: account.to_owned(), private: Private::All, pull_requests: true, scopes: true, ends: None }
    }

    pub(super) fn sees(&self, repository: &Repository) -> bool {
        !repository.private
            || match &self.private {
                Private::All => true,
                Private::None => false,
                Private::Of(owner) => owner.eq_ignore_ascii_case(repository.owner()),
            }
    }

    /// What is said of pull requests that it may not read.
    pub(super) fn not_accessible(&self) -> &'static str {
        match self.private {
            Private::Of(_) => "Resource not accessible by integration",
            _ => "Resource not accessible by personal access token",
        }
    }
}

/// The tokens that are known, and the App.
#[derive(Debug)]
pub(super) struct Access {
    tokens: HashMap<String, Grant>,
    app: Option<App>,
    given: usize,
}

/// A GitHub App and where it is installed.
#[derive(Debug)]
struct App {
    id: String,
    key: String,
    /// Owners by the numbers of the installations, from 1 on.
    installations: Vec<String>,
    /// How long the token of an installation lasts.
    lasts: Duration,
    pull_requests: bool,
    folder: tempfile::TempDir,
}

/// A refusal: status and message.
pub(super) type Refusal = (u16, String);

impl Access {
    pub(super) fn new() -> Self {
        let tokens = HashMap::from([(TOKEN.to_owned(), Grant::all("collector"))]);
        Self { tokens, app: None, given: 0 }
    }

    pub(super) fn put(&mut self, token: &str, grant: Grant) {
        self.tokens.insert(token.to_owned(), grant);
    }

    /// The tokens of installations that were given out are worth nothing any more.
    pub(super) fn revoke(&mut self) {
        self.tokens.retain(|token, _| !token.starts_with(OF_INSTALLATIONS));
    }

    /// How many tokens of installations were given out.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// What a token may at this moment.
    pub(super) fn grant(&self, token: &str, now: i64) -> Option<Grant> {
        self.tokens.get(token).filter(|grant| grant.ends.is_none_or(|end| now < end)).cloned()
    }

    /// Registers an App, installed at these owners; gives its number and private key.
    pub(super) fn register(&mut self, owners: &[&str], lasts: Duration, pull_requests: bool) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let openssl = || {
            let mut command = Command::new(of_the_system("openssl"));
            command.current_dir(folder.path());
            command
        };
        // As GitHub gives it, in PKCS #1.
        succeed(openssl().args(["genrsa", "-traditional", "-out", "private.pem", "2048"]));
        succeed(openssl().args(["rsa", "-in", "private.pem", "-pubout", "-out", "public.pem"]));
        let key = fs::read_to_string(folder.path().join("private.pem")).unwrap();
        let installations = owners.iter().map(|owner| (*owner).to_owned()).collect();
        let id = "4711".to_owned();
        self.app = Some(App { id: id.clone(), key: key.clone(), installations, lasts, pull_requests, folder });
        (id, key)
    }

    /// Answers what an App asks under its own token: `GET /app`, for its installation at an owner, or for a token.
    pub(super) fn ask_as_app(&mut self, path: &[&str], token: &str, now: i64) -> Result<(u16, Value), Refusal> {
        let unknown = || (404, "Not Found".to_owned());
        let app = self.app.as_ref().ok_or_else(|| (401, "A JSON web token could not be decoded".to_owned()))?;
        app.check(token, now)?;
        match path {
            ["app"] => Ok((200, json!({ "id": 4711, "slug": "prowl" }))),
            ["orgs" | "users", owner, "installation"] => {
                let at = app.installations.iter().position(|known| known.eq_ignore_ascii_case(owner));
                let at = at.ok_or_else(unknown)?;
                Ok((200, json!({ "id": at + 1, "account": { "login": app.installations[at] } })))
            }
            ["app", "installations", number, "access_tokens"] => {
                let number: usize = number.parse().map_err(|_| unknown())?;
                let owner = number.checked_sub(1).and_then(|at| app.installations.get(at)).ok_or_else(unknown)?;
                let ends = now + app.lasts.as_secs() as i64;
                let grant = Grant {
                    account: format!("installation-{number}"),
                    private: Private::Of(owner.clone()),
                    pull_requests: app.pull_requests,
                    scopes: true,
                    ends: Some(ends),
                };
                self.given += 1;
                let token = format!("{OF_INSTALLATIONS}{}", self.given);
                self.tokens.insert(token.clone(), grant);
                Ok((201, json!({ "token": token, "expires_at": rfc3339(ends) })))
            }
            _ => Err(unknown()),
        }
    }

    /// Whether a text gives a token or the key of the App away.
    pub(super) fn is_given_away_by(&self, text: &str) -> bool {
        let lines = self.app.iter().flat_map(|app| app.key.lines()).filter(|line| !line.starts_with('-'));
        self.tokens.keys().any(|token| text.contains(token))
            || text.contains(OF_INSTALLATIONS)
            || lines.into_iter().any(|line| text.contains(line))
    }
}

impl App {
    /// Whether the token is one that the App signed (RFC 7519, RS256), and holds now.
    fn check(&self, token: &str, now: i64) -> Result<(), Refusal> {
        let refused = |text: &str| (401, text.to_owned());
        let undecodable = || refused("A JSON web token could not be decoded");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(undecodable)?;
        let (header, claims) = signed.split_once('.').ok_or_else(undecodable)?;
        let decode = |text: &str| -> Option<Vec<u8>> { BASE64_URL_SAFE_NO_PAD.decode(text).ok() };
        let parse = |text: &str| -> Option<Value> { serde_json::from_slice(&decode(text)?).ok() };
        let (header, claims) = (parse(header).ok_or_else(undecodable)?, parse(claims).ok_or_else(undecodable)?);
        let signature = decode(signature).ok_or_else(undecodable)?;
        if header["alg"] != "RS256" || !self.has_signed(signed, &signature) {
            return Err(undecodable());
        }
        // A text or a number.
        if claims["iss"].to_string().trim_matches('"') != self.id {
            return Err((404, "Integration not found".to_owned()));
        }
        let claim = |name: &str| claims[name].as_i64();
        if claim("iat").is_none_or(|issued| issued > now) {
            let text =
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
            return Err(refused(text));
        }
        let text = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
                    assertion expires";
        let end = claim("exp").filter(|end| *end > now).ok_or_else(|| refused(text))?;
        if end > now + LONGEST {
            return Err(refused("'Expiration time' claim ('exp') is too far in the future"));
        }
        Ok(())
    }

    /// Asks another implementation than the one that signed.
    fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        fs::write(self.folder.path().join("signature"), signature).unwrap();
        let mut command = Command::new(of_the_system("openssl"));
        command.args(["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature"]);
        command.current_dir(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait().unwrap().success()
    }
}
