//! Why: from the shares of the anomaly score, and from what moves the risk, to a few sentences that a reviewer can check.
//!
//! Several features often tell one thing (lines added, lines changed, lines changed against the median): their shares,
//! or effects, are added up under one subject, and the plainest of its strong ones speaks for it. A feature that is not known, or
//! a flag that is as in most pull requests, says nothing by itself, even where the model expected something else.

mod subjects;

use std::f32::consts::TAU;

use prost_types::Timestamp;
use prowl_features::{FEATURES, Feature, Unit};
use prowl_model::{Contribution, Effect, FeatureInfo, Habit, Input, Model, Usual};
use prowl_proto::v1;

use self::subjects::Subjects;
use crate::words::day;

/// Less than this share of the score is no reason.
const LEAST_SHARE: f32 = 0.02;

/// What moves the log-odds of the risk by less than this, a tenth of the odds, is no reason.
const LEAST_EFFECT: f32 = 0.1;

/// What grows with what was taken back.
const COUNTS_REVERTS: [&str; 8] = [
    "author_reverted_share",
    "author_revert_ratio",
    "directory_reverts_max",
    "file_reverts_max",
    "file_reverts_mean",
    "path_revert_ratio",
    "repository_reverted_share",
    "title_revert_ratio",
];

/// What at most this share of pull requests does is rare enough to be told.
const RARE: f32 = 0.15;

/// What the wording is compared in: its words are hashed and count together, so that none of them can be named.
const WORDED: &str = "is worded unlike other pull requests (title, description and labels, as a whole)";

/// Makes reasons for the answers of one model.
#[derive(Debug)]
pub struct Reasons {
    /// By the index of the feature in the model.
    features: Vec<Known>,
    subjects: Subjects,
    /// What the wording counts in the anomaly score: the share of it that a wording like any other has.
    text_weight: f32,
    most: usize,
}

#[derive(Debug)]
struct Known {
    feature: &'static Feature,
    group: String,
    counts_reverts: bool,
}

impl Reasons {
    /// For a model that reads the features of this program; at most `most` reasons an answer.
    pub fn new(model: &Model, most: usize) -> Self {
        let features = &model.metadata().features;
        let weight = |inputs: &[Habit]| inputs.iter().map(|input| input.weight).sum::<f32>();
        let habits = &model.parts().views.surprise.habits;
        let all = weight(habits).max(f32::MIN_POSITIVE);
        Self::with(features, weight(&habits[features.len()..]) / all, most)
    }

    fn with(features: &[FeatureInfo], text_weight: f32, most: usize) -> Self {
        let known = features.iter().zip(FEATURES).map(|(info, feature)| {
            let counts_reverts = COUNTS_REVERTS.contains(&feature.name);
            Known { feature, group: info.group.clone(), counts_reverts }
        });
        Self { features: known.collect(), subjects: Subjects::of(features.len()), text_weight, most }
    }

    /// The reasons, the strongest first. `contributions` come strongest first, as the model gives them. `counted_up_to`
    /// is the moment of the history, where that is not the moment at which the pull request was opened.
    pub fn of(&self, contributions: &[Contribution], counted_up_to: Option<Timestamp>) -> Vec<v1::Reason> {
        let part = |contribution: &Contribution| (contribution.input, contribution.share);
        let tells = |contribution: &Contribution, _| self.tells(contribution);
        let counted_up_to = counted_up_to.as_ref().map(day);
        let reason = |(share, speaker): (f32, &Contribution)| {
            let mut reason = self.reason(share, speaker, contributions);
            if let Input::Feature(index) = speaker.input {
                self.count_up_to(&mut reason.sentence, index, counted_up_to.as_deref());
            }
            reason
        };
        self.subjects.speakers(contributions, LEAST_SHARE, part, tells).map(reason).take(self.most).collect()
    }

    /// The reasons of the risk, the strongest first. `effects` come strongest first, as the model gives them;
    /// `counted_up_to` is as in [`Reasons::of`]. What is unknown may have an effect, and is nothing to be checked.
    pub fn of_risk(&self, effects: &[Effect], counted_up_to: Option<Timestamp>) -> Vec<v1::RiskReason> {
        // More of what was taken back lowers no risk that a reviewer believes in, nor does less of it raise one: it stands for what comes
        // with it, such as a busy directory. So it is not added up, and does not speak.
        let is_odd = |effect: &Effect| {
            let away = effect.value - effect.usual.median;
            self.features[effect.feature].counts_reverts && effect.log_odds * away < 0.0
        };
        let part =
            |effect: &Effect| (Input::Feature(effect.feature), if is_odd(effect) { 0.0 } else { effect.log_odds });
        let tells = |effect: &Effect, sum: f32| {
            let &Effect { feature, value, usual, log_odds } = effect;
            let known = !(value.is_nan() || usual.median.is_nan());
            // Only what pulls the way that all of them go together speaks for it.
            let feature = self.features[feature].feature;
            // A flag that is as in most changes is what the sentence compares it with.
            let as_most = feature.unit == Unit::YesNo && (value >= 0.5) == (usual.mean >= 0.5);
            let stands_out = || feature.stands_out(value, f32::NAN, &in_words(&usual));
            known && !is_odd(effect) && log_odds * sum > 0.0 && !as_most && stands_out()
        };
        let counted_up_to = counted_up_to.as_ref().map(day);
        let reason = |(sum, speaker): (f32, &Effect)| {
            let Known { feature, group, .. } = &self.features[speaker.feature];
            // A sine means nothing without its cosine, and no hour is risky by itself.
            if feature.unit == Unit::Coordinate {
                return None;
            }
            let usual = &speaker.usual;
            let mut sentence = feature.sentence(speaker.value, f32::NAN, &in_words(usual));
            self.count_up_to(&mut sentence, speaker.feature, counted_up_to.as_deref());
            Some(v1::RiskReason {
                feature: feature.name.to_owned(),
                group: group.clone(),
                value: speaker.value,
                usual: Some(message(usual)),
                effect: sum,
                sentence,
            })
        };
        self.subjects.speakers(effects, LEAST_EFFECT, part, tells).filter_map(reason).take(self.most).collect()
    }

    /// Says up to when a sentence counts, where it counts events of the history. A number of days does not: it is measured
    /// from the opening.
    fn count_up_to(&self, sentence: &mut String, feature: usize, day: Option<&str>) {
        let feature = self.features[feature].feature;
        if let (Some(day), true) = (day, feature.source.ends_with("history") && feature.unit != Unit::Days) {
            sentence.extend([", counted up to ", day]);
        }
    }

    /// Whether a reviewer learns something from this value.
    fn tells(&self, contribution: &Contribution) -> bool {
        let Input::Feature(index) = contribution.input else {
            return contribution.share >= 2.0 * self.text_weight;
        };
        let (feature, value, usual) = (self.features[index].feature, contribution.value, contribution.usual);
        if value.is_nan() || usual.median.is_nan() {
            return false;
        }
        let outside = value < usual.low || value > usual.high;
        match feature.unit {
            Unit::YesNo if value >= 0.5 => usual.mean <= RARE,
            Unit::YesNo => 1.0 - usual.mean <= RARE,
            Unit::Coordinate => outside,
            _ => {
                let expected = contribution.expected;
                !feature.reads_alike(value, expected) && feature.stands_out(value, expected, &in_words(&usual))
                    || outside
            }
        }
    }

    fn reason(&self, share: f32, speaker: &Contribution, all: &[Contribution]) -> v1::Reason {
        let Input::Feature(index) = speaker.input else {
            return v1::Reason {
                feature: "text".to_owned(),
                group: "text".to_owned(),
                contribution: share,
                sentence: WORDED.to_owned(),
                ..v1::Reason::default()
            };
        };
        let Known { feature, group, .. } = &self.features[index];
        let usual = &speaker.usual;
        let sentence = self
            .time_of(feature.name, all)
            .unwrap_or_else(|| feature.sentence(speaker.value, speaker.expected, &in_words(usual)));
        v1::Reason {
            feature: feature.name.to_owned(),
            group: group.clone(),
            value: Some(speaker.value),
            expected: speaker.expected.is_finite().then_some(speaker.expected),
            usual: Some(message(usual)),
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

/// What is usual, as a sentence tells it.
fn in_words(&Usual { low, median, high, mean }: &Usual) -> prowl_features::Usual {
    prowl_features::Usual { low, median, high, mean }
}

fn message(&Usual { low, median, high, .. }: &Usual) -> v1::Usual {
    v1::Usual { low, median, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(most: usize) -> Reasons {
        let features: Vec<FeatureInfo> = serde_json::from_value(prowl_features::catalog_json()).unwrap();
        Reasons::with(&features, 0.1, most)
    }

    fn index(name: &str) -> usize {
        FEATURES.iter().position(|feature| feature.name == name).unwrap()
    }

    /// A contribution whose usual values are 0 to 10 around 1, with a mean of 0.1.
    fn part(name: &str, value: f32, share: f32) -> Contribution {
        let usual = Usual { low: 0.0, median: 1.0, high: 10.0, mean: 0.1 };
        Contribution { input: Input::Feature(index(name)), value, expected: 1.0, usual, share }
    }

    fn names(reasons: &[v1::Reason]) -> Vec<&str> {
        reasons.iter().map(|reason| reason.feature.as_str()).collect()
    }

    #[test]
    fn what_counts_reverts_is_a_feature() {
        assert!(COUNTS_REVERTS.iter().all(|name| FEATURES.iter().any(|feature| feature.name == *name)));
    }

    #[test]
    fn one_thing_is_told_once_with_all_of_its_share() {
        let found = reasons(5).of(
            &[
                part("additions", 900.0, 0.3),
                part("commits", 40.0, 0.25),
                part("churn", 950.0, 0.2),
                part("churn_to_median", 8.0, 0.1),
            ],
            None,
        );
        assert_eq!(names(&found), ["churn", "commits"], "the plainest of the strong ones speaks");
        assert!((found[0].contribution - 0.6).abs() < 1e-6);
        assert_eq!(found[0].group, "size");
        assert_eq!((found[0].value, found[0].expected), (Some(950.0), Some(1.0)));
        assert!(found[0].sentence.contains("950 lines"), "{}", found[0].sentence);
    }

    #[test]
    fn a_plain_feature_does_not_speak_for_a_far_stronger_one() {
        let found = reasons(5).of(&[part("additions", 900.0, 0.5), part("churn", 950.0, 0.2)], None);
        assert_eq!(names(&found), ["additions"]);
    }

    #[test]
    fn together_small_shares_come_before_a_single_one() {
        let found = reasons(1)
            .of(&[part("commits", 40.0, 0.4), part("additions", 900.0, 0.3), part("churn", 900.0, 0.3)], None);
        assert_eq!(names(&found), ["churn"]);
    }

    #[test]
    fn what_tells_nothing_is_left_out() {
        let found = reasons(9).of(
            &[
                part("draft", f32::NAN, 0.4),
                part("issue_link", 0.0, 0.1),
                part("files_removed", 1.0, 0.1),
                part("touches_workflow", 1.0, 0.1),
                part("commits", 40.0, 0.01),
            ],
            None,
        );
        assert_eq!(names(&found), ["touches_workflow"]);
    }

    #[test]
    fn where_the_strongest_tells_nothing_the_next_speaks() {
        let found = reasons(9).of(&[part("title_length", 1.0, 0.5), part("title_words", 40.0, 0.2)], None);
        assert_eq!(names(&found), ["title_words"]);
        assert!((found[0].contribution - 0.7).abs() < 1e-6);
    }

    #[test]
    fn times_are_told_as_times() {
        let at = |name: &str, share_of_turn: f32, usual_low: f32| {
            let (sine, cosine) = (share_of_turn * TAU).sin_cos();
            let mut part = part(name, if name.ends_with("_sin") { sine } else { cosine }, 0.4);
            (part.usual.low, part.usual.high) = (usual_low, 1.0);
            part
        };
        let night = |low| [at("hour_cos", 23.25 / 24.0, low), at("hour_sin", 23.25 / 24.0, low)];
        let found = reasons(9).of(&night(-0.1), None);
        assert_eq!(names(&found), ["hour_sin"]);
        assert_eq!(found[0].sentence, "was opened at 23:15 UTC, an unusual time of day");
        assert_eq!(reasons(9).of(&night(-1.0), None), [], "where people work at all hours, none is unusual");
        let found = reasons(9).of(&[at("weekday_sin", 6.5 / 7.0, 0.0), at("weekday_cos", 6.5 / 7.0, 0.0)], None);
        assert_eq!(found[0].sentence, "was opened on a Sunday (UTC), an unusual day of the week");
    }

    /// An effect of a feature whose usual values are 0 to 10 around 1, with a mean of 0.1.
    fn effect(name: &str, value: f32, log_odds: f32) -> Effect {
        Effect { feature: index(name), value, usual: part(name, value, 0.0).usual, log_odds }
    }

    #[test]
    fn a_risk_is_told_by_what_raises_and_what_lowers_it() {
        let found = reasons(5).of_risk(
            &[
                effect("path_revert_ratio", 2.0, 0.9),
                effect("author_file_experience", 7.0, -0.5),
                effect("changed_files", 26.0, 0.3),
                effect("directory_reverts_max", 3.0, 0.2),
                effect("commits", 3.0, 0.09),
            ],
            None,
        );
        let told: Vec<_> = found.iter().map(|reason| (reason.feature.as_str(), reason.sentence.as_str())).collect();
        let expected = [
            ("path_revert_ratio", FEATURES[index("path_revert_ratio")].says(2.0) + " (usual: 2 times)"),
            (
                "author_file_experience",
                FEATURES[index("author_file_experience")].says(7.0) + " (usual: 1 pull request)",
            ),
            ("changed_files", "changes 26 files (usual: 1 file; 95% of changes: at most 10 files)".to_owned()),
        ];
        assert_eq!(told, expected.each_ref().map(|(name, sentence)| (*name, sentence.as_str())));
        assert!((found[0].effect - 1.1).abs() < 1e-6, "with what tells the same: {found:?}");
        assert_eq!((found[1].effect, found[1].value, found[1].group.as_str()), (-0.5, 7.0, "author"));
    }

    #[test]
    fn more_of_what_was_taken_back_lowers_no_risk() {
        let parts = [
            effect("path_revert_ratio", 2.0, -0.9),
            effect("directory_reverts_max", 3.0, 0.4),
            effect("author_reverted_share", 0.5, 0.3),
        ];
        let found = reasons(5).of_risk(&parts, None);
        let told: Vec<_> = found.iter().map(|reason| (reason.feature.as_str(), reason.effect)).collect();
        assert_eq!(
            told,
            [("directory_reverts_max", 0.4)],
            "a share below the usual raises none, and what is odd is not added up"
        );
    }

    #[test]
    fn what_a_reviewer_cannot_check_is_no_reason_of_a_risk() {
        let found = reasons(5).of_risk(
            &[
                effect("commits", f32::NAN, 0.9),
                effect("hour_sin", 0.5, 0.8),
                effect("labels", 1.0, 0.7),
                effect("churn", 950.0, -0.4),
                effect("additions", 900.0, 0.35),
            ],
            None,
        );
        assert_eq!(found, [], "unknown, a time of day, what reads as the usual, and what comes to nothing");
        let found = reasons(1).of_risk(
            &[effect("churn", 950.0, -0.4), effect("commits", 9.0, 0.3), effect("additions", 900.0, 0.2)],
            None,
        );
        assert_eq!((found.len(), found[0].feature.as_str()), (1, "commits"), "0.3 is more than 0.2 against 0.4");
    }

    #[test]
    fn what_is_as_in_most_changes_is_no_reason_of_a_risk() {
        let usual_flag = effect("checklist", 0.0, 0.9);
        let found = reasons(5).of_risk(&[usual_flag, effect("touches_workflow", 1.0, 0.8)], None);
        assert_eq!(found.iter().map(|reason| reason.feature.as_str()).collect::<Vec<_>>(), ["touches_workflow"]);
        let mut as_the_median = effect("churn_to_median", 0.02, 0.9);
        (as_the_median.usual.low, as_the_median.usual.median) = (-1.0, 0.5);
        assert_eq!(reasons(5).of_risk(&[as_the_median], None), [], "1.0 times the median change");
    }

    #[test]
    fn a_reason_of_a_risk_says_up_to_when_it_counts() {
        let moment = Some(Timestamp { seconds: 1_715_212_800, nanos: 0 });
        let found = reasons(5).of_risk(
            &[effect("file_merges_max", 80.0, 0.9), effect("commits", 40.0, 0.8), effect("file_days_min", 80.0, 0.7)],
            moment,
        );
        let says = |reason: &v1::RiskReason| reason.sentence.ends_with(", counted up to 2024-05-09");
        assert_eq!(found.iter().map(says).collect::<Vec<_>>(), [true, false, false], "{found:#?}");
    }

    #[test]
    fn wording_is_one_reason() {
        let text =
            Contribution { input: Input::Text, value: f32::NAN, expected: f32::NAN, usual: Usual::UNKNOWN, share: 0.6 };
        let found = reasons(9).of(&[text], None);
        assert_eq!((names(&found), found[0].value), (vec!["text"], None));
        assert!(found[0].sentence.ends_with("(title, description and labels, as a whole)"), "{found:?}");
    }
}
