//! What the tests share: versions of pull requests, and the program that stores some.

use std::time::Duration;

use bson::{DateTime, Document, RawDocumentBuf, doc};
use prowl_e2e::servers::{self, PULL_REQUESTS};
use prowl_e2e::{Outcome, Variable, run_with};
use prowl_fetch::mongo::{Config, Mongo, Written};

pub(crate) const HARBOUR: &str = "tide/harbour";
/// An hour in which all the pull requests here are updated.
const HOUR: i64 = 1_700_000_000_000;

pub(crate) fn config(uri: String) -> Config {
    Config { uri: uri.into(), database: None, collection: None, patience: Duration::from_mins(1) }
}

pub(crate) async fn connect(server: &servers::Mongo) -> Mongo {
    Mongo::connect(&config(server.uri())).await.unwrap()
}

pub(crate) fn date(minutes: i64) -> DateTime {
    DateTime::from_millis(HOUR + minutes * 60_000)
}

/// A version of a pull request, by minutes of the hour.
pub(crate) fn version(repository: &str, number: i64, updated_at: i64, fetched_at: i64) -> Document {
    doc! {
        "_id": format!("{repository}#{number}"), "number": number, "title": format!("{updated_at} {fetched_at}"),
        "created_at": date(0), "updated_at": date(updated_at), "fetched_at": date(fetched_at),
        "base": { "ref": "main", "repo": { "full_name": repository } },
    }
}

pub(crate) fn raw(documents: &[Document]) -> Vec<RawDocumentBuf> {
    documents.iter().map(|document| RawDocumentBuf::try_from(document).unwrap()).collect()
}

pub(crate) fn written(inserted: u64, changed: u64, unchanged: u64) -> Written {
    Written { inserted, changed, unchanged, ..Written::default() }
}

/// What is stored of a pull request.
pub(crate) fn stored(server: &servers::Mongo, repository: &str, number: i64) -> Document {
    let found = server.find(PULL_REQUESTS, doc! { "base.repo.full_name": repository, "number": number });
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

pub(crate) fn title(server: &servers::Mongo, repository: &str, number: i64) -> String {
    stored(server, repository, number).get_str("title").unwrap().to_owned()
}

/// The program with a small collection of made-up pull requests.
pub(crate) fn synth(environment: &[Variable], count: u32, more: &[&str]) -> Outcome {
    let count = count.to_string();
    let arguments = ["synth", "--count", &count, "--seed", "7", "--json", "--mongo"];
    let loud: Vec<Variable> = environment.iter().cloned().chain([("PROWL_LOG", "debug".to_owned())]).collect();
    run_with(&loud, "prowl-fetch", &[&arguments[..], more].concat())
}

/// It failed with one error that holds these words, and gave no password away.
pub(crate) fn refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let error = outcome.error();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    let errors = outcome.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    assert!(!servers::Mongo::is_given_away_by(&format!("{outcome:?}")), "{outcome:?}");
}
