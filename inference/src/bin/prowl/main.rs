//! `prowl`: asks a running Prowl server about pull requests, for a person or for a program.
//!
//! It links the generated client of `prowl-proto` and nothing of the service: no model, no feature.

mod args;
mod ask;
mod documents;
mod explain;
mod model_text;
mod score_text;
mod server;
mod splitter;

use std::process::ExitCode;

use crate::{
    args::{Cli, Command},
    server::Server,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(prowl_platform::arguments::parse::<Cli>().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            ask::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; what went wrong with a single document has been said already.
async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Score { file, common } => {
            // A wrong file name is told before a missing server.
            let documents = documents::open(&file)?;
            let server = Server::connect(common.server, common.timeout).await?;
            ask::score(&server, documents, common.json).await
        }
        Command::Model { common } => {
            let server = Server::connect(common.server, common.timeout).await?;
            ask::model(&server, common.json).await?;
            Ok(true)
        }
    }
}
