//! The questions, and where their answers go.

use std::io::{self, Write};

use anyhow::Context;
use futures::StreamExt;
use prowl_platform::exit;
use prowl_proto::{
    json::Json,
    v1::{Band, ScoreResponse, SendFeedbackRequest},
};
use tonic::Status;

use crate::{
    ceiling::Ceiling,
    documents::{Document, Documents},
    explain, model_text,
    score_text::{self, printable},
    server::Server,
};

/// How many calls are under way at one time.
const CALLS: usize = 8;

/// What became of the documents.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scored {
    /// Those that have no answer.
    pub(crate) failed: usize,
    /// Those that are above one of the ceilings.
    pub(crate) above: usize,
}

/// Scores each document and prints its answer, in order. Those above one of `ceilings` are told.
///
/// # Errors
/// An answer cannot be printed.
pub(crate) async fn score(
    server: &Server,
    documents: Documents,
    ceilings: &[Ceiling],
    json: bool,
) -> anyhow::Result<Scored> {
    let mut answers = documents
        .map(|document| async {
            let document = document?;
            let answer = match &document.text {
                Ok(text) => server.score(text.clone()).await?,
                Err(wrong) => Err(Status::invalid_argument(wrong.clone())),
            };
            anyhow::Ok((document, answer))
        })
        .buffered(CALLS);
    let (mut scored, mut failed, mut above, mut rest, mut riskless) = (0, 0, 0, "", false);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok((document, Ok(response))) => {
                if json {
                    line(&serde_json::to_string(&Json(&response))?)?;
                } else {
                    print(&document, &response, scored > 0)?;
                    riskless |= response.risk.is_none() && response.band() != Band::Unspecified;
                }
                let broken: Vec<_> = ceilings.iter().filter_map(|ceiling| ceiling.broken_by(&response)).collect();
                for broken in &broken {
                    complain(&format!("{}#{}: {broken}", response.repository, response.number));
                }
                above += usize::from(!broken.is_empty());
                scored += 1;
            }
            Ok((document, Err(status))) => {
                refused(&document, &status, json)?;
                failed += 1;
            }
            Err(error) => {
                complain(&format!("{error:#}"));
                failed += 1;
                rest = ", the rest was not tried";
                break;
            }
        }
    }
    // Once, since it is the model that cannot tell; without an answer to this the others still hold.
    if riskless
        && let Ok(model) = server.model().await
        && let Some(reason) = model.missing_heads.get("risk")
    {
        shown(&format!("\n{}", score_text::no_risk(reason)))?;
    }
    if failed > 0 && scored + failed > 1 {
        complain(&format!("{scored} scored, {failed} could not be{rest}"));
    }
    Ok(Scored { failed, above })
}

/// Prints what the server's model is.
///
/// # Errors
/// The server cannot answer.
pub(crate) async fn model(server: &Server, json: bool) -> anyhow::Result<()> {
    let model = server.model().await?;
    if json { line(&serde_json::to_string(&Json(&model))?) } else { shown(&model_text::model(&model)) }
}

/// Sends what a reviewer says of a pull request.
///
/// # Errors
/// The server refuses it, or cannot keep it.
pub(crate) async fn feedback(server: &Server, request: SendFeedbackRequest, json: bool) -> anyhow::Result<()> {
    let kept = server.feedback(request).await?;
    for warning in &kept.warnings {
        exit::say(&format_args!("warning: {}", printable(warning)));
    }
    let file = printable(&kept.file);
    if json { line(&serde_json::to_string(&Json(&kept))?) } else { line(&format!("kept in {file}")) }
}

/// Tells a person what went wrong.
pub(crate) fn complain(message: &str) {
    exit::say(&format_args!("error: {}", printable(message)));
}

fn print(document: &Document, response: &ScoreResponse, another: bool) -> anyhow::Result<()> {
    let between = if another { "\n" } else { "" };
    let title = document.text.as_deref().ok().and_then(score_text::title);
    shown(&format!("{between}{}", score_text::answer(response, title.as_deref())))
}

fn refused(document: &Document, status: &Status, json: bool) -> anyhow::Result<()> {
    complain(&format!("{}: {}", document.place, explain::refused(status)));
    if json {
        // A line for every document, so that a program can match them up.
        let violations: Vec<_> = explain::violations(status)
            .into_iter()
            .map(|(field, description)| serde_json::json!({"field": field, "description": description}))
            .collect();
        let error = serde_json::json!({
            "code": status.code() as i32, "message": explain::refused(status).to_string(), "field_violations": violations,
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
        other => other.context("cannot write to stdout"),
    }
}
