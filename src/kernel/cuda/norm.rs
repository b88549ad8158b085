//! Batch and instance norm on a GPU: `kernels/norm.cu`.

use super::dropout::DropoutArg;
use super::pointwise::Rule;
use super::{Merge, NOTHING, names};
use crate::device::{
    COUNTERS, CounterAddress, Cuda, FloatAddress, Grid, device_constants, device_struct,
};
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
        /// How far running statistics move.
        pub momentum: f32,
        /// Runs of pictures with statistics of their own.
        pub groups: i32,
        /// 1 for the tensor's own statistics, 0 for the running ones.
        pub own: i32,
        /// Last.
        pub rule: Rule,
        /// Before that; a rate of 0 for none.
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
        /// Scale.
        pub weight: FloatAddress,
        /// Shift.
        pub bias: FloatAddress,
        /// Running mean.
        pub running_mean: FloatAddress,
        /// Running variance.
        pub running_var: FloatAddress,
    }
}

device_struct! {
    /// Where gradients go; null where none is wanted.
    pub struct Grads {
        /// Of the scale.
        pub dweight: FloatAddress,
        /// Of the shift.
        pub dbias: FloatAddress,
        /// How dx is written.
        pub merge: Merge,
        /// How dweight is written.
        pub weight_merge: Merge,
        /// How dbias is written.
        pub bias_merge: Merge,
    }
}

device_constants! {
    /// Channels of a block, side by side.
    const NORM_LANES: usize = 32;
    /// Threads of a block where one launch does a whole norm.
    const NORM_FUSED_THREADS: usize = 512;
    /// Threads of a block where two do.
    const NORM_THREADS: usize = 256;
}

/// Most pixels of a group that one launch takes: a block goes over its channels of them in 64 turns.
const FEW: usize = 1024;
/// Pixels that a block takes of a larger group: eight turns.
const RANGE: usize = 64;

/// Blocks of a norm.
struct NormPlan {
    groups: usize,
    /// Blocks side by side over the channels.
    tiles: usize,
    /// Runs of pixels that a group is cut into; 1 where one launch does it all.
    ranges: usize,
    /// Groups that one block does after another in one launch.
    each: usize,
}

impl NormPlan {
    fn new(cuda: &Cuda, norm: Norm, shape: Shape, together: bool) -> Self {
        let groups = norm.statistics_shape(shape).n;
        let (pixels, tiles) = (shape.pixels() / groups, shape.c.div_ceil(NORM_LANES));
        // As many as fill the card twice; the block that is last goes over all of them.
        let most = (4 * cuda.multiprocessors()).div_ceil(tiles * groups).max(1);
        // No range may be empty: each is of `ceil(pixels / ranges)` pixels.
        let wanted = pixels.div_ceil(RANGE).clamp(1, most);
        let ranges = pixels.div_ceil(pixels.div_ceil(wanted));
        NormPlan { groups, tiles, ranges, each: if together { groups } else { 1 } }
    }

    /// Of a norm's forward pass. Running statistics move group after group, in one block.
    fn forward(cuda: &Cuda, args: &NormArgs) -> Self {
        NormPlan::new(cuda, args.norm, args.x.shape, args.params.running.is_some())
    }

    /// Of its backward pass. Gradients of scale and shift are sums over all groups, in one block.
    fn backward(cuda: &Cuda, args: &NormGradArgs) -> Self {
        let together = args.daffine.iter().any(Option::is_some);
        NormPlan::new(cuda, args.norm, args.x.shape, together)
    }

    /// Whether one launch does it all.
    fn is_small(&self, x: Shape) -> bool {
        x.pixels() / self.groups <= FEW
    }

    /// Sums that the blocks leave: two a group, range and channel.
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
    // Those of an instance norm are never moved.
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
        // A counter serves NORM_LANES channels.
        let most = COUNTERS * NORM_LANES;
        if args.x.shape.c <= most {
            return Ok(());
        }
        Err(Error::machine(format!(
            "norm: {} has more than the {most} channels that a GPU norms; use a smaller \
             `base_channels` or `device` cpu",
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
