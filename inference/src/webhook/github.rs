//! What is asked of GitHub for one pull request: its files, and a check run that tells the answer.

use axum::http::Method;
use jiff::Timestamp;
use prowl_platform::{
    Secrets,
    github::{Client, Credentials, Failure, Kind, Request, Tries},
};
use reqwest::Url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{check_run::Output, delivery::Delivery};

/// The name of this program at GitHub.
const AGENT: &str = "prowl-inference";

/// What a check run is called.
const CHECK: &str = "Prowl";

/// Files, or check runs, of a page. GitHub gives no more.
const PAGE: usize = 100;
const PER_PAGE: (&str, &str) = ("per_page", "100");

/// Most pages of files that GitHub gives.
const PAGES: usize = 30;

/// One GitHub.
pub(super) struct GitHub {
    client: Client,
    credentials: Credentials,
}

/// What may be asked of it for one delivery, until a moment.
pub(super) struct Session<'a> {
    github: &'a GitHub,
    token: SecretString,
    /// The number of the App, where it is one: checks of the same name may be of others.
    app: Option<String>,
    delivery: &'a Delivery,
    until: Instant,
}

/// A file of a pull request, of which GitHub says more than this.
#[derive(Deserialize, Serialize)]
pub(super) struct File {
    filename: String,
    status: Option<String>,
    additions: Option<u64>,
    deletions: Option<u64>,
}

/// What became of a check run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// There was none before.
    Created,
    /// There was one for this commit.
    Updated,
    /// There was one for this commit, of a newer state of the pull request.
    Outdated,
}

impl Put {
    /// What it is counted under.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Outdated => "outdated",
        }
    }
}

impl GitHub {
    pub(super) fn new(api: Url, secrets: Secrets) -> Self {
        Self { client: Client::new(api, AGENT), credentials: Credentials::new(secrets) }
    }

    /// What may be asked for this delivery; `None` where no token is configured.
    pub(super) async fn session<'a>(
        &'a self,
        delivery: &'a Delivery,
        until: Instant,
    ) -> Result<Option<Session<'a>>, Failure> {
        let token = self.credentials.token(&self.client, delivery.installation, until).await?;
        let app = self.credentials.app_id();
        Ok(token.map(|token| Session { github: self, token, app, delivery, until }))
    }
}

impl Session<'_> {
    /// The files of the pull request: all of them, or the first 3,000.
    pub(super) async fn files(&self) -> Result<Vec<File>, Failure> {
        let mut files = Vec::new();
        let number = self.delivery.name.number.to_string();
        for page in (1..=PAGES).map(|page| page.to_string()) {
            let query = [PER_PAGE, ("page", &page)];
            let path = self.below(&["pulls", &number, "files"]);
            let found: Vec<File> =
                self.github.client.ask(&Request::get(&path, &query), &self.token, self.until).await?;
            let last = found.len() < PAGE;
            files.extend(found);
            if last {
                break;
            }
        }
        Ok(files)
    }

    /// Puts a check run to the commit, in the place of an older one of the same pull request.
    pub(super) async fn put(&self, output: &Output) -> Result<Put, Failure> {
        let mut tries = Tries::new(self.until);
        loop {
            // One that was created without our hearing of it is found at the next try.
            match self.put_once(output).await {
                Err(failure) => tries.after(failure).await?,
                put => return put,
            }
        }
    }

    async fn put_once(&self, output: &Output) -> Result<Put, Failure> {
        #[derive(Deserialize)]
        struct Found {
            check_runs: Vec<CheckRun>,
        }
        #[derive(Deserialize)]
        struct CheckRun {
            id: u64,
            external_id: Option<String>,
        }
        let Delivery { name, head, updated_at, .. } = self.delivery;
        // A commit may be that of several pull requests.
        let of_ours = format!("prowl:{}:", name.number);
        let mut query = vec![("check_name", CHECK), ("filter", "all"), PER_PAGE];
        query.extend(self.app.as_deref().map(|app| ("app_id", app)));
        let path = self.below(&["commits", head, "check-runs"]);
        let Found { check_runs } = self.ask_once(&Request::get(&path, &query)).await?;
        let known = |run: CheckRun| {
            let time: i64 = run.external_id?.strip_prefix(&of_ours)?.parse().ok()?;
            Some((time, run.id.to_string()))
        };
        let found = check_runs.into_iter().filter_map(known).max();
        let mut body = json!({
            "name": CHECK,
            "external_id": format!("{of_ours}{updated_at}"),
            "status": "completed",
            // It helps a reviewer and stands in nobody's way.
            "conclusion": "neutral",
            "completed_at": now(),
            "output": {"title": output.title, "summary": output.summary},
        });
        let (method, id) = match &found {
            Some((time, _)) if time > updated_at => return Ok(Put::Outdated),
            Some((_, id)) => (Method::PATCH, Some(&**id)),
            None => {
                body["head_sha"] = json!(head);
                (Method::POST, None)
            }
        };
        let mut path = self.below(&["check-runs"]);
        path.extend(id);
        let request = Request { method, body: Some(body.to_string().into()), ..Request::get(&path, &[]) };
        let _: Value = self.ask_once(&request).await?;
        Ok(if found.is_some() { Put::Updated } else { Put::Created })
    }

    async fn ask_once<A: DeserializeOwned>(&self, request: &Request<'_>) -> Result<A, Failure> {
        self.github.client.ask_once(request, &self.token, self.until).await
    }

    /// Why something came to nothing. Where the token was refused, the next delivery asks for a new one.
    pub(super) fn explain(&self, failure: &Failure) -> String {
        if matches!(failure.kind, Kind::Unauthorized | Kind::Forbidden) {
            self.github.credentials.forget(&self.token);
        }
        if failure.kind == Kind::Forbidden {
            return format!("{failure} (checks need the token of a GitHub App that may write them)");
        }
        failure.to_string()
    }

    /// A path below that of the repository.
    fn below<'b>(&'b self, rest: &[&'b str]) -> Vec<&'b str> {
        let name = &self.delivery.name;
        [&["repos", &*name.owner, &*name.repository], rest].concat()
    }
}

/// This moment, in whole seconds.
fn now() -> String {
    let now = Timestamp::now().as_second();
    Timestamp::from_second(now).unwrap_or_default().to_string()
}
