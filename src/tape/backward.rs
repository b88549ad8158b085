//! Records the backward pass from losses to the parameters of one network: which operations take
//! part, and which gradients each of them sets or adds to.

use std::collections::{HashMap, HashSet};

use super::entry::{Backward, Fill};
use super::{Group, Node, Source, Tape, Var};
use crate::error::{Error, Result};
use crate::kernel::Write;
use crate::tensor::View;

/// Where a gradient is stored: in the parameters' gradient vector, or in channels of a planned
/// buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GradPlace {
    /// A parameter's gradient.
    Fixed(View),
    /// `channels` channels from `from` on of gradient buffer `buffer` (an index of `Tape::grads`).
    Planned { buffer: usize, from: usize, channels: usize },
}

/// State of the recording of one network's backward pass.
struct Walk<'a> {
    group: &'a Group,
    /// Whether the first writer of a parameter's gradient sets it or adds to it.
    first: Write,
    /// Gradient buffer of each owner, with a mark for every channel that has been written.
    buffers: HashMap<Var, (usize, Vec<bool>)>,
    /// Parameters whose gradient has been written.
    params: HashSet<Var>,
}

impl Tape {
    /// Records the gradients of the sum of weight * loss over all terms, with respect to the
    /// parameters of one group. A loss is a vector (1,1,1,c), which counts as the sum of its
    /// elements. Nothing is computed that only other parameters would need.
    ///
    /// `first` says what happens to gradients that are already stored: [`Write::Set`] replaces
    /// them, [`Write::Add`] adds to them, so that the gradients of several batches are summed.
    ///
    /// # Errors
    /// [`Error::Shape`] where a term is not a vector, is a parameter or is named twice, or where
    /// the terms do not depend on every parameter of the group.
    pub fn backward(&mut self, terms: &[(f32, Var)], of: &Group, first: Write) -> Result<()> {
        let wide = terms.iter().map(|t| self.shape(t.1)).find(|s| s.pixels() != 1);
        if let Some(shape) = wide {
            let detail = format!("a loss must be a vector (1,1,1,c), this is {shape}");
            return Err(Error::shape("backward", detail));
        }
        let reached = self.reached_from(of);
        let mut on_path = HashSet::new();
        let mut walk = Walk { group: of, first, buffers: HashMap::new(), params: HashSet::new() };
        for &(weight, loss) in terms {
            on_path.extend(self.path_to(loss));
            let (seed, mode) = self.claim(&mut walk, loss)?;
            if matches!(seed, GradPlace::Fixed(_)) {
                let name = &self.values[loss.0].name;
                let detail = format!("{name} is a parameter; `copy` it to use it as a loss");
                return Err(Error::shape("backward", detail));
            }
            if mode == Write::Add {
                return Err(Error::shape("backward", "a loss is named twice"));
            }
            self.entries.push(Box::new(Fill(seed, weight)));
        }
        for node in (0..self.nodes.len()).rev() {
            let Node { output, skip, .. } = self.nodes[node];
            let wanted = |v: &Var| reached.contains(v) && on_path.contains(v);
            let skip = skip.filter(wanted);
            if !wanted(&output) && skip.is_none() {
                continue;
            }
            let inputs = self.nodes[node].inputs.clone();
            let shapes: Vec<_> = inputs.iter().map(|&v| self.shape(v)).collect();
            let dy = self.complete(&mut walk, output)?;
            let dskip = skip.map(|skip| self.complete(&mut walk, skip)).transpose()?;
            let mut dx = Vec::with_capacity(inputs.len());
            for (i, &input) in inputs.iter().enumerate() {
                // An input stored inside the output shares the output's gradient buffer.
                let lives_inside = self.nodes[node].op.alias(&shapes, i).is_some();
                dx.push(if reached.contains(&input) && !lives_inside {
                    Some(self.claim(&mut walk, input)?)
                } else {
                    None
                });
            }
            if dx.iter().any(Option::is_some) {
                self.entries.push(Box::new(Backward { node, dy, dskip, dx }));
            }
        }
        let reaches = |v: &&Var| reached.contains(v) && !walk.params.contains(v);
        if let Some(&missing) = self.params.values().filter(reaches).min() {
            let detail = format!("the loss does not depend on {}", self.values[missing.0].name);
            return Err(Error::shape("backward", detail));
        }
        Ok(())
    }

    /// Every value that depends on a parameter of the group, and those parameters.
    fn reached_from(&self, group: &Group) -> HashSet<Var> {
        let mut reached = HashSet::new();
        for (i, value) in self.values.iter().enumerate() {
            let depends = match value.source {
                Source::Param(view) => group.part(group.grads, view).is_some(),
                Source::Node(node) => self
                    .nodes
                    .get(node)
                    .is_some_and(|n| n.inputs.iter().any(|v| reached.contains(v))),
                Source::Input | Source::Constant | Source::Entry | Source::Detached(_) => false,
            };
            if depends {
                reached.insert(Var(i));
            }
        }
        reached
    }

    /// Every value that `loss` is computed from.
    fn path_to(&self, loss: Var) -> HashSet<Var> {
        let (mut path, mut open) = (HashSet::new(), vec![loss]);
        while let Some(var) = open.pop() {
            if path.insert(var)
                && let Source::Node(node) = self.values[var.0].source
            {
                open.extend(&self.nodes[node].inputs);
            }
        }
        path
    }

    /// Where the gradient of `v` goes, and whether its next writer sets or adds. Where only some of
    /// its channels have been written, the others are set to 0 first.
    fn claim(&mut self, walk: &mut Walk, v: Var) -> Result<(GradPlace, Write)> {
        if let Source::Param(view) = self.values[v.0].source {
            let place = walk.group.part(walk.group.grads, view).ok_or_else(|| {
                Error::shape("backward", "a gradient of a parameter outside the group is wanted")
            })?;
            let mode = if walk.params.insert(v) { walk.first } else { Write::Add };
            return Ok((GradPlace::Fixed(place), mode));
        }
        let place = self.place(walk, v);
        let marks = self.marks(walk, v);
        let written = marks.iter().filter(|m| **m).count();
        if written == 0 {
            marks.fill(true);
            return Ok((place, Write::Set));
        }
        self.zero_rest(walk, v);
        Ok((place, Write::Add))
    }

    /// The gradient of `v`; channels that nothing has written are set to 0 first.
    fn complete(&mut self, walk: &mut Walk, v: Var) -> Result<GradPlace> {
        let place = self.place(walk, v);
        self.zero_rest(walk, v);
        Ok(place)
    }

    fn place(&mut self, walk: &mut Walk, v: Var) -> GradPlace {
        let (owner, from) = self.owner(v);
        let channels = self.shape(owner).c;
        let next = self.grads.len();
        let (buffer, _) =
            walk.buffers.entry(owner).or_insert_with(|| (next, vec![false; channels]));
        if *buffer == next {
            self.grads.push(owner);
        }
        GradPlace::Planned { buffer: *buffer, from, channels: self.shape(v).c }
    }

    fn marks<'a>(&self, walk: &'a mut Walk<'_>, v: Var) -> &'a mut [bool] {
        let (owner, from) = self.owner(v);
        let (_, marks) = walk.buffers.get_mut(&owner).expect("placed before it is marked");
        &mut marks[from..from + self.values[v.0].shape.c]
    }

    fn zero_rest(&mut self, walk: &mut Walk, v: Var) {
        let (owner, from) = self.owner(v);
        let buffer = walk.buffers[&owner].0;
        let marks = self.marks(walk, v);
        let mut fills = Vec::new();
        let mut at = 0;
        while at < marks.len() {
            let len = marks[at..].iter().take_while(|m| !**m).count();
            if len > 0 {
                fills.push(GradPlace::Planned { buffer, from: from + at, channels: len });
            }
            at += len.max(1);
        }
        marks.fill(true);
        for place in fills {
            self.entries.push(Box::new(Fill(place, 0.0)));
        }
    }
}
