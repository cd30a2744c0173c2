//! Tensors of the Open Inference Protocol: the question, whose values are raw beside the inputs, and the values of an output, raw
//! beside the outputs, where the question came so, or else in them.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prowl_proto::inference::{ModelInferRequest, ModelInferResponse, model_infer_request::InferInputTensor};

/// What the service calls its model.
const MODEL: &str = "prowl";

/// An input with its values in raw form.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) datatype: &'static str,
    pub(crate) shape: Vec<i64>,
    pub(crate) raw: Bytes,
}

/// Asks for all outputs.
pub(crate) fn question(inputs: impl IntoIterator<Item = Input>) -> ModelInferRequest {
    let mut question = ModelInferRequest { model_name: MODEL.to_owned(), ..ModelInferRequest::default() };
    for Input { name, datatype, shape, raw } in inputs {
        let (name, datatype) = (name.to_owned(), datatype.to_owned());
        question.inputs.push(InferInputTensor { name, datatype, shape, ..InferInputTensor::default() });
        question.raw_input_contents.push(raw);
    }
    question
}

/// Texts in raw form: each is preceded by its length.
pub(crate) fn raw_texts<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut raw = BytesMut::new();
    for text in texts {
        raw.reserve(4 + text.len());
        raw.put_u32_le(text.len() as u32);
        raw.put_slice(text);
    }
    raw.freeze()
}

/// Where the output of a name is.
pub(crate) fn place_of(name: &str, answer: &ModelInferResponse) -> Option<usize> {
    answer.outputs.iter().position(|output| output.name == name)
}

/// The numbers of an output; none where they are damaged.
pub(crate) fn floats(answer: &ModelInferResponse, place: usize) -> Vec<f32> {
    if let Some(raw) = answer.raw_output_contents.get(place) {
        let (values, rest) = raw.as_chunks::<4>();
        let values = values.iter().filter(|_| rest.is_empty());
        return values.map(|value| f32::from_le_bytes(*value)).collect();
    }
    let contents = answer.outputs.get(place).and_then(|output| output.contents.as_ref());
    contents.map(|contents| contents.fp32_contents.clone()).unwrap_or_default()
}

/// The texts of an output; none where they are damaged. In raw form each is preceded by its length.
pub(crate) fn texts(answer: &ModelInferResponse, place: usize) -> Vec<Bytes> {
    let Some(mut raw) = answer.raw_output_contents.get(place).cloned() else {
        let contents = answer.outputs.get(place).and_then(|output| output.contents.as_ref());
        return contents.map(|contents| contents.bytes_contents.clone()).unwrap_or_default();
    };
    let mut texts = Vec::new();
    while raw.has_remaining() {
        match raw.try_get_u32_le() {
            Ok(length) if length as usize <= raw.len() => texts.push(raw.split_to(length as usize)),
            _ => return Vec::new(),
        }
    }
    texts
}

/// Puts others in their place.
pub(crate) fn set_floats(answer: &mut ModelInferResponse, place: usize, values: Vec<f32>) {
    if let Some(raw) = answer.raw_output_contents.get_mut(place) {
        *raw = values.into_iter().flat_map(f32::to_le_bytes).collect::<Bytes>();
    } else if let Some(contents) = answer.outputs.get_mut(place).and_then(|output| output.contents.as_mut()) {
        contents.fp32_contents = values;
    }
}

/// Puts other texts in the place of those of an output.
pub(crate) fn set_texts(answer: &mut ModelInferResponse, place: usize, texts: &[&'static str]) {
    if let Some(raw) = answer.raw_output_contents.get_mut(place) {
        *raw = raw_texts(texts.iter().map(|text| text.as_bytes()));
    } else if let Some(contents) = answer.outputs.get_mut(place).and_then(|output| output.contents.as_mut()) {
        contents.bytes_contents = texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use prowl_proto::inference::{InferTensorContents, model_infer_response::InferOutputTensor};

    use super::*;

    /// Percentiles and bands of two pull requests, of which the second was not judged.
    pub(crate) fn answer(raw: bool) -> ModelInferResponse {
        let floats = InferTensorContents { fp32_contents: vec![90.0, f32::NAN], ..InferTensorContents::default() };
        let texts = ["routine", ""].map(|text| Bytes::from_static(text.as_bytes()));
        let texts = InferTensorContents { bytes_contents: texts.into(), ..InferTensorContents::default() };
        let output = |(name, contents): (&str, InferTensorContents)| InferOutputTensor {
            name: name.to_owned(),
            contents: (!raw).then_some(contents),
            ..InferOutputTensor::default()
        };
        let mut answer = ModelInferResponse {
            model_version: "20261124T214500Z".to_owned(),
            outputs: [("percentile", floats), ("band", texts)].map(output).into(),
            ..ModelInferResponse::default()
        };
        if raw {
            answer.raw_output_contents = vec![Bytes::new(); 2];
            set_floats(&mut answer, 0, vec![90.0, f32::NAN]);
            set_texts(&mut answer, 1, &["routine", ""]);
        }
        answer
    }

    #[test]
    fn values_are_read_and_set_in_either_form() {
        for raw in [false, true] {
            let mut answer = answer(raw);
            assert_eq!((place_of("band", &answer), place_of("risk", &answer)), (Some(1), None));
            let read = floats(&answer, 0);
            assert!(read[0] == 90.0 && read[1].is_nan() && read.len() == 2, "{read:?}");
            assert_eq!(texts(&answer, 1), ["routine", ""]);
            set_floats(&mut answer, 0, vec![1.5, 2.5]);
            set_texts(&mut answer, 1, &["unusual", "routine"]);
            assert_eq!(floats(&answer, 0), [1.5, 2.5]);
            if raw {
                assert_eq!(answer.raw_output_contents[1].as_ref(), b"\x07\0\0\0unusual\x07\0\0\0routine");
            } else {
                let texts = &answer.outputs[1].contents.as_ref().unwrap().bytes_contents;
                assert_eq!(*texts, ["unusual", "routine"].map(|text| Bytes::from_static(text.as_bytes())));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_none() {
        let mut cut = answer(true);
        for raw in &mut cut.raw_output_contents {
            raw.truncate(raw.len() - 1);
        }
        assert!(floats(&cut, 0).is_empty() && texts(&cut, 1).is_empty());
        assert!(floats(&cut, 7).is_empty() && texts(&cut, 7).is_empty());
    }
}
