//! The memory of a process: the limit that the user sets, and the pool of it that tasks sort in.

use std::sync::Arc;

use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use tikv_jemallocator::Jemalloc;

/// Gives back what is free. The system's own keeps whatever was large once, beside the limit.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const MIB: usize = 1 << 20;

/// What a process takes beside its pool, measured with a million pull requests: the program itself, and for each core blocks
/// that are being read, rows that are being packed, and files that are being written.
const BESIDE: usize = 256 * MIB;
const BESIDE_PER_CORE: usize = 64 * MIB;

/// Below which sorting cannot spill: a task holds a few batches and what merging spills needs, for two sorts.
const POOL_PER_CORE: usize = 64 * MIB;

/// MiB that a process of so many cores needs at least.
pub(crate) fn least_mib(cores: usize) -> usize {
    (BESIDE + cores * (BESIDE_PER_CORE + POOL_PER_CORE)) / MIB
}

/// MiB that a process of so many cores may take where nobody says.
pub(crate) fn default_mib(cores: usize) -> usize {
    least_mib(cores).max(2048)
}

/// The pool that all tasks of a process share, which may take `limit` bytes: what one task does not need, another may use.
/// `None` if that is less than it needs.
pub(crate) fn pool(limit: usize, cores: usize) -> Option<Arc<dyn MemoryPool>> {
    let sorting = limit.checked_sub(BESIDE + cores * BESIDE_PER_CORE)?;
    (sorting >= cores * POOL_PER_CORE).then(|| Arc::new(FairSpillPool::new(sorting)) as Arc<dyn MemoryPool>)
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryLimit;

    use super::*;

    #[test]
    fn the_least_is_just_enough() {
        for cores in [1, 2, 64] {
            let least = least_mib(cores) * MIB;
            let bytes = |limit| match pool(limit, cores)?.memory_limit() {
                MemoryLimit::Finite(bytes) => Some(bytes),
                _ => None,
            };
            assert_eq!(bytes(least), Some(cores * POOL_PER_CORE));
            assert_eq!(bytes(least - 1), None);
            assert_eq!(bytes(least + 5), Some(cores * POOL_PER_CORE + 5));
            assert_eq!(bytes(0), None);
        }
    }
}
