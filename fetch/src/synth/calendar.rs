//! Four years, and how much is opened on each of their days.

/// 2022-01-01T00:00:00Z, a Saturday.
const START: i64 = 1_640_995_200;
/// To the end of 2025.
pub(crate) const DAYS: u32 = 1_461;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const HOUR: f64 = 3_600.0;
/// The first second after the story.
pub(crate) const END: i64 = START + DAYS as i64 * DAY;

/// First second of a day.
pub(crate) fn midnight(day: u32) -> i64 {
    START + i64::from(day) * DAY
}

pub(crate) fn is_weekend(day: u32) -> bool {
    day % 7 < 2
}

/// Work grows over the years, rests at weekends and around the turn of the year.
fn weight(day: u32) -> f64 {
    let growth = 1.0 + 0.8 * f64::from(day) / f64::from(DAYS);
    let week = if is_weekend(day) { 0.2 } else { 1.0 };
    let of_year = f64::from(day) % 365.25;
    let holidays = if (3.0..=356.0).contains(&of_year) { 1.0 } else { 0.35 };
    growth * week * holidays
}

/// How many of `count` pull requests are opened on each day; the sum is `count`.
pub(crate) fn arrivals(count: u64) -> impl Iterator<Item = (u32, u64)> {
    let total: f64 = (0..DAYS).map(weight).sum();
    let mut passed = 0.0;
    let mut opened = 0;
    (0..DAYS).map(move |day| {
        passed += weight(day);
        let until = if day + 1 == DAYS { count } else { (count as f64 * passed / total) as u64 };
        let today = until - opened;
        opened = until;
        (day, today)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pull_request_has_its_day() {
        for count in [1, 7, 2_000, 1_000_000] {
            assert_eq!(arrivals(count).map(|(_, today)| today).sum::<u64>(), count);
        }
        let weekends: u64 = arrivals(100_000).filter(|(day, _)| is_weekend(*day)).map(|(_, today)| today).sum();
        assert!((5_000..10_000).contains(&weekends), "{weekends}");
    }

    #[test]
    fn the_story_begins_and_ends_with_a_year() {
        let text = |second| jiff::Timestamp::from_second(second).unwrap().to_string();
        assert_eq!(text(midnight(0)), "2022-01-01T00:00:00Z");
        assert_eq!(text(END), "2026-01-01T00:00:00Z");
    }
}
