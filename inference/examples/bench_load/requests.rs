//! Real requests: the pull requests of an export as encoded messages of the protocol.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use flate2::read::MultiGzDecoder;
use prost::Message;
use prost_types::Timestamp;
use prowl_features::PullRequest;
use prowl_proto::v1::{self, ScoreBatchRequest, ScoreRequest, score_request::Source};

/// The method, and at most `distinct` messages for it: each of one pull request, or of `batch` of them.
pub(crate) fn of_export(path: &Path, batch: Option<usize>, distinct: usize) -> anyhow::Result<(String, Vec<Vec<u8>>)> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let text: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut requests = Vec::new();
    for line in BufReader::new(text).lines().take(distinct.saturating_mul(batch.unwrap_or(1))) {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        requests.push(request(&PullRequest::from_json(line.as_bytes())?));
    }
    let (method, messages): (_, Vec<_>) = match batch {
        None => ("Score", requests.iter().map(Message::encode_to_vec).collect()),
        Some(size) => {
            let batches = requests.chunks_exact(size);
            (
                "ScoreBatch",
                batches.map(|requests| ScoreBatchRequest { requests: requests.to_vec() }.encode_to_vec()).collect(),
            )
        }
    };
    anyhow::ensure!(!messages.is_empty(), "{} holds too few pull requests", path.display());
    Ok((format!("/prowl.v1.Scoring/{method}"), messages))
}

fn request(of: &PullRequest<'_>) -> ScoreRequest {
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_ref().map(ToString::to_string);
    let file = |file: &prowl_features::ChangedFile<'_>| v1::ChangedFile {
        filename: file.filename.to_string(),
        status: text(&file.status),
        additions: file.additions,
        deletions: file.deletions,
    };
    let pull_request = v1::PullRequest {
        repository: of.repository.to_string(),
        number: of.number,
        created_at: Some(Timestamp {
            seconds: of.created_at.div_euclid(1_000),
            nanos: (of.created_at.rem_euclid(1_000) * 1_000_000) as i32,
        }),
        title: text(&of.title),
        body: text(&of.body),
        user: of.user.as_ref().map(|user| v1::User { login: user.login.to_string(), r#type: text(&user.kind) }),
        author_association: text(&of.author_association),
        labels: of.labels.as_ref().map(|labels| v1::Labels { names: labels.iter().map(ToString::to_string).collect() }),
        assignees: of.assignees,
        requested_reviewers: of.requested_reviewers,
        draft: of.draft,
        additions: of.additions,
        deletions: of.deletions,
        changed_files: of.changed_files,
        commits: of.commits,
        base_ref: text(&of.base_ref),
        from_fork: of.from_fork,
        files: of.files.as_ref().map(|files| v1::Files { files: files.iter().map(file).collect() }),
    };
    ScoreRequest { source: Some(Source::PullRequest(pull_request)), history: None, include_features: false }
}
