//! The calls, and where their answers go.

use std::io::{self, Write};

use futures::{StreamExt, TryStreamExt};
use prowl_proto::{
    json::Json,
    v1::{GetModelRequest, ScoreRequest, ScoreResponse, score_request::Source, scoring_client::ScoringClient},
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    documents::{Document, Documents},
    explain, model_text, score_text,
};

/// How many calls are under way at one time.
const CALLS: usize = 8;

/// Scores each document and prints its answer, in order; whether each had one.
///
/// # Errors
/// The input cannot be read, or the server cannot answer anything at all.
pub(crate) async fn score(
    client: ScoringClient<Channel>,
    server: &str,
    documents: Documents,
    json: bool,
) -> anyhow::Result<bool> {
    let mut answers = documents
        .map(|document| {
            let mut client = client.clone();
            async move {
                let document = document?;
                let source = Some(Source::GithubJson(document.text.clone()));
                let answer = client.score(ScoreRequest { source, ..ScoreRequest::default() }).await;
                anyhow::Ok((document, answer.map(tonic::Response::into_inner)))
            }
        })
        .buffered(CALLS);
    let mut all_well = true;
    while let Some((document, answer)) = answers.try_next().await? {
        match answer {
            Ok(response) if json => line(&serde_json::to_string(&Json(&response))?)?,
            Ok(response) => print(&document, &response)?,
            // The next document would fare no better.
            Err(status) if status.code() == Code::Unavailable => return Err(explain::status(server, &status)),
            Err(status) => {
                all_well = false;
                refused(server, &document, &status, json)?;
            }
        }
    }
    Ok(all_well)
}

/// Prints what the server's model is.
///
/// # Errors
/// The server cannot answer.
pub(crate) async fn model(mut client: ScoringClient<Channel>, server: &str, json: bool) -> anyhow::Result<bool> {
    let answer = client.get_model(GetModelRequest {}).await.map_err(|status| explain::status(server, &status))?;
    let model = answer.into_inner();
    if json {
        line(&serde_json::to_string(&Json(&model))?)?;
    } else {
        shown(&model_text::model(&model))?;
    }
    Ok(true)
}

fn print(document: &Document, response: &ScoreResponse) -> anyhow::Result<()> {
    let between = if document.place == 1 { "" } else { "\n" };
    shown(&format!("{between}{}", score_text::answer(response, score_text::title(&document.text).as_deref())))
}

fn refused(server: &str, document: &Document, status: &Status, json: bool) -> anyhow::Result<()> {
    eprintln!("error: document {}: {:#}", document.place, explain::status(server, status));
    if json {
        // A line for every document, so that a program can match them up.
        let violations: Vec<_> = explain::violations(status)
            .into_iter()
            .map(|(field, description)| serde_json::json!({"field": field, "description": description}))
            .collect();
        let error = serde_json::json!({
            "code": status.code() as i32, "message": status.message(), "field_violations": violations,
        });
        line(&serde_json::json!({ "error": error }).to_string())?;
    }
    Ok(())
}

fn line(text: &str) -> anyhow::Result<()> {
    closed_is_fine(writeln!(io::stdout().lock(), "{text}"))
}

/// Styled text; the styles are taken out where stdout is no terminal, or `NO_COLOR` is set.
fn shown(text: &str) -> anyhow::Result<()> {
    closed_is_fine(anstream::stdout().lock().write_all(text.as_bytes()))
}

/// A reader that has seen enough, such as `head`, ends the program as it ends others.
fn closed_is_fine(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}
