//! Answers a query: checks it against the schema, prices it, and executes its selection over the world.

use std::cell::{Cell, RefCell};

use apollo_compiler::resolvers::Execution;
use serde_json::{Value, json};

use super::access::Grant;
use super::fault::Fault;
use super::objects::{Object, Rate, SEPARATOR, UNMODELLED, View};
use super::points::Price;
use super::schema::{Queries, Query, SCHEMA};
use super::world::World;

/// A query that GitHub takes.
pub(super) struct Checked {
    pub(super) query: Query,
    pub(super) price: Price,
}

/// Checks a query.
///
/// # Errors
/// The answer that refuses it.
pub(super) fn check(queries: &Queries, body: &Value) -> Result<Checked, Value> {
    let query = queries.check(body).map_err(|wrong| error(None, wrong))?;
    let price = Price::of(&query).map_err(|(kind, message)| error(Some(kind), message))?;
    Ok(Checked { query, price })
}

/// The answer that is an error alone.
pub(super) fn error(kind: Option<&str>, message: impl Into<String>) -> Value {
    let mut error = json!({ "message": message.into() });
    if let Some(kind) = kind {
        error["type"] = kind.into();
    }
    json!({ "errors": [error] })
}

/// Answers it; nothing, if that takes GitHub too long. A fault that concerns the answer itself is in it.
///
/// # Errors
/// What this server does not model, so that nothing can be said of the program that asks.
pub(super) fn answer(
    checked: &Checked,
    world: &World,
    grant: &Grant,
    rate: Rate,
    fault: Option<&Fault>,
) -> Result<Option<Value>, String> {
    let nulls = match fault {
        Some(Fault::NullNodes(count)) => *count,
        _ => 0,
    };
    let view = View { world, grant, rate, nulls, errors: RefCell::default(), timed_out: Cell::new(false) };
    let root = Object::root(&view);
    let execution = Execution::new(&SCHEMA, &checked.query.document).operation(checked.query.operation());
    let executed = execution.coerced_variable_values(&checked.query.variables).execute_sync(&root);
    let executed = executed.map_err(|wrong| wrong.message().to_string())?;
    if view.timed_out.get() {
        return Ok(None);
    }
    let mut answer = serde_json::to_value(&executed).map_err(|wrong| wrong.to_string())?;

    let mut errors = view.errors.take();
    for error in answer["errors"].as_array_mut().into_iter().flatten() {
        let text = error["message"].as_str().unwrap_or_default();
        let text = text.strip_prefix("resolver error: ").unwrap_or(text).to_owned();
        // An error of another kind is one of types: what is answered does not fit the schema.
        let Some((kind, message)) = text.split_once(SEPARATOR) else { return Err(text) };
        if kind == UNMODELLED {
            return Err(message.to_owned());
        }
        errors
            .push(json!({ "type": kind, "path": error["path"], "locations": error["locations"], "message": message }));
    }
    match fault {
        Some(Fault::Failed) => {
            let message = "Something went wrong while executing your query. This may be the result of a timeout, or it could be \
                           a GitHub bug. Please include `0000:0002` when reporting this issue.";
            answer = json!({ "data": null });
            errors.push(json!({ "message": message }));
        }
        Some(Fault::ResourceLimits) => {
            let message = "Resource limits for this query exceeded.";
            let data = answer["data"].as_object_mut().into_iter().flatten();
            for (key, value) in data.filter(|(key, _)| *key != "rateLimit") {
                *value = Value::Null;
                errors.push(json!({ "type": "RESOURCE_LIMITS_EXCEEDED", "path": [key], "message": message }));
            }
        }
        _ => {}
    }
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("errors");
        if !errors.is_empty() {
            answer.insert("errors".to_owned(), errors.into());
        }
    }
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::servers::github::{Ailment, Size};

    const PAGE: &str = "query($after: String) { repository(owner: \"acme\", name: \"repo-00\") { pullRequests(first: 7, after: \
                        $after, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { number updatedAt } pageInfo { hasNextPage \
                        endCursor } } } }";

    fn ask(world: &World, query: &str, variables: &Value) -> Option<Value> {
        let body = json!({ "query": query, "variables": variables });
        let checked = check(&Queries::default(), &body).unwrap_or_else(|wrong| panic!("{wrong}"));
        let rate = Rate { cost: 1, limit: 5_000, remaining: 4_999, used: 1, reset: 0, nodes: checked.price.nodes };
        answer(&checked, world, &Grant::all("me"), rate, None).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    fn world() -> World {
        World::seeded(9, &Size { repositories: 1, pull_requests: 100, ..Size::default() })
    }

    #[test]
    fn a_walk_meets_whatever_stays_where_it_is_once() {
        let mut world = world();
        let (mut seen, mut after, mut moved) = (Vec::new(), Value::Null, BTreeSet::new());
        for page in 0.. {
            let answer = ask(&world, PAGE, &json!({ "after": after })).unwrap();
            let page_of = &answer["data"]["repository"]["pullRequests"];
            seen.extend(page_of["nodes"].as_array().unwrap().iter().map(|node| node["number"].as_u64().unwrap()));
            if page_of["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page_of["pageInfo"]["endCursor"].clone();
            // One moves to the front, and another is opened there.
            world.touch("acme/repo-00", 1 + page * 5);
            moved.insert(1 + page * 5);
            let like = world.repository("acme/repo-00").pull_request(1).clone();
            world.open("acme/repo-00", &like);
        }
        let once: BTreeSet<u64> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "some were met twice");
        assert!((1..=100).all(|number| once.contains(&number) || moved.contains(&number)));
    }

    #[test]
    fn what_is_wrong_has_the_type_that_github_gives_it() {
        let mut world = world();
        let kind = |answer: &Value| answer["errors"][0]["type"].as_str().map(str::to_owned);
        let missing = ask(&world, "{ repository(owner: \"acme\", name: \"x\") { id } }", &Value::Null).unwrap();
        assert_eq!((kind(&missing).as_deref(), &missing["data"]["repository"]), (Some("NOT_FOUND"), &Value::Null));
        let first = ask(&world, PAGE, &Value::Null).unwrap();
        let after = json!({ "after": first["data"]["repository"]["pullRequests"]["pageInfo"]["endCursor"] });
        world.forget_cursors();
        assert_eq!(kind(&ask(&world, PAGE, &after).unwrap()).as_deref(), Some("INVALID_CURSOR_ARGUMENTS"));

        let newest = first["data"]["repository"]["pullRequests"]["nodes"][2]["number"].as_u64().unwrap();
        world.spoil("acme/repo-00", newest, Ailment::Null);
        let whole = PAGE.replace("updatedAt", "title");
        let holes = ask(&world, &whole, &Value::Null).unwrap();
        assert_eq!(holes["data"]["repository"]["pullRequests"]["nodes"][2], Value::Null);
        assert_eq!(holes["errors"][0]["path"], json!(["repository", "pullRequests", "nodes", 2, "title"]));
        assert_eq!(ask(&world, PAGE, &Value::Null).unwrap().get("errors"), None);
        world.spoil("acme/repo-00", newest, Ailment::Timeout);
        assert_eq!(ask(&world, &whole, &Value::Null), None);
        assert!(ask(&world, PAGE, &Value::Null).is_some());
    }

    #[test]
    fn a_query_that_github_does_not_know_is_refused() {
        let refused = |query: &str, variables: Value| {
            let body = json!({ "query": query, "variables": variables });
            check(&Queries::default(), &body).is_err()
        };
        assert!(refused("{ repository(owner: \"a\", name: \"b\") { stars } }", Value::Null));
        assert!(refused("{ repository(owner: \"a\") { id } }", Value::Null));
        assert!(refused(
            "query($n: Int!) { repository(owner: \"a\", name: \"b\") { pullRequest(number: $n) { id } } }",
            json!({})
        ));
        assert!(refused(PAGE, json!({ "after": 7 })));
        assert!(refused(PAGE, json!({ "before": null })));
    }
}
