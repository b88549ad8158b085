//! The networks of a run in one arena: initialised, saved and loaded together.

use std::collections::BTreeMap;
use std::path::Path;

use super::Recipe;
use crate::checkpoint::{self, NamedView, OPTIMISER, safetensors};
use crate::device::Arena;
use crate::error::{Error, Result};
use crate::kernel::{Adam, Backend};
use crate::model::Network;
use crate::nn::Placement;
use crate::tensor::{Shape, View};

/// The networks of a run, placed, with room for gradients and the optimiser's state.
#[derive(Debug)]
pub struct Networks {
    list: Vec<(String, Box<dyn Network>)>,
    end: usize,
}

impl Networks {
    /// Builds the networks of a recipe and places them in an arena.
    ///
    /// # Errors
    /// Networks that cannot be built.
    pub fn new(recipe: &dyn Recipe) -> Result<Self> {
        let mut arena = Arena::default();
        let mut list = recipe.networks()?;
        for (name, network) in &mut list {
            network.params_mut().place(&mut arena, Placement::Training(recipe.state(name)));
        }
        Ok(Networks { list, end: arena.len() })
    }

    /// Name and network of each, in the order of the recipe.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &dyn Network)> {
        self.list.iter().map(|(name, network)| (name.as_str(), &**network))
    }

    /// The network that translates.
    pub fn first(&self) -> &dyn Network {
        &*self.list[0].1
    }

    /// A network by its name.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none of that name.
    pub fn named(&self, name: &str) -> Result<&dyn Network> {
        let found = self.iter().find(|(n, _)| *n == name).map(|(_, network)| network);
        found.ok_or_else(|| Error::input(format!("this run has no network {name}")))
    }

    /// One past their last unit of 4 bytes in the arena.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Uploads initial values, which depend on the seed alone.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn init(&self, b: &mut dyn Backend, seed: u64) -> Result<()> {
        for (i, (_, network)) in self.iter().enumerate() {
            network.params().init(b, seed, i as u32)?;
        }
        Ok(())
    }

    /// The tensors of a checkpoint: values, running statistics, and the optimiser's state.
    fn tensors(&self) -> Vec<NamedView> {
        let mut all = Vec::new();
        for (name, network) in self.iter() {
            let params = network.params();
            all.extend(checkpoint::named_views(name, params));
            let group = params.group();
            for (state, vector) in &group.state {
                let kind = if Adam::STATE.contains(state) { OPTIMISER } else { "" };
                for p in params.iter().filter(|p| p.trained) {
                    let part = group.part(*vector, p.view());
                    let part = part.expect("a trained parameter lies in its group");
                    all.push((format!("{kind}{state}.{name}.{}", p.name), part));
                }
            }
        }
        all
    }

    /// Checks that every number of every network is finite: values, running statistics, and what an
    /// optimiser or an average keeps.
    ///
    /// # Errors
    /// [`Error::Input`] that names the first tensor, as in a checkpoint, that holds NaN or infinity,
    /// and how many of its numbers are; what the device reports.
    pub fn check_finite(&self, b: &mut dyn Backend) -> Result<()> {
        let tensors = self.tensors();
        let views: Vec<View> = tensors.iter().map(|(_, view)| *view).collect();
        let counts = b.count_not_finite(&views)?;
        let all: Vec<_> = tensors.iter().zip(counts).filter(|(_, count)| *count > 0).collect();
        let Some(((name, view), count)) = all.first() else { return Ok(()) };
        let others = match all.len() - 1 {
            0 => String::new(),
            1 => ", and some of 1 other tensor".to_string(),
            n => format!(", and some of {n} other tensors"),
        };
        let what = checkpoint::wrong_numbers(*count, view.shape.count(), name, "NaN or infinite");
        Err(Error::input(format!("{what}{others}")))
    }

    /// Writes a checkpoint, atomically: everything that [`Networks::load`] needs, and `metadata`.
    ///
    /// # Errors
    /// [`Error::File`] if the disk fails; an older file at `path` then stays.
    pub fn save(
        &self,
        b: &dyn Backend,
        path: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        checkpoint::save_views(path, b, &self.tensors(), metadata)
    }

    /// Writes the networks alone, atomically: a checkpoint without the optimiser's state, a third of
    /// the size.
    ///
    /// # Errors
    /// As [`Networks::save`].
    pub fn save_values(
        &self,
        b: &dyn Backend,
        path: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut tensors = self.tensors();
        tensors.retain(|(name, _)| !name.starts_with(OPTIMISER));
        checkpoint::save_views(path, b, &tensors, metadata)
    }

    /// Writes a model file with the network that translates, atomically.
    ///
    /// # Errors
    /// As [`Networks::save`].
    pub fn save_first(
        &self,
        b: &dyn Backend,
        path: &Path,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let (name, network) = &self.list[0];
        let tensors = checkpoint::named_views(name, network.params());
        checkpoint::save_views(path, b, &tensors, metadata)
    }

    /// Loads a checkpoint that [`Networks::save`] or [`Networks::save_values`] wrote; `path` only
    /// names it in errors. Returns whether it has the optimiser's state, which otherwise is zero.
    ///
    /// # Errors
    /// [`Error::Input`] if a tensor is missing, has another shape, is damaged, or holds NaN or
    /// infinity.
    pub fn load(
        &self,
        b: &mut dyn Backend,
        reader: &mut safetensors::Reader,
        path: &Path,
    ) -> Result<bool> {
        let optimised = reader.names().iter().any(|name| name.starts_with(OPTIMISER));
        for (_, network) in self.iter() {
            network.params().clear(b)?;
        }
        let mut values = Vec::new();
        let wanted = |name: &str| optimised || !name.starts_with(OPTIMISER);
        for (name, view) in self.tensors().into_iter().filter(|(name, _)| wanted(name)) {
            if reader.shape(&name) != Some(view.shape) {
                let found = reader.shape(&name).map_or("missing".into(), |s: Shape| s.to_string());
                return Err(Error::input(format!(
                    "{}: {name} is {found}, this run needs {}",
                    path.display(),
                    view.shape
                )));
            }
            values.resize(view.shape.count(), 0.0);
            reader.read_into(&name, &mut values)?;
            checkpoint::check_numbers(path, &name, &values)?;
            b.upload(view, &values)?;
        }
        Ok(optimised)
    }
}
