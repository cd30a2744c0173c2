//! Numbers, counts and shares as people write them.

/// About three digits, thousands set apart; a dash for what is no number.
pub fn number(value: f64) -> String {
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
    rounded(value, decimals)
}

/// A count, thousands set apart by a narrow space that does not break.
pub fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// So many of a thing.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// A share in percent, with one decimal below ten and two below a twentieth.
pub fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 9.95 => 0,
        size if size >= 0.05 => 1,
        _ => 2,
    };
    rounded(value, decimals) + "%"
}

/// So many decimals at most, thousands set apart.
pub(crate) fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((text.as_str(), ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("−", digits));
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{rest}", grouped(digits))
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
            (f64::INFINITY, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        let shares = [0.0, 0.0003, 0.0123, 0.05, 0.5, 1.0, -0.5, f64::NAN];
        assert_eq!(shares.map(percent), ["0%", "0.03%", "1.2%", "5%", "50%", "100%", "−50%", "–"]);
        assert_eq!((counted(1, "call", "calls"), counted(2, "call", "calls")), ("1 call".into(), "2 calls".into()));
    }
}
