//! Whatever goes wrong with an answer, all of it arrives.

use std::time::Duration;

use bson::doc;
use prowl_e2e::servers::github::{Fault, Size, World, at_random};
use prowl_e2e::servers::{Proxy, Verdict};

use crate::given::{Given, small, told};

#[test]
fn each_fault_by_itself_is_overcome() {
    let given = Given::of(small(2, 240));
    for fault in [
        Fault::PrimaryLimit(1),
        Fault::SecondaryLimit(403, 1),
        Fault::SecondaryLimit(429, 1),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Slow(Duration::from_secs(2)),
        Fault::NullNodes(3),
        Fault::Failed,
        Fault::ResourceLimits,
        Fault::Cut(0),
        Fault::Cut(1),
        Fault::Cut(5_000),
        Fault::Garbage,
    ] {
        given.mongo.command(doc! { "dropDatabase": 1 });
        given.github.forget();
        let wrong = fault.clone();
        // One of each kind of request.
        given.github.rule(move |asked| [0, 1, 3].contains(&asked.index).then(|| wrong.clone()));
        given.complete(&["--org", "acme"]);
        let came = given.github.asked().iter().filter(|asked| asked.fault.as_ref() == Some(&fault)).count();
        assert!(came >= 2, "{fault:?} came {came} times");
    }
}

#[test]
fn faults_on_a_third_of_the_answers_are_overcome() {
    let given = Given::of(World::seeded(3, &Size { repositories: 5, pull_requests: 400, ..Size::default() }));
    given.github.rule(at_random(4, 0.33));
    given.complete(&["--org", "acme"]);
    let faults = given.github.asked().iter().filter(|asked| asked.fault.is_some()).count();
    assert!(faults > 15, "{faults}");
    // Nothing of the trouble was taken for the truth.
    given.github.no_faults();
    given.complete(&["--org", "acme"]);
}

#[test]
fn connections_that_break_or_hang_are_given_up() {
    let given = Given::of(small(2, 120));
    let proxy = Proxy::start(given.github.address(), |asked| match asked.len() {
        1 | 4 => Verdict::Cut,
        2 | 6 => Verdict::LoseAnswer,
        _ => Verdict::Pass,
    });
    given.succeeded(given.start_at(&format!("http://{}", proxy.address()), &["--org", "acme"]));
    given.assert_complete();
    assert!(proxy.asked().len() > 6, "{:#?}", proxy.asked());
}

#[test]
fn what_answers_and_is_no_github_is_told() {
    let given = Given::of(small(1, 10));
    let proxy = Proxy::start(given.github.address(), |_| Verdict::Answer(404, "nobody here"));
    let arguments = ["--org", "acme", "--patience", "3s"];
    let ended = given.start_at(&format!("http://{}", proxy.address()), &arguments).wait();
    let said = told(&given.checked(ended));
    assert!(said.contains("404"), "{said}");
    assert!(proxy.asked().len() < 10, "{}", proxy.asked().len());

    let nowhere = format!("http://127.0.0.1:{}", prowl_e2e::servers::free_port());
    let said = told(&given.checked(given.start_at(&nowhere, &arguments).wait()));
    assert!(said.contains(&nowhere["http://".len()..]) && said.contains("refused"), "{said}");
}
