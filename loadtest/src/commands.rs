//! What each command does with what was typed, and what it ends with.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use goose::config::GooseConfiguration;
use prowl_loadtest::{
    args::{self, GateArgs, LoadArgs, RehearseArgs, StandInArgs, TrendArgs},
    gate, holding, load, rehearse, report, trend,
};
use prowl_platform::{Store, StoreUrl, exit, shutdown};
use tokio_util::task::AbortOnDropHandle;

/// A rule does not hold.
const NO: u8 = 3;

pub(crate) async fn test(args: LoadArgs, goose: GooseConfiguration) -> anyhow::Result<ExitCode> {
    load::keep_interrupts();
    let mut stop = Box::pin(shutdown::signal());
    let (requests, json) = (args.requests.clone(), args.json);
    let mut config = args.config(goose).unwrap_or_else(|wrong_use| wrong_use.exit());
    let prepared = async {
        let secrets = args::secrets().await?;
        config.address.token = args::token(&secrets);
        requests.deck(requests.store(&secrets)?.as_ref()).await
    };
    let deck = tokio::select! {
        deck = prepared => deck?,
        signal = &mut stop => anyhow::bail!("stopped by {signal}: nothing was measured yet"),
    };
    let report = Box::pin(load::run(config, deck, stop)).await?;
    exit::say(&report.text());
    if json {
        exit::answer(&report)?;
    }
    Ok(match (report.stopped, report.holds) {
        (Some(signal), _) => anyhow::bail!("stopped by {signal}: the figures are of what was done until then"),
        (None, true) => ExitCode::SUCCESS,
        (None, false) => ExitCode::from(NO),
    })
}

pub(crate) async fn judge(args: GateArgs) -> anyhow::Result<ExitCode> {
    load::keep_interrupts();
    let requests = args.requests.clone();
    let mut config = args.config().unwrap_or_else(|wrong_use| wrong_use.exit());
    // Whatever becomes of this gate, an earlier verdict is not taken for its own.
    let place = report::Place::lock(&config.output)?;
    let judged = async {
        let secrets = args::secrets().await?;
        config.gate.bring(&args::token(&secrets));
        config.gate.store = requests.store(&secrets)?;
        let deck = requests.deck(config.gate.store.as_ref()).await?;
        let gate = config.gate.clone();
        // On a thread of the runtime's: from this one, each call would have to be handed over to them.
        let judging = AbortOnDropHandle::new(tokio::spawn(async move { gate::judge(&gate, &deck).await }));
        // It ends with 1, as all that comes to no verdict, and not with 101, as a panic does.
        let judged = judging.await;
        let verdict =
            judged.map_err(|_| anyhow::anyhow!("the gate failed by a panic, which is told above: report it"))??;
        // A gate that fails leaves no verdict, neither here nor in the store: before it is kept the disk has taken it,
        // and before it can be read it is kept.
        place.write(&verdict)?;
        if let Some(store) = config.gate.store.as_ref().filter(|_| config.keep) {
            trend::keep(store, &verdict).await?;
        }
        place.publish()?;
        tracing::info!(folder = %config.output.display(), "the verdict is written");
        anyhow::Ok(verdict)
    };
    let verdict = tokio::select! {
        verdict = judged => verdict?,
        signal = shutdown::signal() => anyhow::bail!("stopped by {signal}: there is no verdict, which is no go"),
    };
    exit::say(&report::lines(&verdict));
    if config.json {
        exit::answer(&verdict)?;
    }
    Ok(ExitCode::from(verdict.decision.exit_code()))
}

pub(crate) async fn rehearse(args: RehearseArgs) -> anyhow::Result<ExitCode> {
    let place = report::Place::lock(&args.output)?;
    let rehearsed = tokio::select! {
        rehearsed = rehearsal(&args) => rehearsed?,
        signal = shutdown::signal() => anyhow::bail!("stopped by {signal}: nothing was rehearsed"),
    };
    if let Some(verdict) = &rehearsed.gate {
        place.write(verdict)?;
        place.publish()?;
        tracing::info!(folder = %args.output.display(), "the verdict is written");
    }
    exit::say(&rehearsed);
    if args.json {
        exit::answer(&rehearsed)?;
    }
    Ok(if rehearsed.holds() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

async fn rehearsal(args: &RehearseArgs) -> anyhow::Result<rehearse::Rehearsal> {
    let secrets = args::secrets().await?;
    let store = args.requests.store(&secrets)?;
    let store = store.context("the models are in a store: say where by --store or PROWL_STORE")?;
    let config = args.config(&store).await?;
    let deck = args.requests.deck(Some(&store)).await?;
    let load = {
        let (deck, deadline, seed) = (Arc::clone(&deck), args.deadline, args.requests.seed);
        move |through| holding::hold(through, deck, deadline, seed)
    };
    let gate = async |candidates: rehearse::Candidates| gate::judge(&args.gate(candidates, &store), &deck).await;
    Ok(Box::pin(rehearse::rehearse(&config, load, gate)).await?)
}

pub(crate) async fn stand_in(args: StandInArgs) -> anyhow::Result<ExitCode> {
    rehearse::stand_in(&args.into(), shutdown::signal()).await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn tell(args: TrendArgs) -> anyhow::Result<ExitCode> {
    let store = Store::connect(&StoreUrl::parse(&args.store)?).await?;
    let verdicts = trend::newest(&store, args.last as usize).await?;
    if args.json {
        for verdict in &verdicts {
            exit::answer(verdict)?;
        }
    }
    exit::say(&trend::text(&verdicts));
    Ok(ExitCode::SUCCESS)
}
