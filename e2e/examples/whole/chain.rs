//! The order of it: a first model is learnt and served, a second one from more pull requests takes its place, and what a reviewer says
//! of its answers is learnt by a third.

use std::path::Path;

use prowl_e2e::Cluster;

use crate::page::Page;
use crate::parts::Parts;
use crate::{checks, learning, reviewing, serving};

/// Plays all of it. What is started later ends first.
pub(crate) fn play(page: &mut Page, folder: &Path) {
    let mut parts = page.step("servers", Parts::start);
    page.step("secrets", |step| checks::refusals(step, &parts));
    let cluster = page.step("cluster", |step| {
        step.wrote("a scheduler and two executors");
        Cluster::start_with(2, parts.environment("cluster").to_vec())
    });
    let old = learning::first(page, &parts, &cluster);
    let blue = page.step("blue", |step| serving::serve(step, &parts, &old));

    parts.go_on();
    let new = learning::again(page, &parts, &cluster);
    let green = page.step("green", |step| serving::serve(step, &parts, &new));
    page.step("gate", |step| serving::gate(step, &parts, [&blue, &green], &new, folder));
    page.step("rehearsal", |step| serving::rehearse(step, &parts, [&old, &new], folder));
    page.step("switch", |step| step.same("blue ended with 0 at SIGTERM", blue.stop(), 0));

    let said = page.step("review", |step| reviewing::review(step, &parts, &green));
    page.step("model of the review", |step| reviewing::learn(step, &parts, &new, said));

    page.step("end", |step| {
        step.same("green ended with 0 at SIGTERM", green.stop(), 0);
        let codes = cluster.stop();
        let ended_well = codes.iter().all(|code| *code == 0);
        step.check("executors and scheduler ended with 0 at SIGTERM", ended_well, format!("{codes:?}"));
        checks::nothing_left(step, &parts);
        checks::silence(step, &parts, folder);
    });
}
