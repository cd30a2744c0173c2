//! `/openapi.json`: what the HTTP port takes and gives, in the words of `OpenAPI` 3.1. The schemas of answers come from the protocol.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::oip::MODEL;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut document = document();
    for (path, told) in open_inference() {
        document["paths"][path] = told;
    }
    document.to_string()
});

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

fn document() -> Value {
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let content = |kind: &str, schema: Value| json!({ kind: {"schema": schema} });
    let ok = |about: &str, schema: Value| json!({"description": about, "content": content("application/json", schema)});
    let refused = json!({
        "description": "Why not: 400 and 422 name what is wrong, 401 asks for a token, 413 for less, 429 and 503 for patience, 501 for another setting.",
        "content": content("application/problem+json", schema("Problem")),
    });
    let get = |id: &str, about: &str, schema: Value| json!({"get": {"operationId": id, "summary": about, "responses": {"200": ok(about, schema), "default": refused}}});
    let plain = |id: &str, about: &str| {
        let said = json!({"description": about, "content": content("text/plain", json!({"type": "string"}))});
        json!({"get": {"operationId": id, "summary": about, "security": [], "responses": {"200": said, "default": said}}})
    };
    let answers = json!({"type": "object", "properties": {"answers": {"type": "array", "items": {"type": "object", "properties": {
        "at": {"type": "string", "format": "date-time"}, "title": {"type": "string"}, "response": schema("ScoreResponse"),
    }}}}});
    let told =
        || json!({"type": "object", "properties": {"outcome": {"type": "string"}, "detail": {"type": "string"}}});
    let figures = json!({"description": "The figures.", "content": content("text/plain", json!({"type": "string"}))});
    let mut schemas = json!(prowl_proto::schema::components());
    schemas["Problem"] = json!({
        "type": "object", "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"}, "field_violations": {"type": "array", "items": schema("FieldViolation")},
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Prowl", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "How unusual a pull request is, how risky, what kind of change, and why.",
        },
        "security": [{"token": []}],
        "paths": {
            "/v1/score": {"post": {
                "operationId": "score",
                "summary": "Score a pull request, or a list of them",
                "requestBody": {
                    "required": true,
                    "description": "What GitHub's REST API answers for a pull request, best with its `files` added; or a webhook's \
                                    payload that holds one; or a list of these.",
                    "content": content("application/json", json!({"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]})),
                },
                "responses": {
                    "200": ok("The answer; for a list the results, in its order.", json!({"oneOf": [schema("ScoreResponse"), schema("ScoreBatchResponse")]})),
                    "default": refused,
                },
            }},
            "/webhooks/github": {"post": {
                "operationId": "webhook",
                "summary": "Take a delivery of GitHub's, of which pull_request and ping are answered",
                "security": [{"signature": []}],
                "requestBody": {"required": true, "content": content("application/json", json!({"type": "object"}))},
                "responses": {
                    "200": ok("Nothing to do, and why.", told()),
                    "202": ok("It waits to be worked on.", told()),
                    "default": refused,
                },
            }},
            "/v1/feedback": {"post": {
                "operationId": "feedback",
                "summary": "Keep what a reviewer says of a pull request, for the next training",
                "requestBody": {"required": true, "content": content("application/json", schema("SendFeedbackRequest"))},
                "responses": {"200": ok("It lies in the store.", schema("SendFeedbackResponse")), "default": refused},
            }},
            "/v1/model": get("model", "The model that is served", schema("GetModelResponse")),
            "/v1/recent": get("recent", "The last answers, the newest first", answers),
            "/v1/drift": get("drift", "How far the features have moved from the training", json!({"type": "object"})),
            "/v1/shadow": get("shadow", "How a second model judges a share of what is scored; null without one", json!({"type": ["object", "null"]})),
            "/metrics": {"get": {"operationId": "metrics", "summary": "Figures for Prometheus", "responses": {"200": figures, "default": refused}}},
            "/healthz": plain("alive", "Whether the server runs"),
            "/readyz": plain("ready", "Whether the server answers: 200, or 503 with the reason"),
        },
        "components": {"schemas": schemas, "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer"},
            "signature": {"type": "apiKey", "in": "header", "name": "X-Hub-Signature-256"},
        }},
    })
}

/// The paths of the Open Inference Protocol, each with what it takes and gives.
fn open_inference() -> [(&'static str, Value); 6] {
    let object = || json!({"type": "object"});
    let body = |schema: Value| json!({"application/json": {"schema": schema}});
    let failed = json!({"type": "object", "properties": {"error": {"type": "string"}}});
    let responses = |about: &str| {
        json!({
            "200": {"description": about, "content": body(object())},
            "default": {"description": "Why not.", "content": body(failed.clone())},
        })
    };
    let get =
        |id: &str, about: &str| json!({"get": {"operationId": id, "summary": about, "responses": responses(about)}});
    let said_by_status = |id: &str, about: &str| {
        let said = json!({"description": about});
        json!({"get": {"operationId": id, "summary": about, "responses": {"200": said, "default": said}}})
    };
    let health = |id: &str, about: &str| {
        let mut path = said_by_status(id, about);
        path["get"]["security"] = json!([]);
        path
    };
    let of_model = |mut path: Value| {
        path["parameters"] =
            json!([{"name": "model", "in": "path", "required": true, "schema": {"type": "string", "enum": [MODEL]}}]);
        path
    };
    let tensor = json!({"type": "object", "required": ["name", "datatype", "shape"], "properties": {
        "name": {"type": "string"}, "datatype": {"enum": ["BYTES", "FP32"]},
        "shape": {"type": "array", "items": {"type": "integer"}}, "data": {"type": "array"},
    }});
    let output = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    let request = json!({"type": "object", "required": ["inputs"], "properties": {
        "id": {"type": "string"}, "inputs": {"type": "array", "items": tensor}, "outputs": {"type": "array", "items": output},
    }});
    let infer = json!({"post": {
        "operationId": "infer", "summary": "Score the rows of tensors",
        "requestBody": {"required": true, "content": body(request)}, "responses": responses("The tensors asked for."),
    }});
    [
        ("/v2", get("server_metadata", "The server, to clients of the Open Inference Protocol")),
        ("/v2/health/live", health("server_live", "Whether the server runs")),
        ("/v2/health/ready", health("server_ready", "Whether the server answers")),
        ("/v2/models/{model}", of_model(get("model_metadata", "The tensors of the model"))),
        ("/v2/models/{model}/ready", of_model(said_by_status("model_ready", "Whether the model answers"))),
        ("/v2/models/{model}/infer", of_model(infer)),
    ]
}
