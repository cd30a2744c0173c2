//! One answer for a person.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use prost_types::Timestamp;
use prowl_inference::words::{among, day, of_risk, probability, turns, usual};
use prowl_proto::v1::{Band, Category, CategorySource, Cluster, HistorySource, RiskBand, RiskReason, ScoreResponse};
use serde::Deserialize;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default();

/// Characters of the bar that shows a percentile.
const BAR: usize = 20;

/// The title that a document gives its pull request; a webhook's payload holds it one level down.
pub(crate) fn title(document: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Titled {
        title: Option<String>,
        pull_request: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        title: Option<String>,
    }
    let titled: Titled = serde_json::from_slice(document).ok()?;
    titled.title.or_else(|| titled.pull_request?.title)
}

/// The answer as a few styled lines; `known_to` is the end of what its model knows.
pub(crate) fn answer(response: &ScoreResponse, title: Option<&str>, known_to: Option<&Timestamp>) -> String {
    let mut text = String::new();
    let identity = format!("{}#{}", printable(&response.repository), response.number);
    line(&mut text, &format!("{BOLD}{identity}{BOLD:#}  {}", printable(title.unwrap_or_default())));
    line(&mut text, &format!("  {}", verdict(response)));
    if let Some(risk) = response.risk {
        line(&mut text, &format!("  {}", risk_text(risk, response.risk_band.as_ref())));
    }
    if !response.risk_reasons.is_empty() {
        line(&mut text, "  against a usual change these odds are");
    }
    for RiskReason { effect, sentence, .. } in &response.risk_reasons {
        let factor = format!("{:>5}", format!("×{:.1}", effect.exp()));
        line(&mut text, &format!("  {DIM}{factor}{DIM:#} as it {}", printable(sentence)));
    }
    if let Some(category) = &response.category {
        line(&mut text, &format!("  {}", kind(category)));
    }
    if let Some(cluster) = &response.cluster {
        line(&mut text, &format!("  {}", alike(cluster)));
    }
    if !response.reasons.is_empty() {
        let usual = usual(known_to);
        let routine = response.band() == Band::Routine;
        let heading = if routine { format!("most unlike {usual}: it") } else { format!("because, beside {usual}, it") };
        line(&mut text, &format!("  {heading}"));
    }
    for reason in &response.reasons {
        let share = format!("{:>3.0}%", 100.0 * reason.contribution);
        line(&mut text, &format!("  {DIM}{share}{DIM:#}  {}", printable(&reason.sentence)));
    }
    let warnings = response.warnings.iter().cloned();
    let notes = warnings.chain(unknown(response)).chain(elsewhere(response)).chain(later_history(response));
    for note in notes {
        line(&mut text, &format!("  {}", self::note(&note)));
    }
    line(&mut text, &format!("  {DIM}{}{DIM:#}", origin(response)));
    text
}

/// The probability, and what became of others of that risk.
fn risk_text(risk: f32, band: Option<&RiskBand>) -> String {
    let mut text = format!("will be taken back with a probability of {}", probability(risk));
    if let Some(band @ RiskBand { observed, rows, average, .. }) = band {
        let [observed, average] = [observed, average].map(|share| probability(*share));
        write!(text, " (of the {rows} {}, {observed} were; {average} of all)", of_risk(band))
            .expect("writing to a string never fails");
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", line.trim_end()).expect("writing to a string never fails");
}

/// Text from outside must not command the terminal, nor turn the direction of what is written beside it.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !(c.is_control() || turns(*c))).collect()
}

/// Band, bar and percentile.
fn verdict(response: &ScoreResponse) -> String {
    let Some(name) = response.band().words().map(str::to_uppercase) else {
        let style = WARNING.bold();
        return format!(
            "{style}NOT JUDGED{style:#}  the document says nothing of the change: give its size and its files"
        );
    };
    let color = match response.band() {
        Band::Unspecified | Band::Routine => AnsiColor::Green,
        Band::Unusual => AnsiColor::Yellow,
        Band::VeryUnusual => AnsiColor::Red,
    };
    let style = color.on_default().bold();
    let full = (response.percentile() / 100.0 * BAR as f32).round().clamp(0.0, BAR as f32) as usize;
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
    let color = color.on_default();
    format!(
        "{style}{name:<12}{style:#}  {color}{bar}{color:#}  more unusual than {}",
        among(response).unwrap_or_default()
    )
}

fn kind(category: &Category) -> String {
    let sure = |probability: Option<f32>| probability.map_or(String::new(), |p| format!(" ({:.0}%)", 100.0 * p));
    let name = printable(&category.name);
    if category.source() == CategorySource::Predicted {
        return format!("{BOLD}{name}{BOLD:#}{}, as the model sees it", sure(category.probability));
    }
    match category.predicted.as_deref() {
        Some(predicted) if category.disagrees => {
            let probability = sure(category.predicted_probability);
            let predicted = printable(predicted);
            format!("{BOLD}{name}{BOLD:#} as declared, {WARNING}but it looks like {predicted}{WARNING:#}{probability}")
        }
        Some(predicted) if predicted == category.name => {
            format!("{BOLD}{name}{BOLD:#} as declared, and as the model sees it{}", sure(category.probability))
        }
        _ => format!("{BOLD}{name}{BOLD:#} as declared"),
    }
}

/// The group that it lies in, and how typical of it it is.
fn alike(cluster: &Cluster) -> String {
    let Cluster { name, rows, farther, .. } = cluster;
    let beside = match farther.map(|share| 100.0 * share) {
        Some(share) if share >= 1.0 => format!("{share:.0}% of them are less typical"),
        _ => "hardly any of them is less typical".to_owned(),
    };
    format!(
        "{BOLD}resembles{BOLD:#} {rows} others that declare no kind (typical of them: {}); {beside}",
        printable(name)
    )
}

/// What the answer could not take into account.
fn unknown(response: &ScoreResponse) -> Option<String> {
    let mut causes = Vec::new();
    if !response.missing_fields.is_empty() {
        causes.push(format!("the document lacks {}", response.missing_fields.join(", ")));
    }
    if response.history_source() == HistorySource::None {
        causes.push("no history of this repository is known".to_owned());
    }
    let features = match response.unknown_features {
        1 => "1 feature is".to_owned(),
        features => format!("{features} features are"),
    };
    (!causes.is_empty()).then(|| format!("{}: {features} unknown and left out", causes.join(", and ")))
}

/// That what the pull request is measured against comes from other repositories.
fn elsewhere(response: &ScoreResponse) -> Option<String> {
    let judged = response.band() != Band::Unspecified;
    (response.repository_is_foreign && judged)
        .then(|| "what is usual, and what is risky, was learnt from other repositories".to_owned())
}

/// What to keep in mind of an answer, or of all of them.
pub(crate) fn note(text: &str) -> String {
    format!("{WARNING}note:{WARNING:#} {}", printable(text))
}

/// That the history is known up to a moment at which the pull request was open already.
fn later_history(response: &ScoreResponse) -> Option<String> {
    let (opened, as_of) = (response.created_at.as_ref()?, response.history_as_of.as_ref()?);
    let later = (opened.seconds, opened.nanos) <= (as_of.seconds, as_of.nanos);
    later.then(|| {
        format!(
            "its history holds what happened since it was opened (known up to {}), its own fate perhaps",
            day(as_of)
        )
    })
}

/// Which model and which history gave the answer, and how long it took.
fn origin(response: &ScoreResponse) -> String {
    let mut parts = Vec::new();
    if let Some(model) = &response.model {
        parts.push(printable(&format!("model {} ({:.12})", model.version, model.digest)));
    }
    match (response.history_source(), &response.history_as_of) {
        (HistorySource::Request, _) => parts.push("history from the request".to_owned()),
        (HistorySource::Profiles, Some(as_of)) => {
            parts.push(format!("history of this repository up to {}", day(as_of)));
        }
        // The absence of a history is told in a line of its own.
        (HistorySource::Profiles | HistorySource::None | HistorySource::Unspecified, _) => {}
    }
    if let Some(elapsed) = &response.elapsed {
        let milliseconds = elapsed.seconds as f64 * 1e3 + f64::from(elapsed.nanos) / 1e6;
        parts.push(format!("{milliseconds:.2} ms"));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use prowl_proto::v1::{ModelId, Reason, Reference};

    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_risk_is_told_beside_what_became_of_others() {
        let band = RiskBand { from: 0.03, to: 1.0, observed: 0.07, rows: 170, average: 0.013, ..RiskBand::default() };
        let text = risk_text(0.051, Some(&band));
        assert_eq!(
            text,
            "will be taken back with a probability of 5.1% (of the 170 with 3.0% or more, 7.0% were; 1.3% of all)"
        );
        let text = risk_text(0.021, Some(&RiskBand { from: 0.02, to: 0.03, ..band }));
        assert!(text.ends_with("2.1% (of the 170 with 2.0% to 3.0%, 7.0% were; 1.3% of all)"), "{text}");
        assert_eq!(risk_text(0.004, None), "will be taken back with a probability of 0.4%");
    }

    #[test]
    fn an_answer_reads_well() {
        let response = ScoreResponse {
            repository: "o/\u{1b}[2Jn".into(),
            number: 7,
            created_at: Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 }),
            percentile: Some(99.99),
            band: Band::VeryUnusual.into(),
            reference: Reference::Repository.into(),
            risk: Some(0.051),
            risk_reasons: vec![
                RiskReason { effect: 0.74, sentence: "changes 26\u{1b} files".into(), ..RiskReason::default() },
                RiskReason { effect: -0.36, sentence: "has 1 commit".into(), ..RiskReason::default() },
            ],
            category: Some(Category {
                name: "docs".into(),
                source: CategorySource::Declared.into(),
                declared: Some("docs".into()),
                predicted: Some("fix".into()),
                predicted_probability: Some(0.81),
                disagrees: true,
                ..Category::default()
            }),
            reasons: vec![Reason {
                contribution: 0.305,
                sentence: "adds\u{9b} 4,200 lines".into(),
                ..Reason::default()
            }],
            model: Some(ModelId { version: "20261124T214500Z".into(), digest: "ab".repeat(32), ..ModelId::default() }),
            history_source: HistorySource::Profiles.into(),
            history_as_of: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            missing_fields: vec!["files".into(), "user".into()],
            unknown_features: 41,
            elapsed: Some(prost_types::Duration { seconds: 0, nanos: 210_000 }),
            ..ScoreResponse::default()
        };
        let expected = "\
o/[2Jn#7  Fix it
  VERY UNUSUAL  ████████████████████  more unusual than 99.9% of pull requests of this repository
  will be taken back with a probability of 5.1%
  against a usual change these odds are
   ×2.1 as it changes 26 files
   ×0.7 as it has 1 commit
  docs as declared, but it looks like fix (81%)
  because, beside the changes up to 2019-04-01, it
   30%  adds 4,200 lines
  note: the document lacks files, user: 41 features are unknown and left out
  note: its history holds what happened since it was opened (known up to 2023-11-14), its own fate perhaps
  model 20261124T214500Z (abababababab) · history of this repository up to 2023-11-14 · 0.21 ms
";
        let known_to = Timestamp { seconds: 1_554_076_800, nanos: 0 };
        let shown = |response: &ScoreResponse, known_to: Option<&Timestamp>| {
            plain(&answer(response, Some("Fix\u{1b}\u{7}\u{202e} it"), known_to))
        };
        assert_eq!(shown(&response, Some(&known_to)), expected);
        let usual = expected.replace("the changes up to 2019-04-01", "the usual");
        assert_eq!(shown(&response, None), usual, "where the server does not tell of its model");
        let routine = ScoreResponse { band: Band::Routine.into(), ..response };
        assert!(shown(&routine, Some(&known_to)).contains("\n  most unlike the changes up to 2019-04-01: it\n"));
    }

    #[test]
    fn a_cluster_is_told_by_its_name_and_how_typical_it_is() {
        let text = |farther| {
            plain(&alike(&Cluster { name: "bump\u{1b}, version".into(), rows: 312, farther, ..Cluster::default() }))
        };
        let common = "resembles 312 others that declare no kind (typical of them: bump, version)";
        assert_eq!(text(Some(0.7)), format!("{common}; 70% of them are less typical"));
        assert_eq!(text(Some(0.004)), format!("{common}; hardly any of them is less typical"));
    }

    #[test]
    fn what_is_not_judged_shows_no_percentile() {
        let response = ScoreResponse { repository: "o/n".into(), number: 7, ..ScoreResponse::default() };
        let shown = plain(&answer(&response, None, None));
        assert!(shown.starts_with("o/n#7\n  NOT JUDGED  the document says nothing of the change"), "{shown}");
        assert!(!shown.contains('%'), "{shown}");
    }

    #[test]
    fn the_title_is_found_in_both_forms() {
        assert_eq!(title(br#"{"title": "a"}"#).as_deref(), Some("a"));
        assert_eq!(title(br#"{"action": "opened", "pull_request": {"title": "b"}}"#).as_deref(), Some("b"));
        assert_eq!(title(b"{}"), None);
    }
}
