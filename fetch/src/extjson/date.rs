//! Dates of extended JSON: `2026-11-24T21:45:00Z`, `2026-11-24T21:45:00.5+01:00`, in milliseconds since 1970.
//!
//! By the calendar arithmetic of <https://howardhinnant.github.io/date_algorithms.html>: `jiff` ends some hours before
//! the last moment that extended JSON writes as text, and takes several times as long.

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// What is written as text: from 1970 to the end of 9999.
const TEXT: std::ops::Range<i64> = 0..2_932_897 * DAY;

/// The moment as text, with milliseconds where there are any; nothing outside of the years 1970 to 9999.
pub(crate) fn write(moment: i64, into: &mut [u8; 24]) -> Option<&[u8]> {
    if !TEXT.contains(&moment) {
        return None;
    }
    let (days, rest) = (moment / DAY, moment % DAY);
    let (year, month, day) = date_of(days);
    let mut put = |at: usize, digits: usize, mut number: i64| {
        for place in into[at..at + digits].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, rest / 3_600_000);
    put(14, 2, rest / 60_000 % 60);
    put(17, 2, rest / 1_000 % 60);
    put(20, 3, rest % 1_000);
    for (at, sign) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        into[at] = sign;
    }
    let end = if rest % 1_000 == 0 { 19 } else { 23 };
    if end == 23 {
        into[19] = b'.';
    }
    into[end] = b'Z';
    Some(&into[..=end])
}

/// The moment that this is the text of: fractions of a second are optional and end at milliseconds, a time without a
/// zone is in UTC.
pub(super) fn read(text: &[u8]) -> Option<i64> {
    let mut text = Digits(text);
    let (year, month, day) = (text.number(4)?, text.after(b'-')?, text.after(b'-')?);
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let (hours, minutes, seconds) = (text.after(b'T')?, text.after(b':')?, text.after(b':')?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let fraction = text.fraction()?;
    let zone = text.zone()?;
    let seconds = (hours * 60 + minutes - zone) * 60 + seconds;
    Some(days_until(year, month, day) * DAY + seconds * 1_000 + fraction)
}

/// What is left of a text that is read from its beginning.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
    }

    /// Two digits after this sign.
    fn after(&mut self, sign: u8) -> Option<i64> {
        self.skip(sign).then(|| self.number(2))?
    }

    fn skip(&mut self, sign: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == sign => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        if !self.skip(b'.') {
            return Some(0);
        }
        let digits = self.0.iter().take_while(|digit| digit.is_ascii_digit()).count();
        let (fraction, rest) = self.0.split_at_checked(digits).filter(|(fraction, _)| !fraction.is_empty())?;
        self.0 = rest;
        let digit = |place: usize| fraction.get(place).map_or(0, |digit| i64::from(digit - b'0'));
        Some(digit(0) * 100 + digit(1) * 10 + digit(2))
    }

    /// Minutes east of Greenwich, at the end.
    fn zone(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.0 == b"Z" {
            return Some(0);
        }
        let sign = if self.skip(b'-') { -1 } else { i64::from(self.skip(b'+')) };
        let hours = self.number(2)?;
        self.skip(b':');
        let minutes = if self.0.is_empty() { 0 } else { self.number(2)? };
        (sign != 0 && hours < 24 && minutes < 60 && self.0.is_empty()).then_some(sign * (hours * 60 + minutes))
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to this one, of a year from 0 on. The years of this calculation begin in March.
fn days_until(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day, so many days after the first of 1970.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(moment: i64) -> Option<String> {
        let mut into = [0; 24];
        write(moment, &mut into).map(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn moments_are_written_as_jiff_writes_them_and_read_back() {
        // Every 15 days and some, up to where jiff ends.
        for moment in (0..=253_402_207_200_999).step_by(1_333_333_337) {
            let text = written(moment).unwrap();
            let parsed: jiff::Timestamp = text.parse().unwrap();
            assert_eq!((parsed.as_millisecond(), read(text.as_bytes())), (moment, Some(moment)), "{text}");
        }
    }

    #[test]
    fn text_ends_where_extended_json_ends() {
        assert_eq!(written(0).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(written(1_500).unwrap(), "1970-01-01T00:00:01.500Z");
        assert_eq!(written(253_402_300_799_999).unwrap(), "9999-12-31T23:59:59.999Z");
        assert_eq!(read(b"9999-12-31T23:59:59.999Z"), Some(253_402_300_799_999));
        for outside in [-1, 253_402_300_800_000, i64::MIN, i64::MAX] {
            assert_eq!(written(outside), None, "{outside}");
        }
    }

    #[test]
    fn other_forms_of_the_same_moment_are_read() {
        for text in [
            "2024-02-29T12:00:00.5Z",
            "2024-02-29T12:00:00.500",
            "2024-02-29T12:00:00.500999999Z",
            "2024-02-29T14:00:00.5+02:00",
            "2024-02-29T14:00:00.500+0200",
            "2024-02-29T07:00:00.5-05",
        ] {
            assert_eq!(read(text.as_bytes()), Some(1_709_208_000_500), "{text}");
        }
        assert_eq!(read(b"1969-12-31T23:59:59Z"), Some(-1_000));
        assert_eq!(read(b"0001-01-01T00:00:00Z"), Some(-62_135_596_800_000));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "2024",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00z",
            "2024-01-01T00:00:00+25:00",
            "2024-01-01T00:00:00Zx",
            "2024-01-01T00:00:00+",
            "2024-01-01T00:00:00 01:00",
            "+024-01-01T00:00:00Z",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
