//! Features in words: a sentence that a reviewer understands and can check.

use crate::amount::{Amount, Numeral, Percent};
use crate::catalog::{Feature, Group, Says, Unit};

/// What is usual for a feature among the pull requests that a model was trained on, in the feature's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// 5% are below.
    pub low: f32,
    /// Half are below.
    pub median: f32,
    /// 95% are below.
    pub high: f32,
    /// The mean; for a yes-or-no feature the share of yes.
    pub mean: f32,
}

impl Feature {
    /// One sentence about `value`: what it is and what is usual. `expected` is what the rest of the pull request
    /// would have led one to expect; NaN if that is not known.
    pub fn sentence(&self, value: f32, expected: f32, usual: &Usual) -> String {
        let mut text = self.says(value);
        if value.is_nan() {
            return text;
        }
        match self.says {
            Says::Flag(..) => {
                let share = if value >= 0.5 { usual.mean } else { 1.0 - usual.mean };
                match Percent::of(share) {
                    Percent::Zero => text.push_str(", like hardly any change"),
                    share => {
                        text.push_str(", like ");
                        share.push_to(&mut text);
                        text.push_str(" of changes");
                    }
                }
            }
            Says::Plain(_) => {}
            Says::Amount(_) | Says::AmountOrNone(..) => {
                // A value that is itself measured against what is usual needs no second measure.
                let measured = self.group == Group::Relative;
                let (above, below) = (value > usual.high, value < usual.low);
                if above && measured {
                    text.push_str(", more than 95% of changes");
                } else if below && measured {
                    text.push_str(", less than 95% of changes");
                } else if above || below {
                    let (which, same, end) =
                        if above { ("at most ", "no more", usual.high) } else { ("at least ", "no less", usual.low) };
                    let [median, end] = [usual.median, end].map(|value| self.or_none(value));
                    text.push_str(" (usual: ");
                    median.push_to(&mut text);
                    text.push_str("; 95% of changes: ");
                    if end == median {
                        text.push_str(same);
                    } else {
                        text.push_str(which);
                        end.push_to(&mut text);
                    }
                    text.push(')');
                } else if let Some((about, fitting)) = self.fitting(value, expected, usual) {
                    text.push_str(", where ");
                    text.push_str(about);
                    fitting.push_to(&mut text);
                    text.push_str(" would fit the rest of the change");
                } else if !measured {
                    text.push_str(" (usual: ");
                    self.or_none(usual.median).push_to(&mut text);
                    text.push(')');
                }
            }
        }
        text
    }

    /// Whether its sentence sets `value` against anything that reads differently: what is usual, or what would fit the rest
    /// of the change.
    pub fn stands_out(&self, value: f32, expected: f32, usual: &Usual) -> bool {
        match self.says {
            Says::Flag(..) | Says::Plain(_) => true,
            Says::Amount(_) | Says::AmountOrNone(..) => {
                // The sentence of a measured value names the repository's median, at which it is 0.
                let compared = if self.group == Group::Relative { 0.0 } else { usual.median };
                value < usual.low
                    || value > usual.high
                    || self.fitting(value, expected, usual).is_some()
                    || self.or_none(value) != self.or_none(compared)
            }
        }
    }

    /// Whether two values read alike in the feature's unit.
    pub fn reads_alike(&self, a: f32, b: f32) -> bool {
        self.measured(a) == self.measured(b)
    }

    /// What would fit the rest of the change, and how nearly, if that is known and reads differently from `value`.
    fn fitting(&self, value: f32, expected: f32, usual: &Usual) -> Option<(&'static str, Amount)> {
        if expected.is_nan() || usual.low.is_nan() || usual.high.is_nan() {
            return None;
        }
        // Outside of what is usual the model only guesses, and its guess may be no amount that there can be.
        let mut nearest = expected.min(usual.high).max(usual.low);
        if self.counts() && value.fract() == 0.0 {
            nearest = nearest.round();
        }
        if self.reads_alike(nearest, value) || self.is_near(value, nearest) {
            return None;
        }
        Some(match self.or_none(nearest) {
            Amount::None => ("", Amount::None),
            amount if expected > usual.high => ("more than ", amount),
            amount if expected < usual.low => ("less than ", amount),
            amount => ("about ", amount),
        })
    }

    /// Whether two values differ by so little that nobody would look twice: a twentieth of all, a fifth of the larger,
    /// or one of some things.
    fn is_near(&self, a: f32, b: f32) -> bool {
        let difference = (a - b).abs();
        match self.unit {
            Unit::Share => difference < 0.05,
            // Logarithms of two.
            Unit::Doublings | Unit::Bits => difference < 0.15,
            _ => difference < 0.2 * a.abs().max(b.abs()) || self.counts() && difference <= 1.0 && a.min(b) >= 1.0,
        }
    }

    /// What the pull request does, without what is usual.
    pub fn says(&self, value: f32) -> String {
        if value.is_nan() {
            return format!("{}: not known", self.name);
        }
        match self.says {
            Says::AmountOrNone(_, none) if value == 0.0 => none.to_owned(),
            Says::Amount(phrase) | Says::AmountOrNone(phrase, _) => self.fill(phrase, value),
            Says::Flag(yes, no) => if value >= 0.5 { yes } else { no }.to_owned(),
            Says::Plain(phrase) => phrase.to_owned(),
        }
    }

    /// The phrase with the value in its place: `adds {}` or, with what is counted, `has {commit|commits}`.
    fn fill(&self, phrase: &'static str, value: f32) -> String {
        let Some((before, rest)) = phrase.split_once('{') else { return phrase.to_owned() };
        let (place, after) = rest.split_once('}').unwrap_or((rest, ""));
        let amount = match place.split_once('|') {
            Some((one, many)) => Amount::Things(Numeral::of(value), [one, many]),
            None => self.measured(value),
        };
        // Room for what is usual, too.
        let mut text = String::with_capacity(phrase.len() + 96);
        text.push_str(before);
        match amount {
            Amount::Things(Numeral::ZERO, [_, things]) if self.counts() => {
                text.push_str("no ");
                text.push_str(things);
            }
            amount => amount.push_to(&mut text),
        }
        if self.unit == Unit::Doublings && matches!(amount, Amount::Percent(_)) {
            text.push_str(" of");
        }
        text.push_str(after);
        text
    }

    /// Whether it counts things, of which there may be none.
    fn counts(&self) -> bool {
        !matches!(
            self.unit,
            Unit::Days | Unit::Bits | Unit::Share | Unit::Doublings | Unit::Spreads | Unit::YesNo | Unit::Coordinate
        )
    }

    /// A value in the feature's unit, or that there is none.
    fn or_none(&self, value: f32) -> Amount {
        if self.counts() && Numeral::of(value) == Numeral::ZERO { Amount::None } else { self.measured(value) }
    }

    /// A value in the feature's unit, such as `1,204 lines`.
    fn measured(&self, value: f32) -> Amount {
        let number = Numeral::of(value);
        match self.unit {
            Unit::Lines => Amount::Things(number, ["line", "lines"]),
            Unit::Files => Amount::Things(number, ["file", "files"]),
            Unit::Directories => Amount::Things(number, ["directory", "directories"]),
            Unit::PullRequests => Amount::Things(number, ["pull request", "pull requests"]),
            Unit::People => Amount::Things(number, ["author", "authors"]),
            Unit::Days => Amount::Things(number, ["day", "days"]),
            Unit::Characters => Amount::Things(number, ["character", "characters"]),
            Unit::Words => Amount::Things(number, ["word", "words"]),
            Unit::Bits => Amount::Things(Numeral::of(value.exp2()), ["file", "files"]),
            Unit::Share => Amount::Percent(Percent::of(value)),
            Unit::Doublings => match Numeral::of(value.abs().exp2()) {
                // One digit more, since it is about 1 and not exactly.
                Numeral::ONE => Amount::Once,
                // A part of a size reads as a share, a rate beside another one as a factor.
                _ if value < 0.0 && self.group == Group::Relative => Amount::Percent(Percent::of(value.exp2())),
                _ if value < 0.0 => Amount::hundredths(value.exp2()),
                ratio => Amount::Times(ratio),
            },
            Unit::Spreads => {
                let side = if value < 0.0 { "below" } else { "above" };
                Amount::Beside(Numeral::of(value.abs()), ["spread", "spreads"], side)
            }
            Unit::Count | Unit::YesNo | Unit::Coordinate => Amount::Number(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FEATURES;

    fn feature(name: &str) -> &'static Feature {
        FEATURES.iter().find(|feature| feature.name == name).unwrap()
    }

    #[test]
    fn sentences_say_what_is_usual() {
        let usual = Usual { low: 2.0, median: 20.0, high: 610.0, mean: 90.0 };
        assert_eq!(
            feature("additions").sentence(4200.0, 100.0, &usual),
            "adds 4,200 lines (usual: 20 lines; 95% of changes: at most 610 lines)"
        );
        assert_eq!(
            feature("additions").sentence(20.0, 99.7, &usual),
            "adds 20 lines, where about 100 lines would fit the rest of the change"
        );
        assert_eq!(
            feature("additions").sentence(20.0, 9e6, &usual),
            "adds 20 lines, where more than 610 lines would fit the rest of the change"
        );
        assert_eq!(
            feature("additions").sentence(20.0, -9.0, &usual),
            "adds 20 lines, where less than 2 lines would fit the rest of the change"
        );
        assert_eq!(
            feature("additions").sentence(610.0, 9e6, &usual),
            "adds 610 lines (usual: 20 lines)",
            "what is guessed reads as what there is"
        );
        assert_eq!(
            feature("additions").sentence(3.0, 5.2, &usual),
            "adds 3 lines, where about 5 lines would fit the rest of the change",
            "there is no fifth of a line"
        );
        assert_eq!(
            feature("additions").sentence(3.0, 4.2, &usual),
            "adds 3 lines (usual: 20 lines)",
            "one more or less"
        );
        assert_eq!(
            feature("files_per_directory").sentence(2.5, 4.2, &usual),
            "touches 2.5 files per directory, where about 4.2 files would fit the rest of the change"
        );
        let few = Usual { low: 0.0, median: 0.0, high: 0.0, mean: 0.2 };
        assert_eq!(
            feature("files_removed").sentence(55.0, 1.0, &few),
            "removes 55 files (usual: none; 95% of changes: no more)"
        );
        assert_eq!(
            feature("share_test").sentence(0.0, 0.1, &Usual { low: 0.3, median: 0.3, high: 0.4, mean: 0.3 }),
            "changes no tests (usual: 30%; 95% of changes: no less)"
        );
        let rare = Usual { low: 0.0, median: 0.0, high: 0.0, mean: 0.004 };
        assert_eq!(
            feature("touches_workflow").sentence(1.0, 0.0, &rare),
            "touches the repository's workflows or actions, like 0.4% of changes"
        );
        let nearly_all = Usual { mean: 0.97, ..rare };
        assert_eq!(feature("body_is_missing").sentence(1.0, 0.0, &rare), "has no description, like 0.4% of changes");
        assert_eq!(
            feature("author_is_insider").sentence(0.0, 1.0, &nearly_all),
            "comes from outside the project, like 3% of changes"
        );
        let never = Usual { mean: 0.0, ..rare };
        assert_eq!(feature("draft").sentence(1.0, 0.0, &never), "is a draft, like hardly any change");
        let once = Usual { mean: 0.0002, ..rare };
        assert_eq!(feature("draft").sentence(1.0, 0.0, &once), "is a draft, like less than 0.1% of changes");
    }

    #[test]
    fn what_reads_as_usual_does_not_stand_out() {
        let usual = Usual { low: 2.0, median: 20.0, high: 610.0, mean: 90.0 };
        let stands_out = |value: f32, expected: f32| feature("additions").stands_out(value, expected, &usual);
        assert!(!stands_out(20.3, f32::NAN) && !stands_out(20.0, 20.2), "20 lines, where 20 are usual");
        assert!(stands_out(20.0, 99.0), "more would fit");
        let sentence = feature("additions").sentence(100.0, 108.0, &usual);
        assert_eq!(sentence, "adds 100 lines (usual: 20 lines)", "what would fit is near");
        let share = Usual { low: 0.0, median: 0.0, high: 1.0, mean: 0.3 };
        assert_eq!(feature("share_source").sentence(0.07, 0.06, &share), "is 7% source code (usual: 0%)");
        assert!(stands_out(21.0, f32::NAN) && stands_out(1.0, 1.0) && stands_out(900.0, 900.0));
        let same = Usual { low: 0.02, median: 0.02, high: 0.03, mean: 0.02 };
        assert!(feature("path_revert_ratio").stands_out(0.05, f32::NAN, &same), "beyond what is usual");
        assert!(!feature("path_revert_ratio").stands_out(0.025, f32::NAN, &same));
        assert!(feature("draft").stands_out(1.0, 1.0, &usual), "a flag is for who calls to judge");
    }

    #[test]
    fn what_lies_at_a_limit_is_usual() {
        let usual = Usual { low: 2.0, median: 20.0, high: 610.0, mean: 90.0 };
        let additions = |value: f32, expected: f32| feature("additions").sentence(value, expected, &usual);
        assert_eq!(additions(2.0, f32::NAN), "adds 2 lines (usual: 20 lines)");
        assert_eq!(additions(610.0, f32::NAN), "adds 610 lines (usual: 20 lines)");
        for limit in [2.0, 610.0] {
            let expected = format!("adds 20 lines, where about {limit} lines would fit the rest of the change");
            assert_eq!(additions(20.0, limit), expected);
        }
        let half_known = Usual { low: f32::NAN, ..usual };
        assert_eq!(feature("additions").sentence(20.0, 99.0, &half_known), "adds 20 lines (usual: 20 lines)");
        let same = Usual { low: 0.02, median: 0.02, high: 0.03, mean: 0.02 };
        let stands_out = |value: f32| feature("path_revert_ratio").stands_out(value, f32::NAN, &same);
        assert!(!stands_out(0.02) && !stands_out(0.03), "they read alike");
    }

    #[test]
    fn what_would_fit_is_told_from_a_difference_on_that_counts_in_its_unit() {
        let usual = Usual { low: 0.0, median: 1.0, high: 610.0, mean: 90.0 };
        let sentence = |name: &str, value: f32, expected: f32| feature(name).sentence(value, expected, &usual);
        let fits = |says: &str, amount: &str| format!("{says}, where {amount} would fit the rest of the change");
        // Of things a fifth, and one where that is none.
        assert_eq!(sentence("additions", 100.0, 80.0), fits("adds 100 lines", "about 80 lines"));
        assert_eq!(sentence("additions", 100.0, 81.0), "adds 100 lines (usual: 1 line)");
        assert_eq!(sentence("deletions", 1.0, 0.0), fits("deletes 1 line", "none"));
        // Of shares a twentieth of all.
        assert_eq!(sentence("share_source", 0.05, 0.0), fits("is 5% source code", "about 0%"));
        assert_eq!(sentence("share_source", 0.07, 0.03), "is 7% source code (usual: 100%)");
        // Of logarithms 0.15, which is a tenth of the number.
        let spread = "is spread as widely as over 1.1 files changed alike";
        assert_eq!(sentence("entropy", 0.2, 0.5), fits(spread, "about 1.4 files"));
        assert_eq!(sentence("entropy", 0.2, 0.3), format!("{spread} (usual: 2 files)"));
    }

    #[test]
    fn one_and_none_read_as_such() {
        assert_eq!(feature("requested_reviewers").says(1.0), "waits for 1 reviewer");
        assert_eq!(feature("requested_reviewers").says(12.0), "waits for 12 reviewers");
        assert_eq!(feature("labels").says(0.0), "has no labels");
        assert_eq!(feature("body_length").says(0.0), "has no description");
        assert_eq!(feature("file_authors_max").says(0.0), "touches no file that a known author changed before");
        assert_eq!(feature("deepest_path").says(0.0), "reaches no deeper than the root");
        assert_eq!(feature("deepest_path").says(1.0), "reaches 1 directory deep");
        assert_eq!(feature("share_test").says(0.0), "changes no tests");
        let some = Usual { low: 1.0, median: 2.0, high: 9.0, mean: 3.0 };
        assert_eq!(
            feature("commits").sentence(0.0, f32::NAN, &some),
            "has no commits (usual: 2; 95% of changes: at least 1)"
        );
        let around_none = Usual { low: 0.0, median: 0.0, high: 9.0, mean: 3.0 };
        assert_eq!(
            feature("deletions").sentence(5.0, -0.2, &around_none),
            "deletes 5 lines, where none would fit the rest of the change"
        );
    }

    #[test]
    fn a_little_is_not_none() {
        assert_eq!(
            feature("file_merges_mean").says(0.04),
            "touches files that less than 0.1 pull requests changed before, on average"
        );
        assert_eq!(
            feature("author_days_since_last").says(0.01),
            "comes less than 0.1 days after its author's last pull request"
        );
    }

    #[test]
    fn entropy_reads_as_a_number_of_files() {
        let usual = Usual { low: 0.0, median: 0.0, high: 3.0, mean: 1.0 };
        assert_eq!(
            feature("entropy").sentence(5.0, f32::NAN, &usual),
            "is spread as widely as over 32 files changed alike (usual: 1 file; 95% of changes: at most 8 files)"
        );
    }

    #[test]
    fn ratios_and_spreads_read_in_both_directions() {
        let (ratio, spread) = (feature("files_to_median"), feature("files_in_spreads"));
        assert_eq!(ratio.says(5.0), "changes 32 times the files of this repository's median change");
        assert_eq!(ratio.says(-2.0), "changes 25% of the files of this repository's median change");
        let amount = |value: f32| {
            let mut text = String::new();
            ratio.measured(value).push_to(&mut text);
            text
        };
        assert_eq!(amount(0.5), "1.4 times");
        let usual = Usual { low: -3.0, median: 0.0, high: 4.0, mean: 0.1 };
        assert_eq!(
            ratio.sentence(5.0, 0.0, &usual),
            "changes 32 times the files of this repository's median change, more than 95% of changes"
        );
        assert_eq!(
            ratio.sentence(-4.0, 0.0, &usual),
            "changes 6% of the files of this repository's median change, less than 95% of changes"
        );
        assert_eq!(
            ratio.sentence(1.0, -2.0, &usual),
            "changes 2 times the files of this repository's median change, where about 25% would fit the rest of the change"
        );
        for same in [0.0, 0.05, -0.05] {
            assert_eq!(amount(same), "1.0 times");
        }
        let reverts = feature("path_revert_ratio");
        let usual = Usual { low: -0.4, median: 0.05, high: 1.1, mean: 0.1 };
        assert_eq!(
            reverts.sentence(1.0, f32::NAN, &usual),
            "touches paths with 2 times this repository's rate of reverts over the last year (usual: 1.0 times)"
        );
        assert_eq!(
            reverts.sentence(-1.0, f32::NAN, &usual),
            "touches paths with 0.50 times this repository's rate of reverts over the last year (usual: 1.0 times; 95% of \
             changes: at least 0.76 times)"
        );
        let spreads = "(a spread holds the middle half of its changes)";
        for (value, side) in [(2.5, "2.5 spreads above"), (0.0, "0 spreads above"), (-1.0, "1 spread below")] {
            let expected = format!("has a number of files {side} this repository's median {spreads}");
            assert_eq!(spread.says(value), expected);
        }
    }

    #[test]
    fn every_feature_reads_well_at_any_value() {
        let usual = Usual { low: 0.0, median: 1.0, high: 2.0, mean: 0.5 };
        let backwards = Usual { low: 2.0, high: 0.0, ..usual };
        let unknown = Usual { low: f32::NAN, median: f32::NAN, high: f32::NAN, mean: f32::NAN };
        for feature in FEATURES {
            for value in [f32::NAN, 0.0, 0.5, 1.0, 3.0, -2.0, 1e9] {
                for (expected, usual) in [(f32::NAN, &usual), (1.5, &usual), (1.5, &unknown), (1.5, &backwards)] {
                    let sentence = feature.sentence(value, expected, usual);
                    assert!(
                        !sentence.is_empty() && !sentence.contains(['{', '|', '}']),
                        "{}: {sentence}",
                        feature.name
                    );
                }
            }
        }
    }
}
