//! The recipe of segmentation: the generator gives a logit for each class, its distance to the target is softmax
//! cross entropy, and discriminators see probabilities beside one-hot classes.

use std::path::Path;

use super::pix2pix::{Pix2Pix, named};
use super::recipe::{Given, Recipe, Recorded, StepInput};
use super::{Networks, Objective};
use crate::error::Result;
use crate::kernel::{Backend, Statistics};
use crate::model::Network;
use crate::nn::Mode;
use crate::tape::{Tape, Var};

/// A generator that learns the class of every pixel, alone or against discriminators.
///
/// The losses of a step are those of [`Pix2Pix`], with "g_cross_entropy" (not times lambda) in the place of
/// "g_l1". Pixels without a class do not count.
#[derive(Clone, Debug)]
pub struct Segmentation {
    /// The networks, the adversarial loss, lambda and the optimiser; its distance is not used.
    pub base: Pix2Pix,
    /// The index of a pixel without a class.
    pub no_class: u16,
}

impl Recipe for Segmentation {
    fn networks(&self) -> Result<Vec<(String, Box<dyn Network>)>> {
        self.base.networks()
    }

    fn state(&self, network: &str) -> &[&'static str] {
        self.base.state(network)
    }

    fn inputs(&self) -> Vec<StepInput> {
        let (input, classes) = (self.base.generator.in_channels, self.base.generator.out_channels);
        let mut all = vec![
            StepInput { name: "a", channels: input, given: Given::Input },
            StepInput { name: "classes", channels: 1, given: Given::Classes },
        ];
        if self.base.objective.is_adversarial() {
            all.push(StepInput { name: "b", channels: classes, given: Given::OneHot });
            if self.base.masked {
                all.push(StepInput { name: "mask", channels: 1, given: Given::Mask });
            }
        }
        all
    }

    fn record(&self, tape: &mut Tape, networks: &Networks, inputs: &[Var]) -> Result<Recorded> {
        let Objective { lambda, .. } = self.base.objective;
        let (a, classes) = (inputs[0], inputs[1]);
        let g = networks.first();
        let logits = g.forward(tape, a, Mode::TRAIN)?;
        let ignored = Some(usize::from(self.no_class));
        let far = tape.cross_entropy(logits, classes, ignored)?;
        let far = Some((lambda, named("g_cross_entropy".to_string(), far, 0)));
        let mut adversarial = Default::default();
        if let Some(&b) = inputs.get(2) {
            let mut fake = tape.softmax(logits)?;
            if let Some(&mask) = inputs.get(3) {
                fake = tape.weigh(fake, mask)?;
            }
            adversarial = self.base.adversarial(tape, networks, [a, b], fake)?;
        }
        self.base.train_generator(tape, g, logits, far, adversarial)
    }

    fn preview(
        &self,
        tape: &mut Tape,
        networks: &Networks,
        x: Var,
        statistics: Statistics,
    ) -> Result<Var> {
        self.base.preview(tape, networks, x, statistics)
    }

    fn take_values(
        &self,
        networks: &Networks,
        name: &str,
        b: &mut dyn Backend,
        path: &Path,
    ) -> Result<()> {
        self.base.take_values(networks, name, b, path)
    }
}
