//! The JSON form of a message, the same in an HTTP answer and in `prowl score --json`.
//!
//! It is the JSON mapping of proto3 with the names of the `.proto` file (`history_source`, not `historySource`),
//! fields at their default written out, and 64-bit integers as numbers. NaN is the string `"NaN"`, a time RFC 3339,
//! a duration such as `"0.000212s"`.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde::{Serialize, Serializer, de};

pub(crate) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).expect("the descriptors are generated from a valid file")
});

/// Serializes a message of `prowl.v1` as JSON: `serde_json::to_string(&Json(&response))`.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a, M>(pub &'a M);

impl<M: Message + Name> Serialize for Json<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(false)
            .stringify_64_bit_integers(false);
        let mut message = DynamicMessage::new(descriptor::<M>().map_err(serde::ser::Error::custom)?);
        message.transcode_from(self.0).map_err(serde::ser::Error::custom)?;
        message.serialize_with_options(serializer, &options)
    }
}

/// Reads a message of `prowl.v1` from the same JSON; what the message has no field for is an error.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn read<M: Message + Name + Default>(text: &[u8]) -> Result<M, serde_json::Error> {
    let descriptor = descriptor::<M>().map_err(de::Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut deserializer, &options)?;
    deserializer.end()?;
    message.transcode_to().map_err(de::Error::custom)
}

fn descriptor<M: Name>() -> Result<MessageDescriptor, String> {
    let name = M::full_name();
    POOL.get_message_by_name(&name).ok_or_else(|| format!("{name} is no message of prowl.v1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::v1;

    #[test]
    fn an_answer_keeps_its_names_and_its_unknowns() {
        let response = v1::ScoreResponse {
            repository: "owner/name".into(),
            number: 9_007_199_254_740_993,
            band: v1::Band::VeryUnusual.into(),
            features: vec![0.1, f32::NAN],
            history_as_of: Some(prost_types::Timestamp { seconds: 0, nanos: 5_000_000 }),
            elapsed: Some(prost_types::Duration { seconds: 0, nanos: 212_000 }),
            ..v1::ScoreResponse::default()
        };
        let text = serde_json::to_string(&Json(&response)).unwrap();
        assert!(text.contains("9007199254740993"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["band"], json!("BAND_VERY_UNUSUAL"));
        assert_eq!(value["features"], json!([0.1, "NaN"]));
        assert_eq!(value["history_as_of"], json!("1970-01-01T00:00:00.005Z"));
        assert_eq!(value["elapsed"], json!("0.000212s"));
        assert_eq!(value["reasons"], json!([]));
        assert_eq!(value["unknown_features"], json!(0));
        assert_eq!(value.get("risk"), None, "unknown is not zero");
    }

    #[test]
    fn a_message_is_read_from_its_own_json_and_from_no_other() {
        let said = v1::SendFeedbackRequest {
            repository: "owner/name".into(),
            number: 7,
            reverted: Some(false),
            model: Some(v1::ModelId { digest: "ab".into(), ..v1::ModelId::default() }),
            ..v1::SendFeedbackRequest::default()
        };
        assert_eq!(read::<v1::SendFeedbackRequest>(&serde_json::to_vec(&Json(&said)).unwrap()).unwrap(), said);
        let wrong = |text: &[u8]| read::<v1::SendFeedbackRequest>(text).unwrap_err().to_string();
        assert!(wrong(br#"{"repo": "owner/name"}"#).contains("repo"));
        assert!(wrong(br#"{"number": -1}"#).contains("column"));
        assert!(wrong(b"{} {}").contains("trailing"));
        assert!(wrong(b"").contains("EOF"));
    }
}
