//! Names of published folders: UTC seconds, so that names sort by age.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// `20261124T214500Z`
pub(crate) fn of(time: Timestamp) -> String {
    time.strftime(FORMAT).to_string()
}

/// The time that a name stands for; `None` when it is not one of ours.
pub(crate) fn parse(name: &str) -> Option<Timestamp> {
    let time = TimeZone::UTC.to_timestamp(DateTime::strptime(FORMAT, name).ok()?).ok()?;
    (of(time) == name).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_utc_second_and_comes_back() {
        let time: Timestamp = "2026-11-24T21:45:00Z".parse().unwrap();
        assert_eq!(of(time), "20261124T214500Z");
        assert_eq!(parse("20261124T214500Z"), Some(time));
    }

    #[test]
    fn anything_else_is_no_name() {
        for name in
            ["", "latest", "20261124", "20261124T214500", "2026112T214500Z", "20261324T214500Z", "20261124T214500Z1"]
        {
            assert_eq!(parse(name), None, "{name:?}");
        }
    }
}
