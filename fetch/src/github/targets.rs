//! What to collect: repositories by name, and all that an organisation or a user owns.

use std::{collections::HashSet, time::Duration};

use super::{
    api::{GitHub, Unanswered},
    doors::{self, Outlined, Place, Source},
    patience::Patience,
    queries::{OwnedRepositories, RepositoryById, owned_repositories, repository_by_id},
    trouble::Trouble,
};
use crate::Error;

/// Something to collect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A repository, `owner/name`.
    Repository(String),
    /// All repositories of an organisation or a user.
    Owner(String),
}

/// A repository to visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// `owner/name`
    pub(super) name: String,
    /// Its id, where a list told it.
    pub(super) node_id: Option<String>,
    /// Whether the user named it: then it has to be there.
    pub(super) named: bool,
}

/// A page of an owner's repositories.
pub(super) struct Owned {
    pub(super) jobs: Vec<Job>,
    pub(super) next: Option<String>,
}

/// A repository as GitHub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) node_id: String,
    pub(super) full_name: String,
}

impl GitHub {
    /// A page of the repositories of an owner.
    pub(super) async fn owned(
        &self,
        login: &str,
        after: Option<String>,
        patience: &mut Patience,
    ) -> Result<Owned, Error> {
        let no_owner = || Trouble::NoOwner { login: login.to_owned(), host: self.host().to_owned() };
        let variables = owned_repositories::Variables { login: login.to_owned(), after };
        let answered = self.ask_whole::<OwnedRepositories>(login, variables, patience).await;
        let answered = answered.map_err(|unanswered| match unanswered {
            Unanswered::Failed(error) => error,
            Unanswered::Gone => no_owner().into(),
            Unanswered::TooMuch(says) | Unanswered::BadCursor(says) => self.gives_up(says, patience),
        })?;
        for flaw in &answered.flaws {
            tracing::warn!(owner = login, says = flaw.says, "GitHub does not name a repository");
        }
        let list = answered.data.repository_owner.ok_or_else(no_owner)?.repositories;
        let repositories = list.nodes.into_iter().flatten().flatten();
        let jobs = repositories.map(|repository| Job {
            name: repository.name_with_owner,
            node_id: Some(repository.id),
            named: false,
        });
        let jobs = jobs.collect();
        let next = doors::next(list.page_info.has_next_page, list.page_info.end_cursor);
        let next = next.map_err(|_| self.gives_up("a list does not say where it goes on".to_owned(), patience))?;
        Ok(Owned { jobs, next })
    }

    /// The repository that has a name by now, or had it before it was renamed; nothing where there is none.
    pub(super) async fn by_name(&self, name: &str) -> Result<Option<Known>, Error> {
        let newest = self.newest(name, 1).await?;
        Ok(newest.map(|Outlined { node_id, full_name, .. }| Known { node_id, full_name }))
    }

    /// That repository with the pull requests that were updated last, at most so many.
    pub(super) async fn newest(&self, name: &str, first: u32) -> Result<Option<Outlined>, Error> {
        let mut patience = self.patience();
        let place = Place { after: None, first, files: false };
        loop {
            let says = match self.outline(name, place, &mut patience).await {
                Ok(outlined) => return Ok(Some(outlined)),
                Err(Unanswered::Gone) => return Ok(None),
                Err(Unanswered::Failed(error)) => return Err(error),
                Err(Unanswered::TooMuch(says) | Unanswered::BadCursor(says)) => says,
            };
            if !patience.wait(Duration::ZERO).await {
                return Err(self.gives_up(says, &patience));
            }
        }
    }

    /// What the repository of an id is called by now; nothing where it is not there. The id was one of `owner`'s.
    pub(super) async fn name_of(&self, owner: &str, node_id: &str) -> Result<Option<String>, Error> {
        let variables = repository_by_id::Variables { id: node_id.to_owned() };
        let mut patience = self.patience();
        match self.ask_whole::<RepositoryById>(owner, variables, &mut patience).await {
            Ok(answered) => Ok(match answered.data.node {
                Some(repository_by_id::RepositoryByIdNode::Repository(repository)) => Some(repository.name_with_owner),
                _ => None,
            }),
            // It is gone, or went where this token sees nothing.
            Err(Unanswered::Gone | Unanswered::Failed(Error::GitHub(Trouble::Denied { .. }))) => Ok(None),
            Err(Unanswered::Failed(error)) => Err(error),
            Err(Unanswered::TooMuch(says) | Unanswered::BadCursor(says)) => Err(self.gives_up(says, &patience)),
        }
    }
}

/// The targets, each once: GitHub does not tell small letters from large ones.
pub(super) fn once(targets: Vec<Target>) -> Vec<Target> {
    let mut seen = HashSet::new();
    let lower = |target: &Target| match target {
        Target::Repository(name) => Target::Repository(name.to_lowercase()),
        Target::Owner(login) => Target::Owner(login.to_lowercase()),
    };
    targets.into_iter().filter(|target| seen.insert(lower(target))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_visited_once() {
        let of = |names: &[&str]| -> Vec<Target> {
            let kind = |name: &str| if name.contains('/') { Target::Repository } else { Target::Owner };
            names.iter().map(|name| kind(name)((*name).to_owned())).collect()
        };
        assert_eq!(once(of(&["a/b", "A/b", "a", "A", "c/d"])), of(&["a/b", "a", "c/d"]));
    }
}
