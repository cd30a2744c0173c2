//! The state beside the collection: settings, leases, pauses, the time.

use std::collections::BTreeSet;
use std::time::Duration;

use bson::doc;
use prowl_e2e::servers;
use prowl_fetch::mongo::{Config, Missed, Mongo, Repository, Settings, Status, Walk};

use super::given::{HARBOUR, config, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_filled_with_the_same_privacy_ever_after() {
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    let settings = |privacy: &str| Settings { privacy: privacy.to_owned() };
    mongo.settings(&settings("bodies kept")).await.unwrap();
    mongo.settings(&settings("bodies kept")).await.unwrap();
    let refused = mongo.settings(&settings("bodies dropped")).await.unwrap_err().to_string();
    assert!(refused.contains("filled with bodies kept") && refused.contains("has bodies dropped"), "{refused}");
    let other = Config { collection: Some("bare".to_owned()), ..config(server.uri()) };
    let other = Mongo::connect(&other).await.unwrap();
    other.settings(&settings("bodies dropped")).await.unwrap();
    other.close().await;
    // What was stored before anybody wrote settings down has nothing hidden.
    let full = Config { collection: Some("full".to_owned()), ..config(server.uri()) };
    server.insert("full", &[doc! { "number": 1 }]);
    let full = Mongo::connect(&full).await.unwrap();
    let refused = full.settings(&settings("bodies dropped")).await.unwrap_err().to_string();
    assert!(refused.contains("filled with bodies kept, logins kept"), "{refused}");
    full.settings(&settings("bodies kept, logins kept")).await.unwrap();
    full.close().await;
    // Unless it shows that it has, and nobody knows what.
    let lost = Config { collection: Some("lost".to_owned()), ..config(server.uri()) };
    server.insert("lost", &[doc! { "number": 1, "user": { "login": "~0123456789abcdef" } }]);
    let lost = Mongo::connect(&lost).await.unwrap();
    let refused = lost.settings(&settings("bodies kept, logins kept")).await.unwrap_err().to_string();
    assert!(refused.contains("holds logins that are hidden") && refused.contains("docs/operations.md"), "{refused}");
    lost.close().await;
    let state = Config { collection: Some("fetch_state".to_owned()), ..config(server.uri()) };
    assert!(Mongo::connect(&state).await.unwrap_err().to_string().contains("own state"));
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_until_it_expires() {
    const ID: &str = "github:github.com:tide/harbour";
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    let long = Duration::from_mins(10);
    let short = Duration::from_millis(300);

    let mut state = mongo.lease(ID, "a", long).await.unwrap().unwrap();
    assert_eq!(state, Repository::new(ID.to_owned()));
    assert_eq!(mongo.lease(ID, "b", long).await.unwrap(), None);
    assert!(mongo.lease(ID, "a", long).await.unwrap().is_some(), "its own");
    let now = mongo.now();
    state.full_name = HARBOUR.to_owned();
    state.status = Status::Archived;
    state.walk = Some(Walk { top: now, floor: now, cursor: "c".to_owned(), reached: now });
    state.missed = vec![Missed { cursor: Some("m".to_owned()), number: None, since: now }];
    state.stored = 5;
    assert!(mongo.save(&state, "a").await.unwrap());
    assert!(!mongo.save(&Repository { stored: 9, ..state.clone() }, "b").await.unwrap());
    assert!(!mongo.renew(ID, "b", long).await.unwrap());
    mongo.release(ID, "b").await.unwrap();
    assert_eq!(mongo.lease(ID, "b", long).await.unwrap(), None, "another's is not released");

    // The first one sleeps longer than its lease lasts.
    assert!(mongo.renew(ID, "a", short).await.unwrap());
    assert_eq!(mongo.lease(ID, "b", long).await.unwrap(), None);
    tokio::time::sleep(short + Duration::from_millis(100)).await;
    let taken = mongo.lease(ID, "b", long).await.unwrap().unwrap();
    assert_eq!((taken.stored, &taken.missed[0].cursor, taken.status), (5, &state.missed[0].cursor, Status::Archived));
    assert_eq!(taken.walk.unwrap().top.as_millisecond(), now.as_millisecond());
    assert!(!mongo.save(&Repository { stored: 9, ..state.clone() }, "a").await.unwrap());
    assert!(!mongo.renew(ID, "a", long).await.unwrap());
    assert!(!mongo.forget(ID, "a").await.unwrap());
    assert!(mongo.save(&Repository { stored: 7, ..state.clone() }, "b").await.unwrap());

    mongo.release(ID, "b").await.unwrap();
    let next = mongo.lease(ID, "c", long).await.unwrap().unwrap();
    assert_eq!(next.stored, 7);
    assert!(mongo.forget(ID, "c").await.unwrap());
    assert_eq!(mongo.repositories("github:").await.unwrap(), []);
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_a_lease_one_gets_it() {
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    for round in 0..5 {
        let id = format!("github:github.com:tide/harbour{round}");
        let holders = (0..8).map(|holder| {
            let (mongo, id) = (mongo.clone(), id.clone());
            tokio::spawn(async move { mongo.lease(&id, &format!("h{holder}"), Duration::from_mins(1)).await.unwrap() })
        });
        let mut got = 0;
        for holder in holders.collect::<Vec<_>>() {
            got += usize::from(holder.await.unwrap().is_some());
        }
        assert_eq!(got, 1);
    }
    let other = mongo.lease("github:ghe.example.com:tide/harbour", "x", Duration::from_mins(1)).await.unwrap();
    assert!(other.is_some());
    let listed = mongo.repositories("github:github.com:").await.unwrap();
    let ids: BTreeSet<&str> = listed.iter().map(|state| state.id.as_str()).collect();
    assert_eq!((listed.len(), ids.first()), (5, Some(&"github:github.com:tide/harbour0")));
    assert_eq!(mongo.repositories("").await.unwrap().len(), 6);
    mongo.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_kept_until_it_is_over() {
    let server = servers::Mongo::start();
    let mongo = connect(&server).await;
    let in_seconds = |seconds: i64| mongo.now() + Duration::from_secs(seconds as u64);
    assert_eq!(mongo.pause("token-1").await.unwrap(), None);
    let later = in_seconds(600);
    mongo.set_pause("token-1", later).await.unwrap();
    mongo.set_pause("token-1", in_seconds(60)).await.unwrap();
    let kept = mongo.pause("token-1").await.unwrap().unwrap();
    assert_eq!(kept.as_millisecond(), later.as_millisecond());
    assert_eq!(mongo.pause("token-2").await.unwrap(), None);
    mongo.set_pause("token-2", mongo.now()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(mongo.pause("token-2").await.unwrap(), None, "it is over");
    mongo.close().await;
}

#[test]
fn the_time_is_that_of_the_server() {
    let server = servers::Mongo::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mongo = connect(&server).await;
        let theirs = server.command(doc! { "hello": 1 }).get_datetime("localTime").unwrap().timestamp_millis();
        let ours = mongo.now().as_millisecond();
        assert!((ours - theirs).abs() < 2_000, "{ours} {theirs}");
        assert!(!format!("{mongo:?}").contains("planted"));
        mongo.close().await;
    });
}
