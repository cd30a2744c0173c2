//! Long work in short turns: other requests of the same thread are not kept waiting by a large one, and what nobody waits for any
//! more is not done to its end.

use tokio::task::yield_now;

/// Items of a turn. They go through the model together.
const ITEMS: usize = 16;

/// What `work` makes of all items, a few at a time.
pub(crate) async fn in_turns<T, A>(items: Vec<T>, mut work: impl FnMut(Vec<T>) -> Vec<A>) -> Vec<A> {
    let mut made = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    while items.len() > 0 {
        made.extend(work(items.by_ref().take(ITEMS).collect()));
        yield_now().await;
    }
    made
}
