//! The store on a real S3 server: all that holds in a file system, what goes wrong only there, and the whole chain.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[macro_use]
#[path = "../../platform/tests/suite/mod.rs"]
mod suite;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use prowl_e2e::servers::{Seaweedfs, free_port};
use prowl_e2e::{Cluster, Outcome, Server, TestStore, Variable, digests, open, run, run_with};
use prowl_platform::{Kind, Store};
use sha2::{Digest, Sha256};

macro_rules! on_s3 {
    ($($name:ident,)*) => {
        async fn whole_suite(server: &Seaweedfs) {
            $(
                println!("{}", stringify!($name));
                suite::$name(&server.store(stringify!($name))).await;
            )*
            // At the root of the bucket, and below a prefix that has to be encoded.
            suite::publish(&server.store("")).await;
            suite::publish(&server.store("with%20space/gr%C3%B6%C3%9Fe%231")).await;
        }
    };
}

with_suite!(on_s3);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_holds_in_a_file_system_holds_on_s3() {
    let server = Seaweedfs::start();
    whole_suite(&server).await;
    assert_eq!(server.unfinished_uploads(), 0, "parts were left behind");
}

/// What a program says that has to fail.
fn refused(environment: &[Variable], name: &str, arguments: &[&str]) -> String {
    let ended = run_with(environment, name, arguments);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    checked(ended).error().to_owned()
}

/// The same outcome, if it gives no secret away.
fn checked(ended: Outcome) -> Outcome {
    assert!(!Seaweedfs::is_given_away_by(&ended.stderr) && !Seaweedfs::is_given_away_by(&ended.stdout), "{ended:?}");
    ended
}

fn changed(mut environment: Vec<Variable>, name: &str, value: &str) -> Vec<Variable> {
    environment.iter_mut().filter(|(variable, _)| *variable == name).for_each(|(_, set)| value.clone_into(set));
    environment
}

#[test]
fn each_mistake_is_one_clear_error() {
    let server = Seaweedfs::start();
    let (url, right) = (server.url("store"), server.environment());
    let synth = ["synth", "--count", "20", "--store", &url];
    let preprocess = ["--export", "latest", "--store", &url];
    checked(run_with(&right, "prowl-fetch", &synth).expect_success());

    let unknown = changed(right.clone(), "SPACES_KEY", "nobody");
    let wrong = changed(right.clone(), "SPACES_SECRET", "wrong");
    for (environment, code) in [(&unknown, "InvalidAccessKeyId"), (&wrong, "SignatureDoesNotMatch")] {
        let way_out = format!(": S3 refuses the key (403 {code}); correct the secrets spaces_key and spaces_secret");
        for (name, arguments) in [
            ("prowl-fetch", &synth[..]),
            ("prowl-preprocess", &preprocess[..]),
            ("prowl-trainer", &["train", "--store", &url][..]),
            (
                "prowl-inference",
                &["--store", &url, "--insecure", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"][..],
            ),
        ] {
            let said = refused(environment, name, arguments);
            assert!(said.starts_with("error: cannot use s3://prowl-test/store/") && said.ends_with(&way_out), "{said}");
        }
    }

    let reader = server.environment_of_a_reader();
    let said = refused(&reader, "prowl-fetch", &synth);
    assert!(said.contains("S3 does not allow it (403 AccessDenied); let the owner of the bucket allow it"), "{said}");
    let said = refused(&reader, "prowl-preprocess", &preprocess);
    assert!(said.contains("cannot use s3://prowl-test/store/features"), "it can read the export: {said}");

    for (name, arguments) in [
        ("prowl-fetch", ["synth", "--count", "20", "--store", "s3://no-such-bucket/store"]),
        ("prowl-preprocess", ["--export", "latest", "--cores=1", "--store", "s3://no-such-bucket/store"]),
        ("prowl-preprocess", ["--export", "20200101T000000Z", "--cores=1", "--store", "s3://no-such-bucket/store"]),
    ] {
        let said = refused(&right, name, &arguments);
        assert!(
            said.contains("S3 has no such bucket (404 NoSuchBucket); correct --store, or create the bucket"),
            "{said}"
        );
    }

    let nobody = changed(right.clone(), "SPACES_ENDPOINT", &format!("http://127.0.0.1:{}", free_port()));
    let said = refused(&nobody, "prowl-fetch", &synth);
    assert!(said.contains("S3 does not answer (Connection refused"), "{said}");
    assert!(said.contains("see that it runs where the secret spaces_endpoint says"), "{said}");
    let none = changed(right.clone(), "SPACES_ENDPOINT", "ftp://nowhere");
    assert!(refused(&none, "prowl-fetch", &synth).contains("the secret spaces_endpoint cannot be used"));

    let without: Vec<Variable> = right.iter().filter(|(name, _)| *name != "SPACES_SECRET").cloned().collect();
    let said = refused(&without, "prowl-fetch", &synth);
    let way_out = "there is no secret spaces_secret: set SPACES_SECRET, or VAULT_ADDR to read Vault";
    assert!(said.contains(way_out), "{said}");

    // Each executor needs the secrets itself: none ride in the plan.
    let cluster = Cluster::start(1);
    let said = refused(&right, "prowl-preprocess", &[&preprocess[..], &["--scheduler", &cluster.url()]].concat());
    assert!(said.contains("spaces_key") && said.contains("each executor of the cluster needs them itself"), "{said}");

    let said = run_with(&right, "prowl-fetch", &["synth", "--count", "20", "--store", "s3://a:b@prowl-test/store"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("spaces_key") && !said.stderr.contains("a:b"), "{}", said.stderr);
}

/// Stops the server, and starts it again 5 s later.
fn interrupt(server: &Arc<Mutex<Seaweedfs>>) -> std::thread::JoinHandle<()> {
    server.lock().unwrap().stop();
    let server = Arc::clone(server);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(5));
        server.lock().unwrap().start_again();
    })
}

fn large(seed: u32) -> Bytes {
    (0..24_000_000_u32).map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_away_for_5_seconds_is_waited_for() {
    let server = Seaweedfs::start();
    let store = server.store("store");
    let server = Arc::new(Mutex::new(server));
    let mut draft = store.draft(Kind::Exports).await.unwrap();

    // In the middle of an upload of many parts.
    let (one, two) = (large(1), large(2));
    let mut writer = draft.writer("large").unwrap();
    writer.write(one.clone()).await.unwrap();
    let back = interrupt(&server);
    writer.write(two.clone()).await.unwrap();
    writer.finish().await.unwrap();
    back.join().unwrap();

    // At the moment of the commit.
    let back = interrupt(&server);
    let folder = draft.publish(vec![], BTreeMap::new(), serde_json::json!(null)).await.unwrap();
    back.join().unwrap();

    // In the middle of a download.
    let path = object_store::path::Path::from(folder.url().path().trim_start_matches('/')).join("large");
    let mut pieces = store.object_store().get(&path).await.unwrap().into_stream();
    let mut hash = Sha256::new();
    hash.update(pieces.try_next().await.unwrap().unwrap());
    let back = interrupt(&server);
    while let Some(piece) = pieces.try_next().await.unwrap() {
        hash.update(&piece);
    }
    back.join().unwrap();
    let expected = Sha256::new().chain_update(&one).chain_update(&two).finalize();
    assert_eq!(hash.finalize(), expected);
    assert_eq!(folder.read("large").await.unwrap(), [one, two].concat());
}

/// The digests of the files of the newest folder.
async fn newest(store: &Store, kind: Kind) -> BTreeMap<String, String> {
    digests(&store.folder(kind, "latest").await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_whole_chain_gives_the_same_bytes_on_s3() {
    let server = Seaweedfs::start();
    let (url, environment) = (server.url("deep/store"), server.environment());
    let here = TestStore::empty();
    let synth = ["synth", "--count", "600", "--seed", "5", "--store"];
    let train = ["train", "--epochs", "3", "--store"];
    let on_s3 = |name: &str, arguments: &[&str]| checked(run_with(&environment, name, arguments).expect_success());
    let in_file = |name: &str, arguments: &[&str]| run(name, arguments).expect_success();

    in_file("prowl-fetch", &[&synth[..], &[&here.url]].concat());
    in_file("prowl-preprocess", &["--export", "latest", "--store", &here.url]);
    in_file("prowl-trainer", &[&train[..], &[&here.url]].concat());
    let (expected, found) = (open(&here.url), server.store("deep/store"));

    let said = on_s3("prowl-fetch", &[&synth[..], &[&url]].concat()).stderr;
    assert!(said.contains(&format!("next: prowl-preprocess --store {url} --export latest")), "{said}");
    assert_eq!(newest(&found, Kind::Exports).await, newest(&expected, Kind::Exports).await);

    on_s3("prowl-preprocess", &["--export", "latest", "--store", &url]);
    let features = newest(&expected, Kind::Features).await;
    assert_eq!(newest(&found, Kind::Features).await, features);
    let cluster = Cluster::start_with(2, environment.clone());
    let scheduler = cluster.url();
    on_s3("prowl-preprocess", &["--export", "latest", "--store", &url, "--scheduler", &scheduler]);
    assert_eq!(newest(&found, Kind::Features).await, features);
    assert_eq!(found.prune(Kind::Features, prowl_platform::Keep::newest(9)).await.unwrap().finished, [""; 0]);

    on_s3("prowl-trainer", &[&train[..], &[&url]].concat());
    let model = |mut files: BTreeMap<String, String>| files.remove("profiles.parquet").unwrap();
    assert_eq!(model(newest(&found, Kind::Models).await), model(newest(&expected, Kind::Models).await));
    let served = Server::start_with(&environment, &url, "latest");
    assert_eq!(served.stop(), 0);
}
