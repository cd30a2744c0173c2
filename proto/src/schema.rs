//! JSON Schemas of the messages in their JSON form, as `OpenAPI` has them: made from the descriptors, with their comments.

use std::collections::BTreeMap;

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::json::POOL;

const PACKAGE: &str = "prowl.v1";

/// Schemas of all messages and enumerations of `prowl.v1` by their short names, for `components.schemas`.
pub fn components() -> BTreeMap<String, Value> {
    let messages = POOL.all_messages().filter(|message| message.package_name() == PACKAGE && !message.is_map_entry());
    let enums = POOL.all_enums().filter(|of| of.package_name() == PACKAGE);
    let messages = messages.map(|message| (message.name().to_owned(), of_message(&message)));
    messages.chain(enums.map(|of| (of.name().to_owned(), of_enum(&of)))).collect()
}

fn of_message(message: &MessageDescriptor) -> Value {
    let properties: Map<String, Value> =
        message.fields().map(|field| (field.name().to_owned(), of_field(&field))).collect();
    let comment = comment(&message.parent_file(), message.path());
    let required: Vec<_> = message.fields().filter(is_required).map(|field| field.name().to_owned()).collect();
    let mut schema = json!({"type": "object", "description": comment, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Whether the protocol calls a field required, by `google.api.field_behavior`.
fn is_required(field: &FieldDescriptor) -> bool {
    let options = field.options();
    let behavior = POOL.get_extension_by_name("google.api.field_behavior");
    let Some(behavior) = behavior.filter(|behavior| options.has_extension(behavior)) else { return false };
    let is_it = |value: &prost_reflect::Value| value.as_enum_number() == Some(2);
    options.get_extension(&behavior).as_list().is_some_and(|values| values.iter().any(is_it))
}

fn of_enum(of: &EnumDescriptor) -> Value {
    let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
    let comment = comment(&of.parent_file(), of.path());
    json!({"type": "string", "enum": names, "description": comment})
}

fn of_field(field: &FieldDescriptor) -> Value {
    let comment = comment(&field.parent_message().parent_file(), field.path());
    if field.is_map()
        && let Kind::Message(entry) = field.kind()
    {
        return json!({"type": "object", "additionalProperties": of_kind(&entry.map_entry_value_field().kind()), "description": comment});
    }
    let one = of_kind(&field.kind());
    if field.cardinality() == Cardinality::Repeated {
        return json!({"type": "array", "items": one, "description": comment});
    }
    // Beside a reference nothing else counts in some tools.
    if one.get("$ref").is_some() {
        return json!({"allOf": [one], "description": comment});
    }
    let mut one = one;
    one["description"] = comment.into();
    one
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        // NaN and the infinities have no other form.
        Kind::Double | Kind::Float => {
            json!({"oneOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
        }
        Kind::Bool => json!({"type": "boolean"}),
        Kind::String => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "format": "byte"}),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
            "google.protobuf.Duration" => json!({"type": "string", "example": "0.000212s"}),
            _ => json!({"$ref": format!("#/components/schemas/{}", message.name())}),
        },
        Kind::Enum(of) => json!({"$ref": format!("#/components/schemas/{}", of.name())}),
        _ => json!({"type": "integer"}),
    }
}

/// The comment before the thing at a path of its file, on one line.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
    let found =
        locations.filter(|location| location.path == path).find_map(|location| location.leading_comments.clone());
    found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_holds_is_described() {
        let schemas = components();
        let answer = &schemas["ScoreResponse"]["properties"];
        assert_eq!(answer["history_as_of"]["format"], "date-time");
        assert_eq!(answer["band"]["allOf"][0]["$ref"], "#/components/schemas/Band");
        assert_eq!(answer["reasons"]["items"]["$ref"], "#/components/schemas/Reason");
        assert!(answer["percentile"]["description"].as_str().unwrap().starts_with("Share of the model's validation"));
        assert_eq!(schemas["Band"]["enum"][3], "BAND_VERY_UNUSUAL");
        assert_eq!(schemas["GetModelResponse"]["properties"]["metrics"]["type"], "object");
        let text = serde_json::to_string(&schemas).unwrap();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(schemas.values().all(described));
    }
}
