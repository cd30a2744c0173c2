//! The part of REST that a collector asks: the newest pull requests of a repository, with an `ETag`.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::access::Grant;
use super::world::World;

/// An answer of REST.
pub(super) enum Rest {
    /// The list, and its tag.
    List { body: Value, etag: String },
    /// The repository is elsewhere.
    Moved(Value),
    /// A status and a message.
    Refused(u16, &'static str),
}

/// Answers `GET /repos/OWNER/NAME/pulls` with a query.
pub(super) fn pulls(world: &World, grant: &Grant, full_name: &str, query: &str) -> Rest {
    let given = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
    };
    let wanted = [("state", "all"), ("sort", "updated"), ("direction", "desc")];
    let Some(size) = given("per_page").and_then(|size| size.parse().ok()).filter(|size| (1..=100).contains(size))
    else {
        return Rest::Refused(422, "the local GitHub wants per_page from 1 to 100");
    };
    if wanted.iter().any(|(name, value)| given(name) != Some(value)) {
        return Rest::Refused(
            422,
            "the local GitHub models no other order than the newest updated first of all states",
        );
    }
    let Some(repository) = world.find(full_name, true).filter(|repository| grant.sees(repository)) else {
        return Rest::Refused(404, "Not Found");
    };
    if !repository.full_name.eq_ignore_ascii_case(full_name) {
        let to = format!("/repositories/{}/pulls?{query}", repository.id);
        return Rest::Moved(json!({ "message": "Moved Permanently", "url": to }));
    }
    if !grant.pull_requests {
        return Rest::Refused(403, grant.not_accessible());
    }
    let newest = repository.order.iter().rev().take(size);
    let list: Vec<Value> =
        newest.map(|(_, _, number)| repository.pull_request(*number).rest(&repository.full_name)).collect();
    let body = Value::from(list);
    let mut hasher = DefaultHasher::new();
    // Whoever has another token sees another tag, as at GitHub.
    (body.to_string(), &grant.account).hash(&mut hasher);
    Rest::List { body, etag: format!("W/\"{:016x}\"", hasher.finish()) }
}
