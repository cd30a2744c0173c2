//! Moments as BSON dates: milliseconds since 1970 UTC.

use bson::{DateTime, RawBsonRef};
use jiff::Timestamp;

/// The date of a moment; what is finer than a millisecond is cut off.
pub(super) fn to_bson(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.as_millisecond())
}

/// The moment of a date, if it lies in the years that exist.
pub(super) fn from_bson(date: DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(date.timestamp_millis()).ok()
}

/// Milliseconds of what stands for a moment in documents: a date, or an ISO string, as others write it.
pub(super) fn milliseconds(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::DateTime(date) => Some(date.timestamp_millis()),
        RawBsonRef::String(text) => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
        _ => None,
    }
}

/// For serde: a moment.
pub(super) mod required {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{DateTime, Timestamp, from_bson, to_bson};

    pub(in super::super) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        to_bson(*moment).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        from_bson(DateTime::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("a date beyond the year 9999"))
    }
}

/// For serde: a moment, or null.
pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{DateTime, Timestamp, from_bson, to_bson};

    #[allow(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub(in super::super) fn serialize<S: Serializer>(
        moment: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        moment.map(to_bson).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<DateTime>::deserialize(deserializer)?.and_then(from_bson))
    }
}
