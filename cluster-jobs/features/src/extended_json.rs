//! Values as MongoDB writes them: extended JSON v2, relaxed or canonical, beside GitHub's plain JSON.
//!
//! A whole number may be `5`, `5.0`, `{"$numberInt": "5"}`, `{"$numberLong": "5"}` or `{"$numberDouble": "5.0"}`;
//! a time `"2024-01-31T12:00:00Z"`, `{"$date": "…Z"}` or `{"$date": {"$numberLong": "<milliseconds>"}}`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The first moment that a time can have, `0001-01-01T00:00:00Z`, in milliseconds since 1970 UTC: RFC 3339 and
/// protobuf's `Timestamp` write the years 1 to 9999.
pub const EARLIEST: i64 = -62_135_596_800_000;

/// The last moment that a time can have, `9999-12-31T23:59:59.999Z`.
pub const LATEST: i64 = 253_402_300_799_999;

/// A whole number that is not negative.
#[derive(Clone, Copy)]
pub(crate) struct Count(pub(crate) u64);

/// A moment, in milliseconds since 1970 UTC.
#[derive(Clone, Copy)]
pub(crate) struct Moment(pub(crate) i64);

/// For `#[serde(deserialize_with)]`: null or a [`Count`].
pub(crate) fn count<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Count>::deserialize(input)?.map(|count| count.0))
}

/// For `#[serde(deserialize_with)]`: null or a [`Moment`].
pub(crate) fn moment<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<Moment>::deserialize(input)?.map(|moment| moment.0))
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct CountVisitor;

        impl<'de> Visitor<'de> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number that is not negative")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Count, E> {
                Ok(Count(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Count, E> {
                u64::try_from(value).map(Count).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Count, E> {
                // 2^53: beyond it a double no longer names one whole number.
                if value >= 0.0 && value.fract() == 0.0 && value <= 9_007_199_254_740_992.0 {
                    Ok(Count(value as u64))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(value), &self))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                let (key, text): (String, String) =
                    map.next_entry()?.ok_or_else(|| found("a whole number", "an empty object"))?;
                end(&mut map)?;
                match key.as_str() {
                    "$numberInt" | "$numberLong" => {
                        let value: i64 = text.parse().map_err(|_| not_a(&key, &text))?;
                        self.visit_i64(value)
                    }
                    "$numberDouble" => {
                        let value: f64 = text.parse().map_err(|_| not_a(&key, &text))?;
                        self.visit_f64(value)
                    }
                    _ => Err(found("a whole number", format_args!("an object with `{key}`"))),
                }
            }
        }

        input.deserialize_any(CountVisitor)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct MomentVisitor;

        impl<'de> Visitor<'de> for MomentVisitor {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of the years 1 to 9999, such as \"2024-01-31T12:00:00Z\" or {\"$date\": …}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                timestamp(text).map(Moment).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Moment, A::Error> {
                let (key, date): (String, Date) =
                    map.next_entry()?.ok_or_else(|| found("a time", "an empty object"))?;
                end(&mut map)?;
                if key == "$date" {
                    Ok(Moment(date.0))
                } else {
                    Err(found("a time", format_args!("an object with `{key}`")))
                }
            }
        }

        input.deserialize_any(MomentVisitor)
    }
}

/// What stands under `$date`: text, milliseconds, or milliseconds in a `$numberLong`.
struct Date(i64);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct DateVisitor;

        impl<'de> Visitor<'de> for DateVisitor {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date of the years 1 to 9999, as text or milliseconds")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                timestamp(text).map(Date).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Date, E> {
                in_calendar(value).map(Date).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Date, E> {
                let milliseconds = i64::try_from(value).ok().and_then(in_calendar);
                milliseconds.map(Date).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Date, A::Error> {
                let (key, text): (String, String) =
                    map.next_entry()?.ok_or_else(|| found("milliseconds", "an empty object"))?;
                end(&mut map)?;
                if key == "$numberLong" {
                    text.parse().ok().and_then(in_calendar).map(Date).ok_or_else(|| not_a(&key, &text))
                } else {
                    Err(found("milliseconds", format_args!("an object with `{key}`")))
                }
            }
        }

        input.deserialize_any(DateVisitor)
    }
}

/// Milliseconds of a time written as text.
fn timestamp(text: &str) -> Option<i64> {
    in_calendar(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}

fn in_calendar(milliseconds: i64) -> Option<i64> {
    (EARLIEST..=LATEST).contains(&milliseconds).then_some(milliseconds)
}

fn not_a<E: de::Error>(key: &str, text: &str) -> E {
    found("a number in range", format_args!("`{text}` in `{key}`"))
}

/// In the words of serde's own errors.
fn found<E: de::Error>(expected: &str, found: impl fmt::Display) -> E {
    E::custom(format_args!("invalid value: {found}, expected {expected}"))
}

/// An object that stands for one value holds nothing else.
fn end<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    match map.next_entry::<String, IgnoredAny>()? {
        None => Ok(()),
        Some((key, _)) => Err(found("one value", format_args!("an object with a further key `{key}`"))),
    }
}
