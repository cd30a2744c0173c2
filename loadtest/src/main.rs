//! `prowl-loadtest`: puts a scoring service under load, and says whether a new version of it may go live.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use prowl_loadtest::{
    args::{self, Args, Command, GateArgs, LoadArgs, RehearseArgs, StandInArgs, TrendArgs},
    gate, holding, load, rehearse, report,
    target::Address,
    trend,
};
use prowl_platform::{Store, StoreUrl, arguments, exit, shutdown, telemetry};

/// A rule does not hold.
const NO: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    // Of the two that goose and we bring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Args { command, load, goose } = arguments::parse::<Args>();
    if goose.version {
        println!("prowl-loadtest {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    match run(command, load, goose).await {
        Ok(code) => code,
        Err(error) => exit::after(Err::<(), _>(format!("{error:#}"))),
    }
}

async fn run(
    command: Option<Command>,
    load: LoadArgs,
    goose: goose::config::GooseConfiguration,
) -> anyhow::Result<ExitCode> {
    let _telemetry = telemetry::init("prowl-loadtest", "info,goose=warn")?;
    match command {
        None => test(load, goose).await,
        Some(Command::Gate(args)) => judge(*args).await,
        Some(Command::Rehearse(args)) => play(*args).await,
        Some(Command::Trend(args)) => tell(args).await,
        Some(Command::StandIn(args)) => stand_in(*args).await,
    }
}

async fn test(args: LoadArgs, goose: goose::config::GooseConfiguration) -> anyhow::Result<ExitCode> {
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

async fn judge(args: GateArgs) -> anyhow::Result<ExitCode> {
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
        let verdict = Box::pin(gate::judge(&config.gate, &deck)).await?;
        // Before it can be read: a gate that fails leaves none.
        if let Some(store) = config.gate.store.as_ref().filter(|_| config.keep) {
            trend::keep(store, &verdict).await?;
        }
        place.write(&verdict)?;
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

async fn play(args: RehearseArgs) -> anyhow::Result<ExitCode> {
    let place = report::Place::lock(&args.output)?;
    let rehearsed = tokio::select! {
        rehearsed = rehearsal(&args) => rehearsed?,
        signal = shutdown::signal() => anyhow::bail!("stopped by {signal}: nothing was rehearsed"),
    };
    if let Some(verdict) = &rehearsed.gate {
        place.write(verdict)?;
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
    let gate = async |candidates: rehearse::Candidates| {
        let side = |name, ports: rehearse::Ports| Address {
            name,
            url: ports.grpc,
            http: Some(ports.http),
            ca_file: None,
            token: None,
        };
        let config = gate::Config {
            preview: side("preview", candidates.preview),
            active: Some(side("active", candidates.active)),
            version: candidates.expected,
            digest: None,
            store: Some(store.clone()),
            patience: args.patience,
            deadline: args.deadline,
            rate: args.gate_rate,
            length: args.gate_time,
            // Both share this machine with the load that is held.
            test: None,
            highest: None,
            step: Duration::ZERO,
            compared: 2_000,
            connections: 4,
            seed: args.requests.seed,
            limits: args.limits.into(),
        };
        gate::judge(&config, &deck).await
    };
    Ok(Box::pin(rehearse::rehearse(&config, load, gate)).await?)
}

async fn stand_in(args: StandInArgs) -> anyhow::Result<ExitCode> {
    rehearse::stand_in(&args.into(), shutdown::signal()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn tell(args: TrendArgs) -> anyhow::Result<ExitCode> {
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
