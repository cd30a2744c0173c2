//! The collection: what programs and the collector's own library do to it, with a real server that is stopped, killed
//! and secured. Here: which version of a pull request stays.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "mongo/failures.rs"]
mod failures;
#[path = "mongo/given.rs"]
mod given;
#[path = "mongo/sources.rs"]
mod sources;
#[path = "mongo/state.rs"]
mod state;

use std::collections::BTreeMap;

use bson::{Bson, Document, doc, oid::ObjectId};
use given::{HARBOUR, connect, date, raw, stored, title, version, written};
use prowl_e2e::{
    run,
    servers::{self, PULL_REQUESTS, github::Dice},
};
use prowl_fetch::mongo::Written;

fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for end in (1..items.len()).rev() {
        items.swap(end, dice.below(end + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_never_takes_the_place_of_a_newer_one() {
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    mongo.prepare(false).await.unwrap();
    let upsert = async |versions: &[Document]| mongo.upsert(&raw(versions)).await.unwrap();

    let first = [version(HARBOUR, 1, 10, 11), version(HARBOUR, 2, 20, 21)];
    assert_eq!(upsert(&first).await, written(2, 0, 0));
    assert_eq!(upsert(&first).await, written(0, 0, 2));
    let mixed = [
        version(HARBOUR, 1, 9, 50),
        version(HARBOUR, 2, 25, 26),
        version(HARBOUR, 3, 1, 1),
        version(HARBOUR, 3, 2, 2),
        version("tide/pier", 1, 5, 5),
    ];
    assert_eq!(upsert(&mixed).await, written(2, 1, 2));
    assert_eq!(title(&server, HARBOUR, 1), "10 11");
    assert_eq!(title(&server, HARBOUR, 2), "25 26");
    assert_eq!(title(&server, HARBOUR, 3), "2 2");

    // A newer look at the same version is stored, and is no change.
    let refreshed = Written { refreshed: 1, ..written(0, 0, 1) };
    assert_eq!(upsert(&[version(HARBOUR, 1, 10, 30), version(HARBOUR, 2, 25, 20)]).await, refreshed);
    assert_eq!((title(&server, HARBOUR, 1), title(&server, HARBOUR, 2)), ("10 30".to_owned(), "25 26".to_owned()));

    // Of those that do not tell when they were fetched, the last one stays, unless it says the same.
    let undated = |title: &str| {
        let mut document = version("tide/quay", 1, 10, 10);
        document.remove("fetched_at");
        document.insert("title", title);
        [document]
    };
    assert_eq!(upsert(&undated("first")).await, written(1, 0, 0));
    assert_eq!(upsert(&undated("first")).await, written(0, 0, 1));
    assert_eq!(upsert(&undated("last")).await, Written { refreshed: 1, ..written(0, 0, 0) });
    assert_eq!(title(&server, "tide/quay", 1), "last");

    // More than go to the server at once, and none.
    let many: Vec<Document> = (1..=2_500).map(|number| version("tide/lock", number, 1, 1)).collect();
    assert_eq!(upsert(&many).await, written(2_500, 0, 0));
    assert_eq!(upsert(&[]).await, written(0, 0, 0));

    // One that is no pull request costs its batch, and says so.
    let nameless = mongo.upsert(&raw(&[version(HARBOUR, 9, 1, 1), doc! { "number": 1 }])).await.unwrap_err();
    assert!(nameless.to_string().contains("no base.repo.full_name or no number"), "{nameless}");
    assert_eq!(server.count(PULL_REQUESTS), 5 + 2_500);
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_without_files_keeps_those_of_its_commit() {
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    mongo.prepare(false).await.unwrap();
    let of = |minute: i64, more: Document| {
        let mut document = version(HARBOUR, 1, minute, minute);
        document.extend(more);
        document
    };
    let with_files = |minute, head, name| {
        of(minute, doc! { "head": { "sha": head }, "closed_at": date(1), "files": [{ "filename": name }] })
    };
    let without = |minute, head| of(minute, doc! { "head": { "sha": head }, "closed_at": null });
    let upsert = async |one: Document| assert_eq!(mongo.upsert(&raw(&[one])).await.unwrap(), written(0, 1, 0));

    mongo.upsert(&raw(&[with_files(1, "a", "old.rs")])).await.unwrap();
    upsert(without(2, "a")).await;
    let mut expected = without(2, "a");
    expected.insert("files", vec![doc! { "filename": "old.rs" }]);
    let sorted = |document: Document| document.into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!(sorted(stored(&server, HARBOUR, 1)), sorted(expected));
    // Those of another commit are unknown.
    upsert(without(3, "b")).await;
    assert_eq!(stored(&server, HARBOUR, 1), without(3, "b"));
    // Where nobody tells the commit, too.
    upsert(of(4, doc! { "files": [{ "filename": "new.rs" }] })).await;
    upsert(of(5, doc! {})).await;
    assert_eq!(stored(&server, HARBOUR, 1), of(5, doc! {}));
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_leave_the_newest_version_of_each_once() {
    const WRITERS: u64 = 6;
    const NUMBERS: i64 = 40;
    const VERSIONS: i64 = 12;
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    mongo.prepare(false).await.unwrap();
    let writers = (1..=WRITERS).map(|seed| {
        let mongo = mongo.clone();
        tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            let mut versions: Vec<Document> = (1..=NUMBERS)
                .flat_map(|number| (0..VERSIONS).map(move |at| version(HARBOUR, number, at / 2, 30 + at)))
                .collect();
            shuffle(&mut versions, &mut dice);
            let (mut sum, mut rest) = (written(0, 0, 0), versions.as_slice());
            while !rest.is_empty() {
                let (batch, after) = rest.split_at((1 + dice.below(60)).min(rest.len()));
                sum += mongo.upsert(&raw(batch)).await.unwrap();
                rest = after;
            }
            sum
        })
    });
    let mut sum = written(0, 0, 0);
    for writer in writers.collect::<Vec<_>>() {
        sum += writer.await.unwrap();
    }
    assert_eq!(sum.inserted, NUMBERS as u64);
    assert_eq!(sum.inserted + sum.changed + sum.refreshed + sum.unchanged, WRITERS * (NUMBERS * VERSIONS) as u64);
    let documents = server.find(PULL_REQUESTS, doc! {});
    let titles: Vec<&str> = documents.iter().map(|document| document.get_str("title").unwrap()).collect();
    assert_eq!(titles, vec![format!("{} {}", (VERSIONS - 1) / 2, 30 + VERSIONS - 1); NUMBERS as usize]);
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_stored_keeps_its_id_and_is_compared_by_what_it_says() {
    let server = servers::Mongo::start();
    let id = ObjectId::new();
    let foreign = |number: Bson, id: Bson, more: Document| {
        let mut document = doc! { "_id": id, "number": number, "base": { "repo": { "full_name": HARBOUR } } };
        document.extend(more);
        document
    };
    let text = |minute: i64| date(minute).try_to_rfc3339_string().unwrap();
    let documents = [
        foreign(Bson::Int32(1), id.into(), doc! { "updated_at": date(10), "title": "theirs", "stars": 5 }),
        foreign(Bson::Double(2.0), 2.into(), doc! { "updated_at": text(10), "title": "theirs" }),
        foreign(Bson::Int64(3), "x".into(), doc! { "title": "theirs" }),
        foreign(Bson::Int64(4), 4.into(), doc! { "updated_at": text(30), "title": "theirs" }),
        // It was renamed, and another repository has its name now.
        doc! { "_id": "tide/harbour#5", "number": 5, "base": { "repo": { "full_name": "tide/haven" } } },
        doc! { "_id": 6, "of": "no pull request" },
    ];
    server.insert(PULL_REQUESTS, &documents);
    let mongo = connect(&server).await;
    mongo.prepare(false).await.unwrap();
    let ours: Vec<Document> = (1..=5).map(|number| version(HARBOUR, number, 20, 20)).collect();
    assert_eq!(mongo.upsert(&raw(&ours)).await.unwrap(), written(1, 3, 1));

    for (number, id) in [(1, Bson::from(id)), (2, 2.into()), (3, "x".into())] {
        let mut expected = ours[number - 1].clone();
        expected.insert("_id", id);
        let stored = stored(&server, HARBOUR, number as i64);
        let fields = |document: &Document| document.clone().into_iter().collect::<BTreeMap<String, Bson>>();
        assert_eq!(fields(&stored), fields(&expected));
    }
    assert_eq!(title(&server, HARBOUR, 4), "theirs");
    assert_eq!(title(&server, HARBOUR, 5), "20 20");
    assert_ne!(stored(&server, HARBOUR, 5).get_str("_id").ok(), Some("tide/harbour#5"));
    assert_eq!(mongo.upsert(&raw(&ours)).await.unwrap(), written(0, 0, 5));
    assert_eq!(server.count(PULL_REQUESTS), 7);
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_takes_its_pull_requests_along() {
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    mongo.prepare(false).await.unwrap();
    let branch_of = |repository: &str, mut version: Document| {
        version.insert("head", doc! { "repo": { "full_name": repository, "fork": false } });
        version
    };
    let mut before: Vec<Document> = (1..=1_203).map(|number| version(HARBOUR, number, 10, 10)).collect();
    before[0] = branch_of(HARBOUR, before[0].clone());
    before[1] = branch_of("ada/harbour", before[1].clone());
    mongo.upsert(&raw(&before)).await.unwrap();
    // The collector met two of them under the new name already.
    mongo.upsert(&raw(&[version("tide/haven", 3, 12, 12), version("tide/haven", 4, 8, 8)])).await.unwrap();

    assert_eq!(mongo.rename_repository(HARBOUR, "tide/haven").await.unwrap(), 1_203);
    assert_eq!(server.find(PULL_REQUESTS, doc! { "base.repo.full_name": HARBOUR }), Vec::<Document>::new());
    assert_eq!(server.count(PULL_REQUESTS), 1_203);
    assert_eq!(title(&server, "tide/haven", 3), "12 12");
    assert_eq!(title(&server, "tide/haven", 4), "10 10");
    let head = |number| {
        let stored = stored(&server, "tide/haven", number);
        stored.get_document("head").unwrap().get_document("repo").unwrap().get_str("full_name").unwrap().to_owned()
    };
    assert_eq!((head(1), head(2)), ("tide/haven".to_owned(), "ada/harbour".to_owned()));

    // GitHub does not tell them apart; the collection does.
    assert_eq!(mongo.rename_repository("tide/haven", "Tide/Haven").await.unwrap(), 1_203);
    assert_eq!(mongo.rename_repository("tide/haven", "Tide/Haven").await.unwrap(), 0);
    assert_eq!(mongo.rename_repository("Tide/Haven", "Tide/Haven").await.unwrap(), 0);
    assert_eq!(stored(&server, "Tide/Haven", 7).get_str("_id").ok(), Some("tide/harbour#7"));
    assert_eq!(mongo.upsert(&raw(&[version("Tide/Haven", 7, 11, 11)])).await.unwrap(), written(0, 1, 0));

    // Another repository that takes the old name.
    assert_eq!(mongo.upsert(&raw(&[version(HARBOUR, 7, 1, 1)])).await.unwrap(), written(1, 0, 0));
    assert_eq!(server.count(PULL_REQUESTS), 1_204);
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_cannot_be_there_twice() {
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    let mut twice = version(HARBOUR, 1, 10, 10);
    twice.insert("_id", 5);
    server.insert(PULL_REQUESTS, &[version(HARBOUR, 1, 9, 9), twice.clone()]);
    let refused = mongo.prepare(false).await.unwrap_err().to_string();
    assert!(refused.contains("prowl.pull_requests") && refused.contains("more than once"), "{refused}");

    server.command(doc! { "delete": PULL_REQUESTS, "deletes": [{ "q": { "_id": 5 }, "limit": 1 }] });
    mongo.prepare(false).await.unwrap();
    mongo.prepare(false).await.unwrap();
    let answer = server.command(doc! { "insert": PULL_REQUESTS, "documents": [twice] });
    let errors = answer.get_array("writeErrors").unwrap();
    assert_eq!(errors[0].as_document().unwrap().get_i32("code").ok(), Some(11_000));
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_validator_refuses_what_is_no_pull_request() {
    let server = servers::Mongo::start();
    let done = run("prowl-fetch", &["synth", "--count", "200", "--seed", "3", "--mongo", &server.uri()]);
    let _ = done.expect_success();
    server.insert(PULL_REQUESTS, &[doc! { "_id": "odd", "of": "no pull request" }]);
    let mongo = connect(&server).await;
    mongo.prepare(true).await.unwrap();
    mongo.prepare(true).await.unwrap();

    let code = |document: Document| {
        let answer = server.command(doc! { "insert": PULL_REQUESTS, "documents": [document] });
        let errors = answer.get_array("writeErrors").cloned().unwrap_or_default();
        errors.first().map(|error| error.as_document().unwrap().get_i32("code").unwrap())
    };
    let good = version(HARBOUR, 1, 1, 1);
    assert_eq!(code(good.clone()), None);
    for (field, value) in [("number", Bson::from("7")), ("base", "tide".into()), ("updated_at", 5.into())] {
        let mut bad = good.clone();
        bad.insert("_id", field);
        bad.insert("number", 2);
        bad.insert(field, value);
        assert_eq!(code(bad), Some(121), "{field}");
    }
    let mut bad = version(HARBOUR, 3, 1, 1);
    bad.insert("title", 5);
    let refused = mongo.upsert(&raw(&[bad])).await.unwrap_err().to_string();
    assert!(refused.contains("validator refuses"), "{refused}");
    mongo.close().await;
    // All that we make ourselves passes.
    let done = run("prowl-fetch", &["synth", "--count", "200", "--seed", "4", "--mongo", &server.uri()]);
    let _ = done.expect_success();
}
