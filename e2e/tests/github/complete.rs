//! Everything arrives, whatever it is; and the next time only what changed.

use bson::{Bson, doc};
use prowl_e2e::servers::PULL_REQUESTS;
use prowl_e2e::servers::github::{PullRequest, Size, State, World};

use crate::given::{Given, STATE, figure, small};

const ALL: [&str; 4] = ["--repo", "acme/repo-00", "acme/repo-01", "acme/repo-02"];

#[test]
fn all_of_it_arrives_and_then_what_changed() {
    let given = Given::of(World::seeded(1, &Size::default()));
    let first = given.complete(&ALL);
    let counts = ["repositories.found", "repositories.walked", "pull_requests.inserted", "pull_requests.changed"];
    assert_eq!(counts.map(|count| figure(&first, count)), [3, 3, 300, 0]);

    // What could be stumbled over is there.
    for (filter, least) in [
        (doc! { "user": null }, 5),
        (doc! { "head.repo": null }, 5),
        (doc! { "user.type": "Bot", "user.login": "dependabot[bot]" }, 5),
        (doc! { "files.100": { "$exists": true } }, 3),
        (doc! { "files": { "$size": 3_000 } }, 2),
        (doc! { "labels": { "$size": 100 } }, 1),
        (doc! { "body": null }, 5),
    ] {
        let found = given.mongo.find(PULL_REQUESTS, filter.clone()).len();
        assert!(found >= least, "{found} of {filter}");
    }
    for document in given.documents() {
        let repository = document.get_document("base").and_then(|base| base.get_document("repo")).unwrap();
        let expected = format!("{}#{}", repository.get_str("full_name").unwrap(), document.get("number").unwrap());
        assert_eq!(document.get_str("_id").unwrap(), expected);
        assert!(matches!(document.get("fetched_at"), Some(Bson::DateTime(_))), "{document}");
    }

    let state = given.mongo.find(STATE, doc! {});
    assert!(!given.github.is_given_away_by(&format!("{state:?}")), "{state:?}");

    given.github.forget();
    let again = given.succeed(&ALL);
    let asked = given.github.asked();
    assert!(asked.len() == 3 && asked.iter().all(|asked| asked.status == 304 && asked.points == 0), "{asked:#?}");
    assert_eq!((figure(&again, "repositories.unchanged"), figure(&again, "points")), (3, 0));

    given.github.world(|world| {
        for number in [3, 50, 99] {
            world.touch("acme/repo-01", number);
        }
        let like = world.repository("acme/repo-01").pull_request(7).clone();
        assert_eq!(world.open("acme/repo-01", &like), 101);
    });
    given.github.forget();
    let changed = given.complete(&ALL);
    let counts = ["repositories.unchanged", "pull_requests.inserted", "pull_requests.changed"];
    assert_eq!(counts.map(|count| figure(&changed, count)), [2, 1, 3]);
    let pages = given.pages();
    assert!(pages.len() == 1 && pages[0].names("acme/repo-01"), "{pages:#?}");
}

#[test]
fn the_overlap_reaches_behind_the_last_update() {
    let mut world = small(2, 500);
    let names = ["acme/repo-00", "acme/repo-01"];
    for name in names {
        let repository = world.repository_mut(name);
        // A minute apart.
        for number in 1..=250 {
            let pull_request = repository.pull_request(number).clone();
            repository.put(PullRequest { updated_at: 1_700_000_000 + 60 * number as i64, ..pull_request });
        }
    }
    let given = Given::of(world);
    given.complete(&["--org", "acme"]);
    for (name, overlap, pages) in [(names[0], "10m", 1), (names[1], "5h", 3)] {
        given.github.world(|world| world.touch(name, 1));
        given.github.forget();
        given.complete(&["--repo", name, "--overlap", overlap]);
        assert_eq!(given.pages().len(), pages, "{overlap}");
    }
}

#[test]
fn an_organisation_is_listed_at_each_run() {
    let mut world = small(4, 120);
    world.repository_mut("acme/repo-01").archived = true;
    world.repository_mut("acme/repo-02").private = true;
    world.repository_mut("acme/repo-03").fork = true;
    world.add_repository("acme/nothing-yet");
    world.add_owner("somebody", false);
    let like = world.repository("acme/repo-00").pull_request(1).clone();
    world.add_repository("somebody/dotfiles");
    world.open("somebody/dotfiles", &like);
    let given = Given::of(world);
    given.complete(&["--org", "acme", "somebody"]);
    assert_eq!(given.state("acme/repo-01").get_str("status").unwrap(), "archived");
    assert_eq!(given.state("acme/repo-00").get_str("status").unwrap(), "active");

    // One is gone, one is new: what is known of the first stays.
    let before = given.stored();
    given.github.world(|world| {
        world.delete("acme/repo-00");
        let like = world.repository("acme/repo-01").pull_request(1).clone();
        world.add_repository("acme/young");
        world.open("acme/young", &like);
    });
    given.succeed(&["--org", "acme"]);
    assert_eq!(given.state("acme/repo-00").get_str("status").unwrap(), "missing");
    let after = given.stored();
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.contains_key(&("acme/young".to_owned(), 1)));
    assert!(before.iter().all(|(identity, document)| after[identity] == *document));
}

#[test]
fn a_repository_keeps_its_documents_under_another_name() {
    let given = Given::of(small(3, 120));
    given.succeed(&["--org", "acme"]);
    given.github.world(|world| {
        world.rename("acme/repo-00", "acme/harbour");
        world.touch("acme/harbour", 2);
        // To another owner.
        world.rename("acme/repo-01", "tide/repo-01");
        world.rename("acme/repo-02", "acme/Repo-02");
    });
    given.complete(&ALL);
    // By the new names, too.
    given.github.world(|world| world.touch("tide/repo-01", 3));
    given.complete(&["--repo", "acme/harbour", "tide/repo-01", "acme/repo-02"]);
    assert_eq!(given.state("acme/harbour").get_str("status").unwrap(), "active");
    // Another one under the old name is another one.
    given.github.world(|world| {
        let like = world.repository("acme/harbour").pull_request(1).clone();
        world.add_repository("acme/repo-00");
        world.open("acme/repo-00", &like);
    });
    given.complete(&["--org", "acme", "tide"]);
}

#[test]
fn a_name_that_goes_from_one_repository_to_another_mixes_nothing() {
    for first in ["acme/repo-00", "acme/repo-01"] {
        let given = Given::of(small(2, 120));
        given.succeed(&["--org", "acme"]);
        // The first makes room for the second, which changes nothing in the pull requests of either.
        given.github.world(|world| {
            world.rename("acme/repo-00", "acme/legacy");
            world.rename("acme/repo-01", "acme/repo-00");
        });
        given.succeed(&["--repo", first]);
        given.complete(&["--org", "acme"]);
    }
}

#[test]
fn a_repository_that_is_not_there_does_not_keep_the_others() {
    let given = Given::of(small(3, 60));
    let list = given.mongo.folder().join("repositories");
    std::fs::write(&list, "# ours\nacme/repo-00\n\nacme/nothing\nacme/repo-02\n").unwrap();
    let ended = given.collect(&["--repos-file", list.to_str().unwrap(), "--repo", "acme/repo-01"]);
    assert_eq!((ended.code, figure(&ended, "repositories.missing")), (1, 1), "{ended:?}");
    let named = ended.stderr.lines().filter(|line| line.contains("there is no repository acme/nothing at ")).count();
    assert!(named > 0, "{}", ended.stderr);
    given.assert_complete();
}

#[test]
fn an_enterprise_server_has_its_own_paths() {
    let given = Given::of(small(2, 40));
    for _ in 0..2 {
        given.succeeded(given.start_at(&given.github.enterprise_url(), &["--org", "acme"]));
    }
    given.assert_complete();
    let asked = given.github.asked();
    assert!(asked.iter().all(|asked| asked.line.contains(" /api/")), "{asked:#?}");
    assert!(asked.iter().any(|asked| asked.line.ends_with(" /api/graphql")));
    assert!(asked.iter().any(|asked| asked.line.contains(" /api/v3/repos/") && asked.status == 304));
}

#[test]
fn what_it_would_cost_is_told_and_nothing_is_written() {
    let given = Given::of(small(3, 600));
    let ended = given.succeed(&["--org", "acme", "--dry-run"]);
    assert!(ended.json()["points"].as_u64().unwrap() > 0, "{}", ended.stdout);
    let collections = given.mongo.command(doc! { "listCollections": 1 });
    let collections = collections.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch")).unwrap();
    assert_eq!(collections.len(), 0, "{collections:?}");
    assert!(given.github.count() <= 10, "{:#?}", given.github.asked());

    // After a run there is nothing to be paid.
    given.complete(&["--org", "acme"]);
    let (stored, state) = (given.documents(), given.mongo.find(STATE, doc! {}));
    given.succeed(&["--org", "acme", "--dry-run"]);
    assert_eq!((given.documents(), given.mongo.find(STATE, doc! {})), (stored, state));
}

#[test]
fn only_what_is_open_long_enough_is_asked_for() {
    let given = Given::of(small(1, 400));
    let since = "2022-06-01";
    given.succeed(&["--repo", "acme/repo-00", "--since", since]);
    let moment = |document: &serde_json::Value| document["updated_at"]["$date"].as_str().unwrap().to_owned();
    let (expected, stored) = (given.github.documents(), given.stored());
    assert!(stored.len() < 350, "{}", stored.len());
    for (identity, document) in &expected {
        assert!(moment(document).as_str() < since || stored.get(identity) == Some(document), "{identity:?}");
    }
    let open = given.github.world(|world| {
        let its = world.repository("acme/repo-00").pull_requests();
        its.filter(|pull_request| pull_request.state == State::Open).count()
    });
    assert!(open > 10, "the world has none that could be forgotten");
    // Without it, all that is older comes.
    given.complete(&["--repo", "acme/repo-00"]);
}
