//! Batch and instance norm on a GPU: `kernels/norm.cu`.

use super::dropout::DropoutArg;
use super::pointwise::Rule;
use super::{Merge, NOTHING, names};
use crate::device::{
    COUNTERS, CounterAddress, Cuda, FloatAddress, Grid, device_constants, device_struct,
};
use crate::error::settings::{BASE_CHANNELS, DEVICE};
use crate::error::{Error, Result};
use crate::kernel::{
    Norm, NormArgs, NormGradArgs, NormKernels, NormParams, NormScope, Statistics, Workspace, Write,
};
use crate::tensor::{Shape, View};

device_struct! {
    /// [`Norm`] as a kernel takes it.
    pub struct NormRule {
        /// Added to the variance.
        pub eps: f32,
        /// How far running statistics move in a step.
        pub momentum: f32,
        /// Groups of pictures, each with its own statistics.
        pub groups: i32,
        /// 1 for the tensor's own statistics, 0 for the running ones.
        pub own: i32,
        /// The activation, applied last.
        pub rule: Rule,
        /// The dropout before it; a rate of 0 for none.
        pub drop: DropoutArg,
    }
}

device_struct! {
    /// Statistics and parameters; null where there are none.
    pub struct Stats {
        /// Mean, (groups, c).
        pub mean: FloatAddress,
        /// 1 / sqrt(var + eps), (groups, c).
        pub rstd: FloatAddress,
        /// Scale, (c).
        pub weight: FloatAddress,
        /// Shift, (c).
        pub bias: FloatAddress,
        /// Running mean, (c).
        pub running_mean: FloatAddress,
        /// Running variance, (c).
        pub running_var: FloatAddress,
    }
}

device_struct! {
    /// Where gradients go; null where none is wanted.
    pub struct Grads {
        /// The gradient of the scale, (c).
        pub dweight: FloatAddress,
        /// The gradient of the shift, (c).
        pub dbias: FloatAddress,
        /// Whether dx is set or added to.
        pub merge: Merge,
        /// Whether dweight is set or added to.
        pub weight_merge: Merge,
        /// Whether dbias is set or added to.
        pub bias_merge: Merge,
    }
}

device_constants! {
    /// Channels of a block, side by side.
    const NORM_LANES: usize = 32;
    /// Threads of a block of the kernels that compute a whole norm in one launch.
    const NORM_FUSED_THREADS: usize = 512;
    /// Threads of a block of the kernels that take two launches.
    const NORM_THREADS: usize = 256;
}

/// Most pixels of a group for a norm in one launch: a block loops over them in 64 iterations.
const FEW: usize = 1024;
/// Pixels of a larger group per block: eight iterations.
const RANGE: usize = 64;

/// How the work of a norm is divided among blocks.
struct NormPlan {
    groups: usize,
    /// Blocks side by side over the channels.
    tiles: usize,
    /// Ranges of pixels that a group is divided into, one block each.
    ranges: usize,
    /// Groups that one block computes one after another, in a norm of one launch.
    each: usize,
}

impl NormPlan {
    fn new(cuda: &Cuda, norm: Norm, shape: Shape, together: bool) -> Self {
        let groups = norm.statistics_shape(shape).n;
        let (pixels, tiles) = (shape.pixels() / groups, shape.c.div_ceil(NORM_LANES));
        // About four blocks per multiprocessor; the last block reads the sums of all of them.
        let most = (4 * cuda.multiprocessors()).div_ceil(tiles * groups).max(1);
        // A range has ceil(pixels / ranges) pixels; this rounding leaves no range empty.
        let wanted = pixels.div_ceil(RANGE).clamp(1, most);
        let ranges = pixels.div_ceil(pixels.div_ceil(wanted));
        NormPlan { groups, tiles, ranges, each: if together { groups } else { 1 } }
    }

    /// The plan of a forward pass. Running statistics move group after group, so one block computes
    /// all groups.
    fn forward(cuda: &Cuda, args: &NormArgs) -> Self {
        NormPlan::new(cuda, args.norm, args.x.shape, args.params.running.is_some())
    }

    /// The plan of a backward pass. Gradients of scale and shift are sums over all groups, so one
    /// block computes them all.
    fn backward(cuda: &Cuda, args: &NormGradArgs) -> Self {
        let together = args.daffine.iter().any(Option::is_some);
        NormPlan::new(cuda, args.norm, args.x.shape, together)
    }

    /// Whether one launch computes the whole norm.
    fn is_small(&self, x: Shape) -> bool {
        x.pixels() / self.groups <= FEW
    }

    /// Floats of partial sums: two per group, range and channel.
    fn parts(&self, x: Shape) -> usize {
        2 * self.groups * self.ranges * x.c
    }

    fn small(&self) -> Grid {
        let blocks = [self.tiles as u32, (self.groups / self.each) as u32, 1];
        Grid { blocks, threads: NORM_FUSED_THREADS as u32, shared: 0 }
    }

    fn large(&self) -> Grid {
        let blocks = [self.tiles as u32, self.ranges as u32, self.groups as u32];
        Grid { blocks, threads: NORM_THREADS as u32, shared: 0 }
    }
}

fn rule(norm: Norm, groups: usize) -> NormRule {
    NormRule {
        eps: norm.eps,
        momentum: norm.momentum,
        groups: groups as i32,
        own: i32::from(norm.statistics == Statistics::Batch),
        rule: norm.activation.into(),
        drop: norm.dropout.map_or(DropoutArg { rate: 0.0, stream: 0 }, DropoutArg::from),
    }
}

fn stats(cuda: &Cuda, norm: Norm, params: NormParams, kept: [View; 2]) -> Stats {
    let [mean, rstd] = kept.map(|view| cuda.floats(view));
    let pair = |views: Option<[View; 2]>| match views {
        Some(views) => views.map(|view| cuda.floats(view)),
        None => [FloatAddress::default(); 2],
    };
    let [weight, bias] = pair(params.affine);
    // Running statistics of an instance norm are never updated.
    let used = norm.statistics == Statistics::Running || norm.scope != NormScope::Instance;
    let [running_mean, running_var] = pair(params.running.filter(|_| used));
    Stats { mean, rstd, weight, bias, running_mean, running_var }
}

impl NormKernels for Cuda {
    fn norm(&mut self, args: &NormArgs) -> Result<()> {
        debug_assert!(self.norm_supports(args).is_ok(), "asked before a program runs");
        let NormArgs { norm, x, params, kept, y, skip } = *args;
        let plan = NormPlan::forward(self, args);
        let (rule, stats) = (rule(norm, plan.groups), stats(self, norm, params, kept));
        let (from, to, state) = (self.tensor(x), self.tensor(y), self.state_address());
        let skip = skip.map_or(NOTHING, |view| self.tensor(view));
        if norm.statistics == Statistics::Batch {
            if plan.is_small(x.shape) {
                let args = (from, to, skip, rule, stats, plan.each as i32, state);
                return self.launch(names::NORM_FUSED, x.elem, plan.small(), &args);
            }
            let parts = self.scratch(plan.parts(x.shape))?;
            let args = (from, rule, stats, parts, CounterAddress(self.counters_address().0));
            self.launch(names::NORM_SUMS, x.elem, plan.large(), &args)?;
        }
        let args = (from, to, skip, rule, stats, state);
        self.launch(names::NORM_APPLY, x.elem, plan.large(), &args)
    }

    fn norm_workspace(&self, args: &NormArgs) -> Workspace {
        let (plan, x) = (NormPlan::forward(self, args), args.x.shape);
        let summed = args.norm.statistics == Statistics::Batch && !plan.is_small(x);
        Workspace::scratch(if summed { plan.parts(x) } else { 0 })
    }

    fn norm_supports(&self, args: &NormArgs) -> Result<()> {
        // One counter serves NORM_LANES channels.
        let most = COUNTERS * NORM_LANES;
        if args.x.shape.c <= most {
            return Ok(());
        }
        Err(Error::machine(format!(
            "norm: {} has more than the {most} channels that a GPU norms; use a smaller \
             {BASE_CHANNELS} or {DEVICE} cpu",
            args.x.shape
        )))
    }

    fn norm_grad(&mut self, args: &NormGradArgs) -> Result<()> {
        let NormGradArgs { norm, x, params, kept, dy, dskip, dx, daffine } = *args;
        let plan = NormPlan::backward(self, args);
        let (rule, stats) = (rule(norm, plan.groups), stats(self, norm, params, kept));
        let merge = |to: Option<(View, Write)>| Merge::from(to.map_or(Write::Set, |(_, m)| m));
        let [dweight, dbias] = daffine.map(|to| self.maybe_floats(to.map(|(view, _)| view)));
        let grads = Grads {
            dweight,
            dbias,
            merge: merge(dx),
            weight_merge: merge(daffine[0]),
            bias_merge: merge(daffine[1]),
        };
        let (from, gradient, state) = (self.tensor(x), self.tensor(dy), self.state_address());
        let to = dx.map_or(NOTHING, |(view, _)| self.tensor(view));
        let dskip = dskip.map_or(NOTHING, |view| self.tensor(view));
        if plan.is_small(x.shape) {
            let args = (from, gradient, dskip, to, rule, stats, grads, plan.each as i32, state);
            return self.launch(names::NORM_GRAD, x.elem, plan.small(), &args);
        }
        let parts = self.scratch(self.norm_grad_workspace(args).scratch)?;
        let sums = FloatAddress(parts.0 + 4 * plan.parts(x.shape) as u64);
        let counters = CounterAddress(self.counters_address().0);
        let args = (from, gradient, dskip, rule, stats, grads, parts, sums, counters, state);
        self.launch(names::NORM_GRAD_SUMS, x.elem, plan.large(), &args)?;
        if dx.is_some() {
            let args = (from, gradient, dskip, to, rule, stats, grads.merge, sums, state);
            self.launch(names::NORM_GRAD_APPLY, x.elem, plan.large(), &args)?;
        }
        Ok(())
    }

    fn norm_grad_workspace(&self, args: &NormGradArgs) -> Workspace {
        let (plan, x) = (NormPlan::backward(self, args), args.x.shape);
        let sums = plan.parts(x) + 2 * plan.groups * x.c;
        Workspace::scratch(if plan.is_small(x) { 0 } else { sums })
    }
}
