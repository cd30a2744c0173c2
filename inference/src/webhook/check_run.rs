//! An answer as the title and the text of a check run, in GitHub's Markdown.

use std::fmt::Write;

use prost_types::Timestamp;
use prowl_proto::v1::{Band, Category, CategorySource, Cluster, HistorySource, RiskBand, ScoreResponse};

use crate::words::{among, day, of_risk, probability, turns, usual};

/// Longest text that GitHub takes, in characters; no text has fewer bytes than characters.
const LONGEST: usize = 65_535;

/// What a check run shows.
#[derive(Debug)]
pub(super) struct Output {
    /// The answer in a line.
    pub(super) title: String,
    /// All of it, in Markdown.
    pub(super) summary: String,
}

impl Output {
    /// Tells an answer; `known_to` is the end of what its model knows.
    pub(super) fn of(response: &ScoreResponse, known_to: &Timestamp) -> Self {
        Self { title: title(response), summary: bounded(summary(response, known_to)) }
    }
}

fn title(response: &ScoreResponse) -> String {
    let (Some(band), Some(among)) = (band(response), among(response)) else {
        return "Not judged: it does not say what changes".to_owned();
    };
    let more = if response.band() == Band::Routine { "more unusual" } else { "more so" };
    let mut title = format!("{band}: {more} than {among}");
    if let Some(risk) = response.risk {
        write!(title, "; risk {}", probability(risk)).expect("writing to a string never fails");
        if let Some(RiskBand { observed, .. }) = response.risk_band {
            write!(title, ", a band in which {} were taken back", probability(observed))
                .expect("writing to a string never fails");
        }
    }
    title
}

fn summary(response: &ScoreResponse, known_to: &Timestamp) -> String {
    let mut parts = vec![match (band(response), among(response)) {
        (Some(band), Some(among)) => format!("**{band}**: more unusual than {among}."),
        _ => "**Not judged**: the pull request does not say what changes.".to_owned(),
    }];
    parts.extend(response.risk.map(|risk| risk_text(risk, response.risk_band.as_ref())));
    parts.extend(response.category.as_ref().map(kind));
    parts.extend(response.cluster.as_ref().map(alike));
    if !response.reasons.is_empty() {
        let reasons = response.reasons.iter();
        let sentences = reasons.map(|reason| (percent(reason.contribution), &*reason.sentence));
        let title = format!("Unlike {} (with the share of the score), it", usual(Some(known_to)));
        parts.push(list(&title, sentences));
    }
    if !response.risk_reasons.is_empty() {
        let reasons = response.risk_reasons.iter();
        let sentences = reasons.map(|reason| (format!("×{:.1}", reason.effect.exp()), &*reason.sentence));
        parts.push(list("Against the odds of a usual change to be taken back, as it", sentences));
    }
    parts.extend(notes(response).into_iter().map(|note| format!("_{}_", escaped(&note))));
    parts.push(format!("{}\n\nThis check helps a reviewer and blocks nothing.", origin(response)));
    parts.join("\n\n")
}

fn list<'a>(title: &str, sentences: impl Iterator<Item = (String, &'a str)>) -> String {
    let lines = sentences.map(|(weight, sentence)| format!("- **{weight}** {}", escaped(sentence)));
    [format!("{title}\n")].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

/// The name of the band, as a sentence begins.
fn band(response: &ScoreResponse) -> Option<String> {
    let name = response.band().words()?;
    Some(format!("{}{}", name[..1].to_uppercase(), &name[1..]))
}

fn risk_text(risk: f32, band: Option<&RiskBand>) -> String {
    let mut text = format!("**Risk {}**: the probability that it is taken back.", probability(risk));
    if let Some(band @ RiskBand { observed, rows, average, .. }) = band {
        let [observed, average] = [observed, average].map(|share| probability(*share));
        write!(text, " Of the {rows} pull requests {}, {observed} were; of all, {average}.", of_risk(band))
            .expect("writing to a string never fails");
    }
    text
}

fn kind(category: &Category) -> String {
    let sure = |probability: Option<f32>| probability.map_or(String::new(), |p| format!(" ({})", percent(p)));
    let name = escaped(&category.name);
    let said = match (category.source(), category.predicted.as_deref()) {
        (CategorySource::Predicted, _) => format!("{name}{}, as the model sees it", sure(category.probability)),
        (_, Some(predicted)) if category.disagrees => {
            let (predicted, sure) = (escaped(predicted), sure(category.predicted_probability));
            format!("{name} as declared, but it looks like **{predicted}**{sure}")
        }
        _ => format!("{name} as declared"),
    };
    format!("**Kind**: {said}")
}

fn alike(Cluster { name, rows, .. }: &Cluster) -> String {
    format!("**Resembles** {rows} others that declare no kind (typical of them: {})", code(name))
}

/// What the answer could not take into account.
fn notes(response: &ScoreResponse) -> Vec<String> {
    let mut notes: Vec<_> = response.warnings.iter().map(|warning| format!("Mind that {warning}.")).collect();
    if !response.missing_fields.is_empty() {
        notes.push(format!("Not known, and left out: {}.", response.missing_fields.join(", ")));
    }
    if response.history_source() == HistorySource::None {
        notes.push("No history of this repository is known.".to_owned());
    }
    if response.repository_is_foreign && response.band() != Band::Unspecified {
        notes.push("What is usual, and what is risky, was learnt from other repositories.".to_owned());
    }
    notes
}

/// Which model and which history gave the answer.
fn origin(response: &ScoreResponse) -> String {
    let model = response.model.as_ref();
    let model = model.map(|model| format!("Model {}, digest {}", code(&model.version), code(&model.digest)));
    let history = response.history_as_of.as_ref().map(|time| format!("history of this repository up to {}", day(time)));
    model.into_iter().chain(history).collect::<Vec<_>>().join(", ")
}

fn percent(share: f32) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// Text that must not command the page: neither Markdown, nor HTML, nor a line of its own, nor somebody's name.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !turns(*c)) {
        match c {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            // A blank of no width: GitHub tells those who are named.
            '@' => plain.push_str("@\u{200b}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '|' | '#' | '!' | '$' => plain.extend(['\\', c]),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

/// Words from outside, as code: within it nothing has a meaning.
fn code(text: &str) -> String {
    let plain = text.chars().filter(|c| !turns(*c)).map(|c| if c == '`' || c.is_control() { ' ' } else { c });
    format!("`{}`", plain.collect::<String>().trim())
}

fn bounded(mut text: String) -> String {
    const CUT: &str = "\n\n…";
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST - CUT.len()));
        text.push_str(CUT);
    }
    text
}

#[cfg(test)]
mod tests {
    use prowl_proto::v1::{ModelId, Reason, Reference, RiskReason};

    use super::*;

    fn answer() -> ScoreResponse {
        ScoreResponse {
            percentile: Some(99.99),
            band: Band::VeryUnusual.into(),
            reference: Reference::Repository.into(),
            risk: Some(0.12),
            risk_band: Some(RiskBand {
                from: 0.087,
                to: 1.0,
                observed: 0.082,
                rows: 108,
                average: 0.027,
                ..RiskBand::default()
            }),
            risk_reasons: vec![RiskReason { effect: 0.588, sentence: "has 1 commit".into(), ..RiskReason::default() }],
            category: Some(Category {
                name: "docs".into(),
                source: CategorySource::Declared.into(),
                predicted: Some("fix".into()),
                predicted_probability: Some(0.81),
                disagrees: true,
                ..Category::default()
            }),
            reasons: vec![Reason {
                contribution: 0.305,
                sentence: "adds 4,200 lines (usual: 6 lines)".into(),
                ..Reason::default()
            }],
            model: Some(ModelId { version: "20261124T214500Z".into(), digest: "ab".repeat(32), ..ModelId::default() }),
            history_source: HistorySource::Profiles.into(),
            history_as_of: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            missing_fields: vec!["requested_reviewers".into()],
            repository_is_foreign: true,
            ..ScoreResponse::default()
        }
    }

    /// As [`Output::of`], with an end of what the model knows.
    fn output(response: &ScoreResponse) -> Output {
        Output::of(response, &Timestamp { seconds: 1_554_076_800, nanos: 0 })
    }

    #[test]
    fn an_answer_reads_well() {
        let Output { title, summary } = output(&answer());
        assert_eq!(
            title,
            "Very unusual: more so than 99.9% of pull requests of this repository; risk 12.0%, a band in which 8.2% were \
             taken back"
        );
        let expected = format!(
            "**Very unusual**: more unusual than 99.9% of pull requests of this repository.

**Risk 12.0%**: the probability that it is taken back. Of the 108 pull requests with 8.7% or more, 8.2% were; of all, 2.7%.

**Kind**: docs as declared, but it looks like **fix** (81%)

Unlike the changes up to 2019-04-01 (with the share of the score), it

- **30%** adds 4,200 lines (usual: 6 lines)

Against the odds of a usual change to be taken back, as it

- **×1.8** has 1 commit

_Not known, and left out: requested\\_reviewers._

_What is usual, and what is risky, was learnt from other repositories._

Model `20261124T214500Z`, digest `{}`, history of this repository up to 2023-11-14

This check helps a reviewer and blocks nothing.",
            "ab".repeat(32)
        );
        assert_eq!(summary, expected);
    }

    #[test]
    fn what_is_not_judged_shows_no_percentile() {
        let Output { title, summary } = output(&ScoreResponse::default());
        assert!(title.starts_with("Not judged") && summary.starts_with("**Not judged**"), "{title} {summary}");
        assert!(!title.contains('%') && !summary.contains('%'));
    }

    #[test]
    fn words_from_outside_command_nothing() {
        let hostile = "<img src=x onerror=y>\n# ![a](https://evil.example) @team `x` **b** ~~c~~ a|b &lt; \u{202e}\\";
        let mut response = answer();
        response.reasons[0].sentence = hostile.into();
        response.category.as_mut().unwrap().name = hostile.into();
        response.model.as_mut().unwrap().version = hostile.into();
        response.cluster = Some(Cluster { name: hostile.into(), ..Cluster::default() });
        let Output { summary, .. } = output(&response);
        let outside: String = summary.split('`').step_by(2).collect();
        assert!(!outside.contains('<') && !outside.contains("\n#") && !outside.contains("@team"), "{summary}");
        assert!(outside.contains(r"\!\[a\](https://evil.example) @"), "{summary}");
        assert!(outside.contains(r"\*\*b\*\* \~\~c\~\~ a\|b &amp;lt; \\"), "{summary}");
        assert!(!summary.contains('\u{202e}'));
        assert!(summary.contains("`<img src=x onerror=y> # ![a](https://evil.example) @team  x  **b**"), "{summary}");
    }

    #[test]
    fn it_is_no_longer_than_github_takes() {
        let mut response = answer();
        response.reasons[0].sentence = "é".repeat(LONGEST);
        let Output { summary, .. } = output(&response);
        assert!((LONGEST - 8..=LONGEST).contains(&summary.len()) && summary.ends_with('…'), "{}", summary.len());
    }
}
