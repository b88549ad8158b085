//! The built program with `--device cuda`, executed by softgpu with all checks on: training,
//! resuming, stopping, translating, verifying, and its messages where something is missing.

#[path = "../cli/program.rs"]
#[allow(dead_code)]
mod program;

#[path = "../common/desk.rs"]
#[allow(dead_code)]
mod desk;

mod bench;
mod default_step;
mod missing;
mod on_gpu;
mod pascal;
mod train;
mod translate;
mod verify;
