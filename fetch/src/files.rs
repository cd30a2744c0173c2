//! Files, unpacked by what they are and not by their names.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// Some editors begin a file with a byte order mark, which is no JSON.
pub(crate) const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Unpacked bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// The text of a file that may be packed by gzip or zstd, also in several streams one after the other.
pub(crate) fn unpack<'a>(mut packed: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut start = Vec::new();
    packed.by_ref().take(4).read_to_end(&mut start)?;
    let whole = Cursor::new(start.clone()).chain(packed);
    Ok(match &start[..] {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(BufReader::new(whole)))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(BufReader::with_capacity(PIECE, zstd::Decoder::new(whole)?)),
        _ => Box::new(BufReader::with_capacity(PIECE, whole)),
    })
}

/// The error, with what to do about it where a file ends in the middle.
pub(crate) fn told(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "it ends in the middle; copy it again"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn text(packed: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        unpack(packed)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn a_file_is_unpacked_by_what_it_is() {
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        for packed in [b"one\ntwo".to_vec(), gzip("one\ntwo"), [gzip("one\n"), gzip("two")].concat(), zstd("one\ntwo")]
        {
            assert_eq!(text(&packed).unwrap(), "one\ntwo");
        }
        assert_eq!(text(&[zstd("one\n"), zstd("two")].concat()).unwrap(), "one\ntwo");
        assert_eq!((text(b"").unwrap(), text(b"{}").unwrap()), (String::new(), "{}".to_owned()));
        for cut in [gzip("one"), zstd("one")] {
            assert!(text(&cut[..cut.len() - 1]).is_err());
        }
    }
}
