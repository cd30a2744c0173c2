//! Pages of connections, and the cursors that lead from one to the next.

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::objects::{Kind, Object, Resolved, View, leaf, refused, unmodelled};
use super::world::{Repository, World};

/// A part of a connection.
pub(super) struct Page<'a> {
    view: &'a View<'a>,
    /// The type of the connection, such as `LabelConnection`.
    of: &'static str,
    /// How many the whole connection has.
    total: usize,
    /// Those of the page with their cursors; `None` of what GitHub fails at.
    nodes: Vec<(String, Option<Kind<'a>>)>,
    has_next: bool,
    has_previous: bool,
}

/// What is asked of a connection.
struct Bounds {
    first: usize,
    after: Option<Vec<i64>>,
}

impl<'a> Page<'a> {
    /// A page of a list that has a fixed order.
    pub(super) fn of_list<'b>(
        of: &'static str,
        view: &'a View<'a>,
        info: &ResolveInfo<'_>,
        all: Vec<Kind<'a>>,
    ) -> Resolved<'b>
    where
        'a: 'b,
    {
        let Bounds { first, after } = bounds(view.world, info)?;
        let begin = match after.as_deref() {
            None => 0,
            Some(&[index]) if index >= 0 => index as usize + 1,
            Some(_) => return Err(invalid(info)),
        };
        let (total, has_next, has_previous) = (all.len(), begin + first < all.len(), begin > 0);
        let page = all.into_iter().enumerate().skip(begin).take(first);
        let nodes = page.map(|(index, kind)| (cursor(view.world, &[index as i64]), Some(kind))).collect();
        Ok(ResolvedValue::object(Self { view, of, total, nodes, has_next, has_previous }))
    }

    /// A page of the pull requests of a repository, newest updated first. A cursor names a place in that order, not a number
    /// of steps, so that it stays right when pull requests move.
    pub(super) fn of_pull_requests<'b>(
        view: &'a View<'a>,
        info: &ResolveInfo<'_>,
        repository: &'a Repository,
    ) -> Resolved<'b>
    where
        'a: 'b,
    {
        let Bounds { first, after } = bounds(view.world, info)?;
        let end = match after.as_deref() {
            None => (i64::MAX, u64::MAX, u64::MAX),
            Some(&[updated_at, id]) => (updated_at, id as u64, 0),
            Some(_) => return Err(invalid(info)),
        };
        let mut rest = repository.order.range(..end).rev();
        let mut nodes = Vec::new();
        for (index, (updated_at, id, number)) in rest.by_ref().take(first).enumerate() {
            let fails = index < view.nulls;
            if fails {
                let key = info.field_selections()[0].response_key();
                view.fails(&["repository".into(), key.as_str().into(), "nodes".into(), index.into()]);
            }
            let kind = Kind::PullRequest(repository, repository.pull_request(*number));
            nodes.push((cursor(view.world, &[*updated_at, *id as i64]), (!fails).then_some(kind)));
        }
        let (total, has_next, has_previous) = (repository.order.len(), rest.next().is_some(), after.is_some());
        let of = "PullRequestConnection";
        Ok(ResolvedValue::object(Self { view, of, total, nodes, has_next, has_previous }))
    }
}

impl ObjectValue for Page<'_> {
    fn type_name(&self) -> &str {
        self.of
    }

    fn resolve_field<'b>(&'b self, info: &'b ResolveInfo<'b>) -> Resolved<'b> {
        let object = |kind: &Option<Kind<'b>>| match kind {
            Some(kind) => ResolvedValue::object(Object { view: self.view, kind: *kind }),
            None => ResolvedValue::null(),
        };
        Ok(match info.field_name() {
            "totalCount" => leaf(self.total as u64),
            "nodes" => ResolvedValue::list(self.nodes.iter().map(move |(_, kind)| object(kind))),
            "pageInfo" => ResolvedValue::object(PageInfo {
                begin: self.nodes.first().map(|(cursor, _)| cursor),
                end: self.nodes.last().map(|(cursor, _)| cursor),
                has_next: self.has_next,
                has_previous: self.has_previous,
            }),
            "edges" => ResolvedValue::list(self.nodes.iter().map(move |(cursor, kind)| {
                let of = self.of.replace("Connection", "Edge");
                ResolvedValue::object(Edge { of, cursor, view: self.view, kind: *kind })
            })),
            _ => return Err(unmodelled(self.of, info)),
        })
    }
}

struct Edge<'a> {
    of: String,
    cursor: &'a str,
    view: &'a View<'a>,
    kind: Option<Kind<'a>>,
}

impl ObjectValue for Edge<'_> {
    fn type_name(&self) -> &str {
        &self.of
    }

    fn resolve_field<'b>(&'b self, info: &'b ResolveInfo<'b>) -> Resolved<'b> {
        Ok(match info.field_name() {
            "cursor" => leaf(self.cursor),
            "node" => ResolvedValue::nullable_object(self.kind.map(|kind| Object { view: self.view, kind })),
            _ => return Err(unmodelled(&self.of, info)),
        })
    }
}

struct PageInfo<'a> {
    begin: Option<&'a String>,
    end: Option<&'a String>,
    has_next: bool,
    has_previous: bool,
}

impl ObjectValue for PageInfo<'_> {
    fn type_name(&self) -> &'static str {
        "PageInfo"
    }

    fn resolve_field<'b>(&'b self, info: &'b ResolveInfo<'b>) -> Resolved<'b> {
        Ok(match info.field_name() {
            "startCursor" => leaf(self.begin.cloned()),
            "endCursor" => leaf(self.end.cloned()),
            "hasNextPage" => leaf(self.has_next),
            "hasPreviousPage" => leaf(self.has_previous),
            _ => return Err(unmodelled("PageInfo", info)),
        })
    }
}

fn bounds(world: &World, info: &ResolveInfo<'_>) -> Result<Bounds, FieldError> {
    let arguments = info.arguments();
    let given = |name: &str| arguments.get(name).filter(|value| !value.is_null());
    if ["last", "before"].into_iter().any(|name| given(name).is_some()) {
        return Err(unmodelled("a page from the end", info));
    }
    let first = given("first").and_then(JsonValue::as_i64).unwrap_or_default() as usize;
    let after = match given("after").and_then(JsonValue::as_str) {
        None => None,
        Some(text) => Some(place(world, text).ok_or_else(|| invalid(info))?),
    };
    Ok(Bounds { first, after })
}

/// The cursor of a place.
fn cursor(world: &World, place: &[i64]) -> String {
    let place = place.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
    BASE64_STANDARD.encode(format!("cursor:v2:{}:{place}", world.salt))
}

/// The place that a cursor names.
pub(super) fn place(world: &World, text: &str) -> Option<Vec<i64>> {
    let text = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
    let place = text.strip_prefix(&format!("cursor:v2:{}:", world.salt))?;
    place.split(':').map(|number| number.parse().ok()).collect()
}

fn invalid(info: &ResolveInfo<'_>) -> FieldError {
    let given = info.arguments().get("after").and_then(JsonValue::as_str).unwrap_or_default();
    refused("INVALID_CURSOR_ARGUMENTS", format!("`{given}` does not appear to be a valid cursor."))
}
