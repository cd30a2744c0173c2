//! What GraphQL sees of the world: objects and their fields, as far as they are modelled. The types of all that is answered are
//! checked against the schema.

use std::cell::{Cell, RefCell};

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonValue;
use serde_json::{Value, json};

use super::access::Grant;
use super::page::Page;
use super::pull_request::{Account, File, Head, Kind as AccountKind, PullRequest, rfc3339};
use super::world::{Owner, Repository, World};

/// Separates the type of an error from its message, until it becomes a field of its own.
pub(super) const SEPARATOR: char = '\u{1f}';
/// The type of an error that tells of a gap in this server, not in the query.
pub(super) const UNMODELLED: &str = "UNMODELLED";

/// What GitHub says of its own faults.
pub(super) const WENT_WRONG: &str =
    "Something went wrong while executing your query. Please include `0000:0001` when reporting this issue.";

pub(super) type Resolved<'a> = Result<ResolvedValue<'a>, FieldError>;

/// An error of a type of GitHub's.
pub(super) fn refused(kind: &str, message: impl std::fmt::Display) -> FieldError {
    FieldError { message: format!("{kind}{SEPARATOR}{message}") }
}

/// GitHub could answer this; the local one cannot.
pub(super) fn unmodelled(what: &str, info: &ResolveInfo<'_>) -> FieldError {
    refused(UNMODELLED, format!("the local GitHub does not model {} of {what}", info.field_name()))
}

pub(super) fn leaf<'a>(value: impl Into<JsonValue>) -> ResolvedValue<'a> {
    ResolvedValue::leaf(value)
}

/// The points of the account that asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) cost: u64,
    pub(super) limit: u64,
    pub(super) remaining: u64,
    pub(super) used: u64,
    pub(super) reset: i64,
    pub(super) nodes: u64,
}

/// One request's view of the world.
pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) grant: &'a Grant,
    pub(super) rate: Rate,
    /// So many of the first pull requests of each page are null, by a fault.
    pub(super) nulls: usize,
    /// Errors beside the data.
    pub(super) errors: RefCell<Vec<Value>>,
    /// Whether GitHub did not get through it in time.
    pub(super) timed_out: Cell<bool>,
}

impl View<'_> {
    /// Notes that GitHub failed at a place of the answer.
    pub(super) fn fails(&self, path: &[Value]) {
        self.errors.borrow_mut().push(json!({ "message": WENT_WRONG, "path": path }));
    }
}

/// An object, seen in a view.
pub(super) struct Object<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) kind: Kind<'a>,
}

/// What an object is.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Query,
    RateLimit,
    Owner(&'a Owner),
    Repository(&'a Repository),
    /// A fork, which is no repository of the world.
    Fork(&'a Head),
    PullRequest(&'a Repository, &'a PullRequest),
    Account(&'a Account),
    /// A person, by the login.
    Login(&'a str),
    Label(&'a str),
    Milestone(&'a str),
    Commit(&'a str),
    File(&'a File),
    ReviewRequest(&'a Account),
    /// A connection that is only counted.
    Counted(&'static str, u64),
}

impl ObjectValue for Object<'_> {
    fn type_name(&self) -> &str {
        let of_account = |kind| match kind {
            AccountKind::User => "User",
            AccountKind::Bot => "Bot",
            AccountKind::Team => "Team",
        };
        match self.kind {
            Kind::Query => "Query",
            Kind::RateLimit => "RateLimit",
            Kind::Owner(owner) if owner.organization => "Organization",
            Kind::Owner(_) | Kind::Login(_) => "User",
            Kind::Repository(_) | Kind::Fork(_) => "Repository",
            Kind::PullRequest(..) => "PullRequest",
            Kind::Account(account) => of_account(account.kind),
            Kind::Label(_) => "Label",
            Kind::Milestone(_) => "Milestone",
            Kind::Commit(_) => "Commit",
            Kind::File(_) => "PullRequestChangedFile",
            Kind::ReviewRequest(_) => "ReviewRequest",
            Kind::Counted(of, _) => of,
        }
    }

    fn resolve_field<'b>(&'b self, info: &'b ResolveInfo<'b>) -> Resolved<'b> {
        Ok(match (self.kind, info.field_name()) {
            (Kind::Query, _) => self.of_query(info)?,
            (Kind::RateLimit, _) => self.of_rate_limit(info)?,
            (Kind::Repository(repository), _) => self.of_repository(info, repository)?,
            (Kind::PullRequest(repository, pull_request), _) => self.of_pull_request(info, repository, pull_request)?,
            (Kind::Owner(owner), "login") => leaf(&*owner.login),
            (Kind::Owner(owner), "id") => leaf(format!("O_{}", owner.login)),
            (Kind::Owner(owner), "repositories") => self.repositories_of(info, owner)?,
            (Kind::Fork(head), "nameWithOwner") => leaf(&*head.full_name),
            (Kind::Fork(head), "isFork") => leaf(head.fork),
            (Kind::Account(account), "login") => leaf(&*account.login),
            (Kind::Account(account), "name" | "slug") if account.kind == AccountKind::Team => leaf(&*account.login),
            (Kind::Account(account), "id") => leaf(format!("U_{}", account.login)),
            (Kind::Login(login), "login") => leaf(login),
            (Kind::Login(login), "id") => leaf(format!("U_{login}")),
            (Kind::Label(name), "name") => leaf(name),
            (Kind::Milestone(title), "title") => leaf(title),
            (Kind::Commit(oid), "oid") => leaf(oid),
            (Kind::File(file), "path") => leaf(&*file.path),
            (Kind::File(file), "changeType") => leaf(file.change),
            (Kind::File(file), "additions") => leaf(file.additions),
            (Kind::File(file), "deletions") => leaf(file.deletions),
            (Kind::ReviewRequest(account), "requestedReviewer") => self.object(Kind::Account(account)),
            (Kind::ReviewRequest(_), "asCodeOwner") => leaf(false),
            (Kind::Counted(_, total), "totalCount") => leaf(total),
            _ => return Err(self.unmodelled(info)),
        })
    }
}

impl<'a> Object<'a> {
    /// Where a query begins.
    pub(super) fn root(view: &'a View<'a>) -> Self {
        Self { view, kind: Kind::Query }
    }

    pub(super) fn unmodelled(&self, info: &ResolveInfo<'_>) -> FieldError {
        unmodelled(self.type_name(), info)
    }

    pub(super) fn object<'b>(&self, kind: Kind<'a>) -> ResolvedValue<'b>
    where
        'a: 'b,
    {
        self.nullable(Some(kind))
    }

    pub(super) fn nullable<'b>(&self, kind: Option<Kind<'a>>) -> ResolvedValue<'b>
    where
        'a: 'b,
    {
        ResolvedValue::nullable_object(kind.map(|kind| Object { view: self.view, kind }))
    }

    fn of_query<'b>(&'b self, info: &ResolveInfo<'_>) -> Resolved<'b> {
        let given = |name: &str| info.arguments().get(name).and_then(JsonValue::as_str).unwrap_or_default();
        let view = self.view;
        Ok(match info.field_name() {
            "rateLimit" => self.object(Kind::RateLimit),
            "viewer" => self.object(Kind::Login(&view.grant.account)),
            "repositoryOwner" => self.nullable(view.world.owner(given("login")).map(Kind::Owner)),
            field @ ("organization" | "user") => {
                let wanted = field == "organization";
                let owner = view.world.owner(given("login")).filter(|owner| owner.organization == wanted);
                let what = if wanted { "an Organization" } else { "a User" };
                let unknown = || format!("Could not resolve to {what} with the login of '{}'.", given("login"));
                self.object(Kind::Owner(owner.ok_or_else(|| refused("NOT_FOUND", unknown()))?))
            }
            "repository" => {
                let name = format!("{}/{}", given("owner"), given("name"));
                let follow = info.arguments().get("followRenames").and_then(JsonValue::as_bool).unwrap_or(true);
                let found = view.world.find(&name, follow).filter(|repository| view.grant.sees(repository));
                let unknown = || format!("Could not resolve to a Repository with the name '{name}'.");
                self.object(Kind::Repository(found.ok_or_else(|| refused("NOT_FOUND", unknown()))?))
            }
            "node" => self.node(given("id"))?,
            _ => return Err(self.unmodelled(info)),
        })
    }

    /// The object of a global id.
    fn node<'b>(&'b self, id: &str) -> Resolved<'b> {
        let mut seen = self.view.world.repositories.iter().filter(|repository| self.view.grant.sees(repository));
        let number = id.split_once('_').and_then(|(_, number)| number.parse::<u64>().ok());
        let found = match id.split('_').next() {
            Some("R") => seen.find(|repository| Some(repository.id) == number).map(Kind::Repository),
            Some("PR") => seen.find_map(|repository| {
                let its = repository.pull_requests().find(|pull_request| Some(pull_request.id) == number)?;
                Some(Kind::PullRequest(repository, its))
            }),
            _ => None,
        };
        match found {
            Some(kind) => Ok(self.object(kind)),
            None => Err(refused("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"))),
        }
    }

    fn of_rate_limit<'b>(&self, info: &ResolveInfo<'_>) -> Resolved<'b> {
        let rate = self.view.rate;
        Ok(match info.field_name() {
            "cost" => leaf(rate.cost),
            "limit" => leaf(rate.limit),
            "remaining" => leaf(rate.remaining),
            "used" => leaf(rate.used),
            "nodeCount" => leaf(rate.nodes),
            "resetAt" => leaf(rfc3339(rate.reset)),
            _ => return Err(self.unmodelled(info)),
        })
    }

    fn repositories_of<'b>(&'b self, info: &ResolveInfo<'_>, owner: &Owner) -> Resolved<'b> {
        let view = self.view;
        let filters = ["affiliations", "isArchived", "isFork", "isLocked", "privacy", "visibility", "hasIssuesEnabled"];
        if filters.iter().any(|filter| info.arguments().get(*filter).is_some_and(|value| !value.is_null())) {
            return Err(self.unmodelled(info));
        }
        let its =
            view.world.repositories.iter().filter(|repository| {
                repository.owner().eq_ignore_ascii_case(&owner.login) && view.grant.sees(repository)
            });
        Page::of_list("RepositoryConnection", view, info, its.map(Kind::Repository).collect())
    }
}
