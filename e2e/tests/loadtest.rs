//! The load test, the gate of a switch and its rehearsal against real servers: a good version gets a go, whatever keeps the gate
//! from knowing is told in one clear sentence and never is one, and the clock of the machine has no say in it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "loadtest/clock.rs"]
mod clock;
#[path = "loadtest/gate.rs"]
mod gate;
#[path = "loadtest/given.rs"]
mod given;
#[path = "loadtest/load.rs"]
mod load;
#[path = "loadtest/refused.rs"]
mod refused;
#[path = "loadtest/rehearsal.rs"]
mod rehearsal;
#[path = "loadtest/together.rs"]
mod together;
#[path = "loadtest/transport.rs"]
mod transport;
