//! Why: from the shares of the anomaly score to a few sentences that a reviewer can check.
//!
//! Several features often tell one thing (lines added, lines changed, lines changed against the median): their shares
//! are added up under one subject, and the strongest that tells something speaks for it. A feature that is not known,
//! or is as it nearly always is, says nothing by itself, even where the model expected something else beside it.

use std::f32::consts::TAU;

use prowl_features::{FEATURES, Feature, Unit};
use prowl_model::{Contribution, FeatureInfo, Input};
use prowl_proto::v1;

/// Features that tell a reviewer one thing. A feature that is not listed is a subject of its own.
const SUBJECTS: &[&[&str]] = &[
    &["churn", "additions", "churn_per_file", "churn_to_median", "churn_in_spreads"],
    &["changed_files", "files_to_median", "files_in_spreads", "files_added"],
    &["directories", "subsystems", "files_per_directory"],
    &["entropy", "largest_file_share"],
    &["deletions", "share_added"],
    &["share_source", "share_test", "source_without_tests"],
    &["size_is_missing", "files_are_missing"],
    &["author_is_new", "author_opened", "author_days_since_last"],
    &["author_knows_files", "author_knows_directories", "author_file_experience"],
    &["file_merges_max", "file_merges_mean", "file_authors_max", "file_authors_mean", "directory_merges_max"],
    &["file_days_min", "file_days_mean"],
    &["file_fixes_max", "file_fixes_mean"],
    &["file_reverts_max", "file_reverts_mean", "directory_reverts_max"],
    &["hour_sin", "hour_cos"],
    &["weekday_sin", "weekday_cos", "weekend"],
    &["title_length", "title_words"],
    &["body_length", "body_is_missing"],
    &["repository_opened", "repository_merged_share", "repository_reverted_share", "repository_days_since_last"],
];

/// Less than this share of the score is no reason.
const LEAST_SHARE: f32 = 0.02;

/// Makes reasons for the answers of one model.
#[derive(Debug)]
pub struct Reasons {
    /// By the index of the feature in the model.
    features: Vec<Known>,
    subjects: usize,
    most: usize,
}

#[derive(Debug)]
struct Known {
    feature: &'static Feature,
    group: String,
    subject: usize,
}

impl Reasons {
    /// For a model that reads `features`, which are those of this program; at most `most` reasons an answer.
    pub fn new(features: &[FeatureInfo], most: usize) -> Self {
        let listed = SUBJECTS.len();
        let known = features.iter().zip(FEATURES).enumerate().map(|(index, (info, feature))| Known {
            feature,
            group: info.group.clone(),
            subject: SUBJECTS.iter().position(|names| names.contains(&feature.name)).unwrap_or(listed + index),
        });
        Self { features: known.collect(), subjects: listed + features.len() + 1, most }
    }

    /// The reasons, the strongest first. `contributions` come strongest first, as the model gives them.
    pub fn of(&self, contributions: &[Contribution]) -> Vec<v1::Reason> {
        let mut shares = vec![0.0f32; self.subjects];
        for contribution in contributions {
            shares[self.subject(contribution.input)] += contribution.share;
        }
        // The strongest telling contribution of each subject, in the order of the subjects' own strength.
        let mut spoken_for = vec![false; self.subjects];
        let mut speakers: Vec<(f32, &Contribution)> = contributions
            .iter()
            .filter(|contribution| {
                let subject = self.subject(contribution.input);
                shares[subject] >= LEAST_SHARE
                    && !spoken_for[subject]
                    && self.tells(contribution)
                    && !std::mem::replace(&mut spoken_for[subject], true)
            })
            .map(|contribution| (shares[self.subject(contribution.input)], contribution))
            .collect();
        speakers.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        speakers.truncate(self.most);
        speakers.into_iter().map(|(share, contribution)| self.reason(share, contribution, contributions)).collect()
    }

    fn subject(&self, input: Input) -> usize {
        match input {
            Input::Feature(index) => self.features[index].subject,
            Input::Text => self.subjects - 1,
        }
    }

    /// Whether a reviewer learns something from this value.
    fn tells(&self, contribution: &Contribution) -> bool {
        let Input::Feature(index) = contribution.input else { return true };
        let (feature, value, usual) = (self.features[index].feature, contribution.value, contribution.usual);
        if value.is_nan() || usual.median.is_nan() {
            return false;
        }
        match feature.unit {
            // What most pull requests are like as well is no reason.
            Unit::YesNo => (value >= 0.5) != (usual.mean >= 0.5),
            Unit::Coordinate => true,
            _ => {
                let outside = value < usual.low || value > usual.high;
                outside || feature.amount(value) != feature.amount(contribution.expected)
            }
        }
    }

    fn reason(&self, share: f32, speaker: &Contribution, all: &[Contribution]) -> v1::Reason {
        let Input::Feature(index) = speaker.input else {
            return v1::Reason {
                feature: "text".to_owned(),
                group: "text".to_owned(),
                contribution: share,
                sentence: "is worded unlike other pull requests".to_owned(),
                ..v1::Reason::default()
            };
        };
        let Known { feature, group, .. } = &self.features[index];
        let usual = prowl_features::Usual {
            low: speaker.usual.low,
            median: speaker.usual.median,
            high: speaker.usual.high,
            mean: speaker.usual.mean,
        };
        let sentence = self
            .time_of(feature.name, all)
            .unwrap_or_else(|| feature.sentence(speaker.value, speaker.expected, &usual));
        v1::Reason {
            feature: feature.name.to_owned(),
            group: group.clone(),
            value: Some(speaker.value),
            expected: speaker.expected.is_finite().then_some(speaker.expected),
            usual: Some(v1::Usual { low: usual.low, median: usual.median, high: usual.high }),
            contribution: share,
            sentence,
        }
    }

    /// A sine or cosine in words: the hour or the day that both of them say.
    fn time_of(&self, name: &str, all: &[Contribution]) -> Option<String> {
        let stem = name.strip_suffix("_sin").or_else(|| name.strip_suffix("_cos"))?;
        let value = |suffix: &str| {
            all.iter().find_map(|contribution| match contribution.input {
                Input::Feature(index) if self.features[index].feature.name.strip_prefix(stem) == Some(suffix) => {
                    Some(contribution.value)
                }
                _ => None,
            })
        };
        let turn = value("_sin")?.atan2(value("_cos")?).rem_euclid(TAU) / TAU;
        match stem {
            "hour" => {
                let minutes = (turn * 1_440.0).round() as u32 % 1_440;
                Some(format!("was opened at {:02}:{:02} UTC, an unusual time of day", minutes / 60, minutes % 60))
            }
            "weekday" => {
                const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
                let day = DAYS[(turn * 7.0) as usize % 7];
                Some(format!("was opened on a {day} (UTC), an unusual day of the week"))
            }
            _ => None,
        }
    }
}
