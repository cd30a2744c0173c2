//! What a query costs, and whether GitHub takes it, by the rules of
//! <https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>.

use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::response::JsonMap;

use super::schema::Query;

/// Most nodes that a query may ask for.
const MOST_NODES: u64 = 500_000;
/// Most of a connection that a page holds.
const MOST_OF_A_PAGE: i64 = 100;

/// What a query asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Price {
    /// Requests that its connections need, each filled to its page.
    requests: u64,
    /// Nodes that it may get.
    pub(super) nodes: u64,
    /// The largest page of pull requests.
    pub(super) page: u64,
}

impl Price {
    /// What the query costs.
    ///
    /// # Errors
    /// Why GitHub refuses it: its type and message.
    pub(super) fn of(query: &Query) -> Result<Self, (&'static str, String)> {
        let mut price = Self::default();
        price.add(query, &query.operation().selection_set, 1)?;
        if price.nodes > MOST_NODES {
            let text = format!("This query requests up to {} possible nodes, more than {MOST_NODES}.", price.nodes);
            return Err(("MAX_NODE_LIMIT_EXCEEDED", text));
        }
        Ok(price)
    }

    /// The requests by a hundred, rounded; one at least.
    pub(super) fn points(self) -> u64 {
        (self.requests as f64 / 100.0).round().max(1.0) as u64
    }

    fn add(&mut self, query: &Query, selected: &SelectionSet, times: u64) -> Result<(), (&'static str, String)> {
        for selection in &selected.selections {
            match selection {
                Selection::Field(field) => {
                    let page = page(field, &query.variables)?;
                    if let Some(page) = page {
                        self.requests += times;
                        self.nodes += times * page;
                        if field.name == "pullRequests" {
                            self.page = self.page.max(page);
                        }
                    }
                    self.add(query, &field.selection_set, times * page.unwrap_or(1))?;
                }
                Selection::InlineFragment(fragment) => self.add(query, &fragment.selection_set, times)?,
                Selection::FragmentSpread(spread) => {
                    let fragment = &query.document.fragments[&spread.fragment_name];
                    self.add(query, &fragment.selection_set, times)?;
                }
            }
        }
        Ok(())
    }
}

/// How much a connection is asked for; `None` of what is none, or is only counted.
fn page(field: &Field, variables: &JsonMap) -> Result<Option<u64>, (&'static str, String)> {
    if !field.ty().inner_named_type().ends_with("Connection") {
        return Ok(None);
    }
    let given = |name: &str| {
        let value = field.specified_argument_by_name(name)?;
        match value.as_variable() {
            Some(variable) => variables.get(variable.as_str())?.as_i64(),
            None => value.to_i32().map(i64::from),
        }
    };
    let name = &field.name;
    match given("first").or_else(|| given("last")) {
        Some(size @ 1..=MOST_OF_A_PAGE) => Ok(Some(size as u64)),
        Some(size) => Err((
            "EXCESSIVE_PAGINATION",
            format!("Requesting {size} records on the `{name}` connection exceeds the `first` limit of 100 records."),
        )),
        None if is_counted_only(field) => Ok(None),
        None => Err((
            "MISSING_PAGINATION_BOUNDARIES",
            format!("You must provide a `first` or `last` value to properly paginate the `{name}` connection."),
        )),
    }
}

fn is_counted_only(field: &Field) -> bool {
    let counts = |selection: &Selection| matches!(selection, Selection::Field(field) if field.name == "totalCount");
    field.selection_set.selections.iter().all(counts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::servers::github::schema::Queries;

    fn price(query: &str) -> Result<Price, &'static str> {
        let checked = Queries::default().check(&json!({ "query": query })).unwrap_or_else(|wrong| panic!("{wrong}"));
        Price::of(&checked).map_err(|(kind, _)| kind)
    }

    #[test]
    fn the_examples_of_githubs_documentation_cost_what_it_says() {
        let labels = "{ viewer { login repositories(first: 100) { edges { node { id issues(first: 50) { edges { node { id \
                      labels(first: 60) { edges { node { id name } } } } } } } } } } }";
        assert_eq!(price(labels).map(Price::points), Ok(51));
        let comments = "comments(first: 10) { edges { node { bodyHTML } } }";
        let repository = format!(
            "pullRequests(first: 20) {{ edges {{ node {{ title {comments} }} }} }} issues(first: 20) {{ totalCount edges {{ node \
             {{ title bodyHTML {comments} }} }} }}"
        );
        let nodes = format!(
            "{{ viewer {{ repositories(first: 50) {{ edges {{ node {{ name {repository} }} }} }} followers(first: 10) {{ edges {{ \
             node {{ login }} }} }} }} }}"
        );
        assert_eq!(price(&nodes).map(|price| price.nodes), Ok(22_060));
        assert_eq!(price("{ viewer { login } }").map(Price::points), Ok(1));
    }

    #[test]
    fn what_has_no_bounds_is_refused() {
        let of = |arguments: &str, selected: &str| {
            price(&format!("{{ viewer {{ repositories{arguments} {{ {selected} }} }} }}")).map(Price::points)
        };
        assert_eq!(of("", "totalCount"), Ok(1));
        assert_eq!(of("", "nodes { id }"), Err("MISSING_PAGINATION_BOUNDARIES"));
        assert_eq!(of("(first: 101)", "nodes { id }"), Err("EXCESSIVE_PAGINATION"));
        let issues = "nodes { issues(first: 100) { nodes { labels(first: 100) { nodes { id } } } } }";
        assert_eq!(of("(first: 100)", issues), Err("MAX_NODE_LIMIT_EXCEEDED"));
    }
}
