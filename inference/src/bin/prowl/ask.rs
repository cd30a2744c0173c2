//! The questions, and where their answers go.

use std::io::{self, Write};

use anyhow::Context;
use futures::StreamExt;
use prost_types::Timestamp;
use prowl_inference::words::weak_risk;
use prowl_platform::exit;
use prowl_proto::{
    json::Json,
    v1::{Band, GetModelResponse, ScoreResponse, SendFeedbackRequest},
};
use serde::Serialize;
use tonic::Status;

use crate::{
    ceiling::Ceiling,
    documents::{Document, Documents},
    explain, model_text,
    score_text::{self, printable},
    server::Server,
    top::Top,
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

/// Scores each document and prints its answer, in order, or those that `top` keeps once all are scored. Those above one of
/// `ceilings` are told, whether they are printed or not.
///
/// # Errors
/// An answer cannot be printed.
pub(crate) async fn score(
    server: &Server,
    documents: Documents,
    ceilings: &[Ceiling],
    mut top: Option<Top>,
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
    let mut printer = Printer::new(server, json);
    let (mut scored, mut failed, mut above, mut rest) = (0, 0, 0, "");
    while let Some(answer) = answers.next().await {
        match answer {
            Ok((document, Ok(response))) => {
                let title = document.text.as_deref().ok().and_then(score_text::title);
                let name = format!("{}#{}", response.repository, response.number);
                let broken: Vec<_> = ceilings.iter().filter_map(|ceiling| ceiling.broken_by(&response)).collect();
                match &mut top {
                    Some(top) => top.take((response, title)),
                    None => printer.print(&response, title.as_deref()).await?,
                }
                for broken in &broken {
                    complain(&format!("{name}: {broken}"));
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
    for (response, title) in top.map(|top| top.answers).unwrap_or_default() {
        printer.print(&response, title.as_deref()).await?;
    }
    printer.end()?;
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

/// Prints answers, and at the end what is to be said once, since it is the model's.
struct Printer<'a> {
    server: &'a Server,
    json: bool,
    printed: usize,
    /// The model as the first answer found it. Without it the answers still hold.
    model: Option<GetModelResponse>,
    /// Whether one of them tells a risk, and whether one was judged and tells none.
    risky: bool,
    riskless: bool,
}

/// An answer with the title of its document, by which a person knows it.
#[derive(Serialize)]
struct Titled<'a> {
    #[serde(flatten)]
    response: Json<'a, ScoreResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

impl<'a> Printer<'a> {
    fn new(server: &'a Server, json: bool) -> Self {
        Self { server, json, printed: 0, model: None, risky: false, riskless: false }
    }

    async fn print(&mut self, response: &ScoreResponse, title: Option<&str>) -> anyhow::Result<()> {
        if self.json {
            return line(&serde_json::to_string(&Titled { response: Json(response), title })?);
        }
        if self.printed == 0 {
            self.model = self.server.model().await.ok();
        }
        let between = if self.printed > 0 { "\n" } else { "" };
        self.printed += 1;
        self.risky |= response.risk.is_some();
        self.riskless |= response.risk.is_none() && response.band() != Band::Unspecified;
        shown(&format!("{between}{}", score_text::answer(response, title, self.known_to(response))))
    }

    /// The end of what the model knows that gave this answer.
    fn known_to(&self, response: &ScoreResponse) -> Option<&Timestamp> {
        let model = self.model.as_ref().filter(|model| model.model == response.model)?;
        model.training.as_ref()?.to.as_ref()
    }

    fn end(self) -> anyhow::Result<()> {
        let Some(model) = self.model else { return Ok(()) };
        let missing = model.missing_heads.get("risk").filter(|_| self.riskless);
        let missing = missing.map(|reason| format!("no risk is told: {reason}"));
        let note = missing.or_else(|| weak_risk(&model).filter(|_| self.risky));
        note.map_or(Ok(()), |note| shown(&format!("\n{}\n", score_text::note(&note))))
    }
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
