//! Times, ratios and statistics as people write them.

use prowl_page::number;

use crate::stats::Interval;

/// A time that is given in milliseconds.
pub(super) fn milliseconds(value: f64) -> String {
    match value {
        value if !value.is_finite() => "–".to_owned(),
        value if value.abs() >= 1_000.0 => format!("{} s", number(value / 1_000.0)),
        _ => format!("{} ms", number(value)),
    }
}

/// A ratio with its interval of 95%.
pub(super) fn ratio(ratio: Option<&Interval>) -> String {
    ratio.map_or("–".to_owned(), |Interval { low, at, high }| {
        let [low, at, high] = [low, at, high].map(|end| if end.is_finite() { format!("{end:.2}") } else { "–".into() });
        format!("{at} ({low} to {high})")
    })
}

/// A statistic that may not be known.
pub(super) fn statistic(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), number)
}

/// Text with the minus that all other numbers have.
pub(super) fn with_minus(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let begins = character == '-' && matches!(told.chars().next_back(), None | Some(' ' | '('));
        let is_minus = begins && rest.peek().is_some_and(char::is_ascii_digit);
        told.push(if is_minus { '−' } else { character });
    }
    told
}

/// A percentile, never rounded up: `more unusual than` has to stay true.
pub(super) fn percentile(value: Option<f32>) -> String {
    match value.map(f64::from) {
        // What the nearest float lacks to 99.9 is no reason to show 99.8.
        Some(value) if value.is_finite() => format!("{:.1}", (value * 10.0 + 1e-3).floor() / 10.0),
        _ => "not judged".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_short() {
        assert_eq!([0.25, 12.34, 2_500.0, f64::NAN].map(milliseconds), ["0.25 ms", "12.3 ms", "2.5 s", "–"]);
    }

    #[test]
    fn a_ratio_has_its_interval() {
        assert_eq!(ratio(Some(&Interval { low: 0.994, at: 1.0, high: 1.236 })), "1.00 (0.99 to 1.24)");
        assert_eq!(ratio(Some(&Interval { low: 0.5, at: 1.0, high: f64::NAN })), "1.00 (0.50 to –)");
        assert_eq!(ratio(None), "–");
    }

    #[test]
    fn a_minus_is_told_from_a_hyphen() {
        assert_eq!(with_minus("-3 kB (-0.5 to 2), 1e-5, bit-equal - v-1"), "−3 kB (−0.5 to 2), 1e-5, bit-equal - v-1");
    }

    #[test]
    fn percentiles_are_never_rounded_up() {
        assert_eq!([99.88, 99.9, 99.99].map(|value| percentile(Some(value))), ["99.8", "99.9", "99.9"]);
        assert_eq!((percentile(None), percentile(Some(f32::NAN))), ("not judged".into(), "not judged".into()));
    }
}
