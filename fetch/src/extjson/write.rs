//! Raw BSON to extended JSON in one pass: each value goes from its bytes straight to the text.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::{engine::general_purpose::STANDARD, write::EncoderWriter};
use bson::{Decimal128, spec::ElementType};
use serde_json::ser::{CompactFormatter, Formatter};

use super::{
    Format, date,
    walk::{DEPTH, Damaged, Element, Elements, c_string, fixed, prefix, string},
};

/// Why a document was not written to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// It is no BSON.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The text was not taken.
    #[error(transparent)]
    Io(#[from] io::Error),
}

type Written = Result<(), Unwritable>;

/// Writes one document, without a newline, in small pieces: `out` should have a buffer. Tells whether all of its text
/// was UTF-8; what is not, and pymongo refuses, becomes U+FFFD.
///
/// # Errors
/// The bytes are not exactly one BSON document, or it is nested deeper than MongoDB stores; then a part of the document
/// may be written already. Or `out` takes no more.
pub fn write(document: &[u8], format: Format, out: &mut impl Write) -> Result<bool, Unwritable> {
    let mut writer = Writer { out, canonical: format == Format::Canonical, is_utf8: true };
    writer.document(document, 0)?;
    Ok(writer.is_utf8)
}

struct Writer<'a, W> {
    out: &'a mut W,
    canonical: bool,
    is_utf8: bool,
}

impl<W: Write> Writer<'_, W> {
    #[inline]
    fn raw(&mut self, text: &[u8]) -> Written {
        Ok(self.out.write_all(text)?)
    }

    fn document(&mut self, bytes: &[u8], depth: usize) -> Written {
        let mut before: &[u8] = b"{";
        for element in elements(bytes, depth)? {
            let element = element?;
            self.raw(before)?;
            self.text(element.name)?;
            self.raw(b":")?;
            self.value(&element, depth)?;
            before = b",";
        }
        self.raw(if before == b"{" { b"{}" } else { b"}" })
    }

    fn array(&mut self, bytes: &[u8], depth: usize) -> Written {
        let mut before: &[u8] = b"[";
        for element in elements(bytes, depth)? {
            self.raw(before)?;
            self.value(&element?, depth)?;
            before = b",";
        }
        self.raw(if before == b"[" { b"[]" } else { b"]" })
    }

    fn value(&mut self, element: &Element<'_>, depth: usize) -> Written {
        let value = element.value;
        match element.kind {
            ElementType::String => self.text(string(value)?),
            ElementType::Int32 => self.int32(i32::from_le_bytes(fixed(value)?)),
            ElementType::EmbeddedDocument => self.document(value, depth + 1),
            ElementType::Array => self.array(value, depth + 1),
            ElementType::DateTime => self.date(i64::from_le_bytes(fixed(value)?)),
            ElementType::Null => self.raw(b"null"),
            ElementType::Boolean => match value {
                [0] => self.raw(b"false"),
                [1] => self.raw(b"true"),
                _ => Err(Damaged("a boolean is neither 0 nor 1").into()),
            },
            ElementType::Int64 => self.int64(i64::from_le_bytes(fixed(value)?)),
            ElementType::Double => self.double(f64::from_le_bytes(fixed(value)?)),
            ElementType::ObjectId => self.object_id(value),
            ElementType::Binary => self.binary(value),
            ElementType::Decimal128 => {
                Ok(write!(self.out, r#"{{"$numberDecimal":"{}"}}"#, Decimal128::from_bytes(fixed(value)?))?)
            }
            ElementType::Timestamp => {
                let (time, increment) = (u32::from_le_bytes(fixed(&value[4..])?), u32::from_le_bytes(fixed(value)?));
                Ok(write!(self.out, r#"{{"$timestamp":{{"t":{time},"i":{increment}}}}}"#)?)
            }
            ElementType::RegularExpression => {
                let (pattern, options) = c_string(value)?;
                let (options, _) = c_string(options)?;
                self.raw(br#"{"$regularExpression":{"pattern":"#)?;
                self.text(pattern)?;
                self.raw(br#","options":"#)?;
                self.text(options)?;
                self.raw(b"}}")
            }
            ElementType::JavaScriptCode => self.wrapped(br#"{"$code":"#, string(value)?),
            ElementType::JavaScriptCodeWithScope => self.code_with_scope(value, depth),
            ElementType::Symbol => self.wrapped(br#"{"$symbol":"#, string(value)?),
            ElementType::DbPointer => {
                let (namespace, id) = value.split_last_chunk::<12>().ok_or(Damaged("a pointer is cut"))?;
                self.raw(br#"{"$dbPointer":{"$ref":"#)?;
                self.text(string(namespace)?)?;
                self.raw(br#","$id":"#)?;
                self.object_id(id)?;
                self.raw(b"}}")
            }
            ElementType::Undefined => self.raw(br#"{"$undefined":true}"#),
            ElementType::MinKey => self.raw(br#"{"$minKey":1}"#),
            ElementType::MaxKey => self.raw(br#"{"$maxKey":1}"#),
        }
    }

    #[inline]
    fn text(&mut self, text: &[u8]) -> Written {
        let text = match std::str::from_utf8(text) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                self.is_utf8 = false;
                String::from_utf8_lossy(text)
            }
        };
        Ok(serde_json::to_writer(&mut *self.out, &*text).map_err(io::Error::from)?)
    }

    fn wrapped(&mut self, before: &[u8], text: &[u8]) -> Written {
        self.raw(before)?;
        self.text(text)?;
        self.raw(b"}")
    }

    fn int32(&mut self, number: i32) -> Written {
        let mut digits = itoa::Buffer::new();
        self.number(br#"{"$numberInt":""#, digits.format(number).as_bytes())
    }

    fn int64(&mut self, number: i64) -> Written {
        let mut digits = itoa::Buffer::new();
        self.number(br#"{"$numberLong":""#, digits.format(number).as_bytes())
    }

    /// Digits, with their type where that is to be told.
    fn number(&mut self, before: &[u8], digits: &[u8]) -> Written {
        if !self.canonical {
            return self.raw(digits);
        }
        self.raw(before)?;
        self.raw(digits)?;
        self.raw(b"\"}")
    }

    fn double(&mut self, number: f64) -> Written {
        if !number.is_finite() {
            let name = match number {
                f64::INFINITY => "Infinity",
                f64::NEG_INFINITY => "-Infinity",
                _ => "NaN",
            };
            return Ok(write!(self.out, r#"{{"$numberDouble":"{name}"}}"#)?);
        }
        // The shortest digits that lead back to the same number, `1.0` and not `1`; an exponent where Python writes one, and
        // as it does.
        let mut digits = Vec::with_capacity(26);
        if number == 0.0 || (1e-4..1e16).contains(&number.abs()) {
            CompactFormatter.write_f64(&mut digits, number)?;
        } else {
            let text = format!("{number:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            write!(digits, "{mantissa}e{sign}{exponent:0>2}")?;
        }
        self.number(br#"{"$numberDouble":""#, &digits)
    }

    fn date(&mut self, moment: i64) -> Written {
        if !self.canonical
            && let Some(text) = date::write(moment, &mut [0; 24])
        {
            self.raw(br#"{"$date":""#)?;
            self.raw(text)?;
            return self.raw(b"\"}");
        }
        let mut digits = itoa::Buffer::new();
        self.raw(br#"{"$date":{"$numberLong":""#)?;
        self.raw(digits.format(moment).as_bytes())?;
        self.raw(b"\"}}")
    }

    fn object_id(&mut self, bytes: &[u8]) -> Written {
        let id: [u8; 12] = fixed(bytes)?;
        let mut digits = [0; 24];
        hex::encode_to_slice(id, &mut digits).map_err(io::Error::other)?;
        self.raw(br#"{"$oid":""#)?;
        self.raw(&digits)?;
        self.raw(b"\"}")
    }

    fn binary(&mut self, value: &[u8]) -> Written {
        let [_, _, _, _, subtype, bytes @ ..] = value else { return Err(Damaged("a binary is cut").into()) };
        let bytes = match subtype {
            // The old form of it holds its length once more.
            2 if prefix(bytes)? + 4 == bytes.len() => &bytes[4..],
            2 => return Err(Damaged("an old binary has another length than it says").into()),
            _ => bytes,
        };
        self.raw(br#"{"$binary":{"base64":""#)?;
        // In pieces: a value may take 16 MB, and its text is not to be held whole beside it.
        let mut text = EncoderWriter::new(&mut *self.out, &STANDARD);
        text.write_all(bytes)?;
        text.finish()?;
        drop(text);
        Ok(write!(self.out, r#"","subType":"{subtype:02x}"}}}}"#)?)
    }

    fn code_with_scope(&mut self, value: &[u8], depth: usize) -> Written {
        let inner = value.get(4..).ok_or(Damaged("a code is cut"))?;
        let (code, scope) = inner.split_at_checked(4 + prefix(inner)?).ok_or(Damaged("a code is cut"))?;
        self.raw(br#"{"$code":"#)?;
        self.text(string(code)?)?;
        self.raw(br#","$scope":"#)?;
        self.document(scope, depth + 1)?;
        self.raw(b"}")
    }
}

fn elements(bytes: &[u8], depth: usize) -> Result<Elements<'_>, Damaged> {
    if depth > DEPTH { Err(Damaged("it is nested too deeply")) } else { Elements::of(bytes) }
}

#[cfg(test)]
mod tests {
    use bson::{
        Binary, Bson, DateTime, JavaScriptCodeWithScope, RawDocumentBuf, Regex, Timestamp, doc, oid::ObjectId, rawdoc,
        spec::BinarySubtype,
    };

    use super::*;

    fn text(document: &[u8], format: Format) -> String {
        let mut text = Vec::new();
        assert!(write(document, format, &mut text).unwrap());
        String::from_utf8(text).unwrap()
    }

    /// Both forms of a document with this one value.
    fn both(value: impl Into<Bson>) -> (String, String) {
        let document = bson::serialize_to_vec(&doc! { "a": value.into() }).unwrap();
        let value = |format| {
            let text = text(&document, format);
            text.strip_prefix(r#"{"a":"#).and_then(|text| text.strip_suffix('}')).unwrap().to_owned()
        };
        (value(Format::Relaxed), value(Format::Canonical))
    }

    fn alike(value: impl Into<Bson>, expected: &str) {
        assert_eq!(both(value), (expected.to_owned(), expected.to_owned()));
    }

    fn differ(value: impl Into<Bson>, relaxed: &str, canonical: &str) {
        assert_eq!(both(value), (relaxed.to_owned(), canonical.to_owned()));
    }

    #[test]
    fn numbers_and_dates_tell_their_type_only_in_canonical_form() {
        differ(-5_i32, "-5", r#"{"$numberInt":"-5"}"#);
        differ(i64::MAX, "9223372036854775807", r#"{"$numberLong":"9223372036854775807"}"#);
        differ(1.0, "1.0", r#"{"$numberDouble":"1.0"}"#);
        differ(-0.0, "-0.0", r#"{"$numberDouble":"-0.0"}"#);
        differ(0.1 + 0.2, "0.30000000000000004", r#"{"$numberDouble":"0.30000000000000004"}"#);
        alike(f64::NAN, r#"{"$numberDouble":"NaN"}"#);
        alike(f64::NEG_INFINITY, r#"{"$numberDouble":"-Infinity"}"#);
        let date = DateTime::from_millis;
        differ(date(0), r#"{"$date":"1970-01-01T00:00:00Z"}"#, r#"{"$date":{"$numberLong":"0"}}"#);
        differ(date(1_500), r#"{"$date":"1970-01-01T00:00:01.500Z"}"#, r#"{"$date":{"$numberLong":"1500"}}"#);
        alike(date(-1), r#"{"$date":{"$numberLong":"-1"}}"#);
        alike(date(i64::MAX), r#"{"$date":{"$numberLong":"9223372036854775807"}}"#);
        differ(1.5e-7, "1.5e-07", r#"{"$numberDouble":"1.5e-07"}"#);
        differ(1e-4, "0.0001", r#"{"$numberDouble":"0.0001"}"#);
        differ(-1.25e-5, "-1.25e-05", r#"{"$numberDouble":"-1.25e-05"}"#);
        differ(1e15, "1000000000000000.0", r#"{"$numberDouble":"1000000000000000.0"}"#);
        differ(1e16, "1e+16", r#"{"$numberDouble":"1e+16"}"#);
        differ(-2.5e300, "-2.5e+300", r#"{"$numberDouble":"-2.5e+300"}"#);
        for number in [1e300, 5e-324, f64::MAX, 1e16, 1e-7, 123_456_789.125] {
            assert_eq!(both(number).0.parse::<f64>().unwrap().to_bits(), number.to_bits());
        }
    }

    #[test]
    fn the_other_types_are_written_alike_in_both_forms() {
        let id = ObjectId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xAB, 0xFF]);
        alike(id, r#"{"$oid":"00010203040506070809abff"}"#);
        alike(true, "true");
        alike(Bson::Null, "null");
        alike(Bson::Array(vec![]), "[]");
        alike(doc! {}, "{}");
        alike(vec![Bson::Null, Bson::Boolean(false)], "[null,false]");
        alike(doc! { "b": "c", "d": null }, r#"{"b":"c","d":null}"#);
        alike(Timestamp { time: u32::MAX, increment: 7 }, r#"{"$timestamp":{"t":4294967295,"i":7}}"#);
        alike(
            Bson::RegularExpression(Regex { pattern: "^a\"".try_into().unwrap(), options: "im".try_into().unwrap() }),
            r#"{"$regularExpression":{"pattern":"^a\"","options":"im"}}"#,
        );
        let binary = |subtype, bytes: &[u8]| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
        alike(binary(BinarySubtype::Generic, &[1, 2]), r#"{"$binary":{"base64":"AQI=","subType":"00"}}"#);
        alike(binary(BinarySubtype::BinaryOld, &[255, 255]), r#"{"$binary":{"base64":"//8=","subType":"02"}}"#);
        alike(binary(BinarySubtype::UserDefined(0x80), &[]), r#"{"$binary":{"base64":"","subType":"80"}}"#);
        alike(Bson::Decimal128("-1.50E+3".parse().unwrap()), r#"{"$numberDecimal":"-1.50E+3"}"#);
        alike(Bson::JavaScriptCode("f()".to_owned()), r#"{"$code":"f()"}"#);
        alike(
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "f".to_owned(), scope: doc! { "x": "y" } }),
            r#"{"$code":"f","$scope":{"x":"y"}}"#,
        );
        alike(Bson::Symbol("s".to_owned()), r#"{"$symbol":"s"}"#);
        alike(Bson::Undefined, r#"{"$undefined":true}"#);
        alike(Bson::MinKey, r#"{"$minKey":1}"#);
        alike(Bson::MaxKey, r#"{"$maxKey":1}"#);
        // One that `bson` makes only of bytes.
        let mut pointer = b"\0\0\0\0\x0Ca\0\x04\0\0\0d.c\0".to_vec();
        pointer.extend(id.bytes());
        pointer.push(0);
        pointer[0] = pointer.len() as u8;
        let expected = r#"{"a":{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"00010203040506070809abff"}}}}"#;
        assert_eq!(text(&pointer, Format::Relaxed), expected);
    }

    #[test]
    fn text_is_escaped_where_json_asks_for_it_and_nowhere_else() {
        alike(
            "a\"\\/\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}é\u{2028}🦀",
            "\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u0000\\u001f\u{7f}é\u{2028}🦀\"",
        );
        assert_eq!(text(rawdoc! { "\"k\n": 1 }.as_bytes(), Format::Relaxed), r#"{"\"k\n":1}"#);
    }

    #[test]
    fn text_that_is_no_utf8_is_written_and_told() {
        let mut document = RawDocumentBuf::try_from(&doc! { "a": "xyz" }).unwrap().into_bytes();
        let at = document.iter().position(|byte| *byte == b'y').unwrap();
        document[at] = 0xFF;
        let mut text = Vec::new();
        assert!(!write(&document, Format::Relaxed, &mut text).unwrap());
        assert_eq!(String::from_utf8(text).unwrap(), "{\"a\":\"x\u{FFFD}z\"}");
    }

    #[test]
    fn what_is_too_deep_is_an_error() {
        let nested = |depth: usize| {
            let document = (0..depth).fold(doc! {}, |inner, _| doc! { "a": inner });
            write(&bson::serialize_to_vec(&document).unwrap(), Format::Relaxed, &mut io::sink()).is_ok()
        };
        assert!(nested(DEPTH));
        assert!(!nested(DEPTH + 1));
    }
}
