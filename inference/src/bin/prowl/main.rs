//! `prowl`: asks a running Prowl server about pull requests, for a person or for a program.
//!
//! It links the generated client of `prowl-proto`, and of the service only its words: no model, no feature.

mod args;
mod ask;
mod ceiling;
mod documents;
mod explain;
mod model_text;
mod score_text;
mod server;
mod splitter;
mod top;

use std::process::ExitCode;

use prowl_proto::v1::SendFeedbackRequest;

use crate::{
    args::{Cli, Command, Said},
    ask::Scored,
    top::Top,
};

/// All were scored, and one is above what it may be.
const ABOVE: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(prowl_platform::arguments::parse::<Cli>().command).await {
        Ok(code) => code,
        Err(error) => {
            ask::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What the program ends with; what went wrong with a single document has been said already.
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Score { files, top, fail_above, common } => {
            // A wrong file name is told before a missing server.
            let documents = documents::open(&files)?;
            let server = common.connect().await?;
            let top = top.map(|most| Top::of(most as usize));
            let scored = ask::score(&server, documents, &fail_above, top, common.json).await?;
            Ok(match scored {
                Scored { failed: 1.., .. } => ExitCode::FAILURE,
                Scored { above: 1.., .. } => ExitCode::from(ABOVE),
                Scored { .. } => ExitCode::SUCCESS,
            })
        }
        Command::Feedback { pull_request: (repository, number), said, comment, common } => {
            let Said { reverted, category, unusual } = said;
            let request =
                SendFeedbackRequest { repository, number, reverted, category, unusual, comment, ..Default::default() };
            ask::feedback(&common.connect().await?, request, common.json).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Model { common } => {
            ask::model(&common.connect().await?, common.json).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
