//! Store or recompute: schedules and places for values within a budget of bytes.
//!
//! [`Problem`] says what is to be computed: steps in their base order, the values they read and
//! write, bytes and costs. [`plan`] finds a [`Schedule`] that never holds more than a budget, by
//! running some steps again instead of keeping what they wrote; [`replay`] checks any schedule
//! without knowing how it was found. [`place`] then gives buffers of known lifetimes their offsets.
//!
//! Nothing here knows graphs or kernels, so a test can make up any problem, and the command `remat`
//! plans graphs from files with the very planner that compiles programs.
//!
//! - `problem`, `schedule`: the question, the answer, and the checker.
//! - `state`, `profile`: a set of reruns with its memory over time, changed rerun by rerun.
//! - `chain`, `sweep`, `repair`: ways to a first schedule.
//! - `search`: improvement; `planner`: all of it together.
//! - `order`: the order of steps that run once each.
//! - `offsets`: where things stand.

mod chain;
mod offsets;
mod order;
mod planner;
mod problem;
mod profile;
mod random;
mod repair;
mod schedule;
mod search;
mod state;
mod sweep;

pub(crate) use offsets::load;
pub use offsets::{Buffer, PlaceError, PlaceOptions, Placement, place};
pub use order::order;
pub use planner::{Lifetime, Options, PlanError, Schedule, plan};
pub use problem::{Problem, ProblemError, Step};
pub use schedule::{Action, Replay, ScheduleError, replay};
