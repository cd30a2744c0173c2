//! `report.html`: what a training found, on one page that needs no network and no script, in light and in dark.

mod anomaly;
mod category;
mod data;
mod drift;
mod html;
mod made;
mod number;
mod plot;
mod risk;

use prowl_model::{Input, Model};

use crate::findings::Findings;
use crate::findings::importance::Importance;
use html::{Cell, Table, escaped};

pub(crate) use made::command;
pub(crate) use number::{count, day, number, percent};

/// Name of the report in a model's folder.
pub(crate) const FILE_NAME: &str = "report.html";

const STYLE: &str = include_str!("page/style.css");

/// Inputs that are listed by importance.
const LISTED: usize = 15;

/// The page.
pub(crate) fn page(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let version = escaped(&metadata.version);
    let sections = [
        data::section(findings),
        anomaly::section(findings),
        risk::section(findings),
        category::section(findings),
        drift::section(findings),
        made::figures(findings),
        made::section(findings),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Prowl model {version}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>Prowl model {version}</h1>\n\
         <p class=\"faint\">Learnt from the features run {}. Everything below is measured on the newest pull requests, which \
         no part of the model has seen, unless it says otherwise.</p>\n{}</header>\n<main>\n{}</main>\n\
         <footer>\n<p>Made by prowl-trainer {}.</p>\n</footer>\n</body>\n</html>\n",
        escaped(&metadata.training.run),
        key_figures(findings),
        sections.concat(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The few figures that a reader wants first.
fn key_figures(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let metric = |name: &str| metadata.metrics.get(name).copied();
    let usual = f64::from(100.0 - metadata.bands.unusual) / 100.0;
    let tile = |name: &str, value: &str, beside: &str| {
        format!("<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", escaped(name), escaped(value), escaped(beside))
    };
    let mut tiles = tile(
        "Pull requests",
        &count(findings.data.rows()),
        &format!("{} of them for this test", count(findings.data.slices[2].rows)),
    );
    tiles += &tile(
        "Later ones called unusual",
        &percent(metric("test_share_unusual").unwrap_or(f64::NAN)),
        &format!("{} were so where the bands were set", percent(usual)),
    );
    tiles += &match (metric("risk_test_auc"), metadata.missing_heads.get("risk")) {
        (Some(auc), _) => {
            let churn = metric("risk_test_churn_auc");
            let beside = churn.map_or(String::new(), |churn| format!("; by lines changed alone {churn:.3}"));
            tile("Risk: AUC", &format!("{auc:.3}"), &format!("0.5 is chance{beside}"))
        }
        (None, Some(_)) => tile("Risk", "–", "no head"),
        (None, None) => tile("Risk: AUC", "–", "the test slice has outcomes of one kind only"),
    };
    tiles += &match (metric("category_accuracy"), metadata.missing_heads.get("category")) {
        (Some(accuracy), _) => {
            let usual = metric("category_majority_accuracy").unwrap_or(f64::NAN);
            tile("Kind: accuracy", &percent(accuracy), &format!("always the most frequent: {}", percent(usual)))
        }
        (None, Some(_)) => tile("Kind", "–", "no head"),
        (None, None) => tile("Kind: accuracy", "–", "no later pull request declares one"),
    };
    format!("<dl class=\"key\">\n{tiles}</dl>\n")
}

/// A section, with everything that is said in it.
fn section(title: &str, id: &str, content: &str) -> String {
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n{content}</section>\n", escaped(title))
}

/// A paragraph of text.
fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// Name of an input, and what it is in one sentence, both as HTML.
fn named(model: &Model, input: Option<Input>) -> (String, String) {
    match input {
        Some(Input::Feature(index)) => {
            let feature = &model.metadata().features[index];
            (escaped(&feature.name), escaped(&feature.about))
        }
        Some(Input::Text) => ("words".to_owned(), "The words of title, body and labels, all together.".to_owned()),
        None => ("kind words".to_owned(), "The title's words, places and author that tell a kind.".to_owned()),
    }
}

/// The most important inputs with bars. Those that are worth nothing are left out.
fn importances(
    model: &Model,
    caption: &str,
    figure: &str,
    list: &[Importance],
    tell: impl Fn(f64) -> String,
) -> String {
    let mut table = Table::new(caption, &["input", figure]);
    let largest = list.first().map_or(0.0, |first| first.value);
    let told = list.iter().filter(|importance| importance.value > 0.0).take(LISTED);
    let mut empty = true;
    for importance in told {
        let (name, about) = named(model, importance.input);
        let bar = Cell::Bar(importance.value / largest, tell(importance.value));
        table.row(&format!("{name}<small>{about}</small>"), [bar]);
        empty = false;
    }
    if empty { paragraph(&format!("{caption}: no input makes a difference.")) } else { table.html() }
}
