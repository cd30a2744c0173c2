//! The Open Inference Protocol, over gRPC and REST, beside Prowl's own. Its real clients are tried in `e2e/tests/clients.rs`.

use prowl_features::FEATURE_COUNT;
use prowl_proto::inference::{
    InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ServerLiveRequest,
    ServerMetadataRequest, ServerReadyRequest,
    grpc_inference_service_client::GrpcInferenceServiceClient,
    model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
};
use serde_json::{Value, json};
use tonic::{Code, transport::Channel};

use crate::{
    fixture::{REPOSITORY, TempStore, made, new_document, odd_document},
    programs::Server,
};

async fn client(server: &Server) -> GrpcInferenceServiceClient<Channel> {
    GrpcInferenceServiceClient::new(server.channel().await)
}

fn input(name: &str, datatype: &str, shape: &[i64], contents: Option<InferTensorContents>) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        contents,
        ..Default::default()
    }
}

fn documents() -> Vec<String> {
    vec![new_document().to_string(), odd_document().to_string()]
}

#[tokio::test(flavor = "multi_thread")]
async fn all_six_are_answered() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let mut client = client(&server).await;
    assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    assert_eq!(client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner().name, "prowl-inference");
    let named = |name: &str, version: &str| ModelReadyRequest { name: name.into(), version: version.into() };
    assert!(client.model_ready(named("prowl", "")).await.unwrap().into_inner().ready);
    for (name, version) in [("other", ""), ("prowl", "20200101T000000Z")] {
        assert_eq!(client.model_ready(named(name, version)).await.unwrap_err().code(), Code::NotFound);
    }
    let metadata = client.model_metadata(ModelMetadataRequest { name: "prowl".into(), version: String::new() });
    let metadata = metadata.await.unwrap().into_inner();
    assert_eq!(metadata.inputs[0].shape, [-1, FEATURE_COUNT as i64]);
    let outputs: Vec<_> = metadata.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(outputs, ["score", "percentile", "band", "risk", "category", "reasons"]);
    assert_eq!(metadata.versions, ["made"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_and_raw_say_what_score_says() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let expected: Vec<Value> = documents().iter().map(|document| server.post(document.as_bytes()).2).collect();
    let mut client = client(&server).await;
    let bytes_contents = documents().into_iter().map(Into::into).collect();
    let typed = ModelInferRequest {
        model_name: "prowl".into(),
        id: "7".into(),
        inputs: vec![input(
            "pull_request",
            "BYTES",
            &[2, 1],
            Some(InferTensorContents { bytes_contents, ..Default::default() }),
        )],
        ..ModelInferRequest::default()
    };
    let answer = client.model_infer(typed.clone()).await.unwrap().into_inner();
    assert_eq!((answer.id.as_str(), answer.model_version.as_str()), ("7", "made"));
    let of = |name: &str| answer.outputs.iter().find(|output| output.name == name).unwrap().contents.clone().unwrap();
    for (row, expected) in expected.iter().enumerate() {
        assert_eq!(
            f64::from(of("percentile").fp32_contents[row]) as f32,
            expected["percentile"].as_f64().unwrap() as f32
        );
        assert_eq!(of("score").fp32_contents[row], expected["anomaly"].as_f64().unwrap() as f32);
        assert_eq!(of("category").bytes_contents[row], expected["category"]["name"].as_str().unwrap());
    }
    assert!(of("risk").fp32_contents.iter().all(|risk| risk.is_nan()), "the model has no such head");

    let raw = documents()
        .iter()
        .flat_map(|text| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat())
        .collect::<Vec<_>>();
    let request = ModelInferRequest {
        inputs: vec![input("pull_request", "BYTES", &[2], None)],
        outputs: vec![InferRequestedOutputTensor { name: "score".into(), ..Default::default() }],
        raw_input_contents: vec![raw.into()],
        ..typed.clone()
    };
    let answer = client.model_infer(request).await.unwrap().into_inner();
    assert!(answer.outputs.len() == 1 && answer.outputs[0].contents.is_none());
    let scores: Vec<f32> =
        answer.raw_output_contents[0].chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(scores, of("score").fp32_contents);

    let refused = ModelInferRequest { inputs: Vec::new(), ..typed };
    assert_eq!(client.model_infer(refused).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_is_judged_as_the_pull_request_that_it_is_of() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let known = &made().known[90];
    let values = known.facts.values(&known.history);
    let request = |shape: &[i64], values: &[f32]| ModelInferRequest {
        model_name: "prowl".into(),
        inputs: vec![
            input(
                "features",
                "FP32",
                shape,
                Some(InferTensorContents { fp32_contents: values.to_vec(), ..Default::default() }),
            ),
            input(
                "repository",
                "BYTES",
                &[1],
                Some(InferTensorContents { bytes_contents: vec![REPOSITORY.into()], ..Default::default() }),
            ),
        ],
        ..ModelInferRequest::default()
    };
    let mut client = client(&server).await;
    let answer = client.model_infer(request(&[1, FEATURE_COUNT as i64], &values)).await.unwrap().into_inner();
    let percentile = answer.outputs[1].contents.clone().unwrap().fp32_contents[0];
    assert!(percentile < 95.0, "{percentile}");
    let mut odd = values;
    for value in &mut odd {
        *value = *value * 1e4 + 1e3;
    }
    let answer = client.model_infer(request(&[1, FEATURE_COUNT as i64], &odd)).await.unwrap().into_inner();
    assert!(answer.outputs[1].contents.clone().unwrap().fp32_contents[0] > 99.0);
    let short = client.model_infer(request(&[1, 3], &values[..3])).await.unwrap_err();
    assert!(short.code() == Code::InvalidArgument && short.message().contains("features"), "{short:?}");
}

#[test]
fn rest_says_the_same() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    assert_eq!(server.http("GET", "/v2/health/live", b"").0, 200);
    assert_eq!(server.http("GET", "/v2/health/ready", b"").0, 200);
    let get = |path: &str| serde_json::from_str::<Value>(&server.http("GET", path, b"").2).unwrap();
    assert_eq!(get("/v2")["name"], "prowl-inference");
    assert_eq!(
        get("/v2/models/prowl/versions/made")["inputs"][2],
        json!({"name": "pull_request", "datatype": "BYTES", "shape": [-1]})
    );
    assert_eq!(server.http("GET", "/v2/models/prowl/ready", b"").0, 200);
    let (status, _, text) = server.http("GET", "/v2/models/other", b"");
    assert!(status == 404 && text.contains("error"), "{text}");
    let expected = server.post(documents()[1].as_bytes()).2;
    let call = json!({"id": "9", "inputs": [{"name": "pull_request", "datatype": "BYTES", "shape": [2], "data": documents()}],
        "outputs": [{"name": "percentile"}, {"name": "reasons"}, {"name": "risk"}]});
    let (status, _, text) = server.http("POST", "/v2/models/prowl/infer", call.to_string().as_bytes());
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["id"], &answer["outputs"][0]["shape"]), (200, &json!("9"), &json!([2])));
    assert_eq!(
        answer["outputs"][0]["data"][1].as_f64().unwrap() as f32,
        expected["percentile"].as_f64().unwrap() as f32
    );
    assert!(
        answer["outputs"][1]["data"][1]
            .as_str()
            .unwrap()
            .contains(expected["reasons"][0]["sentence"].as_str().unwrap())
    );
    assert_eq!(answer["outputs"][2]["data"], json!([null, null]));
    for wrong in [
        json!({}),
        json!({"inputs": [{"name": "pull_request", "datatype": "BYTES", "shape": [1]}]}),
        json!({"inputs": [{"name": "pull_request", "datatype": "BYTES", "shape": [2], "data": ["{}"]}]}),
        json!({"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 2], "data": [[1.5, null]]}]}),
        json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}),
    ] {
        let (status, _, text) = server.http("POST", "/v2/models/prowl/infer", wrong.to_string().as_bytes());
        let error: Value = serde_json::from_str(&text).unwrap();
        assert!((status == 400 || status == 422) && error["error"].is_string(), "{wrong}: {status} {text}");
    }
}
