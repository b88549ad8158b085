//! The warp loop: one instruction at a time over 32 lanes, until a barrier or the end.

use super::diverge::{diverge, resume};
use super::lanes::{FULL, all, each, float2, float3, map1, map2, map3, put, wide2};
use super::space::{Load, Store};
use super::state::{Fatal, Pause, Warp, Worker};
use super::{alu, cvt, float, float16, int};
use crate::ir::{ALWAYS, FloatOp, Inst, Op, PredOp, Shift};
use crate::launch::Checks;
use crate::mutants::{Mutant, on};
use crate::ptx::ast::{Space, Ty};
use crate::report::FindingKind;

impl Worker<'_> {
    /// Runs the warp to its next pause, with the widest instructions that the machine has.
    ///
    /// Code is made for three kinds of launch, and for one where the machine is an old one: who asks for
    /// less is not told of the rest.
    #[allow(unsafe_code)]
    pub fn run_warp(&mut self, warp: &mut Warp) -> Result<Pause, Fatal> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt")
        {
            let checks = self.launch.options.checks != Checks::NONE;
            // SAFETY: the condition has found every feature that `run_avx2` is compiled for.
            return unsafe {
                match (checks, self.launch.options.counting()) {
                    (false, false) => self.run_avx2::<false, false>(warp),
                    (false, true) => self.run_avx2::<false, true>(warp),
                    (true, _) => self.run_avx2::<true, true>(warp),
                }
            };
        }
        self.run::<true, true>(warp)
    }

    /// Without these features a fused multiply-add is a library call, 16 times slower.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
    fn run_avx2<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
    ) -> Result<Pause, Fatal> {
        self.run::<CHECK, COUNT>(warp)
    }

    #[inline(always)]
    fn run<const CHECK: bool, const COUNT: bool>(
        &mut self,
        warp: &mut Warp,
    ) -> Result<Pause, Fatal> {
        let launch = self.launch;
        let code = launch.program.code.as_slice();
        let mut pc = warp.pc;
        if COUNT {
            self.runs.enter(pc, warp.mask);
        }
        loop {
            let inst = &code[pc];
            let mut exec = warp.mask;
            if inst.guard != ALWAYS {
                let p = warp.p[usize::from(inst.guard)];
                exec &= if inst.negate && !on(Mutant::GuardSign) { !p } else { p };
                if COUNT {
                    self.stats[pc].idle += u64::from((warp.mask & !exec).count_ones());
                }
                if exec == 0 {
                    pc += 1;
                    continue;
                }
            }
            match &inst.op {
                Op::FmaF32 { .. } if exec == FULL => {
                    // Products are made of long runs of these: a loop of their own saves a jump each.
                    let w = warp.w.as_mut_slice();
                    while let Inst { op: Op::FmaF32 { d, a, b, c }, guard: ALWAYS, .. } = &code[pc]
                    {
                        float3(w, *d, [*a, *b, *c], FULL, fma);
                        pc += 1;
                    }
                    continue;
                }
                Op::FmaF32 { d, a, b, c } => float3(&mut warp.w, *d, [*a, *b, *c], exec, fma),
                Op::AddF32 { d, a, b } => float2(&mut warp.w, *d, *a, *b, exec, |x, y| x + y),
                Op::SubF32 { d, a, b } => float2(&mut warp.w, *d, *a, *b, exec, |x, y| x - y),
                Op::MulF32 { d, a, b } => float2(&mut warp.w, *d, *a, *b, exec, |x, y| x * y),
                Op::Mov32 { d, a } => map1(&mut warp.w, *d, *a, exec, |x| x),
                Op::Add32 { d, a, b } => map2(&mut warp.w, *d, *a, *b, exec, u32::wrapping_add),
                Op::Mul32 { d, a, b } => map2(&mut warp.w, *d, *a, *b, exec, u32::wrapping_mul),
                Op::And32 { d, a, b } => map2(&mut warp.w, *d, *a, *b, exec, |x, y| x & y),
                Op::Shl32 { d, a, b } => {
                    map2(&mut warp.w, *d, *a, *b, exec, |x, y| if y > 31 { 0 } else { x << y });
                }
                Op::Mad32 { d, a, b, c } => {
                    map3(&mut warp.w, *d, [*a, *b, *c], exec, |x, y, z| {
                        x.wrapping_mul(y).wrapping_add(z)
                    });
                }
                Op::Int32 { op, d, a, b, c } => {
                    let w = &mut warp.w;
                    let out = int::int32(
                        *op,
                        &w[usize::from(*a)],
                        &w[usize::from(*b)],
                        &w[usize::from(*c)],
                    );
                    put(&mut w[usize::from(*d)], &out, exec);
                }
                Op::Bfi32 { d, a, b, c, e } => {
                    let mut out = [0; 32];
                    let [a, b, c, e] = [a, b, c, e].map(|r| &warp.w[usize::from(*r)]);
                    for l in 0..32 {
                        out[l] = int::bfi32(a[l], b[l], c[l], e[l]);
                    }
                    put(&mut warp.w[usize::from(*d)], &out, exec);
                }
                Op::F32 { op, mode, d, a, b, c } => {
                    let (op, mode) = (*op, *mode);
                    let r = [*a, *b, *c];
                    match op {
                        // Constant operations let the compiler drop the match inside the loop.
                        FloatOp::Div if mode == Default::default() => {
                            float3(&mut warp.w, *d, r, exec, |x, y, _| x / y);
                        }
                        FloatOp::Fma if mode.round == Default::default() => {
                            float3(&mut warp.w, *d, r, exec, |x, y, z| {
                                float::f32_op(FloatOp::Fma, mode, x, y, z)
                            });
                        }
                        FloatOp::Min => float3(&mut warp.w, *d, r, exec, |x, y, z| {
                            float::f32_op(FloatOp::Min, mode, x, y, z)
                        }),
                        FloatOp::Max => float3(&mut warp.w, *d, r, exec, |x, y, z| {
                            float::f32_op(FloatOp::Max, mode, x, y, z)
                        }),
                        _ => float3(&mut warp.w, *d, r, exec, |x, y, z| {
                            float::f32_op(op, mode, x, y, z)
                        }),
                    }
                }
                Op::Half { op, bf16, single, mode, d, a, b, c } => {
                    map3(&mut warp.w, *d, [*a, *b, *c], exec, |x, y, z| {
                        float16::half_op(*op, *bf16, *single, *mode, x, y, z)
                    });
                }
                Op::Mov64 { d, a } => wide2(&mut warp.d, *d, *a, *a, exec, |x, _| x),
                Op::Add64 { d, a, b } => wide2(&mut warp.d, *d, *a, *b, exec, u64::wrapping_add),
                Op::Int64 { op, d, a, b, c } => {
                    let r = &mut warp.d;
                    let out = int::int64(
                        *op,
                        &r[usize::from(*a)],
                        &r[usize::from(*b)],
                        &r[usize::from(*c)],
                    );
                    put(&mut r[usize::from(*d)], &out, exec);
                }
                Op::Shift64 { op, d, a, b } => {
                    let (a, b) = (&warp.d[usize::from(*a)], &warp.w[usize::from(*b)]);
                    let mut out = [0; 32];
                    match op {
                        Shift::Left => {
                            for l in 0..32 {
                                out[l] = if b[l] > 63 { 0 } else { a[l] << b[l] };
                            }
                        }
                        Shift::RightU => {
                            for l in 0..32 {
                                out[l] = if b[l] > 63 { 0 } else { a[l] >> b[l] };
                            }
                        }
                        Shift::RightS => {
                            for l in 0..32 {
                                out[l] = (a[l] as i64 >> b[l].min(63)) as u64;
                            }
                        }
                    }
                    put(&mut warp.d[usize::from(*d)], &out, exec);
                }
                Op::Bfi64 { d, a, b, c, e } => {
                    for l in each(exec) {
                        let (x, y) = (warp.d[usize::from(*a)][l], warp.d[usize::from(*b)][l]);
                        let (p, n) = (warp.w[usize::from(*c)][l], warp.w[usize::from(*e)][l]);
                        warp.d[usize::from(*d)][l] = int::bfi64(x, y, p, n, 64);
                    }
                }
                Op::Bfe64 { signed, d, a, b, c } => {
                    for l in each(exec) {
                        let (p, n) = (warp.w[usize::from(*b)][l], warp.w[usize::from(*c)][l]);
                        warp.d[usize::from(*d)][l] =
                            int::bfe64(*signed, warp.d[usize::from(*a)][l], p, n);
                    }
                }
                Op::Count64 { op, d, a } => {
                    for l in each(exec) {
                        warp.w[usize::from(*d)][l] = int::count64(*op, warp.d[usize::from(*a)][l]);
                    }
                }
                Op::MulWide { signed, d, a, b } => {
                    let (a, b) = (&warp.w[usize::from(*a)], &warp.w[usize::from(*b)]);
                    let mut out = [0; 32];
                    if *signed {
                        for l in 0..32 {
                            out[l] = (i64::from(a[l] as i32) * i64::from(b[l] as i32)) as u64;
                        }
                    } else {
                        for l in 0..32 {
                            out[l] = u64::from(a[l]) * u64::from(b[l]);
                        }
                    }
                    put(&mut warp.d[usize::from(*d)], &out, exec);
                }
                Op::MadWide { signed, d, a, b, c } => {
                    let (a, b, c) = (
                        &warp.w[usize::from(*a)],
                        &warp.w[usize::from(*b)],
                        &warp.d[usize::from(*c)],
                    );
                    let mut out = [0; 32];
                    for l in 0..32 {
                        let product = if *signed {
                            (i64::from(a[l] as i32) * i64::from(b[l] as i32)) as u64
                        } else {
                            u64::from(a[l]) * u64::from(b[l])
                        };
                        out[l] = product.wrapping_add(c[l]);
                    }
                    put(&mut warp.d[usize::from(*d)], &out, exec);
                }
                Op::F64 { op, d, a, b, c } => {
                    let [a, b, c] = [a, b, c].map(|r| &warp.d[usize::from(*r)]);
                    let mut out = [0; 32];
                    for l in 0..32 {
                        let [x, y, z] = [a[l], b[l], c[l]].map(f64::from_bits);
                        out[l] = float::f64_op(*op, x, y, z).to_bits();
                    }
                    put(&mut warp.d[usize::from(*d)], &out, exec);
                }
                Op::Pack64 { d, a, b } => {
                    let (a, b) = (&warp.w[usize::from(*a)], &warp.w[usize::from(*b)]);
                    let mut out = [0; 32];
                    for l in 0..32 {
                        out[l] = u64::from(a[l]) | u64::from(b[l]) << 32;
                    }
                    put(&mut warp.d[usize::from(*d)], &out, exec);
                }
                Op::Unpack64 { d, e, a } => {
                    let a = warp.d[usize::from(*a)];
                    put(&mut warp.w[usize::from(*d)], &all(|l| a[l] as u32), exec);
                    put(&mut warp.w[usize::from(*e)], &all(|l| (a[l] >> 32) as u32), exec);
                }
                Op::Pack16 { d, a, b } => {
                    map2(&mut warp.w, *d, *a, *b, exec, |x, y| x & 0xffff | y << 16);
                }
                Op::Unpack16 { d, e, a } => {
                    let a = warp.w[usize::from(*a)];
                    put(&mut warp.w[usize::from(*d)], &all(|l| a[l] & 0xffff), exec);
                    put(&mut warp.w[usize::from(*e)], &all(|l| a[l] >> 16), exec);
                }
                Op::Cvt { cvt, d, a } => warp.convert(cvt, *d, *a, exec),
                Op::CvtPack { bf16, round, relu, d, a, b } => {
                    map2(&mut warp.w, *d, *a, *b, exec, |x, y| {
                        cvt::pack(*bf16, *round, *relu, f32::from_bits(x), f32::from_bits(y))
                    });
                }
                Op::Setp { ty, cmp, ftz, d, a, b } => {
                    let (a, b) = (usize::from(*a), usize::from(*b));
                    let value = match ty {
                        Ty::U64 | Ty::S64 | Ty::F64 => {
                            alu::compare64(*ty, *cmp, &warp.d[a], &warp.d[b])
                        }
                        _ => alu::compare32(*ty, *cmp, *ftz, &warp.w[a], &warp.w[b]),
                    };
                    let p = &mut warp.p[usize::from(*d)];
                    *p = *p & !exec | value & exec;
                }
                Op::Testp { wide, what, d, a } => {
                    let mut value = 0;
                    for l in each(exec) {
                        let (x, normal) = if *wide {
                            let x = f64::from_bits(warp.d[usize::from(*a)][l]);
                            (x, x.is_normal())
                        } else {
                            let x = f32::from_bits(warp.w[usize::from(*a)][l]);
                            (f64::from(x), x.is_normal())
                        };
                        value |= u32::from(alu::testp(*what, x, normal)) << l;
                    }
                    let p = &mut warp.p[usize::from(*d)];
                    *p = *p & !exec | value;
                }
                Op::Sel32 { d, a, b, p } => {
                    let p = warp.p[usize::from(*p)];
                    let (a, b) = (&warp.w[usize::from(*a)], &warp.w[usize::from(*b)]);
                    let mut out = [0; 32];
                    for l in 0..32 {
                        out[l] = if p >> l & 1 != 0 { a[l] } else { b[l] };
                    }
                    put(&mut warp.w[usize::from(*d)], &out, exec);
                }
                Op::Sel64 { d, a, b, p } => {
                    let p = warp.p[usize::from(*p)];
                    let (a, b) = (&warp.d[usize::from(*a)], &warp.d[usize::from(*b)]);
                    let mut out = [0; 32];
                    for l in 0..32 {
                        out[l] = if p >> l & 1 != 0 { a[l] } else { b[l] };
                    }
                    put(&mut warp.d[usize::from(*d)], &out, exec);
                }
                Op::Pred { op, d, a, b } => {
                    let value = match op {
                        PredOp::Mov => warp.p[usize::from(*a)],
                        _ => alu::pred(*op, warp.p[usize::from(*a)], warp.p[usize::from(*b)]),
                    };
                    let p = &mut warp.p[usize::from(*d)];
                    *p = *p & !exec | value & exec;
                }
                Op::Ld(m) => self.access::<Load, CHECK, COUNT>(warp, pc, m, exec)?,
                Op::St(m) => self.access::<Store, CHECK, COUNT>(warp, pc, m, exec)?,
                Op::Atom(m) => self.atomic::<CHECK, COUNT>(warp, pc, m, exec)?,
                Op::Shfl(m) => self.shuffle(warp, pc, m, exec)?,
                Op::Vote { mode, d, p, negate, mask } => {
                    self.sync_mask(warp, pc, *mask, exec)?;
                    self.vote(warp, *mode, *d, *p, *negate, *mask, exec);
                }
                Op::Match { all, wide, d, p, a, mask } => {
                    self.sync_mask(warp, pc, *mask, exec)?;
                    warp.matches(*all, *wide, *d, *p, *a, *mask, exec);
                }
                Op::Redux { op, signed, d, a, mask } => {
                    self.sync_mask(warp, pc, *mask, exec)?;
                    warp.redux(*op, *signed, *d, *a, *mask, exec);
                }
                Op::ActiveMask { d } => {
                    put(&mut warp.w[usize::from(*d)], &[exec; 32], exec);
                }
                Op::WarpBar { mask } => self.sync_mask(warp, pc, *mask, exec)?,
                Op::Bar(bar) => {
                    if !on(Mutant::BarrierPasses) && self.arrive(warp, pc, bar, exec)? {
                        warp.pc = pc + 1;
                        if COUNT {
                            self.runs.leave(pc + 1, warp.mask);
                        }
                        return Ok(Pause::Barrier);
                    }
                    // An arrival alone may complete a barrier that others wait at; the block looks after
                    // every pause, so nothing is lost by going on.
                }
                Op::Fence { of_block } => {
                    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
                    if !of_block {
                        self.unfenced &= !(1 << warp.id);
                        warp.taken = self.drawn;
                    }
                }
                Op::CpAsync(m) => self.cp_async::<CHECK, COUNT>(warp, pc, m, exec)?,
                Op::CpCommit => warp.queue.commit(exec),
                Op::CpWait { pending } => self.cp_wait(warp, *pending, exec)?,
                Op::LdMatrix(m) => self.ldmatrix::<CHECK, COUNT>(warp, pc, m, exec)?,
                Op::MovMatrix { d, a } => {
                    self.whole_warp(warp, pc, exec)?;
                    warp.movmatrix(*d, *a, exec);
                }
                Op::Mma(m) => {
                    if exec != FULL {
                        self.whole_warp(warp, pc, exec)?;
                    }
                    warp.mma(m, exec, self.simd);
                }
                Op::Call(m) => self.call(warp, pc, m, exec)?,
                Op::Clock { d, wide } => {
                    self.clock += 16;
                    let now = self.clock;
                    if *wide {
                        put(&mut warp.d[usize::from(*d)], &[now; 32], exec);
                    } else {
                        put(&mut warp.w[usize::from(*d)], &[now as u32; 32], exec);
                    }
                }
                Op::IsSpace { space, d, a } => {
                    let mut value = 0;
                    for l in each(exec) {
                        let found = super::memory::window(warp.d[usize::from(*a)][l]);
                        let is =
                            found == *space || *space == Space::Const && found == Space::Global;
                        value |= u32::from(is) << l;
                    }
                    let p = &mut warp.p[usize::from(*d)];
                    *p = *p & !exec | value;
                }
                Op::Bra { target, cost } => {
                    self.spend(warp, pc, *cost)?;
                    let target = *target as usize;
                    if COUNT {
                        self.runs.leave(pc + 1, warp.mask);
                        self.runs.enter(target, warp.mask);
                    }
                    pc = target;
                    continue;
                }
                Op::BraIf { target, reconverge, p, negate, cost } => {
                    self.spend(warp, pc, *cost)?;
                    let p = warp.p[usize::from(*p)];
                    let taken = exec & if *negate { !p } else { p };
                    let target = *target as usize;
                    if taken == exec || target == pc + 1 {
                        if COUNT {
                            self.runs.leave(pc + 1, warp.mask);
                            self.runs.enter(target, warp.mask);
                        }
                        pc = target;
                        continue;
                    }
                    if taken != 0 {
                        if COUNT {
                            self.stats[pc].cost += 1;
                            self.runs.leave(pc + 1, warp.mask);
                        }
                        pc = diverge(warp, pc + 1, target, taken, *reconverge);
                        if COUNT {
                            self.runs.enter(pc, warp.mask);
                        }
                        continue;
                    }
                }
                Op::Join => {
                    if warp.reconverge as usize == pc && !on(Mutant::NoMeeting) {
                        if COUNT {
                            self.runs.leave(pc + 1, warp.mask);
                        }
                        let Some(next) = resume(warp) else { return Ok(Pause::Done) };
                        pc = next;
                        if COUNT {
                            self.runs.enter(pc, warp.mask);
                        }
                        continue;
                    }
                }
                Op::Exit => {
                    let exec = if on(Mutant::ExitAll) { warp.live } else { exec };
                    if COUNT {
                        self.runs.leave(pc + 1, warp.mask);
                    }
                    warp.live &= !exec;
                    warp.mask &= !exec;
                    pc += 1;
                    if warp.mask == 0 {
                        let Some(next) = resume(warp) else { return Ok(Pause::Done) };
                        pc = next;
                    }
                    if COUNT {
                        self.runs.enter(pc, warp.mask);
                    }
                    continue;
                }
                Op::Trap => {
                    let lane = exec.trailing_zeros() as usize;
                    return Err(self.fatal(
                        warp,
                        pc,
                        lane,
                        FindingKind::Trap,
                        "the kernel trapped".into(),
                    ));
                }
                Op::Track(track) => {
                    if CHECK {
                        self.track(warp, pc, track, exec)?;
                    }
                }
            }
            pc += 1;
        }
    }
}

#[inline(always)]
fn fma(x: f32, y: f32, z: f32) -> f32 {
    if on(Mutant::Unfused) { x * y + z } else { x.mul_add(y, z) }
}
