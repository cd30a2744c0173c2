//! `report.html`: what a training found, on one page that needs no network and no script, in light and in dark.

mod amount;
mod anomaly;
mod category;
mod data;
mod drift;
mod made;
mod risk;

use prowl_model::{Input, Model, Training};
use prowl_page::{Cell, Document, Table, escaped, paragraph, percent, tile};

use crate::findings::Findings;
use crate::findings::importance::Importance;

pub(crate) use amount::{count, day};
pub(crate) use made::command;

/// Name of the report in a model's folder.
pub(crate) const FILE_NAME: &str = "report.html";

/// Inputs that are listed by importance.
const LISTED: usize = 15;

/// The page.
pub(crate) fn page(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let title = format!("Prowl model {}", metadata.version);
    let sections = [
        data::section(findings),
        anomaly::section(findings),
        risk::section(findings),
        category::section(findings),
        drift::section(findings),
        made::figures(findings),
        made::section(findings),
    ];
    let header = format!(
        "<h1>{}</h1>\n\
         <p class=\"faint\">Learnt from the features run {}, up to {}. Everything below is measured on the newest \
         pull requests, which no part of the model has seen, unless it says otherwise.</p>\n{}",
        escaped(&title),
        escaped(&metadata.training.run),
        known_to(&metadata.training),
        key_figures(findings)
    );
    let document = Document {
        title: &title,
        style: include_str!("page/style.css"),
        header: &header,
        main: &sections.concat(),
        program: concat!("prowl-trainer ", env!("CARGO_PKG_VERSION")),
    };
    document.html()
}

/// The day up to which the final fit knows pull requests; of models that do not say it, that of the first.
fn known_to(training: &Training) -> String {
    day(training.known_to.unwrap_or(training.to))
}

/// The few figures that a reader wants first.
fn key_figures(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let metric = |name: &str| metadata.metrics.get(name).copied();
    let usual = f64::from(100.0 - metadata.bands.unusual) / 100.0;
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

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use prowl_model::FeatureInfo;

    use super::*;
    use crate::findings::Course;
    use crate::{Builder, Dataset, Origin, Outcome, Row, Settings, card, learn};

    const EVIL: &str = "<script>alert('&')</script>";
    const DAY: i64 = 86_400_000;

    /// Rows with everything that a page tells of, and names that would be markup.
    fn data() -> Dataset {
        let feature = |name: &str, unit: &str| FeatureInfo {
            about: format!("About {EVIL}."),
            group: "size".into(),
            missing: "unknown".into(),
            name: name.into(),
            source: "nowhere".into(),
            unit: unit.into(),
        };
        let features =
            vec![feature("churn", "lines"), feature(EVIL, EVIL), feature("rare", "yes_no"), feature("part", "share")];
        let mut builder = Builder::new(features, "abcd".into());
        for row in 0..900_i64 {
            let noise = |factor: i64| (row * factor % 97) as f32 / 97.0;
            let reverted = noise(31) > 0.8;
            let values = [100.0 * noise(31) + 50.0 * noise(7), noise(13), f32::from(u8::from(row % 50 == 0)), noise(5)];
            let (opened, kind) = (row * DAY, ["fix", EVIL][(row % 2) as usize]);
            builder.push(&Row {
                repository: if row % 3 == 0 { EVIL } else { "o/r" },
                number: row,
                created_at: opened,
                values: &values,
                tokens: &[(row % 2) as u32, 7],
                kind_tokens: &[(row % 2) as u32],
                title: Some("<b>A title</b>"),
                category: (row % 4 > 0).then_some(kind),
                outcome: Outcome { reverted_at: reverted.then_some(opened + DAY), mature_at: Some(opened + 9 * DAY) },
            });
        }
        builder.build()
    }

    fn pages(data: &Dataset, last: bool) -> [String; 2] {
        let settings = Settings { epochs: 6, ..Settings::default() };
        let origin = Origin { run: "20261124T000000Z".into(), run_digest: "0".into(), version: EVIL.into() };
        let mut course = Course::default();
        let model = learn(data, &settings, origin, &mut |step| {
            course.add(step);
            ControlFlow::Continue(())
        });
        let model = model.unwrap();
        // An earlier model to which less was usual.
        let mut earlier = model.parts().clone();
        earlier.scaler.columns[0].usual.median = earlier.scaler.columns[0].usual.low;
        let last = if last { Ok(Model::from_parts(earlier).unwrap()) } else { Err(EVIL.to_owned()) };
        let watch = || ControlFlow::Continue(());
        let findings = Findings::of(data, &model, "digest".into(), &settings, course, last, &watch).unwrap();
        [page(&findings), card::card(&findings)]
    }

    #[test]
    fn a_page_is_whole_and_asks_nothing_of_the_network_and_text_stays_text() {
        let data = data();
        let [page, card] = pages(&data, true);
        for heading in
            ["The pull requests", "How unusual", "How risky", "What kind", "Since the last model", "All figures"]
        {
            assert!(page.contains(&format!(">{heading}</h2>")), "{heading}");
        }
        for title in ["The first fit", "The final fit", "Anomaly scores", "Calibration", "Capture"] {
            assert!(page.contains(&format!("<strong>{title}</strong>")), "{title}");
        }
        // Of 900 rows, a day each, the newest 135 only measure.
        let known_to = day(764 * DAY);
        assert!(page.contains(&format!("Learnt from the features run 20261124T000000Z, up to {known_to}. ")));
        assert!(page.contains(&format!("was learnt from the features run 20261124T000000Z, up to {known_to}. ")));
        assert!(card.contains(&format!("opened 1970-01-01 to {known_to}. The newest 135 of 900,")), "{card}");
        assert!(page.contains("The 20 most unusual of the test slice") && page.contains("Drop of the AUC"));
        assert!(page.contains("Drop of the accuracy") && page.contains("Confusion"));
        assert!(page.contains("https://github.com/o/r/pull/") && page.contains("&lt;b&gt;A title&lt;/b&gt;"));
        let moved = page.split("median has moved farthest").nth(2).unwrap();
        assert!(moved.contains("churn") && moved.contains("</span>+"), "upwards");
        for tag in ["<script", "<link", "<img", "<iframe", "@import", "url("] {
            assert!(!page.contains(tag), "{tag}");
        }
        assert_eq!(page.matches("://").count(), page.matches("href=\"https://github.com/o/r/pull/").count());
        assert!(page.contains("&lt;script&gt;alert(&#39;&amp;&#39;)") && !page.contains("&amp;lt;"));
        let mut names: Vec<_> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "names within a page are given once: {names:?}");
        assert!(!page.contains("NaN") && !page.contains("inf\""), "what is no number is not drawn");
        assert!(!card.contains("<script") && card.contains("&lt;script&gt;"), "{card}");
        assert!(card.contains("Not to judge people") && card.contains("| risk: AUC | "), "{card}");
    }

    #[test]
    fn a_page_has_the_same_bytes_on_any_number_of_threads() {
        let data = data();
        let pages = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| pages(&data, false))
        };
        assert!(pages(1) == pages(3));
    }

    #[test]
    fn a_stop_is_heard() {
        let data = data();
        let settings = Settings { epochs: 2, ..Settings::default() };
        let origin = Origin { run: String::new(), run_digest: String::new(), version: String::new() };
        let model = learn(&data, &settings, origin, &mut |_| ControlFlow::Continue(())).unwrap();
        let stopped = || ControlFlow::Break(());
        let findings =
            Findings::of(&data, &model, String::new(), &settings, Course::default(), Err(String::new()), &stopped);
        assert!(matches!(findings, Err(crate::TrainError::Stopped)));
    }
}
