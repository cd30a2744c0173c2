//! How the parts of an export are compressed.

use std::{
    io::{self, Write},
    str::FromStr,
};

use flate2::write::GzEncoder;

/// The default level takes twice the time for a sixth less.
const GZIP_LEVEL: flate2::Compression = flate2::Compression::new(2);
/// The default of zstd: smaller than gzip at its best, in less time than the above.
const ZSTD_LEVEL: i32 = 3;

/// How a part is compressed. The result holds no time, so the same documents give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `.json.gz`: everything reads it.
    Gzip,
    /// `.json.zst`: smaller, and faster to write and to read.
    Zstd,
    /// `.json`
    None,
}

impl Compression {
    /// As it is typed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
            Self::None => "none",
        }
    }

    /// What the names of such files end in.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "json.gz",
            Self::Zstd => "json.zst",
            Self::None => "json",
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "gz" => Ok(Self::Gzip),
            "zst" => Ok(Self::Zstd),
            "none" => Ok(Self::None),
            _ => Err("write gz, zst or none".to_owned()),
        }
    }
}

/// Compresses into memory, from where the result is taken piece by piece.
pub(super) struct Compressor {
    encoder: Encoder,
    taken: u64,
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
    None(Vec<u8>),
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        let encoder = match compression {
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), GZIP_LEVEL)),
            Compression::Zstd => Encoder::Zstd(zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
            Compression::None => Encoder::None(Vec::new()),
        };
        Ok(Self { encoder, taken: 0 })
    }

    /// Bytes that went in.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// What came out and was not taken yet.
    pub(super) fn made(&mut self) -> &mut Vec<u8> {
        match &mut self.encoder {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::None(made) => made,
        }
    }

    /// The rest of what came out.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self.encoder {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::None(made) => Ok(made),
        }
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.encoder {
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
            Encoder::None(made) => made.write(bytes),
        }?;
        self.taken += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn each_kind_gives_back_what_went_in() {
        let text = b"{\"a\":1}\n".repeat(10_000);
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            assert_eq!(compression.as_str().parse(), Ok(compression));
            let mut compressor = Compressor::new(compression).unwrap();
            compressor.write_all(&text).unwrap();
            assert_eq!(compressor.taken(), text.len() as u64);
            let mut file = std::mem::take(compressor.made());
            file.extend(compressor.finish().unwrap());
            let mut back = Vec::new();
            match compression {
                Compression::Gzip => drop(flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut back).unwrap()),
                Compression::Zstd => back = zstd::decode_all(&file[..]).unwrap(),
                Compression::None => back = file,
            }
            assert_eq!(back, text, "{compression:?}");
        }
    }
}
