//! Features in words: a sentence that a reviewer understands and can check.

use crate::catalog::{Feature, Says, Unit};

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
        let subject = self.says(value);
        if value.is_nan() {
            return subject;
        }
        match self.says {
            Says::Amount(_) if value > usual.high => {
                format!("{subject}, more than 95% of changes; {}", self.usual(usual.median, usual.high, "much"))
            }
            Says::Amount(_) if value < usual.low => {
                format!("{subject}, less than 95% of changes; {}", self.usual(usual.median, usual.low, "little"))
            }
            Says::Amount(_) if expected.is_finite() && self.amount(expected) != self.amount(value) => {
                // A reconstruction may stray outside what the feature can be.
                let expected = expected.clamp(usual.low.min(value), usual.high.max(value));
                format!("{subject}, where about {} would fit the rest of the change", self.amount(expected))
            }
            Says::Amount(_) => format!("{subject}; {} is usual", self.amount(usual.median)),
            Says::Flag(..) if value >= 0.5 => format!("{subject}, as {} of changes do", percent(usual.mean)),
            Says::Flag(..) => format!("{subject}, as {} of changes do not", percent(1.0 - usual.mean)),
            Says::Plain(_) => subject,
        }
    }

    /// What is usual, and what is already much or little where that reads differently.
    fn usual(&self, median: f32, end: f32, word: &str) -> String {
        let (median, end) = (self.amount(median), self.amount(end));
        if median == end { format!("{median} is usual") } else { format!("{median} is usual, {end} is {word}") }
    }

    /// What the pull request does, without what is usual.
    pub fn says(&self, value: f32) -> String {
        if value.is_nan() {
            return format!("{}: not known", self.name);
        }
        match self.says {
            Says::Amount(phrase) => phrase.replace("{}", &self.amount(value)),
            Says::Flag(yes, no) => if value >= 0.5 { yes } else { no }.to_owned(),
            Says::Plain(phrase) => phrase.to_owned(),
        }
    }

    /// A value in the feature's unit, such as `1,204 lines`.
    pub fn amount(&self, value: f32) -> String {
        let of = |one: &str, many: &str| {
            let number = number(value);
            format!("{number} {}", if number == "1" { one } else { many })
        };
        match self.unit {
            Unit::Lines => of("line", "lines"),
            Unit::Files => of("file", "files"),
            Unit::Directories => of("directory", "directories"),
            Unit::PullRequests => of("pull request", "pull requests"),
            Unit::People => of("author", "authors"),
            Unit::Days => of("day", "days"),
            Unit::Characters => of("character", "characters"),
            Unit::Words => of("word", "words"),
            Unit::Bits => of("bit", "bits"),
            Unit::Share => percent(value),
            Unit::Doublings => match number(value.abs().exp2()) {
                ratio if value < 0.0 && ratio != "1" => format!("1/{ratio} of"),
                ratio => format!("{ratio} times"),
            },
            Unit::Spreads => {
                format!(
                    "{} times the usual spread {}",
                    number(value.abs()),
                    if value < 0.0 { "below" } else { "above" }
                )
            }
            Unit::Count | Unit::YesNo | Unit::Coordinate => number(value),
        }
    }
}

/// A share in per cent, with enough digits to tell a rare thing from one that never happens.
fn percent(share: f32) -> String {
    let percent = f64::from(share) * 100.0;
    if percent > 0.0 && percent < 1.0 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

/// A number for reading: whole from ten on and thousands set apart, one digit after the point below ten.
fn number(value: f32) -> String {
    if value.abs() < 9.95 && value.fract() != 0.0 {
        let text = format!("{value:.1}");
        return text.strip_suffix(".0").unwrap_or(&text).to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value <= -0.5 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
            "adds 4,200 lines, more than 95% of changes; 20 lines is usual, 610 lines is much"
        );
        assert_eq!(
            feature("additions").sentence(20.0, 100.0, &usual),
            "adds 20 lines, where about 100 lines would fit the rest of the change"
        );
        let few = Usual { low: 0.0, median: 0.0, high: 0.0, mean: 0.2 };
        assert_eq!(
            feature("files_removed").sentence(55.0, 1.0, &few),
            "removes 55 files, more than 95% of changes; 0 files is usual"
        );
        let rare = Usual { low: 0.0, median: 0.0, high: 0.0, mean: 0.004 };
        assert_eq!(
            feature("touches_workflow").sentence(1.0, 0.0, &rare),
            "touches the repository's workflows, as 0.4% of changes do"
        );
    }

    #[test]
    fn ratios_and_spreads_read_in_both_directions() {
        let (ratio, spread) = (feature("files_to_median"), feature("files_in_spreads"));
        assert_eq!(ratio.says(5.0), "changes 32 times the files of this repository's median change");
        assert_eq!(ratio.says(-2.0), "changes 1/4 of the files of this repository's median change");
        assert_eq!(ratio.amount(0.5), "1.4 times");
        for same in [0.0, 0.05, -0.05] {
            assert_eq!(ratio.amount(same), "1 times");
        }
        assert_eq!(spread.says(2.5), "has a number of files 2.5 times the usual spread above this repository's median");
        assert_eq!(spread.says(-1.0), "has a number of files 1 times the usual spread below this repository's median");
    }

    #[test]
    fn every_feature_reads_well_at_any_value() {
        let usual = Usual { low: 0.0, median: 1.0, high: 2.0, mean: 0.5 };
        for feature in FEATURES {
            for value in [f32::NAN, 0.0, 0.5, 1.0, 3.0, -2.0, 1e9] {
                let sentence = feature.sentence(value, f32::NAN, &usual);
                assert!(!sentence.is_empty() && !sentence.contains("{}"), "{}: {sentence}", feature.name);
            }
        }
    }
}
