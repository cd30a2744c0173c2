//! What is typical of a group of pull requests: words of their titles, and features, in which they differ from all others.

use std::collections::{BTreeSet, HashMap};

use prowl_model::{ClusterInfo, Scaler};

use crate::{Dataset, scale};

/// Words of a group, and those of them that name it.
const WORDS: usize = 6;
const NAMING: usize = 3;

/// Features of a group, each of another group of features.
const FEATURES: usize = 3;

/// Examples of a group.
const EXAMPLES: usize = 3;

/// Words are typical that are more frequent than elsewhere by so many standard deviations of the log-odds.
const CERTAIN: f64 = 3.0;

/// A word is typical only if at least this share of a group's titles has it.
const FREQUENT: f64 = 0.15;

/// Features are typical whose means differ by this many standard deviations of all rows.
const DIFFERENT: f64 = 0.4;

/// Features of this group measure against the repository what another one says plainly.
const RELATIVE: &str = "relative";

/// These are within words, or around them.
const APOSTROPHES: [char; 2] = ['\'', '’'];

/// Words that join others and tell nothing themselves.
const JOINING: [&str; 24] = [
    "a", "an", "and", "as", "at", "be", "by", "for", "from", "in", "into", "is", "it", "its", "not", "of", "on", "or",
    "that", "the", "this", "to", "when", "with",
];

/// Longer ones are no words.
const LONGEST: usize = 24;

/// Describes groups of rows; each row that is nearest to a group's middle comes first. `others` are rows to compare with;
/// those of the groups may be among them.
pub(crate) fn describe(data: &Dataset, scaler: &Scaler, groups: &[Vec<usize>], others: &[usize]) -> Vec<ClusterInfo> {
    let words = words(data, groups, others);
    let spreads = Spreads::of(data, scaler, others);
    let describe = |(group, words): (&Vec<usize>, Vec<String>)| {
        let features = spreads.typical(group);
        // A single word tells little, and no word nothing.
        let by_feature = features.iter().take(usize::from(words.len() < 2)).map(|told| naming(told));
        let name = words.iter().take(NAMING).cloned().chain(by_feature).collect::<Vec<_>>().join(", ");
        let example = |&row: &usize| format!("{}#{}", data.repository(row), data.number(row));
        ClusterInfo {
            examples: group.iter().take(EXAMPLES).map(example).collect(),
            name: if name.is_empty() { "like most".to_owned() } else { name },
            features,
            rows: group.len() as u64,
            words,
        }
    };
    groups.iter().zip(words).map(describe).collect()
}

/// Words of each group that its titles have more often than those of all other rows, the most certain first: by the
/// log-odds ratio in its own standard deviations (Monroe et al., "Fightin' words", 2008).
fn words(data: &Dataset, groups: &[Vec<usize>], others: &[usize]) -> Vec<Vec<String>> {
    let mut group_of: HashMap<usize, usize> = HashMap::new();
    for (group, rows) in groups.iter().enumerate() {
        group_of.extend(rows.iter().map(|&row| (row, group)));
    }
    // The last place is that of rows of no group.
    let mut titles = vec![0_usize; groups.len() + 1];
    let mut counts: HashMap<String, Vec<u32>> = HashMap::new();
    let outside = others.iter().copied().filter(|row| !group_of.contains_key(row));
    for row in groups.iter().flatten().copied().chain(outside) {
        let place = group_of.get(&row).copied().unwrap_or(groups.len());
        titles[place] += 1;
        for word in words_of(data.title(row)) {
            counts.entry(word).or_insert_with(|| vec![0; groups.len() + 1])[place] += 1;
        }
    }
    let all: usize = titles.iter().sum();
    let typical = |group: usize| {
        let (inside, outside) = (titles[group] as f64, (all - titles[group]) as f64);
        let certain = |(word, counts): (&String, &Vec<u32>)| {
            let within = f64::from(counts[group]);
            if within < FREQUENT * inside {
                return None;
            }
            let without = counts.iter().map(|&count| f64::from(count)).sum::<f64>() - within;
            let cells = [within, inside - within, without, outside - without].map(|cell| cell + 0.5);
            let log_odds = (cells[0] / cells[1]).ln() - (cells[2] / cells[3]).ln();
            let certainty = log_odds / cells.iter().map(|cell| cell.recip()).sum::<f64>().sqrt();
            (certainty >= CERTAIN).then(|| (certainty, word.clone()))
        };
        let mut found: Vec<(f64, String)> = counts.iter().filter_map(certain).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        found.into_iter().take(WORDS).map(|(_, word)| word).collect()
    };
    (0..groups.len()).map(typical).collect()
}

/// The distinct words of a title, in small letters; what holds a digit, such as a number or a version, is none.
fn words_of(title: &str) -> BTreeSet<String> {
    // What an apostrophe parts is one word, and none that tells anything.
    let words = title.split(|of: char| !(of.is_alphanumeric() || APOSTROPHES.contains(&of)));
    let words = words.map(|word| word.trim_matches(APOSTROPHES).to_lowercase());
    let letters =
        |word: &String| word.chars().all(char::is_alphabetic) && (2..=LONGEST).contains(&word.chars().count());
    words.filter(letters).filter(|word| !JOINING.contains(&word.as_str())).collect()
}

/// Means and standard deviations of the scaled features.
struct Spreads<'a> {
    data: &'a Dataset,
    scaler: &'a Scaler,
    all: Vec<Option<(f64, f64)>>,
}

impl<'a> Spreads<'a> {
    fn of(data: &'a Dataset, scaler: &'a Scaler, rows: &[usize]) -> Self {
        let all = (0..scaler.columns.len()).map(|feature| {
            let info = &data.features[feature];
            let read = scaler.columns[feature].known && scale::is_read(info) && info.group != RELATIVE;
            let (mean, spread) = read.then(|| moments(data, scaler, feature, rows)).flatten()?;
            (spread > 1e-6).then_some((mean, spread))
        });
        Self { data, scaler, all: all.collect() }
    }

    /// In what these rows differ most from all, in words: of each group of features one at most.
    fn typical(&self, rows: &[usize]) -> Vec<String> {
        let difference = |(feature, of_all): (usize, &Option<(f64, f64)>)| {
            let (mean, spread) = (*of_all)?;
            Some(((moments(self.data, self.scaler, feature, rows)?.0 - mean) / spread, feature))
        };
        let mut found: Vec<(f64, usize)> = self.all.iter().enumerate().filter_map(difference).collect();
        found.retain(|(difference, _)| difference.abs() >= DIFFERENT);
        found.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()).then(a.1.cmp(&b.1)));
        let mut groups = BTreeSet::new();
        found.retain(|&(_, feature)| groups.insert(&self.data.features[feature].group));
        found.truncate(FEATURES);
        found.into_iter().map(|(difference, feature)| told(&self.data.features[feature].about, difference)).collect()
    }
}

/// Mean and standard deviation of what is known of a feature in these rows, scaled; none where it is known in less than half.
fn moments(data: &Dataset, scaler: &Scaler, feature: usize, rows: &[usize]) -> Option<(f64, f64)> {
    let (mut sum, mut squares, mut known) = (0.0, 0.0, 0.0_f64);
    for &row in rows {
        if let Some(value) = scaler.columns[feature].scale(data.row(row)[feature]).map(f64::from) {
            sum += value;
            squares += value * value;
            known += 1.0;
        }
    }
    let mean = sum / known;
    (2.0 * known >= rows.len() as f64 && known > 0.0).then(|| (mean, (squares / known - mean * mean).max(0.0).sqrt()))
}

/// What a feature is about, and whether there is more of it or less.
fn told(about: &str, difference: f64) -> String {
    // What stands after these explains.
    let about = about.split([':', ';', ',']).next().unwrap_or(about).trim_end_matches('.');
    match (about.strip_prefix("Whether "), difference > 0.0) {
        (Some(flag), true) => format!("often: {flag}"),
        (Some(flag), false) => format!("seldom: {flag}"),
        (None, more) => {
            let mut letters = about.chars();
            let first = letters.next().map(char::to_lowercase);
            let about = first.into_iter().flatten().chain(letters).collect::<String>();
            format!("{}: {about}", if more { "more" } else { "less" })
        }
    }
}

/// The same within a sentence, as the name of a group.
fn naming(told: &str) -> String {
    let Some((how, about)) = told.split_once(": ") else { return told.to_owned() };
    let how = match how {
        "often" => "more often",
        "seldom" => "less often",
        more => more,
    };
    format!("{about}: {how} than elsewhere")
}

#[cfg(test)]
mod tests {
    use prowl_model::FeatureInfo;

    use super::*;
    use crate::{Builder, Outcome, Row};

    /// Ten bumps in many files by bots, and thirty others; a third feature follows the first, and a fourth is never known.
    fn data() -> (Dataset, Vec<usize>, Vec<usize>) {
        let feature = |name: &str, group: &str, about: &str| FeatureInfo {
            about: about.into(),
            group: group.into(),
            missing: "unknown".into(),
            name: name.into(),
            source: "nowhere".into(),
            unit: "count".into(),
        };
        let features = vec![
            feature("bot", "author", "Whether the author is a bot."),
            feature("files", "size", "Files changed: how many."),
            feature("lines", "size", "Lines changed."),
            feature("never", "time", "Hour."),
            feature("alike", "kind", "Share of tests."),
            feature("others", "files", "Whether it touches a test; unknown of bumps."),
        ];
        let mut builder = Builder::new(features, String::new());
        for row in 0..40_i64 {
            let bump = row < 10;
            let noise = (row % 5) as f32;
            let known = if bump { f32::NAN } else { f32::from(u8::from(row % 3 > 0)) };
            let values =
                [f32::from(u8::from(bump)), if bump { 1.0 } else { 9.0 } + noise, noise, f32::NAN, noise, known];
            let title = if bump { format!("Bump serde to v1.{row}, the {row}th") } else { format!("the Move {row}") };
            builder.push(&Row {
                repository: "o/r",
                number: row,
                created_at: row,
                values: &values,
                tokens: &[],
                kind_tokens: &[],
                title: (row != 11).then_some(title.as_str()),
                category: None,
                outcome: Outcome::default(),
            });
        }
        (builder.build(), (0..10).collect(), (10..40).collect())
    }

    #[test]
    fn a_group_is_named_by_the_words_that_others_do_not_have() {
        let (data, bumps, others) = data();
        let all: Vec<usize> = (0..40).collect();
        let scaler = scale::fit(&data, &all);
        let infos = describe(&data, &scaler, &[others, bumps.clone()], &all);
        assert_eq!(infos[1].words, ["bump", "serde"], "neither numbers nor what all have");
        assert_eq!((infos[1].name.as_str(), infos[1].rows), ("bump, serde", 10));
        assert_eq!(
            (infos[0].words.as_slice(), infos[0].examples.as_slice()),
            (&["move".to_owned()][..], &["o/r#10".to_owned(), "o/r#11".into(), "o/r#12".into()][..])
        );
        assert_eq!(infos[1].features, ["often: the author is a bot", "less: files changed"], "one of each group");
        assert_eq!(infos[0].features, ["seldom: the author is a bot", "more: files changed"]);
        // Beside rows that say the same, the words are nothing of its own.
        let half = describe(&data, &scaler, &[bumps[..5].to_vec()], &bumps);
        assert_eq!((half[0].words.len(), half[0].name.as_str()), (0, "like most"));
    }

    #[test]
    fn without_titles_features_name_a_group() {
        let (data, bumps, _) = data();
        let all: Vec<usize> = (0..40).collect();
        let info = describe(&data, &scale::fit(&data, &all), &[vec![11]], &all).remove(0);
        assert_eq!((info.words.len(), info.name.as_str()), (0, "lines changed: less than elsewhere"));
        assert_eq!(naming("often: the author is a bot"), "the author is a bot: more often than elsewhere");
        assert!(bumps.iter().all(|&row| words_of(data.title(row)).len() == 2), "bump and serde");
        assert_eq!(
            words_of("Übung, A re-run of 'X11'; don't 'ab' ab1 \u{202e}").into_iter().collect::<Vec<_>>(),
            ["ab", "re", "run", "übung"]
        );
    }
}
