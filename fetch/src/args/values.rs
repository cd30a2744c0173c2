//! Values that need a look of their own.

use std::{ops::RangeInclusive, time::Duration};

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::publish::PartSize;

/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// How long a lease may last.
const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

pub(super) fn repository(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((owner, name)) if is_name(owner) && is_name(name) => Ok(text.to_owned()),
        _ => Err("write it as owner/name, for example tokio-rs/tokio".to_owned()),
    }
}

pub(super) fn owner(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("write its name alone, for example tokio-rs".to_owned()) }
}

fn is_name(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let moment = text.parse::<Timestamp>();
    let moment = moment
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .map_err(|_| "write 2024-05-01 or 2024-05-01T12:00:00Z".to_owned())?;
    // Clocks differ, and days begin at different moments.
    if moment.duration_since(Timestamp::now()) > SignedDuration::from_hours(24) {
        return Err("it lies in the future".to_owned());
    }
    Ok(moment)
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    parsed
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| "write a time from 0s to 168h, for example 10m or 1h30m".to_owned())
}

pub(super) fn lease(text: &str) -> Result<Duration, String> {
    let time = duration(text).ok().filter(|time| LEASE.contains(time));
    time.ok_or_else(|| "write a time from 1s to 10m, for example 30s".to_owned())
}

/// The address of a Pushgateway.
pub(super) fn push_url(text: &str) -> Result<Url, String> {
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match url {
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("leave the password out: addresses are shown in logs".to_owned())
        }
        Some(url) => Ok(url),
        None => Err("write http://HOST:PORT, for example http://pushgateway:9091".to_owned()),
    }
}

pub(super) fn part_size(text: &str) -> Result<PartSize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "" => None,
        "B" => Some(1),
        "kB" | "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => return Err("write bytes with a unit (64MiB, 10MB), or a plain number of documents".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "begin with a whole number: 64MiB, or 10000 documents".to_owned())?;
    let size = scale.map_or(Some(number), |scale| number.checked_mul(scale));
    match (size, scale) {
        (None, _) => Err("that is more than any file holds".to_owned()),
        (Some(0), _) => Err("a part holds at least one document".to_owned()),
        (Some(size), None) => Ok(PartSize::Documents(size)),
        (Some(size), Some(_)) => Ok(PartSize::Bytes(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_measured_in_documents_or_bytes() {
        assert_eq!(part_size("10000"), Ok(PartSize::Documents(10_000)));
        assert_eq!(part_size("64MiB"), Ok(PartSize::Bytes(64 << 20)));
        assert_eq!(part_size("5 kB"), Ok(PartSize::Bytes(5_000)));
        for wrong in ["", "0", "0MB", "MB", "-1", "1TB", "99999999999GiB", "1.5MB"] {
            assert!(part_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_repository_has_an_owner_and_a_name() {
        assert!(repository("bitcoin-core/secp256k1").is_ok());
        for wrong in ["", "tokio", "/tokio", "tokio/", "a/b/c", "a b/c", "https://github.com/a/b", "../x"] {
            assert!(repository(wrong).is_err(), "{wrong}");
        }
        assert!(owner("bitcoin-core").is_ok());
        for wrong in ["", "a/b", "a b", ".."] {
            assert!(owner(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_is_its_first_moment_in_utc() {
        assert_eq!(moment("2024-05-01"), moment("2024-05-01T00:00:00Z"));
        assert_ne!(moment("2024-05-01").unwrap(), moment("2024-05-01T02:00:00+01:00").unwrap());
        for wrong in ["", "yesterday", "2024-13-01", "01.05.2024"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
        assert!(moment("2999-01-01").unwrap_err().contains("future"));
    }

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        for wrong in ["", "10", "-1s", "169h", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(lease("2s"), Ok(Duration::from_secs(2)));
        assert!(lease("0s").is_err() && lease("11m").is_err());
    }

    #[test]
    fn figures_are_pushed_without_a_password_in_the_address() {
        push_url("http://pushgateway:9091").unwrap();
        assert!(push_url("https://user:word@push.example").unwrap_err().contains("leave the password out"));
        for wrong in ["", "pushgateway:9091", "file:///x"] {
            assert!(push_url(wrong).unwrap_err().contains("http://HOST"), "{wrong}");
        }
    }
}
