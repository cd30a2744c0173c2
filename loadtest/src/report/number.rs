//! Numbers, shares and times as people write them.

use crate::stats::Interval;

/// About three digits, thousands set apart; a dash for what is no number.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    if size != 0.0 && size < 1e-3 {
        return format!("{value:.1e}").replace('-', "−");
    }
    let decimals = match size {
        size if size.fract() == 0.0 || size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((text.as_str(), ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("−", digits));
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{rest}", grouped(digits))
}

/// A count, thousands set apart by a narrow space that does not break.
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// So many of a thing.
pub(super) fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

fn grouped(digits: &str) -> String {
    if digits.len() < 5 {
        return digits.to_owned();
    }
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share in percent, with one decimal below ten and two below a twentieth.
pub(super) fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 9.95 => 0,
        size if size >= 0.05 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}%", text.replace('-', "−"))
}

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
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.12345, "0.123"),
            (1.5, "1.5"),
            (-12.34, "−12.3"),
            (123.4, "123"),
            (1_234_567.0, "1\u{202f}234\u{202f}567"),
            (0.000_012, "1.2e−5"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!([0.0, 0.0003, 0.0123, 0.5, f64::NAN].map(percent), ["0%", "0.03%", "1.2%", "50%", "–"]);
        assert_eq!([0.25, 12.34, 2_500.0, f64::NAN].map(milliseconds), ["0.25 ms", "12.3 ms", "2.5 s", "–"]);
        assert_eq!((counted(1, "call", "calls"), counted(2, "call", "calls")), ("1 call".into(), "2 calls".into()));
    }

    #[test]
    fn a_ratio_has_its_interval() {
        assert_eq!(ratio(Some(&Interval { low: 0.994, at: 1.0, high: 1.236 })), "1.00 (0.99 to 1.24)");
        assert_eq!(ratio(Some(&Interval { low: 0.5, at: 1.0, high: f64::NAN })), "1.00 (0.50 to –)");
        assert_eq!(ratio(None), "–");
    }

    #[test]
    fn percentiles_are_never_rounded_up() {
        assert_eq!([99.88, 99.9, 99.99].map(|value| percentile(Some(value))), ["99.8", "99.9", "99.9"]);
        assert_eq!((percentile(None), percentile(Some(f32::NAN))), ("not judged".into(), "not judged".into()));
    }
}
