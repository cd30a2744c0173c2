//! What a run would cost, by a look at each repository: nothing is written, neither data nor state.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use prowl_platform::{Secrets, shutdown};
use tokio::time::Instant;

use super::{
    Config,
    api::{Changed, GitHub, Unanswered},
    doors::{Outlined, Place, Source as _},
    report::{Estimate, Problem},
    targets::{Job, Target, once},
    trouble::Trouble,
    walk::{BOTTOM, Manner},
};
use crate::{
    Error,
    mongo::{Mongo, Repository},
};

/// Pull requests of a page.
const PAGE: u64 = 100;

/// What one repository would take.
struct Look {
    name: String,
    /// Pull requests to fetch; nothing where a single request tells that there are none.
    pull_requests: Option<u64>,
}

/// Says what a run would cost: a request or two for each repository tell it, and one page what a page costs.
///
/// # Errors
/// As of [`super::collect`]; and a signal.
pub(crate) async fn estimate(config: Config, mongo: &Mongo, secrets: Secrets) -> Result<Estimate, Error> {
    let stop = shutdown::signal();
    tokio::select! {
        estimate = look_at_all(config, mongo, secrets) => estimate,
        signal = stop => Err(Error::StoppedEstimating(signal)),
    }
}

async fn look_at_all(config: Config, mongo: &Mongo, secrets: Secrets) -> Result<Estimate, Error> {
    let Config { api, targets, concurrency, overlap, patience, since, .. } = config;
    let manner = Manner { overlap, since, patience };
    let github = GitHub::new(api, secrets, concurrency, patience, mongo.clone(), false);
    let states = mongo.repositories(&github.id("")).await?;
    let states: HashMap<String, Repository> = states.into_iter().map(|state| (state.id.clone(), state)).collect();
    let mut estimate = Estimate::default();
    let jobs = jobs(&github, targets, &mut estimate).await?;
    estimate.repositories = jobs.len() as u64;

    let begun = Instant::now();
    let mut looks = stream::iter(jobs)
        .map(|job| {
            let (github, states) = (&github, &states);
            async move {
                let look = look(github, &job.name, states.get(&github.id(&job.name)), manner).await;
                Ok::<_, Error>((job, look))
            }
        })
        .buffer_unordered(concurrency);
    let mut points: HashMap<String, u64> = HashMap::new();
    let mut largest: Option<(u64, String)> = None;
    while let Some((job, look)) = looks.try_next().await? {
        match look {
            Ok(Some(Look { name, pull_requests: Some(count) })) => {
                let pages = count.div_ceil(PAGE).max(1);
                estimate.pull_requests += count;
                // A page of REST tells whether there is anything at all.
                estimate.requests += pages + 1;
                let owner = name.split('/').next().unwrap_or_default().to_owned();
                *points.entry(owner).or_default() += pages;
                if count > largest.as_ref().map_or(0, |(most, _)| *most) {
                    largest = Some((count, name));
                }
            }
            Ok(Some(_)) => {
                estimate.unchanged += 1;
                estimate.requests += 1;
            }
            Ok(None) => {
                let missing = Trouble::NoRepository { name: job.name.clone(), host: github.host().to_owned() };
                problem(&mut estimate, &job.name, missing.into())?;
            }
            Err(error) => problem(&mut estimate, &job.name, error)?,
        }
    }
    drop(looks);
    let looked = github.spent().requests();
    let latency = begun.elapsed().as_secs_f64() / looked.max(1) as f64;

    let cost = match largest {
        Some((_, name)) => cost_of_page(&github, &name).await?.unwrap_or(1),
        None => 1,
    };
    // Requests of several tokens wait side by side.
    let mut by_account: HashMap<String, (String, u64)> = HashMap::new();
    for (owner, pages) in points {
        let points = pages * cost;
        estimate.points += points;
        by_account.entry(github.accounts().of(&owner)).or_insert((owner, 0)).1 += points;
    }
    let mut waiting = Duration::ZERO;
    for (owner, points) in by_account.into_values() {
        waiting = waiting.max(github.accounts().budget(&owner).await?.time_for(points));
    }
    estimate.seconds = (estimate.requests as f64 * latency).max(waiting.as_secs_f64());
    estimate.points_left = github.accounts().points_left();
    Ok(estimate)
}

/// All repositories of the targets, each once.
async fn jobs(github: &GitHub, targets: Vec<Target>, estimate: &mut Estimate) -> Result<Vec<Job>, Error> {
    let mut jobs: HashMap<String, Job> = HashMap::new();
    for target in once(targets) {
        match target {
            Target::Repository(name) => {
                jobs.insert(name.to_lowercase(), Job { name, node_id: None, named: true });
            }
            Target::Owner(login) => {
                let (mut patience, mut after) = (github.patience(), None);
                loop {
                    match github.owned(&login, after, &mut patience).await {
                        Ok(owned) => {
                            jobs.extend(owned.jobs.into_iter().map(|job| (job.name.to_lowercase(), job)));
                            after = owned.next;
                        }
                        Err(error) => {
                            problem(estimate, &login, error)?;
                            after = None;
                        }
                    }
                    if after.is_none() {
                        break;
                    }
                }
            }
        }
    }
    Ok(jobs.into_values().collect())
}

/// What a repository would take; nothing where there is none.
async fn look(github: &GitHub, name: &str, state: Option<&Repository>, manner: Manner) -> Result<Option<Look>, Error> {
    let look = |pull_requests| Some(Look { name: name.to_owned(), pull_requests });
    if let Some(etag) = state.filter(|state| manner.is_covered(state)).and_then(|state| state.etag.as_deref())
        && github.changed(name, Some(etag)).await? == Changed::No
    {
        return Ok(look(None));
    }
    let newest = github.newest(name, PAGE as u32).await?;
    Ok(newest.and_then(|outlined| look(Some(count(&outlined, state, manner)))))
}

/// How many pull requests a walk would fetch, as far as the newest hundred tell.
fn count(outlined: &Outlined, state: Option<&Repository>, manner: Manner) -> u64 {
    let Some(state) = state else {
        return count_down_to(outlined, manner.since.unwrap_or(BOTTOM));
    };
    match &state.walk {
        // What is above where it began is not counted.
        Some(walk) if walk.floor <= BOTTOM => outlined.total.saturating_sub(state.stored),
        Some(walk) => count_down_to(outlined, walk.floor),
        None => count_down_to(outlined, manner.floor(state)),
    }
}

fn count_down_to(outlined: &Outlined, floor: jiff::Timestamp) -> u64 {
    if floor <= BOTTOM {
        return outlined.total;
    }
    let updates: Vec<_> = outlined.pulls.iter().flatten().map(|(_, updated_at)| *updated_at).collect();
    let newer = updates.iter().filter(|updated_at| **updated_at >= floor).count() as u64;
    match updates.iter().max().zip(updates.iter().min()) {
        // There are more than those of the page: as many as there would be if they went on as they came.
        Some((newest, oldest)) if newer == updates.len() as u64 && outlined.next.is_some() => {
            let seconds = |from: &jiff::Timestamp| newest.duration_since(*from).as_secs_f64().max(1.0);
            let share = seconds(&floor) / seconds(oldest);
            ((newer as f64 * share) as u64).clamp(newer, outlined.total.max(newer))
        }
        _ => newer,
    }
}

/// What a whole page of a repository costs.
async fn cost_of_page(github: &GitHub, name: &str) -> Result<Option<u64>, Error> {
    let place = Place { after: None, first: PAGE as u32, files: true };
    match github.page(name, place, &mut github.patience()).await {
        Ok(page) => Ok(Some(page.cost)),
        Err(Unanswered::Failed(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn problem(estimate: &mut Estimate, about: &str, error: Error) -> Result<(), Error> {
    match &error {
        Error::GitHub(trouble) if !trouble.is_of_all() => {}
        _ => return Err(error),
    }
    estimate.problems.push(Problem { about: about.to_owned(), error: error.to_string() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::mongo::Walk;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 3_600 * hour).unwrap()
    }

    fn manner(since: Option<Timestamp>) -> Manner {
        Manner { overlap: Duration::from_mins(10), since, patience: Duration::from_mins(30) }
    }

    /// A page of pull requests updated an hour apart, of which there are more.
    fn outlined(total: u64) -> Outlined {
        Outlined {
            node_id: "R".into(),
            full_name: "o/r".into(),
            total,
            pulls: (0..100).map(|hour| Some((hour, at(-(hour as i64))))).collect(),
            next: Some("c".into()),
        }
    }

    #[test]
    fn a_first_walk_takes_all_there_is() {
        assert_eq!(count(&outlined(2_500), None, manner(None)), 2_500);
        assert_eq!(count(&outlined(2_500), None, manner(Some(at(-9)))), 10);
    }

    #[test]
    fn a_later_walk_takes_what_changed() {
        let mut state = Repository::new("github:h:o/r".into());
        state.watermark = Some(at(-4));
        assert_eq!(count(&outlined(2_500), Some(&state), manner(None)), 5);
        // Ten times as far back as the page goes.
        state.watermark = Some(at(-990));
        let changed = count(&outlined(2_500), Some(&state), manner(None));
        assert!((990..1_010).contains(&changed), "{changed}");
        assert_eq!(count(&outlined(120), Some(&state), manner(None)), 120);
    }

    #[test]
    fn a_walk_that_was_cut_off_takes_the_rest() {
        let mut state = Repository::new("github:h:o/r".into());
        state.stored = 2_000;
        state.walk = Some(Walk { top: at(0), floor: BOTTOM, cursor: "c".into(), reached: at(-50) });
        assert_eq!(count(&outlined(2_500), Some(&state), manner(None)), 500);
    }
}
