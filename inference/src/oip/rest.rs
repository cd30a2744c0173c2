//! The Open Inference Protocol over REST, below `/v2`, with the extension by which clients send tensors in binary form: after
//! the JSON, whose length a header tells.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};

use super::{INPUTS, MODEL, OUTPUTS, PLATFORM, Request, Signature, Tensor, Values, check_model, infer, tensor};
use crate::{
    engine::Engine,
    error::{Error, wrong},
    http::{Server, problem::advised},
    readiness::Phase,
};

/// Length of the JSON before binary tensors.
const JSON_LENGTH: &str = "inference-header-content-length";

/// What takes no place in the house: it tells how the server is.
pub(crate) fn health() -> Router<Server> {
    Router::new().route("/v2/health/live", get(|| async { StatusCode::OK })).route("/v2/health/ready", get(ready))
}

/// What asks of the model, or asks it.
pub(crate) fn routes() -> Router<Server> {
    Router::new()
        .route("/v2", get(server))
        .route("/v2/models/{model}", get(metadata))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/infer", post(infer_model))
        .route("/v2/models/{model}/versions/{version}", get(metadata))
        .route("/v2/models/{model}/versions/{version}/ready", get(model_ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer_model))
}

async fn ready(State(server): State<Server>) -> StatusCode {
    if server.readiness.phase() == Phase::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn server() -> Response {
    let extensions = ["binary_tensor_data"];
    body(&json!({"name": "prowl-inference", "version": env!("CARGO_PKG_VERSION"), "extensions": extensions}))
}

/// The model of a path, and its version where that is named.
#[derive(Deserialize)]
struct Named {
    model: String,
    #[serde(default)]
    version: String,
}

impl Named {
    fn engine(&self, server: &Server) -> Result<Arc<Engine>, Error> {
        let engine = server.readiness.engine()?;
        check_model(&engine, &self.model, &self.version).map(|()| engine)
    }
}

async fn metadata(State(server): State<Server>, Path(named): Path<Named>) -> Response {
    let tell = |engine: &Engine| {
        let signature = |Signature { name, kind, shape }: &Signature| json!({"name": name, "datatype": kind.datatype(), "shape": shape});
        let [inputs, outputs] = [&INPUTS[..], &OUTPUTS[..]].map(|all| all.iter().map(signature).collect::<Vec<_>>());
        let versions = [&engine.id().version];
        json!({"name": MODEL, "versions": versions, "platform": PLATFORM, "inputs": inputs, "outputs": outputs})
    };
    match named.engine(&server) {
        Ok(engine) => body(&tell(&engine)),
        Err(error) => refusal(&error),
    }
}

async fn model_ready(State(server): State<Server>, Path(named): Path<Named>) -> Response {
    match named.engine(&server) {
        Ok(_) => ready(State(server)).await.into_response(),
        Err(error) => refusal(&error),
    }
}

async fn infer_model(
    State(server): State<Server>,
    Path(named): Path<Named>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = async {
        let body = server.body(&headers, body)?;
        let engine = named.engine(&server)?;
        answer(&server, &engine, &headers, &body).await
    };
    answer.await.unwrap_or_else(|error| refusal(&error))
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    #[serde(default)]
    parameters: Settings,
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    #[serde(default)]
    parameters: Settings,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Settings,
}

/// The settings that count here.
#[derive(Default, Deserialize)]
struct Settings {
    /// Bytes of an input after the JSON.
    #[serde(rename = "binary_data_size")]
    size: Option<usize>,
    /// Whether an output is to come in binary form.
    #[serde(rename = "binary_data")]
    output: Option<bool>,
    /// Whether all outputs are.
    #[serde(rename = "binary_data_output")]
    all_outputs: Option<bool>,
}

/// Values as a list, or as lists of lists: numbers, of which `null` is not known, or texts.
#[derive(Default)]
struct Data {
    numbers: Vec<f32>,
    texts: Vec<Bytes>,
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut data = Self::default();
        deserializer.deserialize_any(Gather(&mut data))?;
        Ok(data)
    }
}

/// Puts values one after the other as they are read, so that no more is held than they take.
struct Gather<'a>(&'a mut Data);

impl<'de> serde::de::DeserializeSeed<'de> for Gather<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Gather<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers or texts, in a list or in lists of lists")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Gather(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.numbers.push(f32::NAN);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.texts.push(Bytes::copy_from_slice(value.as_bytes()));
        Ok(())
    }
}

async fn answer(server: &Server, engine: &Arc<Engine>, headers: &HeaderMap, body: &Bytes) -> Result<Response, Error> {
    let length = match headers.get(JSON_LENGTH) {
        None => body.len(),
        Some(value) => {
            let length = value.to_str().ok().and_then(|text| text.parse().ok());
            length.filter(|length| *length <= body.len()).ok_or_else(|| {
                wrong(JSON_LENGTH, &format!("{value:?} is no length of a part of a body of {} bytes", body.len()))
            })?
        }
    };
    let call: Call = serde_json::from_slice(&body[..length]).map_err(|error| Error::NotJson(error.to_string()))?;
    let inputs = inputs(call.inputs, body.slice(length..))?;
    let all_binary = call.parameters.all_outputs.unwrap_or(false);
    let binary = |name: &str| {
        let asked = call.outputs.iter().find(|output| output.name == name);
        asked.and_then(|output| output.parameters.output).unwrap_or(all_binary)
    };
    let outputs = call.outputs.iter().map(|output| output.name.clone()).collect();
    let mut raw = Vec::new();
    let mut told = Vec::new();
    for Tensor { name, shape, values } in
        infer(engine, &server.scorer, Request { inputs, outputs }, server.batch).await?
    {
        let datatype = values.kind().datatype();
        told.push(if binary(&name) {
            let bytes = values.into_raw();
            raw.extend_from_slice(&bytes);
            let parameters = json!({"binary_data_size": bytes.len()});
            json!({"name": name, "datatype": datatype, "shape": shape, "parameters": parameters})
        } else {
            json!({"name": name, "datatype": datatype, "shape": shape, "data": listed(&values)})
        });
    }
    let id = engine.id();
    let mut response = Map::from_iter([
        ("model_name".to_owned(), json!(MODEL)),
        ("model_version".to_owned(), json!(id.version)),
        ("parameters".to_owned(), json!({"model_digest": id.digest})),
        ("outputs".to_owned(), told.into()),
    ]);
    response.extend(call.id.map(|id| ("id".to_owned(), id.into())));
    let mut text = serde_json::to_vec(&response)?;
    if raw.is_empty() {
        return Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response());
    }
    let length = HeaderValue::from(text.len());
    text.extend_from_slice(&raw);
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind), (header::HeaderName::from_static(JSON_LENGTH), length)], text).into_response())
}

fn inputs(inputs: Vec<Input>, mut raw: Bytes) -> Result<Vec<Tensor>, Error> {
    let mut tensors = Vec::with_capacity(inputs.len());
    for Input { name, datatype, shape, parameters, data } in inputs {
        let values = match (parameters.size, data) {
            (Some(size), None) if size <= raw.len() => Values::from_raw(&name, &datatype, raw.split_to(size))?,
            (Some(size), None) => {
                return Err(wrong(&name, &format!("{size} bytes after the JSON, of which {} are left", raw.len())));
            }
            (None, Some(data)) => typed(&name, &datatype, data)?,
            _ => return Err(wrong(&name, "give either `data` or the parameter `binary_data_size`")),
        };
        tensors.push(Tensor { name, shape, values });
    }
    if raw.is_empty() {
        return Ok(tensors);
    }
    Err(wrong("inputs", &format!("{} bytes after the JSON belong to no input", raw.len())))
}

fn typed(name: &str, datatype: &str, Data { numbers, texts }: Data) -> Result<Values, Error> {
    match datatype {
        "FP32" | "FP64" if texts.is_empty() => Ok(Values::Floats(numbers)),
        "BYTES" if numbers.is_empty() => Ok(Values::Texts(texts)),
        "FP32" | "FP64" | "BYTES" => Err(wrong(name, &format!("its data is not {datatype}"))),
        other => Err(tensor::unknown(name, other)),
    }
}

/// JSON has no NaN: what is not known is `null`.
fn listed(values: &Values) -> Value {
    match values {
        Values::Floats(values) => values.iter().map(|value| json!(value.is_finite().then_some(value))).collect(),
        Values::Texts(texts) => texts.iter().map(|text| json!(String::from_utf8_lossy(text))).collect(),
    }
}

fn body(value: &impl Serialize) -> Response {
    axum::Json(value).into_response()
}

/// The protocol has its own form of an error.
pub(crate) fn refusal(error: &Error) -> Response {
    advised(error, (error.http_status(), body(&json!({"error": error.to_string()}))).into_response())
}
