//! Amounts as a reader sees them: rounded, in the unit of what they count, and equal where they read alike.
//!
//! What is told is settled before any text is made, so that two amounts are compared without one.

use std::fmt::Write;

/// A number for reading: whole from ten on and thousands set apart, one digit after the point below ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numeral {
    /// More than nothing, and less than a tenth.
    Little,
    /// Tenths that make no whole number.
    Tenths { negative: bool, tenths: u32 },
    /// A whole number, or none at all, by its bits.
    Whole { negative: bool, bits: u32 },
}

impl Numeral {
    pub(crate) const ZERO: Self = Self::Whole { negative: false, bits: 0 };
    pub(crate) const ONE: Self = Self::Whole { negative: false, bits: 1.0_f32.to_bits() };

    pub(crate) fn of(value: f32) -> Self {
        if value > 0.0 && value < 0.05 {
            return Self::Little;
        }
        if value.abs() < 9.95 && value.fract() != 0.0 {
            let (negative, tenths) = (value < 0.0, rounded(f64::from(value.abs()) * 10.0));
            return match tenths % 10 {
                0 => Self::Whole { negative, bits: ((tenths / 10) as f32).to_bits() },
                _ => Self::Tenths { negative, tenths },
            };
        }
        Self::Whole { negative: value <= -0.5, bits: value.abs().round_ties_even().to_bits() }
    }

    pub(crate) fn push_to(self, text: &mut String) {
        match self {
            Self::Little => text.push_str("less than 0.1"),
            Self::Tenths { negative, tenths } => {
                text.push_str(if negative { "-" } else { "" });
                push_digits(tenths / 10, 1, text);
                text.push('.');
                push_digits(tenths % 10, 1, text);
            }
            Self::Whole { negative, bits } => {
                text.push_str(if negative { "-" } else { "" });
                push_thousands(f32::from_bits(bits), text);
            }
        }
    }
}

/// A share in per cent, with enough digits to tell a rare thing from one that never happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Percent {
    Zero,
    /// More than nothing, and less than a tenth.
    Little,
    /// At most ten.
    Tenths(u32),
    Whole(f64),
}

impl Percent {
    pub(crate) fn of(share: f32) -> Self {
        let percent = f64::from(share) * 100.0;
        match percent {
            0.0 => Self::Zero,
            ..0.05 => Self::Little,
            ..1.0 => Self::Tenths(rounded(percent * 10.0)),
            _ => Self::Whole(percent.round_ties_even()),
        }
    }

    pub(crate) fn push_to(self, text: &mut String) {
        match self {
            Self::Zero => text.push('0'),
            Self::Little => text.push_str("less than 0.1"),
            Self::Tenths(tenths) => {
                push_digits(tenths / 10, 1, text);
                text.push('.');
                push_digits(tenths % 10, 1, text);
            }
            Self::Whole(percent) if percent < 1e6 => push_digits(percent as u32, 1, text),
            // Writing to a text cannot fail.
            Self::Whole(percent) => drop(write!(text, "{percent:.0}")),
        }
        text.push('%');
    }
}

/// What there is of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    /// Nothing, where things are counted.
    None,
    /// A number by itself.
    Number(Numeral),
    /// A number of things, which are called so where there is one, and where there are more.
    Things(Numeral, [&'static str; 2]),
    /// As many things, and on which side.
    Beside(Numeral, [&'static str; 2], &'static str),
    Percent(Percent),
    Times(Numeral),
    /// About once, and not exactly.
    Once,
    /// Hundredths of once.
    Hundredths(u32),
}

impl Amount {
    /// A ratio below one, to two digits.
    pub(crate) fn hundredths(ratio: f32) -> Self {
        Self::Hundredths(rounded(f64::from(ratio) * 100.0))
    }

    pub(crate) fn push_to(self, text: &mut String) {
        let push_things = |number: Numeral, [one, many]: [&str; 2], text: &mut String| {
            number.push_to(text);
            text.push(' ');
            text.push_str(if number == Numeral::ONE { one } else { many });
        };
        match self {
            Self::None => text.push_str("none"),
            Self::Number(number) => number.push_to(text),
            Self::Things(number, names) => push_things(number, names, text),
            Self::Beside(number, names, side) => {
                push_things(number, names, text);
                text.push(' ');
                text.push_str(side);
            }
            Self::Percent(percent) => percent.push_to(text),
            Self::Times(number) => {
                number.push_to(text);
                text.push_str(" times");
            }
            Self::Once => text.push_str("1.0 times"),
            Self::Hundredths(hundredths) => {
                push_digits(hundredths / 100, 1, text);
                text.push('.');
                push_digits(hundredths % 100, 2, text);
                text.push_str(" times");
            }
        }
    }
}

/// Rounded as numbers are where they are written: a half to the even side. A few more digits than those of a value do not
/// change what it is in the wider type.
fn rounded(value: f64) -> u32 {
    value.round_ties_even() as u32
}

/// A number from 0 on, with at least so many digits.
fn push_digits(mut number: u32, least: usize, text: &mut String) {
    let mut digits = [b'0'; 10];
    let mut begin = digits.len();
    while number > 0 || digits.len() - begin < least {
        begin -= 1;
        digits[begin] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text.extend(digits[begin..].iter().map(|&digit| char::from(digit)));
}

/// A whole number from 0 on, thousands set apart.
fn push_thousands(number: f32, text: &mut String) {
    if number < 1e9 {
        let number = number as u32;
        let groups = [number / 1_000_000, number / 1_000 % 1_000, number % 1_000];
        let first = groups.iter().position(|&group| group > 0).unwrap_or(2);
        push_digits(groups[first], 1, text);
        for &group in &groups[first + 1..] {
            text.push(',');
            push_digits(group, 3, text);
        }
        return;
    }
    let digits = format!("{number:.0}");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f32) -> String {
        let mut text = String::new();
        Numeral::of(value).push_to(&mut text);
        text
    }

    fn percent(share: f32) -> String {
        let mut text = String::new();
        Percent::of(share).push_to(&mut text);
        text
    }

    /// As the standard library writes them.
    fn expected_number(value: f32) -> String {
        if value > 0.0 && value < 0.05 {
            return "less than 0.1".to_owned();
        }
        if value.abs() < 9.95 && value.fract() != 0.0 {
            let text = format!("{value:.1}");
            return text.strip_suffix(".0").unwrap_or(&text).to_owned();
        }
        let digits = format!("{:.0}", value.abs());
        let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
        let sign = if value <= -0.5 { "-" } else { "" };
        format!("{sign}{}", String::from_utf8(groups.join(&b',')).unwrap())
    }

    fn expected_percent(share: f32) -> String {
        let percent = f64::from(share) * 100.0;
        match percent {
            0.0 => "0%".to_owned(),
            ..0.05 => "less than 0.1%".to_owned(),
            ..1.0 => format!("{percent:.1}%"),
            _ => format!("{percent:.0}%"),
        }
    }

    #[test]
    fn numbers_are_rounded_as_the_standard_library_does() {
        let halves = (-40_000..40_000).map(|quarters| quarters as f32 / 4.0);
        let twentieths = (-400..400).map(|part| part as f32 / 20.0);
        let all = (0..2_000_000_u32).map(|step| f32::from_bits(step.wrapping_mul(2_147_483)));
        for value in halves.chain(twentieths).chain(all.step_by(7)) {
            assert_eq!(number(value), expected_number(value), "{value:?}");
            assert_eq!(percent(value), expected_percent(value), "{value:?}");
            let ratio = value.abs().fract();
            if ratio.is_finite() {
                let mut text = String::new();
                Amount::hundredths(ratio).push_to(&mut text);
                assert_eq!(text, format!("{ratio:.2} times"), "{ratio:?}");
            }
        }
        for value in
            [0.0, -0.0, -0.03, 1e9, 999_999_940.0, 1_234_567.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]
        {
            assert_eq!(number(value), expected_number(value), "{value:?}");
        }
    }

    #[test]
    fn what_reads_alike_is_equal() {
        for (a, b) in [(2.96, 3.0), (3.04, 3.0), (12.2, 11.9), (0.01, 0.04), (-0.03, -0.02), (f32::NAN, f32::NAN)] {
            assert_eq!(Numeral::of(a), Numeral::of(b), "{a} and {b}");
        }
        for (a, b) in [(2.9, 3.0), (-0.03, 0.0), (0.3, -0.3), (0.01, 0.0)] {
            assert_ne!(Numeral::of(a), Numeral::of(b), "{a} and {b}");
        }
    }
}
