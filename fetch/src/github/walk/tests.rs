//! Walks through a repository in memory, cut off and disturbed in every way.

use std::collections::BTreeSet;

use super::*;
use crate::github::{
    fake::{BEGIN, State, World},
    progress::Progress,
};

/// Ten minutes are worth 600 pull requests here, which are updated a second apart.
const OVERLAP: Duration = Duration::from_secs(20);

async fn visit_since(world: &World, since: Option<i64>) -> Result<Outcome, Error> {
    let since = since.map(|second| Timestamp::from_second(second).unwrap());
    let manner = Manner { overlap: OVERLAP, since, patience: Duration::from_mins(30) };
    let line = Progress::hidden().line("o/r");
    let mut repository = world.repository();
    Walker { source: world, shelf: world, manner, line: &line }.visit(&mut repository).await
}

async fn visit(world: &World) -> Result<Outcome, Error> {
    visit_since(world, None).await
}

/// Pages and pull requests.
fn spent(world: &World) -> (u64, u64) {
    let state = world.lock();
    (state.pages, state.fetched)
}

/// Lets collectors die after so many steps, until one comes through.
async fn visit_by_mortals(world: &World, mut life: impl FnMut(u32) -> u64) -> u32 {
    for death in 0..1_000 {
        let life = life(death);
        world.lock().life = Some(life);
        world.lock().last_gasp = life.is_multiple_of(2);
        let ended = visit(world).await;
        world.lock().life = None;
        match ended {
            Ok(_) => return death,
            Err(Error::Cancelled) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("nobody comes through");
}

#[tokio::test(start_paused = true)]
async fn a_walk_brings_everything_and_the_next_one_what_changed() {
    let world = World::new(350, 1);
    assert_eq!(visit(&world).await.unwrap(), Outcome::Walked);
    assert!(world.is_complete());
    assert_eq!(spent(&world), (4, 350));
    assert_eq!(visit(&world).await.unwrap(), Outcome::Unchanged);
    assert_eq!(world.lock().pages, 4);

    world.lock().update(5);
    assert_eq!(visit(&world).await.unwrap(), Outcome::Walked);
    assert!(world.is_complete());
    assert_eq!(spent(&world), (5, 450));
}

#[tokio::test(start_paused = true)]
async fn a_collector_may_die_at_any_step() {
    for life in 1..24 {
        let world = World::new(420, life);
        let deaths = visit_by_mortals(&world, |death| if death == 0 { life } else { 1_000 }).await;
        assert_eq!(deaths, u32::from(life <= 16), "{life}");
        assert!(world.is_complete(), "{life}");
        // A page that was on its way, and the first one for what changed meanwhile.
        let fetched = world.lock().fetched;
        assert!(fetched <= 420 + 200, "{life}: {fetched}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_by_deaths_updates_and_faults_together() {
    for seed in 0..40 {
        let world = World::new(300, seed);
        {
            let mut state = world.lock();
            (state.busy, state.faulty) = (0.5, 0.2);
        }
        let mut dice = seed;
        visit_by_mortals(&world, |_| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            3 + (dice >> 33) % 12
        })
        .await;
        {
            let mut state = world.lock();
            (state.busy, state.faulty) = (0.0, 0.0);
            state.clock += 10;
        }
        visit(&world).await.unwrap();
        assert!(world.is_complete(), "{seed}");
        assert!(world.repository().missed.is_empty(), "{seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_had_is_remembered_and_asked_for_again() {
    let world = World::new(250, 1);
    // One at the top, where no position comes before it.
    world.lock().null = BTreeSet::from([250, 240, 120]);
    world.lock().heavy = BTreeSet::from([60]);
    assert_eq!(visit(&world).await.unwrap(), Outcome::Walked);
    let repository = world.repository();
    let missed: Vec<_> = repository.missed.iter().map(|missed| missed.number).collect();
    assert_eq!(missed, [Some(240), Some(120), Some(60)]);
    assert_eq!(world.lock().stored.get(&60), Some(&(BEGIN + 60, None)));
    assert_eq!(world.lock().stored.len(), 247);
    assert_eq!((repository.etag, repository.watermark.unwrap().as_second()), (None, BEGIN + 249));

    // Still so, and one of them was updated.
    world.lock().clock += 100;
    let clock = world.lock().clock;
    world.lock().pulls.insert(120, clock);
    world.lock().null.remove(&120);
    visit(&world).await.unwrap();
    let numbers = |world: &World| world.repository().missed.iter().map(|missed| missed.number).collect::<Vec<_>>();
    // The one that was at the top is no longer.
    assert_eq!(numbers(&world), [Some(240), Some(60), Some(250)]);

    world.lock().null.clear();
    world.lock().heavy.clear();
    visit(&world).await.unwrap();
    assert!(world.is_complete() && world.repository().missed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_lost_its_lease_goes_no_further() {
    let world = World::new(350, 1);
    world.lock().taken = true;
    assert_eq!(visit(&world).await.unwrap(), Outcome::Lost);
    let state = world.lock();
    // One page more was on its way.
    assert!(state.pages <= 2 && state.repository.is_none(), "{} pages", state.pages);
}

#[tokio::test(start_paused = true)]
async fn three_thousand_files_come_or_none() {
    let world = World::new(150, 1);
    world.lock().files = [(149, 3_000), (90, 101), (20, 100), (5, 2_500)].into();
    world.lock().cut = BTreeSet::from([5]);
    visit(&world).await.unwrap();
    // A part would pass for all of them.
    assert_eq!(world.lock().stored[&5], (BEGIN + 5, None));
    assert_eq!(world.repository().missed.len(), 1);
    world.lock().cut.clear();
    visit(&world).await.unwrap();
    assert!(world.is_complete() && world.repository().missed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn large_pages_that_fail_become_small_ones() {
    let world = World::new(250, 1);
    world.lock().largest = 7;
    visit(&world).await.unwrap();
    assert!(world.is_complete() && world.repository().missed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_and_makes_no_gap() {
    let world = World::new(250, 1);
    world.lock().down_until = Some(tokio::time::Instant::now() + Duration::from_mins(20));
    visit(&world).await.unwrap();
    assert!(world.is_complete() && world.repository().missed.is_empty());
    let (pages, _) = spent(&world);
    assert!(pages < 400, "{pages}");

    world.lock().update(3);
    world.lock().down_until = Some(tokio::time::Instant::now() + Duration::from_hours(2));
    let error = visit(&world).await.unwrap_err();
    assert!(matches!(error, Error::GitHub(Trouble::Patience { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_none_any_more_begins_the_walk_anew() {
    let world = World::new(350, 1);
    world.lock().forgetful = true;
    assert_eq!(visit(&world).await.unwrap(), Outcome::Walked);
    assert!(world.is_complete());

    // One of something that was missed: all is walked again.
    world.lock().null.insert(200);
    world.lock().repository = None;
    visit(&world).await.unwrap();
    assert_eq!(world.repository().missed.len(), 1);
    world.lock().null.clear();
    world.lock().forgetful = true;
    visit(&world).await.unwrap();
    assert!(world.is_complete() && world.repository().missed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn since_bounds_the_first_walk_and_later_ones_leave_no_hole() {
    let world = World::new(350, 1);
    visit_since(&world, Some(BEGIN + 300)).await.unwrap();
    assert_eq!(world.lock().stored.len(), 100);
    assert_eq!(world.repository().floor.unwrap().as_second(), BEGIN + 300);
    // Later than the watermark: it must not cut off what is between.
    world.lock().update(150);
    visit_since(&world, Some(BEGIN + 9_000_000)).await.unwrap();
    let missing = |state: &State| {
        let newer = state.pulls.iter().filter(|(_, updated)| **updated > BEGIN + 350);
        newer.filter(|(number, updated)| state.stored.get(number).is_none_or(|stored| stored.0 != **updated)).count()
    };
    assert_eq!(missing(&world.lock()), 0);
    // Without it, the rest comes.
    visit(&world).await.unwrap();
    assert!(world.is_complete());
    assert_eq!(world.repository().floor, None);
}

#[tokio::test(start_paused = true)]
async fn a_repository_without_pull_requests_is_walked_once() {
    let world = World::new(0, 1);
    assert_eq!(visit(&world).await.unwrap(), Outcome::Walked);
    assert_eq!(world.repository().watermark, Some(BOTTOM));
}

#[tokio::test(start_paused = true)]
async fn another_name_or_another_repository_is_told_before_anything_is_stored() {
    let world = World::new(50, 1);
    world.lock().full_name = "o/new".into();
    assert_eq!(visit(&world).await.unwrap(), Outcome::Renamed { to: "o/new".into() });
    world.lock().full_name = "o/r".into();
    world.lock().node_id = "other".into();
    assert_eq!(visit(&world).await.unwrap(), Outcome::Replaced);
    assert!(world.lock().stored.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_has_just_changed_is_looked_at_again() {
    let world = World::new(50, 1);
    let clock = world.lock().clock;
    world.lock().pulls.insert(50, clock - 10);
    visit(&world).await.unwrap();
    assert_eq!(world.repository().etag, None);
    // Another one in the same second, at which the list begins as it did.
    world.lock().pulls.insert(49, clock - 10);
    visit(&world).await.unwrap();
    assert!(world.is_complete());
}
