//! How the numbers of [`crate::Facts`] travel: in few bytes, and fast.

/// Keys and numbers are written as they are: a form that spares bytes of small numbers needs more for them, and takes longer.
pub(crate) mod as_bytes {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    /// A number of a fixed width.
    pub(crate) trait Fixed: Copy {
        fn push(self, bytes: &mut Vec<u8>);
        /// The numbers in `bytes`, unless some are left over.
        fn all(bytes: &[u8]) -> Option<Vec<Self>>;
    }

    macro_rules! fixed {
        ($($number:ty)*) => {
            $(impl Fixed for $number {
                fn push(self, bytes: &mut Vec<u8>) {
                    bytes.extend_from_slice(&self.to_le_bytes());
                }

                fn all(bytes: &[u8]) -> Option<Vec<Self>> {
                    let (numbers, rest) = bytes.as_chunks();
                    rest.is_empty().then(|| numbers.iter().map(|number| Self::from_le_bytes(*number)).collect())
                }
            })*
        };
    }

    fixed!(u32 u64);

    pub(crate) fn serialize<N: Fixed, S: Serializer>(numbers: &[N], output: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(size_of_val(numbers));
        for number in numbers {
            number.push(&mut bytes);
        }
        output.serialize_bytes(&bytes)
    }

    pub(crate) fn deserialize<'de, N: Fixed, D: Deserializer<'de>>(input: D) -> Result<Vec<N>, D::Error> {
        struct Numbers<N>(PhantomData<N>);

        impl<N: Fixed> Visitor<'_> for Numbers<N> {
            type Value = Vec<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "numbers of {} bytes each", size_of::<N>())
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<N>, E> {
                N::all(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
            }
        }

        input.deserialize_bytes(Numbers(PhantomData))
    }
}

/// Most features of a row are flags, small counts or unknown: these take a byte each, and what travels is a fifth smaller.
pub(crate) mod mostly_small {
    use std::fmt;

    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    /// Stands for an unknown value.
    const UNKNOWN: u8 = 254;
    /// Stands before a value of four bytes. All below the two are whole numbers.
    pub(super) const WIDE: u8 = 255;

    pub(crate) fn serialize<S: Serializer>(values: &[f32], output: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(2 * values.len());
        for value in values {
            let small = *value as u8;
            if small < UNKNOWN && f32::from(small).to_bits() == value.to_bits() {
                bytes.push(small);
            } else if value.to_bits() == f32::NAN.to_bits() {
                bytes.push(UNKNOWN);
            } else {
                bytes.push(WIDE);
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        output.serialize_bytes(&bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f32>, D::Error> {
        struct Values;

        impl Visitor<'_> for Values {
            type Value = Vec<f32>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values of one byte or five")
            }

            fn visit_bytes<E: Error>(self, mut bytes: &[u8]) -> Result<Vec<f32>, E> {
                let mut values = Vec::with_capacity(bytes.len());
                while let Some((first, rest)) = bytes.split_first() {
                    bytes = rest;
                    values.push(match *first {
                        UNKNOWN => f32::NAN,
                        WIDE => {
                            let (wide, rest) =
                                bytes.split_first_chunk().ok_or_else(|| E::invalid_length(bytes.len(), &self))?;
                            bytes = rest;
                            f32::from_le_bytes(*wide)
                        }
                        small => f32::from(small),
                    });
                }
                Ok(values)
            }
        }

        input.deserialize_bytes(Values)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Row(#[serde(with = "super::mostly_small")] Vec<f32>);

    #[test]
    fn every_value_comes_back_bit_by_bit() {
        let odd =
            [-0.0, 0.5, -1.0, 253.0, 254.0, 255.0, 256.0, 1e30, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE];
        let other_nan = f32::from_bits(f32::NAN.to_bits() ^ 1);
        let row: Vec<f32> = (0..300u16).map(f32::from).chain(odd).chain([f32::NAN, other_nan, -f32::NAN]).collect();
        let bytes = postcard::to_stdvec(&Row(row.clone())).unwrap();
        let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&postcard::from_bytes::<Row>(&bytes).unwrap().0), bits(&row));
        let length = |values: &[f32]| postcard::to_stdvec(&Row(values.to_vec())).unwrap().len() - 1;
        assert_eq!((length(&[0.0, 253.0, f32::NAN]), length(&[254.0]), length(&[-0.0])), (3, 5, 5));
        // One byte of length, the tag, and a value that is cut.
        assert!(postcard::from_bytes::<Row>(&[4, super::mostly_small::WIDE, 0, 0, 0]).is_err());
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Keys(#[serde(with = "super::as_bytes")] Vec<u64>, #[serde(with = "super::as_bytes")] Vec<u32>);

    #[test]
    fn keys_take_their_width_and_come_back() {
        let keys = Keys(vec![0, 1, u64::MAX], vec![7, u32::MAX]);
        let bytes = postcard::to_stdvec(&keys).unwrap();
        assert_eq!(bytes.len(), (1 + 3 * 8) + (1 + 2 * 4), "a byte of length before the numbers");
        assert_eq!(postcard::from_bytes::<Keys>(&bytes).unwrap(), keys);
        assert!(postcard::from_bytes::<Keys>(&[7, 0, 0, 0, 0, 0, 0, 0, 0]).is_err(), "seven bytes are no key");
    }

    #[test]
    fn what_is_expected_is_said() {
        let row = serde_json::from_str::<Row>("5").map(drop).unwrap_err().to_string();
        assert!(row.contains("expected values of one byte or five"), "{row}");
        let keys = serde_json::from_str::<Keys>("[5, 5]").unwrap_err().to_string();
        assert!(keys.contains("expected numbers of 8 bytes each"), "{keys}");
    }
}
