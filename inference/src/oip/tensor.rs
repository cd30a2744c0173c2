//! A tensor as far as this service has any: numbers or texts, whichever way they came.

use bytes::{Buf, BufMut, Bytes};

use super::Signature;
use crate::error::{Error, wrong};

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// FP32, and FP64 on the way in.
    Float,
    /// BYTES.
    Text,
}

impl Kind {
    /// The protocol's word.
    pub(crate) fn datatype(self) -> &'static str {
        match self {
            Self::Float => "FP32",
            Self::Text => "BYTES",
        }
    }
}

/// The values, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Floats(Vec<f32>),
    Texts(Vec<Bytes>),
}

impl Values {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Floats(_) => Kind::Float,
            Self::Texts(_) => Kind::Text,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// From the binary form: little-endian numbers, or texts each after its length in four bytes.
    pub(crate) fn from_raw(name: &str, datatype: &str, mut raw: Bytes) -> Result<Self, Error> {
        let whole = |size: usize| {
            if raw.len().is_multiple_of(size) {
                Ok(())
            } else {
                Err(wrong(name, &format!("{} bytes are no whole number of {datatype}", raw.len())))
            }
        };
        match datatype {
            "FP32" => whole(4).map(|()| {
                Self::Floats(raw.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
            }),
            "FP64" => whole(8).map(|()| {
                let values = raw.as_chunks::<8>().0.iter();
                Self::Floats(values.map(|value| f64::from_le_bytes(*value) as f32).collect())
            }),
            "BYTES" => {
                let mut texts = Vec::new();
                while raw.has_remaining() {
                    let length = raw.try_get_u32_le().ok().map(|length| length as usize);
                    let Some(length) = length.filter(|length| *length <= raw.len()) else {
                        return Err(wrong(
                            name,
                            "a text is longer than what came: each follows its length in four bytes",
                        ));
                    };
                    texts.push(raw.split_to(length));
                }
                Ok(Self::Texts(texts))
            }
            other => Err(unknown(name, other)),
        }
    }

    /// The binary form.
    pub(crate) fn into_raw(self) -> Bytes {
        let mut raw = Vec::new();
        match self {
            Self::Floats(values) => {
                raw.reserve(4 * values.len());
                for value in values {
                    raw.put_f32_le(value);
                }
            }
            Self::Texts(texts) => {
                for text in texts {
                    raw.put_u32_le(text.len() as u32);
                    raw.extend_from_slice(&text);
                }
            }
        }
        raw.into()
    }
}

/// Values with a name and a shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) values: Values,
}

impl Tensor {
    pub(crate) fn floats(&self, expected: &Signature) -> Result<&[f32], Error> {
        self.check_shape(expected)?;
        match &self.values {
            Values::Floats(values) => Ok(values),
            Values::Texts(_) => Err(self.unfit(expected)),
        }
    }

    pub(crate) fn texts(&self, expected: &Signature) -> Result<&[Bytes], Error> {
        self.check_shape(expected)?;
        match &self.values {
            Values::Texts(texts) => Ok(texts),
            Values::Floats(_) => Err(self.unfit(expected)),
        }
    }

    /// A column of texts may come as a matrix of one column, as clients of batching servers send it.
    fn check_shape(&self, expected: &Signature) -> Result<(), Error> {
        let mut shape = self.shape.as_slice();
        if let (1, [rows @ .., 1]) = (expected.shape.len(), shape)
            && !rows.is_empty()
        {
            shape = rows;
        }
        let fits = shape.len() == expected.shape.len()
            && shape.iter().zip(expected.shape).all(|(found, wanted)| *wanted == -1 || found == wanted);
        let count =
            self.shape.iter().try_fold(1_usize, |count, &length| count.checked_mul(usize::try_from(length).ok()?));
        if fits && count == Some(self.values.len()) {
            Ok(())
        } else if fits {
            Err(wrong(&self.name, &format!("the shape {:?} does not hold {} values", self.shape, self.values.len())))
        } else {
            Err(self.unfit(expected))
        }
    }

    fn unfit(&self, expected: &Signature) -> Error {
        let Signature { kind, shape, .. } = expected;
        let found = self.values.kind().datatype();
        let text = format!(
            "it is {found} {:?} and should be {} {shape:?}, where -1 is any length",
            self.shape,
            kind.datatype()
        );
        wrong(&self.name, &text)
    }
}

pub(crate) fn unknown(name: &str, datatype: &str) -> Error {
    wrong(name, &format!("values of the type {datatype:?} are not taken here: send FP32, FP64 or BYTES"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oip::INPUTS;

    #[test]
    fn the_binary_form_goes_both_ways() {
        for (datatype, values) in [
            ("FP32", Values::Floats(vec![1.5, f32::MIN, -0.0])),
            ("BYTES", Values::Texts(vec![Bytes::from_static(b"{}"), Bytes::new(), Bytes::from_static("é".as_bytes())])),
        ] {
            assert_eq!(Values::from_raw("x", datatype, values.clone().into_raw()).unwrap(), values);
        }
        let doubles: Bytes = [1.5_f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(Values::from_raw("x", "FP64", doubles).unwrap(), Values::Floats(vec![1.5, -2.0]));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for (datatype, raw) in [
            ("FP32", &[0_u8, 0, 0][..]),
            ("FP64", &[0; 12]),
            ("BYTES", &[1, 0, 0]),
            ("BYTES", &[2, 0, 0, 0, b'x']),
            ("BYTES", &[255, 255, 255, 255]),
            ("INT8", &[0]),
        ] {
            let error = Values::from_raw("x", datatype, Bytes::copy_from_slice(raw)).unwrap_err();
            assert!(error.to_string().contains("field `x`"), "{error}");
        }
    }

    #[test]
    fn a_shape_has_to_hold_its_values() {
        let texts = |shape: &[i64], count: usize| Tensor {
            name: "pull_request".into(),
            shape: shape.to_vec(),
            values: Values::Texts(vec![Bytes::new(); count]),
        };
        let fits = |shape: &[i64], count: usize| texts(shape, count).texts(&INPUTS[2]).is_ok();
        assert!(fits(&[2], 2) && fits(&[2, 1], 2) && fits(&[1], 1) && fits(&[0], 0));
        assert!(!fits(&[2], 3) && !fits(&[1, 2], 2) && !fits(&[], 1) && !fits(&[-1], 1) && !fits(&[2, 2, 1], 4));
        assert!(!fits(&[i64::MAX, 1], 2));
        let features = Tensor { name: "features".into(), shape: vec![1, 3], values: Values::Floats(vec![0.0; 3]) };
        assert!(features.floats(&INPUTS[0]).unwrap_err().to_string().contains("[1, 3]"));
        assert!(texts(&[1], 1).floats(&INPUTS[2]).unwrap_err().to_string().contains("BYTES"));
    }
}
