//! The dashboard and the alerts of the service: what they ask for is what the running service tells, and a real Prometheus
//! understands them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prowl_e2e::servers::{Prometheus, promtool};
use prowl_e2e::{Server, TestStore, get_as, run, wait_for};
use prowl_proto::v1::{ScoreBatchRequest, ScoreRequest, score_request::Source, scoring_client::ScoringClient};
use serde_json::Value;
use tonic::Request;

const TOKEN: &str = "a-token-of-the-watch";

/// Labels that Prometheus adds to all that it scrapes.
const TARGET: [&str; 2] = ["job", "instance"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/observability")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// A query as the dashboard asks it, with all of its variables.
fn with_values(query: &str) -> String {
    let values = [("$__rate_interval", "30s"), ("$__range", "1m"), ("$job", ".+"), ("$instance", ".+")];
    let query = values.into_iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    assert!(!query.contains('$'), "a variable that has no value: {query}");
    query
}

#[test]
fn each_alert_fires_in_a_case_and_is_quiet_in_another() {
    promtool(&folder(), &["check", "rules", "alerts.yaml"], "");
    promtool(&folder(), &["test", "rules", "alerts_test.yaml"], "");
    let (rules, cases) = (read("alerts.yaml"), read("alerts_test.yaml"));
    let told = fs::read_to_string(folder().join("../../docs/serving.md")).unwrap();
    let alerts: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        let fires = cases
            .split(&format!("- alertname: {alert}\n"))
            .skip(1)
            .any(|case| case.lines().nth(1).is_some_and(|line| line.trim() == "exp_alerts:"));
        assert!(fires, "no case in which {alert} fires");
        assert!(cases.contains(&format!("{{alertname: {alert}, eval_time: 12h, exp_alerts: []}}")), "{alert}");
        assert!(told.contains(&format!("`{alert}`")), "docs/serving.md does not tell of {alert}");
    }
    assert!(told.contains("### Alerts"), "where their runbook_url leads");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_dashboard_and_the_alerts_ask_for_is_there() {
    let store = TestStore::empty();
    // What is scored came after all that the histories know: else it is a look back, and no drift.
    let mut past = store.synth(1000, 5);
    let later = past.0.split_off(600);
    store.preprocess_documents(&past);
    for seed in ["1", "2"] {
        let arguments = ["train", "--store", &store.url, "--features", "latest", "--epochs", "3", "--seed", seed];
        let _ = run("prowl-trainer", &arguments).expect_success();
    }
    let models = fs::read_dir(store.root.join("models")).unwrap();
    let served = models.map(|model| model.unwrap().file_name().into_string().unwrap()).min().unwrap();
    let arguments = ["--store", &store.url, "--model", &served, "--shadow", "latest", "--shadow-share", "1"];
    let server = Server::run(&[("API_TOKENS", format!("watch:{TOKEN}"))], &arguments);
    let mut prometheus = Prometheus::start(server.http(), TOKEN, &folder().join("alerts.yaml"));
    wait_for("the shadow", || {
        let (_, told) = get_as(TOKEN, server.http(), "/v1/shadow")?;
        serde_json::from_str::<Value>(&told).ok().filter(|told| told["loaded"].is_object())
    });
    // It looks for what to scrape every few seconds, and a rate is one of what it saw.
    prometheus.wait_for("prowl_in_flight");
    traffic(&server, &later).await;
    for query in ["prowl_drift_psi", "prowl_shadow_psi", "rate(prowl_shadow_scored_total[30s]) > 0"] {
        prometheus.wait_for(query);
    }
    let figures = get_as(TOKEN, server.http(), "/metrics").unwrap().1;
    promtool(&folder(), &["check", "metrics"], &figures);
    let told = Told::of(&figures);

    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    check_layout(panels);
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let (title, query) = (&panel["title"], with_values(target["expr"].as_str().unwrap()));
            told.has(&query);
            let found = prometheus.query(&query).unwrap_or_else(|error| panic!("{title}: {query}: {error}"));
            assert!(!found.is_empty(), "{title} shows nothing: {query}");
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            for label in legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
                assert!(found.iter().all(|series| series["metric"][label].is_string()), "{title} has no {label}");
            }
        }
    }
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter().filter_map(|it| it["expr"].as_str());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let variables: Vec<String> = variables.filter_map(|it| it["query"]["query"].as_str()).map(label_values).collect();
    assert_eq!(variables.len(), 2);
    for query in annotations.map(with_values).chain(variables) {
        told.has(&query);
        prometheus.query(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }

    let rules = prometheus.rules();
    assert!(rules.len() > 10);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_ne!(rule["state"], "firing", "{rule}");
        told.has(rule["query"].as_str().unwrap());
    }
    assert_eq!(server.stop(), 0);
}

/// Enough pull requests for an index, in batches that are small enough to be counted whole, and a few by themselves.
async fn traffic(server: &Server, documents: &[Value]) {
    let mut client = ScoringClient::connect(server.url()).await.unwrap().max_decoding_message_size(usize::MAX);
    let request = |document: &Value| ScoreRequest {
        source: Some(Source::GithubJson(document.to_string().into())),
        ..ScoreRequest::default()
    };
    for batch in documents[..360].chunks(90) {
        let requests = batch.iter().map(request).collect();
        client.score_batch(with_token(ScoreBatchRequest { requests })).await.unwrap();
        for document in &batch[..10] {
            client.score(with_token(request(document))).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1_050)).await;
    }
}

fn with_token<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    request
}

/// Panels lie beside and below each other, and each has a number of its own.
fn check_layout(panels: &[Value]) {
    let mut taken = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for panel in panels {
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(x < 24 && taken.insert((x, y)), "{} lies on another panel", panel["title"]);
        }
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        assert!(panel["type"] == "row" || panel["datasource"]["uid"] == "${datasource}", "{}", panel["title"]);
    }
}

/// The series of which a variable lists the values of a label.
fn label_values(definition: &str) -> String {
    let (series, label) =
        definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')?.rsplit_once(", ")).unwrap();
    with_values(&format!("count by ({label}) ({series})"))
}

/// What the service tells: the labels of each of its metrics.
struct Told(BTreeMap<String, BTreeSet<String>>);

impl Told {
    /// Of the text of `/metrics`.
    fn of(figures: &str) -> Self {
        let mut told = BTreeMap::<_, BTreeSet<_>>::new();
        for line in figures.lines().filter(|line| !line.starts_with('#')) {
            for (name, labels) in asked(line).selectors {
                told.entry(name).or_default().extend(labels);
            }
        }
        Self(told)
    }

    /// Whether a query asks for nothing else.
    fn has(&self, query: &str) {
        let Asked { selectors, grouped } = asked(query);
        assert!(!selectors.is_empty(), "{query}");
        let mut known: BTreeSet<&str> = TARGET.into();
        for (name, labels) in &selectors {
            let of = self.0.get(name).unwrap_or_else(|| panic!("{name} is not told: {query}"));
            let strange = labels.iter().find(|label| !of.contains(*label) && !TARGET.contains(&label.as_str()));
            assert_eq!(strange, None, "{name} has {of:?}: {query}");
            known.extend(of.iter().map(String::as_str));
        }
        let strange = grouped.iter().find(|label| !known.contains(label.as_str()));
        assert_eq!(strange, None, "of {known:?}: {query}");
    }
}

/// What a query asks for.
#[derive(Default)]
struct Asked {
    /// Metrics, with the labels that are chosen by.
    selectors: Vec<(String, Vec<String>)>,
    /// Labels that are grouped or matched by.
    grouped: Vec<String>,
}

/// Reads as much of `PromQL` as tells a metric from a function, and a label from either.
fn asked(query: &str) -> Asked {
    const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    const WORDS: [&str; 5] = ["and", "or", "unless", "offset", "bool"];
    let mut asked = Asked::default();
    let tokens = tokens(query);
    let (mut listed, mut chosen) = (false, false);
    for (place, token) in tokens.iter().enumerate() {
        let next = tokens.get(place + 1).map_or("", String::as_str);
        let is_name = token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        match token.as_str() {
            "(" => listed = place > 0 && LISTS.contains(&tokens[place - 1].as_str()),
            ")" => listed = false,
            "{" => chosen = true,
            "}" => chosen = false,
            label if is_name && chosen => asked.selectors.last_mut().unwrap().1.push(label.to_owned()),
            label if is_name && listed => asked.grouped.push(label.to_owned()),
            word if LISTS.contains(&word) || WORDS.contains(&word) => {}
            // A function, or an aggregation with its list before what it is of.
            _ if next == "(" || next == "by" || next == "without" => {}
            metric if is_name => asked.selectors.push((metric.to_owned(), Vec::new())),
            _ => {}
        }
    }
    asked
}

/// Names, numbers and signs; texts and ranges are left out.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').unwrap() + 2,
            '[' => rest.find(']').unwrap() + 1,
            _ if first.is_ascii_alphanumeric() || first == '_' => {
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:.".contains(c))).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        if !"\"[".contains(first) {
            tokens.push(rest[..length].to_owned());
        }
        rest = rest[length..].trim_start();
    }
    tokens
}

#[test]
fn a_query_is_read_as_it_is_meant() {
    let Asked { selectors, grouped } = asked(
        r#"sum by (job, le) (rate(a_bucket{code=~"A|by (x)", job!="$job"}[5m]) and on (instance) b) / (c > 4 * 86400 or d offset 1h)"#,
    );
    let selector = |name: &str, labels: &[&str]| (name.to_owned(), labels.iter().map(|&it| it.to_owned()).collect());
    let expected = [selector("a_bucket", &["code", "job"]), selector("b", &[]), selector("c", &[]), selector("d", &[])];
    assert_eq!(selectors, expected);
    assert_eq!(grouped, ["job", "le", "instance"]);
}
