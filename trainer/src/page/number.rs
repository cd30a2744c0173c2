//! Numbers, shares, days and amounts as people write them.

use jiff::Timestamp;

/// About three digits, thousands set apart; a dash for what is no number.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    if size != 0.0 && size < 1e-3 {
        return format!("{value:.1e}").replace('-', "−");
    }
    let decimals = if value.fract() == 0.0 || size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("−", digits));
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{rest}", grouped(digits))
}

/// A count, thousands set apart by a narrow space that does not break.
pub(crate) fn count(value: usize) -> String {
    grouped(&value.to_string())
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
pub(crate) fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = if value.abs() >= 9.95 {
        0
    } else if value.abs() >= 0.05 {
        1
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}%", text.replace('-', "−"))
}

/// A value of a feature in its unit, which is a name of the list of features.
pub(crate) fn amount(value: f32, unit: &str) -> String {
    let value = f64::from(value);
    match unit {
        "share" => percent(value),
        "yes_no" if value.is_finite() => if value >= 0.5 { "yes" } else { "no" }.to_owned(),
        _ => number(value),
    }
}

/// What a unit is called behind a number.
pub(crate) fn unit(unit: &str) -> String {
    match unit {
        "share" | "yes_no" | "count" | "coordinate" => String::new(),
        other => format!(" {}", other.replace('_', " ")),
    }
}

/// The day of a time in milliseconds since 1970, UTC.
pub(crate) fn day(time: i64) -> String {
    Timestamp::from_millisecond(time).map_or_else(|_| time.to_string(), |time| time.strftime("%F").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.12345, "0.123"),
            (0.1, "0.1"),
            (1.5, "1.5"),
            (-12.34, "−12.3"),
            (123.4, "123"),
            (1234.0, "1234"),
            (1_234_567.0, "1\u{202f}234\u{202f}567"),
            (0.000_012, "1.2e−5"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!([0.0, 0.0003, 0.0123, 0.05, 0.5, 1.0].map(percent), ["0%", "0.03%", "1.2%", "5%", "50%", "100%"]);
        assert_eq!((amount(1.0, "yes_no"), amount(0.25, "share"), amount(f32::NAN, "yes_no")), {
            ("yes".into(), "25%".into(), "–".into())
        });
        assert_eq!(day(1_700_000_000_000), "2023-11-14");
        assert_eq!(day(i64::MAX), i64::MAX.to_string());
    }
}
