//! The built program, as its users meet it: what it answers to wrong input, what it leaves on the
//! disk, and whether a run that was stopped or killed goes on to the same bytes.

mod ablate;
mod bad_data;
mod bad_flags;
mod bad_models;
mod batch;
mod changed_data;
mod check;
mod evaluate;
mod faults;
mod identity;
mod kill;
mod limits;
mod newcomer;
mod not_finite;
mod objectives;
mod output;
mod port_flags;
mod prepare;
mod program;
mod resume;
mod schedules;
mod score;
mod sight;
mod signals;
mod tiles;
mod translate;
mod typed;
