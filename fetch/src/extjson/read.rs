//! Extended JSON to raw BSON: each value is appended to the document as it is read, and what turns out to be the
//! spelling of another type, such as `{"$date": …}`, is replaced at its end.

use bson::{RawDocumentBuf, spec::ElementType};

use super::{
    text::{Number, Text, Wrong},
    walk::DEPTH,
    wrapper,
};

/// Why a text is no document of extended JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (byte {at})")]
pub(crate) struct Unreadable {
    what: Wrong,
    /// Where in the text, from 1.
    at: usize,
}

/// Reads the one document that a text holds: relaxed, canonical or legacy, or of a mixture.
///
/// # Errors
/// It is no JSON, not one object, or a name such as `$date` has another value than extended JSON gives it.
pub(crate) fn read(text: &[u8]) -> Result<RawDocumentBuf, Unreadable> {
    let mut reader = Reader { text: Text { bytes: text, at: 0 }, out: Vec::with_capacity(text.len()) };
    let read = reader.whole();
    let at = reader.text.at.min(text.len()) + 1;
    read.and_then(|()| RawDocumentBuf::from_bytes(reader.out).map_err(|error| error.to_string().into()))
        .map_err(|what| Unreadable { what, at })
}

struct Reader<'a> {
    text: Text<'a>,
    /// The document as far as it is read.
    out: Vec<u8>,
}

impl Reader<'_> {
    fn whole(&mut self) -> Result<(), Wrong> {
        if self.text.peek() != Some(b'{') || self.object(0)? != ElementType::EmbeddedDocument {
            return Err("this is no document".into());
        }
        if self.text.peek().is_some() {
            return Err("something follows the document".into());
        }
        Ok(())
    }

    /// Appends the value that comes next, and tells of which type it is.
    fn value(&mut self, depth: usize) -> Result<ElementType, Wrong> {
        match self.text.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b't') => self.word(b"true", ElementType::Boolean, &[1]),
            Some(b'f') => self.word(b"false", ElementType::Boolean, &[0]),
            Some(b'n') => self.word(b"null", ElementType::Null, &[]),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err("a value is expected here".into()),
        }
    }

    fn word(&mut self, word: &[u8], kind: ElementType, value: &[u8]) -> Result<ElementType, Wrong> {
        self.text.word(word)?;
        self.out.extend_from_slice(value);
        Ok(kind)
    }

    fn number(&mut self) -> Result<ElementType, Wrong> {
        Ok(match self.text.number()? {
            Number::Integer(integer) => match i32::try_from(integer) {
                Ok(integer) => {
                    self.out.extend_from_slice(&integer.to_le_bytes());
                    ElementType::Int32
                }
                Err(_) => {
                    self.out.extend_from_slice(&integer.to_le_bytes());
                    ElementType::Int64
                }
            },
            Number::Double(double) => {
                self.out.extend_from_slice(&double.to_le_bytes());
                ElementType::Double
            }
        })
    }

    fn string(&mut self) -> Result<ElementType, Wrong> {
        let begin = self.begin();
        self.text.at += 1;
        self.text.string(&mut self.out)?;
        self.out.push(0);
        self.end(begin, begin + 4)?;
        Ok(ElementType::String)
    }

    fn array(&mut self, depth: usize) -> Result<ElementType, Wrong> {
        let begin = self.begin_nested(depth)?;
        let mut place = itoa::Buffer::new();
        let mut places = 0_u32..;
        if self.text.peek() == Some(b']') {
            self.text.at += 1;
        } else {
            loop {
                let at = self.out.len();
                self.out.push(0);
                self.out.extend_from_slice(place.format(places.next().unwrap_or(u32::MAX)).as_bytes());
                self.out.push(0);
                self.out[at] = self.value(depth + 1)? as u8;
                if !self.goes_on(b']', "a comma or the end of the array is expected here")? {
                    break;
                }
            }
        }
        self.end_nested(begin)?;
        Ok(ElementType::Array)
    }

    /// An object of JSON: a document, or another type that is spelt as one.
    fn object(&mut self, depth: usize) -> Result<ElementType, Wrong> {
        let begin = self.begin_nested(depth)?;
        let mut may_be_wrapper = false;
        if self.text.peek() == Some(b'}') {
            self.text.at += 1;
        } else {
            loop {
                let at = self.out.len();
                self.out.push(0);
                self.text.expect(b'"', "a name in quotes is expected here")?;
                self.text.string(&mut self.out)?;
                let name = &self.out[at + 1..];
                may_be_wrapper |= name.first() == Some(&b'$');
                if memchr::memchr(0, name).is_some() {
                    return Err("a name holds the character U+0000, which BSON cannot".into());
                }
                self.out.push(0);
                self.text.expect(b':', "a colon is expected here")?;
                self.out[at] = self.value(depth + 1)? as u8;
                if !self.goes_on(b'}', "a comma or the end of the object is expected here")? {
                    break;
                }
            }
        }
        self.end_nested(begin)?;
        if may_be_wrapper && let Some((kind, value)) = wrapper::unwrap(&self.out[begin..])? {
            self.out.truncate(begin);
            self.out.extend_from_slice(&value);
            return Ok(kind);
        }
        Ok(ElementType::EmbeddedDocument)
    }

    /// Whether another value follows; else the closing sign is read.
    fn goes_on(&mut self, close: u8, what: &'static str) -> Result<bool, Wrong> {
        let sign = self.text.peek();
        if sign != Some(b',') && sign != Some(close) {
            return Err(what.into());
        }
        self.text.at += 1;
        Ok(sign == Some(b','))
    }

    /// Leaves room for a length.
    fn begin(&mut self) -> usize {
        self.out.extend_from_slice(&[0; 4]);
        self.out.len() - 4
    }

    /// Says at `begin` how many bytes there are from `from` on.
    fn end(&mut self, begin: usize, from: usize) -> Result<(), Wrong> {
        let length = i32::try_from(self.out.len() - from).map_err(|_| "a value is larger than BSON can hold")?;
        self.out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    fn begin_nested(&mut self, depth: usize) -> Result<usize, Wrong> {
        if depth > DEPTH {
            return Err("it is nested too deeply".into());
        }
        self.text.at += 1;
        Ok(self.begin())
    }

    fn end_nested(&mut self, begin: usize) -> Result<(), Wrong> {
        self.out.push(0);
        self.end(begin, begin)
    }
}

#[cfg(test)]
mod tests {
    use bson::{
        Binary, Bson, DateTime, JavaScriptCodeWithScope, Regex, Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
    };

    use super::*;
    use crate::extjson::{Format, write};

    /// The value that this is the text of.
    fn value(text: &str) -> Result<Bson, String> {
        let document = read(format!("{{\"a\":{text}}}").as_bytes()).map_err(|error| error.to_string())?;
        let document = bson::Document::try_from(&document).map_err(|error| error.to_string())?;
        Ok(document["a"].clone())
    }

    fn is(text: &str, expected: impl Into<Bson>) {
        assert_eq!(value(text).unwrap(), expected.into(), "{text}");
    }

    #[test]
    fn plain_json() {
        is(
            " [ 1 , -2147483648 , 2147483648, 1.5, true, false, null, \"a\\n\", { } , [ ] ] ",
            vec![
                Bson::Int32(1),
                Bson::Int32(i32::MIN),
                Bson::Int64(2_147_483_648),
                Bson::Double(1.5),
                Bson::Boolean(true),
                Bson::Boolean(false),
                Bson::Null,
                Bson::String("a\n".to_owned()),
                Bson::Document(doc! {}),
                Bson::Array(vec![]),
            ],
        );
    }

    #[test]
    fn canonical_and_relaxed_spellings() {
        is(r#"{"$numberInt":"-5"}"#, -5_i32);
        is(r#"{"$numberLong":"5"}"#, 5_i64);
        is(r#"{"$numberDouble":"1e300"}"#, 1e300);
        is(r#"{"$numberDouble":"-Infinity"}"#, f64::NEG_INFINITY);
        assert!(value(r#"{"$numberDouble":"NaN"}"#).unwrap().as_f64().unwrap().is_nan());
        is(r#"{"$numberDecimal":"-1.50E+3"}"#, Bson::Decimal128("-1.50E+3".parse().unwrap()));
        is(r#"{"$date":"2024-02-29T12:00:00.5Z"}"#, DateTime::from_millis(1_709_208_000_500));
        is(r#"{"$date":{"$numberLong":"-1"}}"#, DateTime::from_millis(-1));
        is(r#"{"$oid":"00010203040506070809abFF"}"#, ObjectId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xAB, 0xFF]));
        let binary = |subtype, bytes: &[u8]| Binary { subtype, bytes: bytes.to_vec() };
        is(r#"{"$binary":{"base64":"AQI=","subType":"00"}}"#, binary(BinarySubtype::Generic, &[1, 2]));
        is(r#"{"$binary":{"subType":"2","base64":"//8="}}"#, binary(BinarySubtype::BinaryOld, &[255, 255]));
        is(
            r#"{"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"}"#,
            binary(BinarySubtype::Uuid, &hex::decode("c8edabc3f7384ca3b68dab92a91478a3").unwrap()),
        );
        is(r#"{"$timestamp":{"t":4294967295,"i":7}}"#, Timestamp { time: u32::MAX, increment: 7 });
        let regex = |pattern: &str, options: &str| {
            Bson::RegularExpression(Regex {
                pattern: pattern.try_into().unwrap(),
                options: options.try_into().unwrap(),
            })
        };
        is(r#"{"$regularExpression":{"pattern":"^a","options":"mi"}}"#, regex("^a", "im"));
        is(r#"{"$code":"f()"}"#, Bson::JavaScriptCode("f()".to_owned()));
        is(
            r#"{"$code":"f","$scope":{"x":{"$numberInt":"1"}}}"#,
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "f".to_owned(), scope: doc! { "x": 1 } }),
        );
        is(r#"{"$symbol":"s"}"#, Bson::Symbol("s".to_owned()));
        is(r#"{"$undefined":true}"#, Bson::Undefined);
        is(r#"{"$minKey":1}"#, Bson::MinKey);
        is(r#"{"$maxKey":{"$numberInt":"1"}}"#, Bson::MaxKey);
        assert!(matches!(
            value(r#"{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"00010203040506070809abff"}}}"#),
            Ok(Bson::DbPointer(_))
        ));
    }

    #[test]
    fn legacy_spellings() {
        is(r#"{"$date":1709208000500}"#, DateTime::from_millis(1_709_208_000_500));
        is(r#"{"$date":-1}"#, DateTime::from_millis(-1));
        is(r#"{"$date":"2024-02-29T12:00:00.500+0000"}"#, DateTime::from_millis(1_709_208_000_500));
        is(r#"{"$numberLong":5}"#, 5_i64);
        let binary = |subtype| Binary { subtype, bytes: vec![1, 2, 3, 4] };
        is(r#"{"$binary":"AQIDBA==","$type":"80"}"#, binary(BinarySubtype::UserDefined(0x80)));
        is(r#"{"$type":"ffffff80","$binary":"AQIDBA=="}"#, binary(BinarySubtype::UserDefined(0x80)));
        is(r#"{"$binary":"AQIDBA==","$type":4}"#, binary(BinarySubtype::Uuid));
        let regex =
            Bson::RegularExpression(Regex { pattern: "^a".try_into().unwrap(), options: "i".try_into().unwrap() });
        is(r#"{"$regex":"^a","$options":"i"}"#, regex);
    }

    #[test]
    fn what_only_looks_like_a_spelling_stays_a_document() {
        is(r#"{"$gt":5}"#, doc! { "$gt": 5 });
        is(r#"{"$type":"string"}"#, doc! { "$type": "string" });
        is(
            r#"{"$regex":{"$oid":"00010203040506070809abff"}}"#,
            doc! {
                "$regex": ObjectId::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xAB, 0xFF])
            },
        );
        is(r#"{"$regex":"^a","$ne":"ab"}"#, doc! { "$regex": "^a", "$ne": "ab" });
        is(r#"{"$ref":"c","$id":1}"#, doc! { "$ref": "c", "$id": 1 });
    }

    #[test]
    fn what_is_spelt_wrongly_is_an_error() {
        for wrong in [
            r#"{"$oid":"00"}"#,
            r#"{"$oid":1}"#,
            r#"{"$oid":"00010203040506070809abff","x":1}"#,
            r#"{"$date":"yesterday"}"#,
            r#"{"$date":null}"#,
            r#"{"$date":1.5}"#,
            r#"{"x":1,"$date":1}"#,
            r#"{"$numberInt":"2147483648"}"#,
            r#"{"$numberInt":5}"#,
            r#"{"$numberLong":"x"}"#,
            r#"{"$numberDouble":"x"}"#,
            r#"{"$numberDecimal":"é"}"#,
            r#"{"$numberDecimal":"1e-170141183460469231731687303715884105728"}"#,
            r#"{"$binary":"A","$type":"00"}"#,
            r#"{"$binary":{"base64":"AQI="}}"#,
            r#"{"$binary":{"base64":"AQI=","subType":"100"}}"#,
            r#"{"$timestamp":{"t":-1,"i":0}}"#,
            r#"{"$timestamp":{"t":1}}"#,
            r#"{"$regularExpression":{"pattern":"a\u0000","options":""}}"#,
            r#"{"$undefined":false}"#,
            r#"{"$minKey":2}"#,
            r#"{"$uuid":"x"}"#,
        ] {
            assert!(value(wrong).is_err(), "{wrong} is {:?}", value(wrong));
        }
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let wrong = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(wrong(""), "this is no document (byte 1)");
        assert_eq!(wrong("[]"), "this is no document (byte 1)");
        assert_eq!(wrong(r#"{"$oid":"00010203040506070809abff"}"#), "this is no document (byte 36)");
        assert_eq!(wrong(r#"{"a":1} {}"#), "something follows the document (byte 9)");
        assert_eq!(wrong(r#"{"a":}"#), "a value is expected here (byte 6)");
        assert_eq!(wrong(r#"{"a":1,}"#), "a name in quotes is expected here (byte 8)");
        assert_eq!(wrong(r#"{"a" 1}"#), "a colon is expected here (byte 6)");
        assert_eq!(wrong(r#"{"a":1"#), "a comma or the end of the object is expected here (byte 7)");
        assert_eq!(wrong(r#"{"a":[1 2]}"#), "a comma or the end of the array is expected here (byte 9)");
        assert_eq!(wrong(r#"{"a\u0000":1}"#), "a name holds the character U+0000, which BSON cannot (byte 11)");
        assert_eq!(wrong(&format!("{{\"a\":{}", "[".repeat(300))), "it is nested too deeply (byte 206)");
    }

    #[test]
    fn what_was_written_is_read_back() {
        let document = doc! {
            "_id": ObjectId::new(),
            "numbers": [1, 2_i64, 3.0, i64::MIN, -0.0, 1e-300, 0.1 + 0.2],
            "date": DateTime::from_millis(1_709_208_000_500),
            "early": DateTime::from_millis(-5),
            "text": "a\"\n\u{0}é",
            "deep": { "deeper": [{ "deepest": Bson::Null }] },
            "": true,
        };
        let bytes = bson::serialize_to_vec(&document).unwrap();
        let mut text = Vec::new();
        write(&bytes, Format::Canonical, &mut text).unwrap();
        assert_eq!(read(&text).unwrap().as_bytes(), bytes);
        // Relaxed, the type of the second number alone is lost.
        text.clear();
        write(&bytes, Format::Relaxed, &mut text).unwrap();
        let mut relaxed = document.clone();
        relaxed.get_array_mut("numbers").unwrap()[1] = Bson::Int32(2);
        assert_eq!(read(&text).unwrap().as_bytes(), bson::serialize_to_vec(&relaxed).unwrap());
    }
}
