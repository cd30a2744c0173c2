//! The types of BSON that JSON does not have, which extended JSON spells as objects with names that begin with `$`.

use bson::{Binary, Decimal128, Uuid, oid::ObjectId, spec::ElementType};

use super::{
    date,
    text::Wrong,
    walk::{Damaged, Element, Elements, fixed, string},
};

/// Names that only such objects have: another value than theirs is an error, as it is for pymongo.
const NAMES: [&[u8]; 16] = [
    b"$oid",
    b"$date",
    b"$numberInt",
    b"$numberLong",
    b"$numberDouble",
    b"$numberDecimal",
    b"$binary",
    b"$uuid",
    b"$timestamp",
    b"$regularExpression",
    b"$code",
    b"$symbol",
    b"$dbPointer",
    b"$minKey",
    b"$maxKey",
    b"$undefined",
];

/// What is spelt by a document, whose own values are no longer spelt so; nothing if it is just a document.
pub(super) fn unwrap(document: &[u8]) -> Result<Option<(ElementType, Vec<u8>)>, Wrong> {
    let mut elements = Elements::of(document).map_err(wrong)?;
    let mut next = || elements.next().transpose().map_err(wrong);
    let (first, second, third) = (next()?, next()?, next()?);
    let Some(first) = first else { return Ok(None) };
    let value = match (first.name, second, third) {
        (name, None, _) => alone(name, &first),
        (b"$binary", Some(second), None) if second.name == b"$type" => legacy_binary(&first, &second).map(Some),
        (b"$type", Some(second), None) if second.name == b"$binary" => legacy_binary(&second, &first).map(Some),
        (b"$code", Some(second), None) if second.name == b"$scope" => code_with_scope(&first, &second).map(Some),
        (b"$scope", Some(second), None) if second.name == b"$code" => code_with_scope(&second, &first).map(Some),
        (b"$regex", Some(second), None) if second.name == b"$options" => legacy_regex(&first, &second),
        (b"$options", Some(second), None) if second.name == b"$regex" => legacy_regex(&second, &first),
        _ => Ok(None),
    };
    if let Ok(Some(value)) = value {
        return Ok(Some(value));
    }
    for element in Elements::of(document).map_err(wrong)? {
        let name = element.map_err(wrong)?.name;
        if NAMES.contains(&name) {
            return Err(format!("{} has no value that it may have", String::from_utf8_lossy(name)).into());
        }
    }
    Ok(None)
}

fn wrong(error: Damaged) -> Wrong {
    error.to_string().into()
}

/// What stands for a value, and its type. Nothing: it is none of these names. An error: it is, with another value.
type Unwrapped = Result<Option<(ElementType, Vec<u8>)>, NoValue>;

struct NoValue;

impl From<Damaged> for NoValue {
    fn from(_: Damaged) -> Self {
        Self
    }
}

/// The only element of a document.
fn alone(name: &[u8], element: &Element<'_>) -> Unwrapped {
    let value = match name {
        b"$oid" => (ElementType::ObjectId, parse::<ObjectId>(element)?.bytes().to_vec()),
        b"$date" => (ElementType::DateTime, moment(element)?.to_le_bytes().to_vec()),
        b"$numberInt" => (ElementType::Int32, parse::<i32>(element)?.to_le_bytes().to_vec()),
        b"$numberLong" => {
            // As a number it is legacy.
            let number = integer(element).map_or_else(|| parse::<i64>(element), Ok)?;
            (ElementType::Int64, number.to_le_bytes().to_vec())
        }
        b"$numberDouble" => (ElementType::Double, parse::<f64>(element)?.to_le_bytes().to_vec()),
        b"$numberDecimal" => (ElementType::Decimal128, decimal(text(element)?)?.bytes().to_vec()),
        b"$binary" => {
            let [base64, subtype] = pair(element, "base64", "subType")?;
            let subtype = text(&subtype)?;
            if subtype.len() > 2 {
                return Err(NoValue);
            }
            binary(text(&base64)?, u8::from_str_radix(subtype, 16).map_err(|_| NoValue)?)?
        }
        b"$uuid" => {
            let id = Uuid::parse_str(text(element)?).map_err(|_| NoValue)?;
            (ElementType::Binary, [&[16, 0, 0, 0, 4], &id.bytes()[..]].concat())
        }
        b"$timestamp" => {
            let [time, increment] = pair(element, "t", "i")?;
            let part = |element| u32::try_from(integer(element).ok_or(NoValue)?).map_err(|_| NoValue);
            let (time, increment) = (part(&time)?, part(&increment)?);
            (ElementType::Timestamp, [increment.to_le_bytes(), time.to_le_bytes()].concat())
        }
        b"$regularExpression" => {
            let [pattern, options] = pair(element, "pattern", "options")?;
            regex(text(&pattern)?, text(&options)?)?
        }
        b"$regex" if element.kind == ElementType::String => regex(text(element)?, "")?,
        b"$code" => (ElementType::JavaScriptCode, of_kind(element, ElementType::String)?.to_vec()),
        b"$symbol" => (ElementType::Symbol, of_kind(element, ElementType::String)?.to_vec()),
        b"$dbPointer" => {
            let [namespace, id] = pair(element, "$ref", "$id")?;
            let parts = [of_kind(&namespace, ElementType::String)?, of_kind(&id, ElementType::ObjectId)?];
            (ElementType::DbPointer, parts.concat())
        }
        b"$minKey" if integer(element) == Some(1) => (ElementType::MinKey, vec![]),
        b"$maxKey" if integer(element) == Some(1) => (ElementType::MaxKey, vec![]),
        b"$undefined" if element.value == [1] => (ElementType::Undefined, vec![]),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn of_kind<'a>(element: &Element<'a>, kind: ElementType) -> Result<&'a [u8], NoValue> {
    if element.kind == kind { Ok(element.value) } else { Err(NoValue) }
}

fn text<'a>(element: &Element<'a>) -> Result<&'a str, NoValue> {
    std::str::from_utf8(string(of_kind(element, ElementType::String)?)?).map_err(|_| NoValue)
}

fn parse<T: std::str::FromStr>(element: &Element<'_>) -> Result<T, NoValue> {
    text(element)?.parse().map_err(|_| NoValue)
}

fn integer(element: &Element<'_>) -> Option<i64> {
    match element.kind {
        ElementType::Int32 => fixed(element.value).ok().map(i32::from_le_bytes).map(i64::from),
        ElementType::Int64 => fixed(element.value).ok().map(i64::from_le_bytes),
        _ => None,
    }
}

/// The two elements of an inner document, in the order of these names.
fn pair<'a>(element: &Element<'a>, first: &str, second: &str) -> Result<[Element<'a>; 2], NoValue> {
    let mut elements = Elements::of(of_kind(element, ElementType::EmbeddedDocument)?)?;
    let mut next = || elements.next().transpose();
    let (Some(one), Some(two), None) = (next()?, next()?, next()?) else { return Err(NoValue) };
    match (one.name, two.name) {
        names if names == (first.as_bytes(), second.as_bytes()) => Ok([one, two]),
        names if names == (second.as_bytes(), first.as_bytes()) => Ok([two, one]),
        _ => Err(NoValue),
    }
}

fn moment(element: &Element<'_>) -> Result<i64, NoValue> {
    match element.kind {
        ElementType::String => date::read(string(element.value)?).ok_or(NoValue),
        // Before extended JSON v2, a plain number.
        _ => integer(element).ok_or(NoValue),
    }
}

/// A decimal of a text that `bson` may be asked about: it does not expect others than ASCII, nor endless exponents.
fn decimal(text: &str) -> Result<Decimal128, NoValue> {
    let exponent = text.split(['e', 'E']).nth(1).unwrap_or_default();
    if !text.is_ascii() || exponent.len() > 10 {
        return Err(NoValue);
    }
    text.parse().map_err(|_| NoValue)
}

fn binary(base64: &str, subtype: u8) -> Result<(ElementType, Vec<u8>), NoValue> {
    let bytes = Binary::from_base64(base64, None).map_err(|_| NoValue)?.bytes;
    let length = |bytes: usize| i32::try_from(bytes).map(i32::to_le_bytes).map_err(|_| NoValue);
    let value = match subtype {
        // The old form of it holds its length once more.
        2 => [&length(bytes.len() + 4)?[..], &[subtype], &length(bytes.len())?, &bytes].concat(),
        _ => [&length(bytes.len())?[..], &[subtype], &bytes].concat(),
    };
    Ok((ElementType::Binary, value))
}

/// `{"$binary": "base64", "$type": "80"}`, where the type may be a number, or as wide as old programs write it.
fn legacy_binary(base64: &Element<'_>, subtype: &Element<'_>) -> Result<(ElementType, Vec<u8>), NoValue> {
    let subtype = match integer(subtype) {
        Some(subtype) => u8::try_from(subtype).map_err(|_| NoValue)?,
        None => {
            let digits = text(subtype)?;
            let digits = digits.strip_prefix("ffffff").filter(|digits| digits.len() == 2).unwrap_or(digits);
            u8::from_str_radix(digits, 16).map_err(|_| NoValue)?
        }
    };
    binary(text(base64)?, subtype)
}

/// Two texts that each end with a zero; BSON wants the options in the order of the alphabet.
fn regex(pattern: &str, options: &str) -> Result<(ElementType, Vec<u8>), NoValue> {
    if pattern.contains('\0') || options.contains('\0') {
        return Err(NoValue);
    }
    let mut options: Vec<char> = options.chars().collect();
    options.sort_unstable();
    let options: String = options.into_iter().collect();
    Ok((ElementType::RegularExpression, [pattern, "\0", &options, "\0"].concat().into_bytes()))
}

/// `{"$regex": "pattern", "$options": "i"}`; with anything else than text it is an operator of a query.
fn legacy_regex(pattern: &Element<'_>, options: &Element<'_>) -> Unwrapped {
    match (text(pattern), text(options)) {
        (Ok(pattern), Ok(options)) => regex(pattern, options).map(Some),
        _ => Ok(None),
    }
}

fn code_with_scope(code: &Element<'_>, scope: &Element<'_>) -> Result<(ElementType, Vec<u8>), NoValue> {
    let code = of_kind(code, ElementType::String)?;
    let scope = of_kind(scope, ElementType::EmbeddedDocument)?;
    let length = i32::try_from(4 + code.len() + scope.len()).map_err(|_| NoValue)?;
    Ok((ElementType::JavaScriptCodeWithScope, [&length.to_le_bytes(), code, scope].concat()))
}
