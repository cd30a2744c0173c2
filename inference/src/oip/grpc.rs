//! The Open Inference Protocol over gRPC: `inference.GRPCInferenceService`.

use std::collections::HashMap;

use prowl_proto::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse, ServerLiveRequest, ServerLiveResponse,
    ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
    grpc_inference_service_server::GrpcInferenceService, infer_parameter::ParameterChoice,
    model_infer_request::InferInputTensor, model_infer_response::InferOutputTensor,
    model_metadata_response::TensorMetadata,
};
use tonic::{Request, Response, Status};

use super::{INPUTS, MODEL, OUTPUTS, PLATFORM, Signature, Tensor, Values, check_model, infer, tensor};
use crate::{
    error::{Error, wrong},
    readiness::{Phase, Readiness},
    scorer::Scorer,
};

pub(crate) struct OpenInference {
    pub(crate) readiness: Readiness,
    pub(crate) scorer: Scorer,
    /// Most rows of one request.
    pub(crate) batch: usize,
}

#[tonic::async_trait]
impl GrpcInferenceService for OpenInference {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.readiness.phase() == Phase::Ready }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        let ready = match self.readiness.engine() {
            Ok(engine) => {
                check_model(&engine, &name, &version)?;
                self.readiness.phase() == Phase::Ready
            }
            Err(_) => false,
        };
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: "prowl-inference".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: Vec::new(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let engine = self.readiness.engine()?;
        let ModelMetadataRequest { name, version } = request.into_inner();
        check_model(&engine, &name, &version)?;
        let metadata = |signature: &Signature| TensorMetadata {
            name: signature.name.to_owned(),
            datatype: signature.kind.datatype().to_owned(),
            shape: signature.shape.to_vec(),
        };
        Ok(Response::new(ModelMetadataResponse {
            name: MODEL.to_owned(),
            versions: vec![engine.id().version.clone()],
            platform: PLATFORM.to_owned(),
            inputs: INPUTS.iter().map(metadata).collect(),
            outputs: OUTPUTS.iter().map(metadata).collect(),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let engine = self.readiness.engine()?;
        let request = request.into_inner();
        check_model(&engine, &request.model_name, &request.model_version)?;
        let raw = !request.raw_input_contents.is_empty();
        let inputs = inputs(request.inputs, request.raw_input_contents)?;
        let outputs = request.outputs.into_iter().map(|output| output.name).collect();
        let outputs = infer(&engine, &self.scorer, super::Request { inputs, outputs }, self.batch).await?;
        let mut response = ModelInferResponse {
            model_name: MODEL.to_owned(),
            model_version: engine.id().version.clone(),
            id: request.id,
            parameters: HashMap::from([("model_digest".to_owned(), text(&engine.id().digest))]),
            ..ModelInferResponse::default()
        };
        for Tensor { name, shape, values } in outputs {
            let datatype = values.kind().datatype().to_owned();
            let contents = if raw {
                response.raw_output_contents.push(values.into_raw());
                None
            } else {
                Some(contents(values))
            };
            response.outputs.push(InferOutputTensor { name, datatype, shape, parameters: HashMap::new(), contents });
        }
        Ok(Response::new(response))
    }
}

fn text(value: &str) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::StringParam(value.to_owned())) }
}

/// All values come in raw form, or none.
fn inputs(tensors: Vec<InferInputTensor>, raw: Vec<bytes::Bytes>) -> Result<Vec<Tensor>, Error> {
    if !raw.is_empty() && raw.len() != tensors.len() {
        return Err(wrong("raw_input_contents", &format!("{} for {} inputs: one for each", raw.len(), tensors.len())));
    }
    let mut raw = raw.into_iter();
    let read = |InferInputTensor { name, datatype, shape, contents, .. }: InferInputTensor| {
        let values = match (raw.next(), contents) {
            (Some(raw), None) => Values::from_raw(&name, &datatype, raw)?,
            (None, contents) => typed(&name, &datatype, contents.unwrap_or_default())?,
            (Some(_), Some(_)) => return Err(wrong(&name, "its values come twice, in `contents` and raw")),
        };
        Ok(Tensor { name, shape, values })
    };
    tensors.into_iter().map(read).collect()
}

fn typed(name: &str, datatype: &str, contents: InferTensorContents) -> Result<Values, Error> {
    match datatype {
        "FP32" => Ok(Values::Floats(contents.fp32_contents)),
        "FP64" => Ok(Values::Floats(contents.fp64_contents.into_iter().map(|value| value as f32).collect())),
        "BYTES" => Ok(Values::Texts(contents.bytes_contents)),
        other => Err(tensor::unknown(name, other)),
    }
}

fn contents(values: Values) -> InferTensorContents {
    match values {
        Values::Floats(fp32_contents) => InferTensorContents { fp32_contents, ..InferTensorContents::default() },
        Values::Texts(bytes_contents) => InferTensorContents { bytes_contents, ..InferTensorContents::default() },
    }
}
