//! Trainings in a real MLflow, read back by REST: all of a training is there, and whatever becomes of MLflow, the model is
//! published.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "mlflow/given.rs"]
mod given;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use given::{Given, Logged, entry, number, quoted, told, warning};
use prowl_e2e::servers::{Asked, OpenBao, Proxy, Verdict, free_port};
use prowl_e2e::{Outcome, Running, TestStore, run_with};
use serde_json::{Value, json};

/// Planted: nobody may ever say it.
const TOKEN: &str = "planted-token-of-mlflow";

#[test]
fn all_of_a_training_is_there_and_the_next_one_is_the_next_version() {
    let given = Given::shared();
    let proxy = Proxy::start(&given.mlflow.address(), |_| Verdict::Pass);
    let (experiment, model) = ("all of it: ä & half/whole", "all of it");
    let environment = [
        ("MLFLOW_URI", format!("http://{}/", proxy.address())),
        ("MLFLOW_TOKEN", TOKEN.to_owned()),
        // All that there is to say.
        ("PROWL_LOG", "trace".to_owned()),
        ("PROWL_COMMIT", "0123456789abcdef0123456789abcdef01234567".to_owned()),
        ("USER", "somebody".to_owned()),
    ];
    let names = ["--mlflow-experiment", experiment, "--mlflow-model", model, "--require-mlflow"];
    let trained = given.train_with(&environment, &[&names[..], &["--seed", "5", "--hidden", "32"]].concat());
    let trained = trained.expect_success();
    let report = trained.json();
    let folder = given.model(&trained);
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();

    let run = given.logged(report["mlflow"]["run"].as_str().unwrap());
    assert_eq!((run.info("status"), run.info("run_name")), ("FINISHED", report["version"].as_str().unwrap()));

    let settings = manifest["details"]["settings"].as_object().unwrap();
    assert_eq!((run.param("seed"), run.param("hidden")), (Some("5"), Some("32")));
    for (name, value) in settings {
        assert_eq!(run.param(name).unwrap(), value.as_str().map_or(value.to_string(), str::to_owned), "{name}");
    }

    let export = Some(given.snapshot.as_str());
    for (tag, value) in [
        ("mlflow.source.git.commit", Some("0123456789abcdef0123456789abcdef01234567")),
        ("mlflow.source.name", Some("prowl-trainer")),
        ("mlflow.user", Some("somebody")),
        ("prowl.export", export),
        ("prowl.features_digest", report["features_digest"].as_str()),
        ("prowl.model_digest", report["digest"].as_str()),
        ("prowl.model_url", report["url"].as_str()),
        ("prowl.run", report["training"]["run"].as_str()),
        ("prowl.run_digest", report["training"]["run_digest"].as_str()),
        ("prowl.store", Some(&given.store.url)),
        ("prowl.version", report["version"].as_str()),
    ] {
        assert!(value.is_some() && run.tag(tag) == value, "{tag}: {:?}, not {value:?}", run.tag(tag));
    }
    assert_eq!(run.tag("prowl.export_digest").unwrap().len(), 64);
    let dataset = &run.0["inputs"]["dataset_inputs"][0]["dataset"];
    assert_eq!(dataset["name"], format!("features {}", given.run.folder.file_name().unwrap().display()));

    compare_epochs(&given, &run, &trained.stderr);
    for (name, value) in report["metrics"].as_object().unwrap() {
        assert_eq!(run.metric(name), value.as_f64(), "{name}");
    }
    assert_eq!(report["metrics"], manifest["details"]["metrics"]);

    let files = manifest["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap());
    let files: Vec<&str> = files.chain(["manifest.json"]).collect();
    assert!(files.contains(&"model.safetensors") && files.contains(&"profiles.parquet"), "{files:?}");
    for file in &files {
        let stored = given.mlflow.artifact(&format!("{}/model/{file}", run.info("artifact_uri")));
        assert!(stored == fs::read(folder.join(file)).unwrap(), "{file} is another one in MLflow");
    }

    let versions = given.versions(model);
    assert_eq!(versions.len(), 1);
    let first = &versions[0];
    assert_eq!((&first["version"], &first["aliases"]), (&json!("1"), &json!(["candidate"])));
    assert_eq!(report["mlflow"]["version"], "1");
    assert_eq!(first["run_id"], run.info("run_id"));
    assert_eq!(first["source"], format!("{}/model", run.info("artifact_uri")));
    assert_eq!(entry(&first["tags"], "prowl.model_digest"), Some(&report["digest"]));
    let description = first["description"].as_str().unwrap();
    let described = fs::read_to_string(folder.join("model_card.md")).unwrap();
    assert!(description.starts_with(&described.chars().take(1_000).collect::<String>()), "{description}");
    assert_eq!(run.tag("mlflow.note.content"), Some(description));

    // The token is sent with each request, and is nowhere to be seen.
    let asked = proxy.asked();
    assert!(asked.len() > 10);
    assert!(asked.iter().all(|asked| asked.headers.contains(&format!("authorization: Bearer {TOKEN}"))), "{asked:?}");
    for text in [&trained.stderr, &trained.stdout, &run.0.to_string(), &first.to_string(), &manifest.to_string()] {
        assert!(!text.contains(TOKEN), "the token is told: {text}");
    }

    // The experiment is deleted meanwhile; the next training brings it back.
    given.mlflow.post("experiments/delete", &json!({ "experiment_id": run.info("experiment_id") }));
    let uri = format!("http://{}", given.mlflow.address());
    let again = given.train(&uri, &[&names[..], &["--seed", "6"]].concat()).expect_success();
    assert!(told(&again, "INFO").iter().any(|line| line.contains("restored")), "{}", again.stderr);
    let second = given.logged(again.json()["mlflow"]["run"].as_str().unwrap());
    assert_eq!(second.info("experiment_id"), run.info("experiment_id"));
    let versions = given.versions(model);
    let seen: Vec<_> = versions.iter().map(|version| (&version["run_id"], &version["aliases"])).collect();
    let (first, second) = (json!(run.info("run_id")), json!(second.info("run_id")));
    assert_eq!(seen, [(&first, &json!([])), (&second, &json!(["candidate"]))]);
}

#[test]
fn a_model_that_mlflow_has_not_is_something_new() {
    let given = Given::shared();
    let uri = format!("http://{}", given.mlflow.address());
    let by_clock = ["--seed", "31", "--epochs", "2", "--mlflow-model", "by the clock", "--if-new"];
    let train = |uri: &str, more: &[&str]| given.train(uri, &[&by_clock[..], more].concat());
    let is_same = |trained: &Outcome| trained.stderr.contains("nothing new: nothing was trained");

    let unlogged = train(&uri, &["--no-mlflow"]).expect_success();
    assert!(!is_same(&unlogged) && is_same(&train(&uri, &["--no-mlflow"]).expect_success()));
    let logged = train(&uri, &[]).expect_success();
    assert!(!is_same(&logged) && logged.json()["version"] != unlogged.json()["version"], "{}", logged.stderr);
    let same = train(&uri, &["--require-mlflow"]).expect_success();
    assert!(is_same(&same) && same.json()["version"] == logged.json()["version"], "{}", same.stderr);
    assert_eq!(given.versions("by the clock").len(), 1);

    // Where it cannot be asked, the model that is there is enough, unless it has to be there, too.
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let alone = train(&nobody, &["--mlflow-timeout", "1s"]).expect_success();
    assert!(is_same(&alone) && told(&alone, "WARN").len() == 1, "{}", alone.stderr);
    let required = train(&nobody, &["--mlflow-timeout", "1s", "--require-mlflow"]);
    assert!(required.code == 1 && !is_same(&required), "{}", required.stderr);
}

/// Each epoch is in MLflow as the log of the training has it.
fn compare_epochs(given: &Given, run: &Logged, log: &str) {
    let (began, ended) = (number(&run.0["info"]["start_time"]), number(&run.0["info"]["end_time"]));
    for (fit, title) in [("first_fit", "fit 1 of 2"), ("final_fit", "fit 2 of 2")] {
        for loss in ["training_loss", "validation_loss"] {
            let key = quoted(&format!("{fit}/{loss}"));
            let history =
                given.mlflow.get(&format!("metrics/get-history?run_id={}&metric_key={key}", run.info("run_id")));
            let history = history["metrics"].as_array().unwrap();
            let pair = |metric: &Value| (number(&metric["step"]), metric["value"].as_f64().unwrap());
            let logged: Vec<(i64, f64)> = history.iter().map(pair).collect();
            let times = history.iter().map(|metric| number(&metric["timestamp"]));
            assert!(times.clone().is_sorted() && times.clone().all(|time| (began..=ended).contains(&time)));
            assert_eq!(logged, epochs(log, title, loss), "{fit}/{loss}");
            assert!(logged.len() > 3 && logged[0].1 > logged[logged.len() - 1].1, "{logged:?}");
        }
    }
}

/// A loss of each epoch of a fit, as the log of a training has it.
fn epochs(log: &str, fit: &str, loss: &str) -> Vec<(i64, f64)> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_fit = lines.filter(|line| line["fit"] == fit);
    of_fit.map(|line| (number(&line["epoch"]), line[loss].as_f64().unwrap())).collect()
}

#[test]
fn a_server_that_is_away_costs_a_warning_or_the_training_where_it_is_required() {
    let given = Given::shared();
    let host = format!("127.0.0.1:{}", free_port());
    let uri = format!("http://{host}");
    let trained = given.train(&uri, &["--mlflow-timeout", "1s"]);
    given.model(&trained);
    let told = warning(&trained);
    assert!(told.contains(&format!("MLflow at {host} does not answer")) && told.contains("mlflow_uri"), "{told}");

    let refused = given.train(&uri, &["--require-mlflow", "--mlflow-timeout", "1s", "--seed", "91"]);
    assert_eq!(refused.code, 1);
    let error = refused.error();
    assert!(error.contains("nothing was trained") && error.contains(&host), "{error}");
    let nowhere = given.train_with(&[], &["--require-mlflow", "--seed", "91"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.error().contains("MLFLOW_URI"), "{}", nowhere.stderr);
    assert_eq!(models_of_seed(&given, 91), 0);

    // Where there is none, and where it is not wanted, there is nothing to say.
    for (environment, argument) in [(vec![], "--json"), (vec![("MLFLOW_URI", uri)], "--no-mlflow")] {
        let arguments = ["train", "--store", &given.store.url, argument];
        let quiet = run_with(&environment, "prowl-trainer", &arguments).expect_success();
        assert!(!quiet.stderr.contains("MLflow"), "{}", quiet.stderr);
    }
}

/// How many models were published of trainings with this seed; one in the making is an error.
fn models_of_seed(given: &Given, seed: u64) -> usize {
    let models = fs::read_dir(given.store.root.join("models")).into_iter().flatten();
    let manifests = models.filter_map(|model| fs::read(model.unwrap().path().join("manifest.json")).ok());
    let seeds = manifests
        .map(|manifest| serde_json::from_slice::<Value>(&manifest).unwrap()["details"]["settings"]["seed"].clone());
    seeds.filter(|found| *found == seed).count()
}

#[test]
fn a_server_that_refuses_costs_a_warning_that_says_what_to_do() {
    let given = Given::shared();
    let html = "<html>planted page</html>";
    let json = r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "no planted-token-of-mlflow\nplanted line"}"#;
    let error = r#"{"error_code": "INTERNAL_ERROR", "message": "the database is away"}"#;
    let foreign = "Invalid Host header - possible DNS rebinding attack detected";
    for (verdict, tells, tries) in [
        (Verdict::Answer(401, html), "find an experiment (401 Unauthorized): correct the secret mlflow_token", 1..=1),
        (Verdict::Answer(403, foreign), "--allowed-hosts 127.0.0.1", 1..=1),
        (Verdict::Answer(400, json), "does not find an experiment: no … (INVALID_PARAMETER_VALUE)", 1..=1),
        (Verdict::Answer(404, html), "is no MLflow (404 Not Found)", 1..=1),
        (Verdict::Answer(302, html), "is no MLflow (302 Found)", 1..=1),
        (Verdict::Answer(200, html), "is no MLflow (its answer cannot be understood", 1..=1),
        (Verdict::Answer(500, error), "(500, the database is away (INTERNAL_ERROR)): its log says why", 2..=99),
        (Verdict::Answer(503, html), "(503 Service Unavailable): its log says why", 2..=99),
        (Verdict::Hang, "was too slow to find an experiment", 1..=1),
    ] {
        let proxy = Proxy::start(&given.mlflow.address(), move |_| verdict);
        let environment =
            [("MLFLOW_URI", format!("http://{}/below/a/path", proxy.address())), ("MLFLOW_TOKEN", TOKEN.to_owned())];
        let trained = given.train_with(&environment, &["--mlflow-timeout", "1s"]);
        given.model(&trained);
        let told = warning(&trained);
        assert!(told.contains(tells) && told.contains(proxy.address()), "{verdict:?}: {told}");
        assert!(!trained.stderr.contains("planted"), "{}", trained.stderr);
        let count = proxy.count("/below/a/path/api/2.0/mlflow/");
        assert!(tries.contains(&count), "{verdict:?}: {count} tries");
    }
}

/// Cuts everything from the `nth` request on whose path holds `path`.
fn cut_from(given: &Given, path: &'static str, nth: usize) -> Proxy {
    Proxy::start(&given.mlflow.address(), move |asked| {
        let seen = asked.iter().filter(|asked| asked.what.contains(path)).count();
        if seen >= nth { Verdict::Cut } else { Verdict::Pass }
    })
}

#[test]
fn a_server_that_dies_in_the_middle_has_no_half_of_a_version() {
    let given = Given::shared();
    for (at, nth, versions) in [
        ("runs/log-batch", 1, 0),
        ("runs/log-batch", 2, 0),
        ("mlflow-artifacts", 1, 0),
        ("mlflow-artifacts", 2, 0),
        ("model-versions/create", 1, 0),
        // All of it is there but for the alias.
        ("registered-models/alias", 1, 1),
    ] {
        // Without the path itself, which the proxy looks for.
        let name = format!("dies {} {nth}", at.replace(['/', '-'], " "));
        let proxy = cut_from(&given, at, nth);
        let uri = format!("http://{}", proxy.address());
        let names = ["--mlflow-experiment", &name, "--mlflow-model", &name, "--mlflow-timeout", "5s"];
        let trained = given.train(&uri, &names);
        given.model(&trained);
        let told = warning(&trained);
        // Cut off it does not answer; where the time runs out in the middle of a try it was too slow.
        let host = format!("MLflow at {} ", proxy.address());
        let gone = ["does not answer", "was too slow"].iter().any(|end| told.contains(&format!("{host}{end}")));
        assert!(gone, "{at} {nth}: {told}");
        // A version is looked for before it is made again.
        let again = if at == "model-versions/create" { "model-versions" } else { at };
        assert!(proxy.count(again) > nth, "{at} {nth} was not tried again");
        let runs = given.runs(&name);
        assert_eq!((runs.len(), runs[0].info("status")), (1, "RUNNING"), "{at} {nth}");
        assert_eq!(given.versions(&name).len(), versions, "{at} {nth}");
    }

    let proxy = cut_from(&given, "mlflow-artifacts", 1);
    let uri = format!("http://{}", proxy.address());
    let required = given.train(&uri, &["--require-mlflow", "--mlflow-timeout", "5s", "--seed", "92"]);
    assert_eq!(required.code, 1);
    let published = given.model(&required);
    let error = required.error();
    assert!(
        error.contains("stays there") && error.contains(published.file_name().unwrap().to_str().unwrap()),
        "{error}"
    );
    assert!(error.contains(proxy.address()), "{error}");
    assert_eq!(models_of_seed(&given, 92), 1);
}

#[test]
fn what_stumbles_is_tried_again_and_nothing_is_made_twice() {
    let given = Given::shared();
    let name = "stumbles";
    // Each path stumbles at its first request.
    let rule = |asked: &[Asked]| {
        let now = &asked[asked.len() - 1].what;
        let first = asked.iter().filter(|asked| asked.what == *now).count() == 1;
        match now.rsplit('/').next().unwrap() {
            _ if !first => Verdict::Pass,
            "create" | "alias" => Verdict::LoseAnswer,
            _ if now.starts_with("PUT") => Verdict::Answer(503, ""),
            _ => Verdict::Cut,
        }
    };
    let proxy = Proxy::start(&given.mlflow.address(), rule);
    let uri = format!("http://{}", proxy.address());
    let trained = given.train(&uri, &["--mlflow-experiment", name, "--mlflow-model", name]).expect_success();
    assert_eq!(told(&trained, "WARN"), Vec::<String>::new());
    let runs = given.runs(name);
    assert_eq!((runs.len(), runs[0].info("status")), (1, "FINISHED"));
    let versions = given.versions(name);
    assert_eq!((versions.len(), &versions[0]["aliases"]), (1, &json!(["candidate"])));
    assert_eq!(trained.json()["mlflow"]["version"], "1");
    let folder = given.model(&trained);
    let stored = given.mlflow.artifact(&format!("{}/model/model.safetensors", runs[0].info("artifact_uri")));
    assert!(stored == fs::read(folder.join("model.safetensors")).unwrap());
}

#[test]
fn a_server_that_comes_late_has_all_of_it() {
    let given = Given::shared();
    let name = "comes late";
    let tried = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tried);
    let proxy = Proxy::start(&given.mlflow.address(), move |_| {
        if counted.fetch_add(1, Ordering::Relaxed) < 4 { Verdict::Cut } else { Verdict::Pass }
    });
    let uri = format!("http://{}", proxy.address());
    let trained = given.train(&uri, &["--mlflow-experiment", name, "--mlflow-model", name]).expect_success();
    assert!(tried.load(Ordering::Relaxed) > 10);
    let run = given.logged(trained.json()["mlflow"]["run"].as_str().unwrap());
    let path = format!("metrics/get-history?run_id={}&metric_key=final_fit%2Ftraining_loss", run.info("run_id"));
    let epochs = given.mlflow.get(&path)["metrics"].as_array().unwrap().len();
    assert_eq!(epochs as f64, trained.json()["metrics"]["epochs"].as_f64().unwrap());
    let told = told(&trained, "INFO");
    let at =
        |text: &str| told.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {told:?}"));
    assert!(at("trying again") < at("answers again"));
}

#[test]
fn a_training_that_fails_or_is_stopped_ends_its_run() {
    let given = Given::shared();
    let name = "ends";
    let environment = [("MLFLOW_URI", format!("http://{}", given.mlflow.address()))];
    let store = TestStore::empty();
    store.synth(20, 1);
    store.preprocess("latest", &[]);
    let arguments = ["train", "--store", &store.url, "--mlflow-experiment", name];
    let failed = run_with(&environment, "prowl-trainer", &arguments);
    assert_eq!(failed.code, 1);
    let run = &given.runs(name)[0];
    assert_eq!(run.info("status"), "FAILED");
    assert_eq!(Some(failed.error()), run.tag("prowl.error").map(|error| format!("error: {error}")).as_deref());

    let arguments = ["train", "--store", &given.store.url, "--mlflow-experiment", name, "--seed", "93"];
    let forever = ["--epochs", "100000", "--patience", "100000"];
    let mut training = Running::start_with(&environment, "prowl-trainer", &[&arguments[..], &forever].concat());
    // Losses come while the training goes on.
    training.wait_for("losses in MLflow", || {
        let runs = given.runs(name);
        (runs[0].info("status") == "RUNNING").then_some(())?;
        runs[0].metric("first_fit/training_loss")
    });
    let stopped = training.stop();
    assert_eq!(stopped.code, 1, "{}", stopped.stderr);
    let run = &given.runs(name)[0];
    assert_eq!((run.info("status"), run.tag("prowl.error")), ("KILLED", None));
    assert_eq!(models_of_seed(&given, 93), 0);
}

#[test]
fn the_secrets_come_from_vault_or_a_password_and_are_told_nowhere() {
    let given = Given::shared();
    let vault = OpenBao::start();
    vault.put_policies();
    let proxy = Proxy::start(&given.mlflow.address(), |_| Verdict::Pass);
    let secret = json!({ "mlflow_uri": format!("http://{}", proxy.address()), "mlflow_token": TOKEN });
    let mut environment = vault.let_in("trainer", &secret);
    // With Vault there, this is looked at by nobody.
    environment.push(("MLFLOW_URI", "http://planted.invalid".to_owned()));
    let names = ["--mlflow-experiment", "secrets", "--mlflow-model", "secrets"];
    let trained = given.train_with(&environment, &names).expect_success();
    assert_eq!(trained.json()["mlflow"]["version"], "1");
    let sent = |header: &str| proxy.asked().iter().all(|asked| asked.headers.iter().any(|sent| sent == header));
    assert!(sent(&format!("authorization: Bearer {TOKEN}")));
    assert!(!trained.stderr.contains("planted"), "{}", trained.stderr);

    let proxy = Proxy::start(&given.mlflow.address(), |_| Verdict::Pass);
    let environment = [
        ("MLFLOW_URI", format!("http://planted-user:planted-password@{}", proxy.address())),
        ("PROWL_LOG", "trace".to_owned()),
    ];
    let trained = given.train_with(&environment, &names).expect_success();
    assert_eq!(trained.json()["mlflow"]["version"], "2");
    let basic = "authorization: Basic cGxhbnRlZC11c2VyOnBsYW50ZWQtcGFzc3dvcmQ=";
    assert!(proxy.asked().iter().all(|asked| asked.headers.iter().any(|sent| sent == basic)));
    for run in given.runs("secrets") {
        assert!(!run.0.to_string().contains("planted"), "{:?}", run.0);
    }
    for text in [&trained.stderr, &trained.stdout] {
        assert!(!text.contains("planted") && !text.contains("cGxhbnRlZC11c2Vy"), "{text}");
    }

    let wrong = [("MLFLOW_URI", "planted".to_owned())];
    let told = warning(&given.train_with(&wrong, &[]));
    assert!(told.contains("the secret mlflow_uri cannot be used") && !told.contains("planted"), "{told}");
}
