//! Parameters of a kernel: bytes that all its threads read and none writes.

use super::space::{AddressSpace, Request};
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::Touch;
use crate::report::FindingKind;

/// A kernel's parameters.
pub(super) enum Param {}

impl<'a> AddressSpace<'a> for Param {
    type Address = u64;
    type Place = usize;
    const NAME: &'static str = "parameter";

    #[inline(always)]
    fn place<const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &Warp,
        r: Request<u64>,
        lane: usize,
        touch: Touch,
    ) -> Result<usize, Fatal> {
        if touch == Touch::Write {
            let message = "a store to a kernel parameter".to_string();
            return Err(worker.fatal(warp, r.pc, lane, FindingKind::OutOfBounds, message));
        }
        let (at, size) = (r.addresses[lane], worker.launch.params.len() as u64);
        worker.inside::<Param>(warp, r.pc, lane, at, r.bytes(), size)?;
        Ok(at as usize)
    }

    #[inline(always)]
    fn read(worker: &Worker<'a>, _: &Warp, place: usize, offset: u32, width: u32) -> u64 {
        let (at, width) = (place + offset as usize, width as usize);
        let mut word = [0; 8];
        word[..width].copy_from_slice(&worker.launch.params[at..at + width]);
        u64::from_le_bytes(word)
    }

    fn write(_: &mut Worker<'a>, _: &mut Warp, _: usize, _: u32, _: u32, _: u64) {
        unreachable!("no store has a place among parameters")
    }
}
