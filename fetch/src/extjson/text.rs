//! What JSON is made of, read off a text from its beginning: strings, numbers, words and signs.
//!
//! Numbers keep their exact value: `serde_json`'s own reader may miss a float by its last bit.

use std::borrow::Cow;

/// A text and how far it is read.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// What is wrong, at the place that was read up to.
pub(super) type Wrong = Cow<'static, str>;

/// A JSON number: one without a fraction and an exponent is an integer.
#[derive(Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Double(f64),
}

impl Text<'_> {
    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is no blank.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.bytes.get(self.at).copied()
    }

    pub(super) fn expect(&mut self, sign: u8, what: &'static str) -> Result<(), Wrong> {
        if self.peek() != Some(sign) {
            return Err(what.into());
        }
        self.at += 1;
        Ok(())
    }

    /// Reads this word, which has to come next.
    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), Wrong> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err("a value is expected here".into());
        }
        self.at += word.len();
        Ok(())
    }

    /// Appends the string that comes next, after its opening quote, to `out`.
    pub(super) fn string(&mut self, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let begin = out.len();
        loop {
            let rest = &self.bytes[self.at..];
            let end = memchr::memchr2(b'"', b'\\', rest).ok_or("a string does not end")?;
            let plain = &rest[..end];
            if let Some(control) = plain.iter().position(|byte| *byte < 0x20) {
                self.at += control;
                return Err("a string holds a control character that is not escaped".into());
            }
            out.extend_from_slice(plain);
            self.at += end + 1;
            if rest[end] == b'"' {
                break;
            }
            self.escape(out)?;
        }
        match std::str::from_utf8(&out[begin..]) {
            Ok(_) => Ok(()),
            Err(_) => Err("a string is no UTF-8".into()),
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let sign = self.bytes.get(self.at).copied().ok_or("a string does not end")?;
        self.at += 1;
        out.push(match sign {
            b'"' | b'\\' | b'/' => sign,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.unit()?;
                let character = match unit {
                    0xD800..0xDC00 if self.bytes[self.at..].starts_with(b"\\u") => {
                        self.at += 2;
                        let low = self.unit()?;
                        let is_low = (0xDC00..0xE000).contains(&low);
                        is_low.then(|| 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)).and_then(char::from_u32)
                    }
                    _ => char::from_u32(unit),
                };
                let character = character.ok_or("half of a surrogate pair is no character")?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err("a string holds an escape that JSON does not know".into()),
        });
        Ok(())
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, Wrong> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or("a string does not end")?;
        self.at += 4;
        let value = |unit: u32, digit: &u8| Some(unit << 4 | char::from(*digit).to_digit(16)?);
        digits.iter().try_fold(0, value).ok_or_else(|| "four hexadecimal digits are expected here".into())
    }

    /// The number that comes next.
    pub(super) fn number(&mut self) -> Result<Number, Wrong> {
        let begin = self.at;
        self.skip(b'-');
        let first = self.bytes.get(self.at).copied();
        let whole = self.digits()?;
        if first == Some(b'0') && whole > 1 {
            return Err("a number begins with 0".into());
        }
        let mut is_integer = true;
        if self.skip(b'.') {
            is_integer = false;
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            is_integer = false;
            if !self.skip(b'-') {
                self.skip(b'+');
            }
            self.digits()?;
        }
        let digits = std::str::from_utf8(&self.bytes[begin..self.at]).map_err(|_| "this is no number")?;
        if is_integer && let Ok(integer) = digits.parse() {
            return Ok(Number::Integer(integer));
        }
        digits.parse().map(Number::Double).map_err(|_| "this is no number".into())
    }

    fn skip(&mut self, sign: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&sign);
        self.at += usize::from(found);
        found
    }

    /// One digit or more; how many.
    fn digits(&mut self) -> Result<usize, Wrong> {
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err("a digit is expected here".into()) } else { Ok(digits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<Number> {
        let mut text = Text { bytes: text.as_bytes(), at: 0 };
        text.number().ok().filter(|_| text.at == text.bytes.len())
    }

    fn string(text: &str) -> Option<String> {
        let (mut text, mut out) = (Text { bytes: text.as_bytes(), at: 1 }, Vec::new());
        text.string(&mut out).ok().filter(|()| text.at == text.bytes.len())?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn numbers_keep_their_value() {
        assert_eq!(number("0"), Some(Number::Integer(0)));
        assert_eq!(number("-9223372036854775808"), Some(Number::Integer(i64::MIN)));
        assert_eq!(number("9223372036854775808"), Some(Number::Double(9_223_372_036_854_775_808.0)));
        assert_eq!(number("1.0"), Some(Number::Double(1.0)));
        assert_eq!(number("1E+2"), Some(Number::Double(100.0)));
        assert_eq!(number("5e-324"), Some(Number::Double(5e-324)));
        // The last bit is right, which it is not everywhere.
        assert_eq!(number("51.24817837550540204"), Some(Number::Double("51.24817837550540204".parse().unwrap())));
        for wrong in ["", "-", "01", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN", "--1"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn strings_are_unescaped() {
        assert_eq!(string(r#""a\"\\\/\b\f\n\r\t\u0000\u00e9\uD83E\uDD80é""#).unwrap(), "a\"\\/\u{8}\u{c}\n\r\t\0é🦀é");
        for wrong in
            [r#"""#, r#""\"#, r#""\x""#, r#""\u12""#, r#""\u12G4""#, r#""\uD800""#, r#""\uD800\u0041""#, "\"\n\""]
        {
            assert_eq!(string(wrong), None, "{wrong}");
        }
    }
}
