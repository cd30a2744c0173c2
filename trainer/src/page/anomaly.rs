//! The section on how unusual pull requests are: how that was learnt, the scores, and the most unusual ones.

use std::fmt::Write;

use prowl_model::{Band, Contribution, FeatureInfo, Input, Model, Reference};
use prowl_page::{Axis, Cell, Plot, Table, escaped, number, paragraph, percent, pull_request};

use crate::autoencoder::Epoch;
use crate::findings::Findings;
use crate::findings::anomaly::{Anomaly, Unusual};

use super::amount::{amount, unit};
use super::{day, importances};

/// Bins of a histogram.
const BINS: usize = 48;

/// Share of the rows beyond which scores are gathered in the last bin.
const TAIL: f64 = 0.995;

pub(super) fn section(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let bands = metadata.bands;
    let first = learning(
        "first-fit",
        "The first fit",
        "It knows the training slice; the validation slice tells when to stop.",
        &findings.course.first,
        ("training", "validation"),
    );
    let last = learning(
        "final-fit",
        "The final fit",
        "It knows both slices, and takes as many epochs as were best for the first.",
        &findings.course.last,
        ("with noise", "without"),
    );
    let mut content = paragraph(&format!(
        "Five views judge a pull request, and the surest of them counts most. Unusual begins at percentile {}, very unusual at \
         {}, among the validation slice of the same repository where it has enough. A share of later ones far above {} tells \
         that what is usual has changed: train again.",
        bands.unusual,
        bands.very_unusual,
        percent(f64::from(100.0 - bands.unusual) / 100.0)
    ));
    content.push_str("<div class=\"plots\">\n");
    content.extend([first, last, distribution(&findings.anomaly), "</div>\n".to_owned()]);
    content += "<h3>The most unusual later pull requests</h3>\n";
    content += &paragraph(
        "Usual is the median of the training, beside the range from its 5% to its 95% quantile. What would fit the rest is what \
         the network makes of all other inputs. An unusual pull request need not be a bad one.",
    );
    content += &table(findings.model, &findings.anomaly.unusual);
    content += "<h3>What the score is made of</h3>\n";
    content += &importances(
        findings.model,
        "Mean share of the anomaly score in the test slice",
        "share",
        &findings.anomaly.shares,
        percent,
    );
    prowl_page::section("How unusual", "anomaly", &content)
}

fn learning(key: &'static str, title: &str, below: &str, epochs: &[Epoch], names: (&str, &str)) -> String {
    let losses = |of: fn(&Epoch) -> f64| -> Vec<(f64, f64)> {
        epochs.iter().map(|epoch| (epoch.number as f64, of(epoch))).collect()
    };
    let (training, validation) = (losses(|epoch| epoch.training_loss), losses(|epoch| epoch.validation_loss));
    let all = || training.iter().chain(&validation).map(|point| point.1).filter(|loss| loss.is_finite());
    let (low, high) = all().fold((f64::INFINITY, 0.0_f64), |(low, high), loss| (low.min(loss), high.max(loss)));
    let room = 0.08 * (high - low).max(0.01 * high);
    let x = Axis::between("epoch", 1.0, (epochs.len() as f64).max(2.0));
    let y = Axis::between("loss", (low - room).max(0.0), high + room);
    let end = |points: &[(f64, f64)]| points.last().map_or(f64::NAN, |point| point.1);
    let about = format!(
        "{title}: loss by epoch, {} epochs. It ends at {} for {} and {} for {}.",
        epochs.len(),
        number(end(&training)),
        names.0,
        number(end(&validation)),
        names.1
    );
    let mut plot = Plot::new(key, about, x, y, 82.0);
    plot.line(&training, "three", names.0);
    plot.line(&validation, "one", names.1);
    let best = epochs.iter().rfind(|epoch| epoch.without_progress == 0);
    if let Some(best) = best.filter(|best| best.number < epochs.len()) {
        let loss = (best.number as f64, best.validation_loss);
        plot.dot(loss, 3.5, "one", &format!("the best: epoch {}, {}", best.number, number(best.validation_loss)));
    }
    plot.figure(title, &format!("{below} Huber loss a known value, in spreads."))
}

/// Histograms of the three slices, one above the other.
fn distribution(anomaly: &Anomaly) -> String {
    let at = |scores: &[f32], share: f64| {
        scores.get((share * scores.len() as f64) as usize).or(scores.last()).copied().unwrap_or(0.0)
    };
    let to = anomaly.scores.iter().map(|scores| at(scores, TAIL)).fold(1.1 * anomaly.edges[1], f32::max);
    let to = f64::from(to);
    let histograms = anomaly.scores.each_ref().map(|scores| histogram(scores, to));
    let highest = histograms.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let names = ["training", "validation", "test"];
    let beyond = |scores: &[f32]| {
        let from = scores.partition_point(|&score| score < anomaly.edges[0]);
        (scores.len() - from) as f64 / scores.len().max(1) as f64
    };
    let shares = anomaly.scores.each_ref().map(|scores| beyond(scores));
    let about = format!(
        "Distribution of the anomaly score. At or above the edge of the unusual, {}: {} of training, {} of validation and {} \
         of test rows.",
        number(f64::from(anomaly.edges[0])),
        percent(shares[0]),
        percent(shares[1]),
        percent(shares[2])
    );
    // Each histogram has a row of the plot of its own, so that the height means nothing but shares of the same kind.
    let y = Axis::up_to("share of the rows by score", 3.0);
    let x = Axis::up_to("anomaly score, nats (the last bar: all above)", to);
    let mut plot = Plot::new("scores", about, x, y, 8.0).bare();
    let width = to / BINS as f64;
    for (place, histogram) in histograms.iter().enumerate() {
        let ground = 2.0 - place as f64;
        for (bin, &share) in histogram.iter().enumerate() {
            let from = bin as f64 * width;
            let middle = from + 0.5 * width;
            let class = match anomaly.edges.map(|edge| middle >= f64::from(edge)) {
                [_, true] => "two",
                [true, _] => "one",
                _ => "three",
            };
            if share > 0.0 {
                let span = (from + 0.06 * width, from + 0.94 * width);
                plot.bar(span, (ground, ground + 0.78 * share / highest), class);
            }
        }
        plot.rule((0.0, ground), (to, ground), "solid");
        plot.text((to, ground + 0.5), 0.0, "end", "label", names[place]);
        plot.text((to, ground + 0.5), 13.0, "end", "", &format!("{} unusual", percent(shares[place])));
    }
    for (edge, (class, name)) in anomaly.edges.iter().zip([("one", "unusual"), ("two", "very unusual")]) {
        let edge = f64::from(*edge);
        plot.rule((edge, 0.0), (edge, 2.84), class);
        plot.text((edge, 2.9), 0.0, if class == "one" { "end" } else { "start" }, &format!("label {class}"), name);
    }
    plot.figure(
        "Anomaly scores",
        "Bands as they are among all repositories together. The model knows the rows of training and validation; the bands \
         were set by a first fit, which did not know those of validation.",
    )
}

/// Share of the scores in each bin from 0 to `to`; the last one holds those above, too.
fn histogram(scores: &[f32], to: f64) -> Vec<f64> {
    let mut shares = vec![0.0; BINS];
    for &score in scores {
        let bin = (f64::from(score) / to * BINS as f64) as usize;
        shares[bin.min(BINS - 1)] += 1.0 / scores.len() as f64;
    }
    shares
}

fn table(model: &Model, unusual: &[Unusual]) -> String {
    let mut table = Table::new(
        &format!("The {} most unusual of the test slice", unusual.len()),
        &["pull request", "opened", "percentile", "why"],
    );
    for row in unusual {
        let mut why = String::from("<ul class=\"why\">");
        let features = &model.metadata().features;
        for contribution in row.strongest(features) {
            let _ = write!(why, "<li>{}</li>", reason(features, contribution));
        }
        why.push_str("</ul>");
        let band = match row.score.band {
            Band::Routine => "routine",
            Band::Unusual => "unusual",
            Band::VeryUnusual => "very unusual",
        };
        let among = match row.score.among {
            Reference::Repository => "of its repository",
            Reference::All => "of all",
        };
        let title = escaped(&row.title);
        let name = format!("{}<small>{title}</small><small>{band}</small>", pull_request(&row.repository, row.number));
        let percentile = format!("{:.2}<small>{among}</small>", row.score.percentile);
        table.row(&name, [Cell::Text(day(row.created_at)), Cell::Html(percentile), Cell::Html(why)]);
    }
    table.html()
}

/// One strong input, as HTML: what it is, as the list of features says it, and what is usual.
fn reason(features: &[FeatureInfo], contribution: &Contribution) -> String {
    let share = percent(f64::from(contribution.share));
    let Input::Feature(index) = contribution.input else {
        return format!(
            "<strong>Worded unlike others</strong>: the words of title, description and labels as a whole\
             <small>{share} of the score</small>"
        );
    };
    let FeatureInfo { about, name, unit, .. } = &features[index];
    let Contribution { value, expected, usual, .. } = contribution;
    let beside = if unit == "yes_no" {
        format!("yes in {}", percent(f64::from(usual.mean)))
    } else {
        let outside = *value < usual.low || *value > usual.high;
        let [low, high] = [usual.low, usual.high].map(|end| read(end, unit));
        let range = if low == high { low } else { format!("{low} to {high}") };
        let median = format!("usual {}, 90% of the training {range}", read(usual.median, unit));
        let expected = read(*expected, unit);
        // Outside of what is usual the network only guesses.
        if outside || expected == read(*value, unit) {
            median
        } else {
            format!("{median}; {expected} would fit the rest")
        }
    };
    format!(
        "{}: <strong>{}</strong> ({})<small>{}, {share} of the score</small>",
        escaped(about.trim_end_matches('.')),
        escaped(&read(*value, unit)),
        escaped(&beside),
        escaped(name),
    )
}

/// A value as a person reads it: a logarithm as the ratio that it stands for, an entropy as so many files changed alike.
fn read(value: f32, of: &str) -> String {
    match of {
        "doublings" => format!("{} times", number(f64::from(value).exp2())),
        "bits" => format!("as over {} files alike", number(f64::from(value).exp2())),
        _ => format!("{}{}", amount(value, of), unit(of)),
    }
}

#[cfg(test)]
mod tests {
    use prowl_model::Usual;

    use super::*;

    #[test]
    fn a_reason_is_told_in_words_and_ratios() {
        let info = |name: &str, about: &str, unit: &str| FeatureInfo {
            about: about.into(),
            group: "size".into(),
            missing: "unknown".into(),
            name: name.into(),
            source: "files".into(),
            unit: unit.into(),
        };
        let features = [
            info("churn_to_median", "Lines changed against the median.", "doublings"),
            info("touches_<b>", "Whether it touches <b>.", "yes_no"),
            info("additions", "Lines added.", "lines"),
        ];
        let usual = |low, median, high, mean| Usual { low, median, high, mean };
        let told = |input, value, expected, usual| {
            reason(&features, &Contribution { input, value, expected, usual, share: 0.15 })
        };
        assert_eq!(
            told(Input::Feature(0), 12.0, 1.0, usual(-2.0, 0.0, 4.0, 0.0)),
            "Lines changed against the median: <strong>4096 times</strong> (usual 1 times, 90% of the training 0.25 times to 16 times)\
             <small>churn_to_median, 15% of the score</small>"
        );
        assert_eq!(
            told(Input::Feature(1), 1.0, 0.0, usual(0.0, 0.0, 0.0, 0.04)),
            "Whether it touches &lt;b&gt;: <strong>yes</strong> (yes in 4%)<small>touches_&lt;b&gt;, 15% of the score</small>"
        );
        let lines = told(Input::Feature(2), 20.0, 99.0, usual(2.0, 20.0, 610.0, 90.0));
        assert!(
            lines.contains("(usual 20 lines, 90% of the training 2 lines to 610 lines; 99 lines would fit the rest)"),
            "{lines}"
        );
        let lines = told(Input::Feature(2), 5000.0, 99.0, usual(2.0, 20.0, 610.0, 90.0));
        assert!(!lines.contains("would fit"), "{lines}");
        let words = told(Input::Text, f32::NAN, f32::NAN, Usual::UNKNOWN);
        assert!(words.contains("title, description and labels as a whole"), "{words}");
    }

    #[test]
    fn the_last_bar_holds_all_above() {
        let shares = histogram(&[0.0, 0.5, 0.99, 7.0], 1.0);
        assert_eq!((shares[0], shares[BINS / 2], shares[BINS - 1]), (0.25, 0.25, 0.5));
    }
}
