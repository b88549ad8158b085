//! Loads and stores, written once for all spaces of memory.
//!
//! An access is checked as a whole, done at once where the lanes' addresses allow it, and lane by lane
//! otherwise. [`AddressSpace`] is what the spaces differ in: bounds, races, bank conflicts, sectors.

use super::global::Global;
use super::lanes::{D, W, each};
use super::local::Local;
use super::memory::{base, extend, window};
use super::param::Param;
use super::shared::{Shared, narrow};
use super::state::{Fatal, Warp, Worker};
use crate::check::shadow::Touch;
use crate::ir::{Access, File, R};
use crate::launch::Checks;
use crate::ptx::ast::Space;
use crate::report::FindingKind;

/// Addresses in a space: of 32 bits in shared memory, of 64 elsewhere.
pub(super) trait Address: Copy + PartialEq {
    /// Those of all lanes, offset added.
    fn of(warp: &Warp, register: R, file: File, offset: i64) -> [Self; 32];

    /// From offsets in the window that a space has among generic addresses.
    fn from_offsets(offsets: &D) -> [Self; 32];
}

impl Address for u64 {
    #[inline(always)]
    fn of(warp: &Warp, register: R, file: File, offset: i64) -> D {
        warp.addresses(register, file, offset)
    }

    fn from_offsets(offsets: &D) -> D {
        *offsets
    }
}

impl Address for u32 {
    #[inline(always)]
    fn of(warp: &Warp, register: R, file: File, offset: i64) -> W {
        warp.shared_addresses(register, file, offset)
    }

    fn from_offsets(offsets: &D) -> W {
        narrow(offsets)
    }
}

/// A load or a store of a warp, with its addresses inside one space.
#[derive(Clone, Copy)]
pub(super) struct Request<'r, A: Address> {
    pub pc: usize,
    pub access: &'r Access,
    pub addresses: &'r [A; 32],
    /// Lanes that take part: at least one.
    pub exec: u32,
}

impl<A: Address> Request<'_, A> {
    /// Bytes that a lane moves: a power of two, as widths and numbers of registers are.
    #[inline(always)]
    pub fn bytes(&self) -> u32 {
        self.access.width * self.access.regs.len() as u32
    }

    /// Whether it moves words of 32 bits between memory and registers of 32 bits.
    #[inline(always)]
    pub fn is_words(&self) -> bool {
        self.access.width == 4 && self.access.file == File::W
    }
}

/// A space of memory: what loads and stores have to know of it.
///
/// `CHECK` and `COUNT` say whether the launch asked for checks and for counters.
pub(super) trait AddressSpace<'a> {
    type Address: Address;
    /// Where a lane's bytes are.
    type Place: Copy;
    /// How messages call it, and an address in it.
    const NAME: &'static str;
    const AT: &'static str = "at offset";
    /// Whether equal addresses of two lanes are the same bytes.
    const COMMON: bool = true;

    /// Checks and counts that look at all lanes together, before anything is moved.
    #[inline(always)]
    fn check<const CHECK: bool, const COUNT: bool>(
        _worker: &mut Worker<'a>,
        _warp: &Warp,
        _request: Request<Self::Address>,
        _touch: Touch,
    ) -> Result<(), Fatal> {
        Ok(())
    }

    /// Loads all lanes at once where that needs no report; whether it did.
    #[inline(always)]
    fn load_at_once<const CHECK: bool, const COUNT: bool>(
        _worker: &mut Worker<'a>,
        _warp: &mut Warp,
        _request: Request<Self::Address>,
    ) -> bool {
        false
    }

    /// Stores all lanes at once where that needs no report; whether it did.
    #[inline(always)]
    fn store_at_once<const COUNT: bool>(
        _worker: &mut Worker<'a>,
        _warp: &Warp,
        _request: Request<Self::Address>,
    ) -> bool {
        false
    }

    /// Checks the range of a lane, marks it as touched, and finds where its bytes are.
    fn place<const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &Warp,
        request: Request<Self::Address>,
        lane: usize,
        touch: Touch,
    ) -> Result<Self::Place, Fatal>;

    /// The value of `width` bytes that is `offset` bytes behind a place, zero-extended.
    fn read(worker: &Worker<'a>, warp: &Warp, place: Self::Place, offset: u32, width: u32) -> u64;

    /// Stores the low `width` bytes of a value `offset` bytes behind a place.
    fn write(
        worker: &mut Worker<'a>,
        warp: &mut Warp,
        place: Self::Place,
        offset: u32,
        width: u32,
        value: u64,
    );

    /// Address and number of the bytes at a place that nothing wrote, if there are any.
    #[inline(always)]
    fn unwritten(
        _warp: &Warp,
        _request: Request<Self::Address>,
        _place: Self::Place,
        _lane: usize,
    ) -> Option<(u64, u32)> {
        None
    }

    /// Counts an access that was done lane by lane.
    #[inline(always)]
    fn count(_worker: &mut Worker<'a>, _warp: &Warp, _request: Request<Self::Address>) {}
}

/// A load or a store.
pub(super) trait Direction {
    fn run<'a, S: AddressSpace<'a>, const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &mut Warp,
        request: Request<S::Address>,
    ) -> Result<(), Fatal>;
}

pub(super) enum Load {}
pub(super) enum Store {}

impl Direction for Load {
    #[inline(always)]
    fn run<'a, S: AddressSpace<'a>, const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &mut Warp,
        request: Request<S::Address>,
    ) -> Result<(), Fatal> {
        S::check::<CHECK, COUNT>(worker, warp, request, Touch::Read)?;
        if S::load_at_once::<CHECK, COUNT>(worker, warp, request) {
            return Ok(());
        }
        worker.load_lanes::<S, CHECK, COUNT>(warp, request)
    }
}

impl Direction for Store {
    #[inline(always)]
    fn run<'a, S: AddressSpace<'a>, const CHECK: bool, const COUNT: bool>(
        worker: &mut Worker<'a>,
        warp: &mut Warp,
        request: Request<S::Address>,
    ) -> Result<(), Fatal> {
        S::check::<CHECK, COUNT>(worker, warp, request, Touch::Write)?;
        if S::store_at_once::<COUNT>(worker, warp, request) {
            return Ok(());
        }
        worker.store_lanes::<S, CHECK, COUNT>(warp, request)
    }
}

impl<'a> Worker<'a> {
    /// A load or a store, whatever its space.
    #[inline(always)]
    pub fn access<T: Direction, const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        exec: u32,
    ) -> Result<(), Fatal> {
        match m.space {
            Space::Shared => self.access_in::<T, Shared, CHECK, COUNT>(warp, pc, m, exec),
            Space::Global | Space::Const => {
                self.access_in::<T, Global, CHECK, COUNT>(warp, pc, m, exec)
            }
            _ => self.access_other::<T, CHECK, COUNT>(warp, pc, m, exec),
        }
    }

    #[inline(always)]
    fn access_in<T: Direction, S: AddressSpace<'a>, const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        access: &Access,
        exec: u32,
    ) -> Result<(), Fatal> {
        let addresses = &S::Address::of(warp, access.address, access.address_file, access.offset);
        T::run::<S, CHECK, COUNT>(self, warp, Request { pc, access, addresses, exec })
    }

    /// Local memory, parameters, and generic addresses, whose lanes go to their spaces in parts.
    #[inline(never)]
    fn access_other<T: Direction, const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        m: &Access,
        exec: u32,
    ) -> Result<(), Fatal> {
        match m.space {
            Space::Local => return self.access_in::<T, Local, CHECK, COUNT>(warp, pc, m, exec),
            Space::Param => return self.access_in::<T, Param, CHECK, COUNT>(warp, pc, m, exec),
            _ => {}
        }
        for (space, exec, a) in split(&warp.addresses(m.address, m.address_file, m.offset), exec) {
            match space {
                Space::Shared => self.access_part::<T, Shared, CHECK, COUNT>(warp, pc, m, &a, exec),
                Space::Local => self.access_part::<T, Local, CHECK, COUNT>(warp, pc, m, &a, exec),
                Space::Param => self.access_part::<T, Param, CHECK, COUNT>(warp, pc, m, &a, exec),
                _ => self.access_part::<T, Global, CHECK, COUNT>(warp, pc, m, &a, exec),
            }?;
        }
        Ok(())
    }

    fn access_part<T: Direction, S: AddressSpace<'a>, const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        pc: usize,
        access: &Access,
        offsets: &D,
        exec: u32,
    ) -> Result<(), Fatal> {
        let addresses = &S::Address::from_offsets(offsets);
        T::run::<S, CHECK, COUNT>(self, warp, Request { pc, access, addresses, exec })
    }

    #[inline(never)]
    fn load_lanes<S: AddressSpace<'a>, const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        r: Request<S::Address>,
    ) -> Result<(), Fatal> {
        let (m, a) = (r.access, r.addresses);
        let n = m.regs.len();
        let mut values = [[0; 32]; 4];
        let mut before = None;
        let mut unwritten = None;
        for l in each(r.exec) {
            if let Some(before) = before.filter(|k: &usize| S::COMMON && a[l] == a[*k]) {
                values.iter_mut().take(n).for_each(|v| v[l] = v[before]);
                continue;
            }
            before = Some(l);
            let place = S::place::<CHECK, COUNT>(self, warp, r, l, Touch::Read)?;
            if CHECK && unwritten.is_none() {
                unwritten = S::unwritten(warp, r, place, l).map(|bytes| (l, bytes));
            }
            for (v, lanes) in values.iter_mut().enumerate().take(n) {
                let value = S::read(self, warp, place, v as u32 * m.width, m.width);
                lanes[l] = extend(value, m.width, m.signed);
            }
        }
        for (register, lanes) in m.regs.iter().zip(&values) {
            warp.set(*register, m.file, lanes, r.exec);
        }
        if COUNT {
            S::count(self, warp, r);
        }
        match unwritten {
            Some((lane, (at, bytes))) => self.unwritten::<S>(warp, r.pc, lane, at, bytes),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn store_lanes<S: AddressSpace<'a>, const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
        r: Request<S::Address>,
    ) -> Result<(), Fatal> {
        let m = r.access;
        for l in each(r.exec) {
            let place = S::place::<CHECK, COUNT>(self, warp, r, l, Touch::Write)?;
            for (v, register) in m.regs.iter().enumerate() {
                let value = warp.get(*register, m.file, l);
                S::write(self, warp, place, v as u32 * m.width, m.width, value);
            }
        }
        if COUNT {
            S::count(self, warp, r);
        }
        Ok(())
    }

    /// Reports a read of bytes that nothing wrote, if that is asked for.
    #[cold]
    pub fn unwritten<S: AddressSpace<'a>>(
        &mut self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        at: u64,
        bytes: u32,
    ) -> Result<(), Fatal> {
        if !self.checks(Checks::UNINITIALIZED) {
            return Ok(());
        }
        self.found(warp, pc, lane, FindingKind::UninitializedMemory, |_| {
            format!("{bytes} bytes {} {at:#x} of {} memory were never written", S::AT, S::NAME)
        })
    }

    /// The range of a lane must be aligned and lie inside a space that has `size` bytes from 0 on.
    #[inline(always)]
    pub fn inside<S: AddressSpace<'a>>(
        &self,
        warp: &Warp,
        pc: usize,
        lane: usize,
        at: u64,
        bytes: u32,
        size: u64,
    ) -> Result<(), Fatal> {
        let bytes = u64::from(bytes);
        if !at.is_multiple_of(bytes) {
            return Err(self.misaligned(warp, pc, lane, at, bytes));
        }
        if at > size || bytes > size - at {
            return Err(self.outside(warp, pc, lane, S::NAME, at, bytes, size));
        }
        Ok(())
    }
}

/// Lanes of each space, with addresses inside it.
fn split(addresses: &D, exec: u32) -> Vec<(Space, u32, D)> {
    let mut parts: Vec<(Space, u32, D)> = Vec::new();
    for l in each(exec) {
        let space = window(addresses[l]);
        let index = match parts.iter().position(|p| p.0 == space) {
            Some(i) => i,
            None => {
                parts.push((space, 0, addresses.map(|a| a.wrapping_sub(base(space)))));
                parts.len() - 1
            }
        };
        parts[index].1 |= 1 << l;
    }
    parts
}
