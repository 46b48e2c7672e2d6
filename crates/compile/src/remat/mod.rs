//! Store or recompute.
mod chain;
mod offsets;
mod planner;
mod problem;
mod profile;
mod random;
mod repair;
mod schedule;
mod search;
mod state;
mod sweep;

pub use offsets::{Buffer, PlaceError, PlaceOptions, Placement, place};
pub use planner::{Options, PlanError, Schedule, plan};
pub use problem::{Problem, ProblemError, Step};
pub use schedule::{Action, Replay, ScheduleError, replay};
