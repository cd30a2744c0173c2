//! The Open Inference Protocol: the same engine by tensors, over gRPC and over REST.
//!
//! ```text
//! grpc.rs ─┐
//!          ├─> Tensor ─> infer ─> Engine ─> Tensor
//! rest.rs ─┘
//! ```
//!
//! A request brings either `features`, vectors as [`GetModel`](prowl_proto::v1::GetModelResponse) lists them, or
//! `pull_request`, GitHub's JSON, one a row.

pub(crate) mod grpc;
pub(crate) mod rest;
mod tensor;

use std::sync::Arc;

use bytes::Bytes;
use prowl_features::{FEATURE_COUNT, FeatureVector};
use prowl_proto::v1;
pub(crate) use tensor::{Kind, Tensor, Values};

use crate::{
    engine::{Asked, Engine},
    error::{Error, wrong},
    scorer::Scorer,
};

/// The name of the model that is served: its version tells which one it is.
pub(crate) const MODEL: &str = "prowl";

/// What it runs on, as the protocol asks: a word for the framework.
pub(crate) const PLATFORM: &str = "prowl_safetensors";

/// What an input or an output is: its name, its type, and its shape, in which -1 is any length.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) shape: &'static [i64],
}

/// What may go in. `repository` goes with `features`, and may be left out.
pub(crate) const INPUTS: [Signature; 3] = [
    Signature { name: "features", kind: Kind::Float, shape: &[-1, FEATURE_COUNT as i64] },
    Signature { name: "repository", kind: Kind::Text, shape: &[-1] },
    Signature { name: "pull_request", kind: Kind::Text, shape: &[-1] },
];

/// What comes out, a value a row.
pub(crate) const OUTPUTS: [Signature; 6] = [
    Signature { name: "score", kind: Kind::Float, shape: &[-1] },
    Signature { name: "percentile", kind: Kind::Float, shape: &[-1] },
    Signature { name: "band", kind: Kind::Text, shape: &[-1] },
    Signature { name: "risk", kind: Kind::Float, shape: &[-1] },
    Signature { name: "category", kind: Kind::Text, shape: &[-1] },
    Signature { name: "reasons", kind: Kind::Text, shape: &[-1] },
];

/// A request, whichever way it came.
pub(crate) struct Request {
    pub(crate) inputs: Vec<Tensor>,
    /// Names of the outputs that are wanted; all of them where there is none.
    pub(crate) outputs: Vec<String>,
}

/// Refuses a model that is not the one that is served; an empty version is any.
pub(crate) fn check_model(engine: &Engine, name: &str, version: &str) -> Result<(), Error> {
    if name == MODEL && (version.is_empty() || version == engine.id().version) {
        return Ok(());
    }
    let served = &engine.id().version;
    Err(Error::NoSuchModel(format!("{name}/{version} is not served here: ask for {MODEL}, version {served} or none")))
}

/// Scores each row; the outputs come in the order in which they are asked for. No more than `most` rows, and all of them or none:
/// the protocol has no way to tell of one.
pub(crate) async fn infer(
    engine: &Arc<Engine>,
    scorer: &Scorer,
    request: Request,
    most: usize,
) -> Result<Vec<Tensor>, Error> {
    let wanted = outputs(&request.outputs)?;
    let [mut features, mut repository, mut documents] = [None, None, None];
    for tensor in request.inputs {
        let place = match tensor.name.as_str() {
            "features" => &mut features,
            "repository" => &mut repository,
            "pull_request" => &mut documents,
            other => return Err(wrong(other, "no such input: give `features` or `pull_request`")),
        };
        if place.replace(tensor).is_some() {
            return Err(wrong("inputs", "one of them comes twice"));
        }
    }
    let responses = match (features, repository, documents) {
        (None, None, Some(documents)) => {
            let documents = documents.texts(&INPUTS[2])?;
            in_bounds("pull_request", documents.len(), most)?;
            let asked = documents.iter().cloned().map(Asked::Json).collect();
            let named = |(row, score): (usize, Result<_, Error>)| {
                score.map_err(|error| error.within(&format!("pull_request[{row}]")))
            };
            scorer.score_all(engine, asked).await.into_iter().enumerate().map(named).collect::<Result<Vec<_>, _>>()?
        }
        (Some(features), repository, None) => {
            let values = features.floats(&INPUTS[0])?;
            let (rows, _) = values.as_chunks::<FEATURE_COUNT>();
            in_bounds("features", rows.len(), most)?;
            let names = repository.map(|tensor| names(&tensor, rows.len())).transpose()?;
            let mut names = names.into_iter().flatten();
            let asked =
                rows.iter().map(|row| Asked::Vector { vector: vector(row), repository: names.next() }).collect();
            scorer.score_all(engine, asked).await.into_iter().collect::<Result<Vec<_>, _>>()?
        }
        _ => return Err(wrong("inputs", "give either `features`, with or without `repository`, or `pull_request`")),
    };
    Ok(wanted.into_iter().map(|signature| output(signature, &responses)).collect())
}

/// A row, of whose words nothing is known.
fn vector(row: &[f32; FEATURE_COUNT]) -> FeatureVector {
    FeatureVector { values: *row, tokens: Vec::new(), kind_tokens: Vec::new() }
}

fn outputs(names: &[String]) -> Result<Vec<&'static Signature>, Error> {
    if names.is_empty() {
        return Ok(OUTPUTS.iter().collect());
    }
    let known = |name: &String| {
        let known = || OUTPUTS.map(|output| output.name).join(", ");
        let found = OUTPUTS.iter().find(|output| output.name == *name);
        found.ok_or_else(|| wrong(name, &format!("no such output, there are {}", known())))
    };
    names.iter().map(known).collect()
}

fn names(tensor: &Tensor, rows: usize) -> Result<Vec<String>, Error> {
    let texts = tensor.texts(&INPUTS[1])?;
    if texts.len() != rows {
        return Err(wrong("repository", &format!("{} names for {rows} rows of features", texts.len())));
    }
    let text = |text: &Bytes| String::from_utf8(text.to_vec()).map_err(|_| wrong("repository", "it is not UTF-8"));
    texts.iter().map(text).collect()
}

fn in_bounds(name: &str, rows: usize, most: usize) -> Result<(), Error> {
    if rows <= most {
        return Ok(());
    }
    Err(Error::too_many(name, rows, "rows", most, "a request: send several"))
}

fn output(signature: &Signature, responses: &[v1::ScoreResponse]) -> Tensor {
    let floats = |of: fn(&v1::ScoreResponse) -> Option<f32>| {
        Values::Floats(responses.iter().map(|response| of(response).unwrap_or(f32::NAN)).collect())
    };
    let texts = |of: fn(&v1::ScoreResponse) -> String| {
        Values::Texts(responses.iter().map(|response| Bytes::from(of(response))).collect())
    };
    let values = match signature.name {
        "score" => floats(|response| response.anomaly),
        "percentile" => floats(|response| response.percentile),
        "risk" => floats(|response| response.risk),
        "band" => texts(|response| response.band().words().unwrap_or_default().to_owned()),
        "category" => texts(|response| response.category.as_ref().map_or_else(String::new, |it| it.name.clone())),
        _ => texts(|response| {
            let sentences: Vec<&str> = response.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
            sentences.join("\n")
        }),
    };
    Tensor { name: signature.name.to_owned(), shape: vec![responses.len() as i64], values }
}
