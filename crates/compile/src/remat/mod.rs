//! Store or recompute.
mod problem;
mod profile;
mod random;
mod schedule;
mod state;

pub use problem::{Problem, ProblemError, Step};
pub use schedule::{Action, Replay, ScheduleError, replay};
