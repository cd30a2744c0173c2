//! The commands, and what each tells whoever gave it.

use anyhow::Context;
use prowl_platform::exit;
use prowl_trainer::args::{BacktestConfig, TableConfig, TrainConfig};
use prowl_trainer::backtest::Backtest;
use prowl_trainer::mlflow::Logged;
use prowl_trainer::{Report, TrainError, Trained};

pub(crate) async fn backtest(config: &BacktestConfig) -> anyhow::Result<()> {
    let measured = prowl_trainer::backtest::backtest(config).await?;
    exit::say(&told(&measured));
    if config.json {
        exit::answer(&measured).context("the figures cannot be printed")?;
    }
    Ok(())
}

fn told(measured: &Backtest) -> String {
    format!("backtest of {} in {} slices\n{}", measured.run, measured.folds, measured.table())
}

pub(crate) async fn train(config: &TrainConfig) -> anyhow::Result<()> {
    let mut published = match prowl_trainer::train(config).await? {
        Trained::Published(published) => published,
        Trained::NothingYet => {
            exit::say(&format_args!(
                "nothing new: nothing was trained\n  there are no features in {} yet",
                config.store
            ));
            if config.json {
                exit::answer(&Nothing { store: config.store.to_string() }).context("the store cannot be printed")?;
            }
            return Ok(());
        }
        Trained::NothingNew(model) => {
            let (version, url) = (model.name().to_owned(), model.url().to_string());
            exit::say(&format_args!(
                "nothing new: nothing was trained\n  the model {version} was made of this run: {url}"
            ));
            if config.json {
                exit::answer(&Same { version, url }).context("its name cannot be printed")?;
            }
            return Ok(());
        }
    };
    let mlflow = published.mlflow.take().transpose();
    let report = published.report();
    exit::say(&format_args!(
        "model {} in {:.1} s: {}\n{}\nreport: {} (the most unusual of the newest, and why)\n\
         next: prowl-inference --store {} --model latest --insecure",
        report.version,
        report.seconds,
        report.url,
        report.table(),
        report.page(),
        config.store
    ));
    if let Some(measured) = &published.backtest {
        exit::say(&told(measured));
    }
    let logged = mlflow.as_ref().ok().cloned().flatten();
    if let Some(Logged { url, model, version: Some(version), .. }) = &logged {
        exit::say(&format_args!("in MLflow: {url}\nregistered there as version {version} of {model}"));
    }
    if config.json {
        let answer = Answer { report: &report, mlflow: logged };
        exit::answer(&answer).context("the model is published, but its figures cannot be printed")?;
    }
    match mlflow {
        Err(source) if config.mlflow.as_ref().is_some_and(|tracking| tracking.required) => {
            Err(TrainError::NotLogged { url: report.url, source }.into())
        }
        _ => Ok(()),
    }
}

/// What `--json` prints where nothing was trained, since there is such a model.
#[derive(serde::Serialize)]
struct Same {
    version: String,
    url: String,
}

/// What `--json` prints where nothing was trained, since there are no features.
#[derive(serde::Serialize)]
struct Nothing {
    store: String,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a Report<'a>,
    mlflow: Option<Logged>,
}

pub(crate) fn table(config: &TableConfig) -> anyhow::Result<()> {
    let report = prowl_trainer::table(config)?;
    exit::say(&report.text());
    if config.json {
        exit::answer(&report).context("the scores are written, but the metrics cannot be printed")?;
    }
    Ok(())
}
