//! Tokens that are wrong or may too little, and those of an App.

use std::time::Duration;

use prowl_e2e::servers::OpenBao;
use prowl_e2e::servers::github::{Grant, Private, TOKEN, World};
use serde_json::json;

use crate::given::{Given, small};

const ANOTHER: &str = "ghp_anothertokenthatisplanted";

#[test]
fn a_token_that_is_not_known_is_told_at_once() {
    let mut given = Given::of(small(5, 50));
    given.set("GITHUB_TOKEN", "ghp_plantedtokenthatnobodyknows");
    for arguments in [&["--org", "acme"][..], &["--repo", "acme/repo-00", "acme/repo-01", "acme/repo-02"]] {
        given.github.forget();
        let told = given.refused(arguments);
        assert!(told.contains("github_token") && told.contains("401"), "{told}");
        assert!(!told.contains("ghp_planted"), "{told}");
        assert!(given.github.count() <= 6, "{:#?}", given.github.asked());
    }
    given.set("GITHUB_TOKEN", TOKEN);
    given.complete(&["--org", "acme"]);
    // Taken back in the middle of its work.
    given.github.world(|world| world.touch("acme/repo-00", 1));
    given.set("GITHUB_TOKEN", "ghp_plantedtokenthatnobodyknows");
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("github_token"), "{told}");
    given.set("GITHUB_TOKEN", TOKEN);
    given.complete(&["--org", "acme"]);
}

#[test]
fn no_token_at_all_is_told() {
    let mut given = Given::of(small(1, 5));
    given.environment.retain(|(name, _)| *name != "GITHUB_TOKEN");
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("github_token") && told.contains("github_app_id"), "{told}");
    assert_eq!(given.github.count(), 0);
}

#[test]
fn a_file_of_certificates_of_which_none_is_one_is_told() {
    let mut given = Given::of(small(1, 5));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    given.set("SSL_CERT_FILE", file.path().to_str().unwrap());
    // Certificates of a folder would do.
    let folder = tempfile::tempdir().unwrap();
    given.set("SSL_CERT_DIR", folder.path().to_str().unwrap());
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("SSL_CERT_FILE") && !told.contains("panicked"), "{told}");
    assert_eq!(given.github.count(), 0);
}

#[test]
fn with_a_vault_secrets_come_from_there_alone() {
    let mut given = Given::of(small(1, 10));
    let vault = OpenBao::start();
    vault.put_policies();
    let secret = json!({ "github_token": TOKEN, "mongo_uri": given.mongo.uri() });
    given.environment.extend(vault.let_in("fetch", &secret));
    // What lies about in the environment is not looked at.
    given.set("GITHUB_TOKEN", "ghp_plantedtokenthatnobodyknows");
    given.set("MONGO_URI", "mongodb://127.0.0.1:1/");
    given.complete(&["--org", "acme"]);
}

#[test]
fn a_token_that_may_too_little_is_told_what_it_lacks() {
    let mut world = small(2, 40);
    world.repository_mut("acme/repo-01").private = true;
    let mut given = Given::of(world);
    given.set("GITHUB_TOKEN", ANOTHER);
    let all = Grant::all("another");
    for (grant, hint) in [
        (Grant { pull_requests: false, ..all.clone() }, "read access to pull requests"),
        (Grant { scopes: false, ..all.clone() }, "`repo`"),
    ] {
        given.github.grant(ANOTHER, grant);
        given.github.forget();
        let ended = given.collect(&["--repo", "acme/repo-00"]);
        assert!(ended.code == 1 && ended.stderr.contains(hint), "{ended:?}");
        assert!(given.github.count() <= 4, "{:#?}", given.github.asked());
        assert_eq!(given.stored().len(), 0);
    }
    // A private repository is not there for who may not see it.
    given.github.grant(ANOTHER, Grant { private: Private::None, ..all.clone() });
    let ended = given.collect(&["--repo", "acme/repo-00", "acme/repo-01"]);
    assert!(ended.code == 1 && ended.stderr.contains("no repository acme/repo-01"), "{ended:?}");
    assert_eq!(given.stored().len(), 20);
    given.github.grant(ANOTHER, all);
    given.complete(&["--repo", "acme/repo-00", "acme/repo-01"]);
}

/// One whose collector is an App, installed at these owners.
fn of_app(world: World, owners: &[&str], lasts: Duration) -> Given {
    let mut given = Given::of(world);
    given.environment.retain(|(name, _)| *name != "GITHUB_TOKEN");
    given.environment.extend(given.github.app(owners, lasts, true));
    given
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn an_app_has_a_token_for_each_owner() {
    let mut world = small(2, 60);
    world.repository_mut("acme/repo-01").private = true;
    world.add_owner("somebody", false);
    let like = world.repository("acme/repo-00").pull_request(1).clone();
    world.add_repository("somebody/dotfiles").private = true;
    world.open("somebody/dotfiles", &like);
    let given = of_app(world, &["acme", "somebody"], HOUR);
    given.complete(&["--org", "acme", "somebody"]);
    assert_eq!(given.github.tokens_given(), 2);
    let asked = given.github.asked();
    let lookups = asked.iter().filter(|asked| asked.line.contains("/installation")).count();
    assert!(lookups <= 6, "{asked:#?}");

    // Where it is not installed.
    let told = given.refused(&["--org", "tide"]);
    assert!(told.contains("the App is not installed at tide"), "{told}");
}

#[test]
fn tokens_of_an_app_are_made_anew_when_they_end() {
    let given = of_app(small(3, 1_500), &["acme"], Duration::from_secs(3));
    given.github.latency(Duration::from_millis(500));
    given.complete(&["--org", "acme", "--concurrency", "1"]);
    assert!(given.github.tokens_given() >= 3, "{}", given.github.tokens_given());

    // Taken back, as when the App's rights change.
    given.github.world(|world| {
        for number in 1..40 {
            world.touch("acme/repo-01", number);
        }
    });
    let before = given.github.count();
    let mut running = given.start(&["--org", "acme", "--concurrency", "1"]);
    given.wait_for_requests(&mut running, before + 3);
    given.github.revoke_tokens();
    given.succeeded(running);
    given.assert_complete();
}

#[test]
fn an_app_that_is_not_believed_is_told_why() {
    let mut given = of_app(small(1, 10), &["acme"], HOUR);
    for ahead in [7_200, -7_200] {
        given.github.world(|world| world.set_clock_ahead(ahead));
        let told = given.refused(&["--org", "acme"]);
        let side = if ahead > 0 { "behind GitHub's" } else { "ahead of GitHub's" };
        assert!(told.contains("the clock of this machine is ") && told.contains(side), "{told}");
    }
    given.github.world(|world| world.set_clock_ahead(0));

    let key = given.environment.iter().find(|(name, _)| *name == "GITHUB_APP_KEY").unwrap().1.clone();
    given.set("GITHUB_APP_KEY", "-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----");
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("github_app_key") && !told.contains("planted"), "{told}");
    given.set("GITHUB_APP_KEY", &key);
    given.set("GITHUB_APP_ID", "12");
    let told = given.refused(&["--org", "acme"]);
    assert!(told.contains("github_app_id") || told.contains("Integration not found"), "{told}");

    given.set("GITHUB_APP_ID", "4711");
    given.complete(&["--org", "acme"]);
}
