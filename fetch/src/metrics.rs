//! Figures of a run, for Prometheus: a run ends before anybody could scrape it, so it writes a file for the textfile
//! collector of a node exporter, or pushes to a Pushgateway.
//!
//! They are the numbers of the summary that `--json` prints, under its own names: `"requests": 7` becomes
//! `prowl_fetch_requests 7`, and `"pull_requests": {"inserted": 5}` becomes `prowl_fetch_pull_requests{kind="inserted"} 5`.
//! What a run does not know is not there. Before them stand four that each run has:
//!
//! ```text
//! prowl_fetch_success                          1, or 0 where it failed or left something out
//! prowl_fetch_duration_seconds
//! prowl_fetch_last_run_timestamp_seconds       when it ended
//! prowl_fetch_last_success_timestamp_seconds   when one ended well; a run that fails leaves it as it was
//! ```
//!
//! A run that did its work has not failed because nobody can be told: that is a warning.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use prometheus::{Gauge, GaugeVec, Opts, Registry, TEXT_FORMAT, TextEncoder, core::Collector};
use prowl_platform::innermost;
use reqwest::{Method, Url, header, redirect};
use serde::Serialize;
use serde_json::Value;

const PREFIX: &str = "prowl_fetch_";
const LAST_SUCCESS: &str = "prowl_fetch_last_success_timestamp_seconds";

/// How long a Pushgateway may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where figures go.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// A file, replaced as a whole.
    pub file: Option<PathBuf>,
    /// A Pushgateway. `/metrics/job/prowl-fetch/command/COMMAND` is added to its address, unless that names a job already.
    pub push: Option<Url>,
}

/// A run whose time is taken.
#[derive(Debug)]
pub struct Run {
    command: &'static str,
    begun: Instant,
}

impl Run {
    /// It begins now.
    pub fn begin(command: &'static str) -> Self {
        Self { command, begun: Instant::now() }
    }

    /// It has ended, well or not: writes and pushes its figures, and those of its summary where there is one.
    pub async fn end(self, target: &Target, summary: Option<&impl Serialize>, failed: bool) {
        let summary = summary.and_then(|summary| serde_json::to_value(summary).ok()).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let text = |last_success: Option<f64>| {
            let last_success = if failed { last_success } else { Some(now) };
            self.text(&summary, failed, now, last_success)
        };
        if let Some(path) = &target.file {
            // That of the last run, which may be none.
            let before = tokio::fs::read_to_string(path).await.unwrap_or_default();
            if let Err(error) = replace(path, &text(last_success(&before))).await {
                tracing::warn!(path = %path.display(), %error, "the figures of this run are not in their file");
            }
        }
        if let Some(gateway) = &target.push {
            // PUT replaces all that is there; POST leaves alone what is not in it, such as the last success.
            let method = if failed { Method::POST } else { Method::PUT };
            if let Err(error) = push(method, address(gateway, self.command), text(None)).await {
                let host = gateway.host_str().unwrap_or_default();
                tracing::warn!(host, error, "the figures of this run are not at the Pushgateway");
            }
        }
    }

    fn text(&self, summary: &Value, failed: bool, now: f64, last_success: Option<f64>) -> String {
        let figures = Figures { registry: Registry::new(), command: self.command };
        figures.set("success", "Whether the last run did all that it was asked to.", f64::from(u8::from(!failed)));
        figures.set("duration_seconds", "How long the last run took.", self.begun.elapsed().as_secs_f64());
        figures.set("last_run_timestamp_seconds", "When the last run ended.", now);
        if let Some(at) = last_success {
            figures.set("last_success_timestamp_seconds", "When a run last did all that it was asked to.", at);
        }
        for (name, value) in summary.as_object().into_iter().flatten() {
            let help = format!("`{name}` in the summary of the last run.");
            match value {
                Value::Number(number) => figures.set(name, &help, number.as_f64().unwrap_or_default()),
                Value::Object(kinds) => figures.set_kinds(name, &help, kinds),
                // Names and sentences are no figures; what is null is not known.
                _ => {}
            }
        }
        TextEncoder::new().encode_to_string(&figures.registry.gather()).unwrap_or_default()
    }
}

struct Figures {
    registry: Registry,
    command: &'static str,
}

impl Figures {
    fn set(&self, name: &str, help: &str, value: f64) {
        if let Ok(gauge) = Gauge::with_opts(self.opts(name, help)) {
            gauge.set(value);
            self.keep(gauge);
        }
    }

    fn set_kinds(&self, name: &str, help: &str, kinds: &serde_json::Map<String, Value>) {
        let Ok(gauges) = GaugeVec::new(self.opts(name, help), &["kind"]) else { return };
        let mut any = false;
        for (kind, value) in kinds {
            if let Some(value) = value.as_f64() {
                gauges.with_label_values(&[kind]).set(value);
                any = true;
            }
        }
        if any {
            self.keep(gauges);
        }
    }

    fn opts(&self, name: &str, help: &str) -> Opts {
        let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = name.chars().map(valid).collect();
        Opts::new(format!("{PREFIX}{name}"), help).const_label("command", self.command)
    }

    fn keep(&self, figure: impl Collector + 'static) {
        // A figure of the summary that is called like one of the four gives way to it.
        let _ = self.registry.register(Box::new(figure));
    }
}

/// When a run last ended well, as a text tells that an earlier one has written.
fn last_success(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(LAST_SUCCESS))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Puts a text in the place of a file in one step, so that nobody reads half of it.
async fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    // The collector reads what ends in `.prom`.
    let beside = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let mut written = tokio::fs::write(&beside, text).await;
    if written.is_ok() {
        written = tokio::fs::rename(&beside, path).await;
    }
    if written.is_err() {
        // It may not be there.
        let _ = tokio::fs::remove_file(&beside).await;
    }
    written
}

/// Where figures of a command are pushed to.
fn address(gateway: &Url, command: &str) -> Url {
    let mut url = gateway.clone();
    if !url.path().contains("/metrics/job/")
        && let Ok(mut path) = url.path_segments_mut()
    {
        path.pop_if_empty().extend(["metrics", "job", "prowl-fetch", "command", command]);
    }
    url
}

async fn push(method: Method, url: Url, text: String) -> Result<(), String> {
    let failed = |error: reqwest::Error| innermost(&error.without_url()).to_string();
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
    let request = client.map_err(failed)?.request(method, url).header(header::CONTENT_TYPE, TEXT_FORMAT).body(text);
    let response = request.send().await.map_err(failed)?;
    if response.status().is_success() { Ok(()) } else { Err(format!("it says {}", response.status())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    fn summary() -> Value {
        json!({
            "url": "file:///x", "requests": 7, "points_left": null, "success": 5, "odd-name": 1.5,
            "pull_requests": {"inserted": 5, "changed": 0, "note": "x"}, "notes": ["y"], "counts": {},
        })
    }

    async fn written(path: &Path, summary: Option<&Value>, failed: bool) -> String {
        let target = Target { file: Some(path.to_owned()), push: None };
        Run::begin("github").end(&target, summary, failed).await;
        std::fs::read_to_string(path).unwrap()
    }

    fn value(text: &str, figure: &str) -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(figure)?.trim().parse().ok())
    }

    #[tokio::test]
    async fn the_numbers_of_the_summary_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let text = written(&folder.path().join("fetch.prom"), Some(&summary()), false).await;
        for (figure, expected) in [
            ("prowl_fetch_success{command=\"github\"}", Some(1.0)),
            ("prowl_fetch_requests{command=\"github\"}", Some(7.0)),
            ("prowl_fetch_odd_name{command=\"github\"}", Some(1.5)),
            ("prowl_fetch_pull_requests{command=\"github\",kind=\"inserted\"}", Some(5.0)),
            ("prowl_fetch_pull_requests{command=\"github\",kind=\"changed\"}", Some(0.0)),
            ("prowl_fetch_points_left{command=\"github\"}", None),
        ] {
            assert_eq!(value(&text, figure), expected, "{figure} in {text}");
        }
        for nothing in ["url", "notes", "counts", "\"note\""] {
            assert!(!text.contains(nothing), "{nothing} in {text}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[tokio::test]
    async fn a_failure_leaves_the_last_success_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fetch.prom");
        let (success, last) =
            ("prowl_fetch_success{command=\"github\"}", format!("{LAST_SUCCESS}{{command=\"github\"}}"));
        let never = written(&path, None, true).await;
        assert_eq!((value(&never, success), value(&never, &last)), (Some(0.0), None));
        let well = written(&path, Some(&summary()), false).await;
        let at = value(&well, &last).unwrap();
        assert!(at > 1.6e9, "{well}");
        let failed = written(&path, Some(&summary()), true).await;
        assert_eq!((value(&failed, success), value(&failed, &last)), (Some(0.0), Some(at)));
        assert_eq!(value(&failed, "prowl_fetch_requests{command=\"github\"}"), Some(7.0));
    }

    #[tokio::test]
    async fn what_cannot_be_written_harms_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("missing/fetch.prom"), folder.path().to_owned(), "/".into()] {
            let target = Target { file: Some(path), push: Some("http://127.0.0.1:1".parse().unwrap()) };
            Run::begin("github").end(&target, None::<&Value>, false).await;
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn figures_are_pushed_by_put_and_those_of_a_failure_by_post() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target =
            Target { file: None, push: Some(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()) };
        for (failed, line) in [
            (false, "PUT /metrics/job/prowl-fetch/command/github HTTP/1.1"),
            (true, "POST /metrics/job/prowl-fetch/command/github HTTP/1.1"),
        ] {
            let answer = async {
                let mut stream = listener.accept().await.unwrap().0;
                let mut request = String::new();
                while !request.ends_with("success{command=\"github\"} 1\n")
                    && !request.ends_with("success{command=\"github\"} 0\n")
                {
                    let mut piece = [0; 4_096];
                    let read = stream.read(&mut piece).await.unwrap();
                    assert!(read > 0, "{request}");
                    request += std::str::from_utf8(&piece[..read]).unwrap();
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
                request
            };
            let (request, ()) = tokio::join!(answer, Run::begin("github").end(&target, None::<&Value>, failed));
            assert_eq!(request.lines().next(), Some(line));
            assert!(request.contains("content-type: text/plain; version=0.0.4"), "{request}");
            assert_eq!(request.contains(LAST_SUCCESS), !failed, "{request}");
        }
    }

    #[test]
    fn an_address_that_names_a_job_is_taken_as_it_is() {
        for (given, used) in [
            ("http://gateway:9091", "http://gateway:9091/metrics/job/prowl-fetch/command/git"),
            ("https://host/push/", "https://host/push/metrics/job/prowl-fetch/command/git"),
            ("http://gateway/metrics/job/prowl/team/a", "http://gateway/metrics/job/prowl/team/a"),
        ] {
            assert_eq!(address(&given.parse().unwrap(), "git").as_str(), used);
        }
    }
}
