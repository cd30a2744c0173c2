//! Counts, days and amounts of features as people write them.

use jiff::Timestamp;
use prowl_page::{number, percent};

/// A count of rows and the like.
pub(crate) fn count(value: usize) -> String {
    prowl_page::count(value as u64)
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
    fn amounts_and_days_are_short() {
        assert_eq!((amount(1.0, "yes_no"), amount(0.25, "share"), amount(f32::NAN, "yes_no")), {
            ("yes".into(), "25%".into(), "–".into())
        });
        assert_eq!(day(1_700_000_000_000), "2023-11-14");
        assert_eq!(day(i64::MAX), i64::MAX.to_string());
    }
}
