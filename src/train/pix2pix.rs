//! The recipe of pix2pix (Isola et al. 2017, section 3): a step trains the discriminator first,
//! then the generator against the updated discriminator.

use std::path::Path;

use super::recipe::{Given, NamedLoss, Recipe, Recorded, StepInput};
use super::{Distance, Gan, Judgement, Networks, Objective, differences};
use crate::checkpoint::{self, DISCRIMINATOR, GENERATOR, numbered};
use crate::error::settings::{GAN, INIT_DISCRIMINATOR};
use crate::error::{Error, Result};
use crate::kernel::{Adam, Backend, Statistics, Write};
use crate::model::{
    DiscriminatorConfig, GeneratorConfig, GeneratorKind, Network, NormKind, Output,
};
use crate::nn::Mode;
use crate::tape::{Tape, Var};

/// A generator trained against any number of discriminators and towards the target.
///
/// The losses of a step are "g_gan", "g_l1" (times lambda), "d_real" and "d_fake" (not halved), as
/// far as the objective has them; the names of a second discriminator's end in 2.
#[derive(Clone, Debug)]
pub struct Pix2Pix {
    /// The network that translates.
    pub generator: GeneratorConfig,
    /// The networks that judge it; none without an adversarial loss.
    pub discriminators: Vec<DiscriminatorConfig>,
    /// The losses.
    pub objective: Objective,
    /// The optimiser of all networks.
    pub adam: Adam,
    /// Whether some pixels do not count: the distance is then the mean over those that do, and the
    /// discriminators see 0 at the others, generated or real.
    pub masked: bool,
}

/// What the adversarial part of a step adds to it.
#[derive(Default)]
pub(super) struct Adversarial {
    /// The generator's losses, with their weights.
    pub terms: Vec<(f32, Var)>,
    /// "g_gan" of each discriminator, then "d_real", then "d_fake".
    pub losses: [Vec<NamedLoss>; 3],
}

pub(super) fn named(name: String, value: Var, channel: usize) -> NamedLoss {
    NamedLoss { name, value, channel }
}

/// The name of discriminator number `i`, from 0: "discriminator", then "discriminator2".
fn discriminator(i: usize) -> String {
    numbered(DISCRIMINATOR, i)
}

impl Default for Pix2Pix {
    /// The networks and losses of the paper.
    fn default() -> Self {
        let norm = NormKind::Batch;
        Pix2Pix {
            generator: GeneratorConfig {
                kind: GeneratorKind::Unet,
                in_channels: 3,
                out_channels: 3,
                base_channels: 64,
                depth: 8,
                norm,
                dropout: true,
                output: Output::Tanh,
            },
            discriminators: vec![DiscriminatorConfig {
                in_channels: 6,
                base_channels: 64,
                layers: 3,
                norm,
            }],
            objective: Objective {
                gan: Gan::Vanilla,
                distance: Distance::L1,
                lambda: 100.0,
                conditional: true,
            },
            adam: Adam::default(),
            masked: false,
        }
    }
}

impl Pix2Pix {
    /// What the discriminators see: generated and real images as one batch, without a path back to the
    /// generator; and the generated ones alone, with it. Each has its input beside it where the
    /// objective is conditional.
    fn judged(&self, tape: &mut Tape, [a, b]: [Var; 2], fake: Var) -> Result<(Var, Var)> {
        let (n, channels) = (tape.shape(a).n, tape.shape(a).c);
        if !self.objective.conditional {
            let still = tape.detach(fake);
            return Ok((tape.stack(&[(still, 0, 0), (b, n, 0)])?, fake));
        }
        let a = tape.copy(a)?;
        let judged = tape.concat(&[a, fake])?;
        let still = tape.detach(fake);
        let pairs = tape.stack(&[(a, 0, 0), (still, 0, channels), (a, n, 0), (b, n, channels)])?;
        Ok((pairs, judged))
    }

    /// A discriminator's step on generated and real images; its losses on them, in this order.
    fn train_discriminator(
        &self,
        tape: &mut Tape,
        d: &dyn Network,
        pairs: Var,
        [fake, real]: [Judgement; 2],
    ) -> Result<Var> {
        // Generated and real images pass through D as one batch, which reads its filters once, with
        // separate statistics. The running statistics are updated by fake, real and fake, in the
        // order of the port.
        let map = d.forward(tape, pairs, Mode { runs: 2, ..Mode::TRAIN })?;
        assert_eq!(fake.loss, real.loss, "D's two losses are of one kind");
        let both = tape.labelled(fake.loss, map, &[fake.label, real.label])?;
        // Halved, to slow D down beside G (section 3.3).
        let group = d.params().group();
        tape.backward(&[(0.5, both)], group, Write::Set)?;
        tape.optimise(group, self.adam)?;
        Ok(both)
    }

    /// Trains the discriminators on `fake` and the target `b`, each beside the input `a` where the objective
    /// is conditional, and returns what they then say of `fake`. Nothing without an adversarial loss.
    ///
    /// # Errors
    /// Shapes that do not fit the discriminators.
    pub(super) fn adversarial(
        &self,
        tape: &mut Tape,
        networks: &Networks,
        [a, b]: [Var; 2],
        fake: Var,
    ) -> Result<Adversarial> {
        let gan = self.objective.gan;
        let mut all = Adversarial::default();
        let [Some(real), Some(fake_d), Some(fake_g)] = [gan.d_real(), gan.d_fake(), gan.g_fake()]
        else {
            return Ok(all);
        };
        let (pairs, judged) = self.judged(tape, [a, b], fake)?;
        let mut steps = Vec::new();
        for i in 0..self.discriminators.len() {
            let d = networks.named(&discriminator(i))?;
            steps.push((d, self.train_discriminator(tape, d, pairs, [fake_d, real])?));
        }
        // Against the discriminators as they now are.
        for (i, (d, both)) in steps.into_iter().enumerate() {
            let map = d.forward(tape, judged, Mode::TRAIN)?;
            let value = tape.labelled(fake_g.loss, map, &[fake_g.label])?;
            all.terms.push((1.0, value));
            let [of_g, reals, fakes] = &mut all.losses;
            of_g.push(named(numbered("g_gan", i), value, 0));
            reals.push(named(numbered("d_real", i), both, 1));
            fakes.push(named(numbered("d_fake", i), both, 0));
        }
        Ok(all)
    }

    /// Ends a step: the generator's backward pass through its distance `far` and the adversarial losses, and
    /// its update.
    ///
    /// # Errors
    /// None for values of this tape.
    pub(super) fn train_generator(
        &self,
        tape: &mut Tape,
        g: &dyn Network,
        output: Var,
        far: Option<(f32, NamedLoss)>,
        adversarial: Adversarial,
    ) -> Result<Recorded> {
        let Adversarial { terms, losses: [of_g, reals, fakes] } = adversarial;
        let first = far.iter().map(|(weight, loss)| (*weight, loss.value));
        let terms: Vec<(f32, Var)> = first.chain(terms).collect();
        let far = far.map(|(_, loss)| loss);
        let losses = of_g.into_iter().chain(far).chain(reals).chain(fakes).collect();
        let group = g.params().group();
        tape.backward(&terms, group, Write::Set)?;
        tape.optimise(group, self.adam)?;
        Ok(Recorded { losses, output })
    }
}

impl Recipe for Pix2Pix {
    fn networks(&self) -> Result<Vec<(String, Box<dyn Network>)>> {
        let mut all = vec![(GENERATOR.to_string(), self.generator.build()?)];
        for (i, config) in self.discriminators.iter().enumerate() {
            all.push((discriminator(i), config.build()?));
        }
        Ok(all)
    }

    fn state(&self, _network: &str) -> &[&'static str] {
        &Adam::STATE
    }

    fn inputs(&self) -> Vec<StepInput> {
        let GeneratorConfig { in_channels, out_channels, .. } = self.generator;
        let mut all = vec![
            StepInput { name: "a", channels: in_channels, given: Given::Input },
            StepInput { name: "b", channels: out_channels, given: Given::Target },
        ];
        if self.masked {
            all.push(StepInput { name: "mask", channels: 1, given: Given::Mask });
            all.push(StepInput { name: "share", channels: 1, given: Given::Share });
        }
        all
    }

    fn record(&self, tape: &mut Tape, networks: &Networks, inputs: &[Var]) -> Result<Recorded> {
        let Objective { distance, lambda, .. } = self.objective;
        let (a, mut b) = (inputs[0], inputs[1]);
        let g = networks.first();
        let output = g.forward(tape, a, Mode::TRAIN)?;
        let mut fake = output;
        if self.masked {
            b = tape.weigh(b, inputs[2])?;
            fake = tape.weigh(fake, inputs[2])?;
        }
        // Recorded before D, so that the backward pass writes D's gradient first and adds this one:
        // D's also covers the channels of the input, which would have to be set to 0 otherwise.
        let far = match distance.loss() {
            Some(loss) => {
                let mut far = tape.distance(loss, lambda, fake, b)?;
                if self.masked {
                    far = tape.weigh(far, inputs[3])?;
                }
                Some((1.0, named("g_l1".to_string(), far, 0)))
            }
            None => None,
        };
        let adversarial = self.adversarial(tape, networks, [a, b], fake)?;
        self.train_generator(tape, g, output, far, adversarial)
    }

    fn preview(
        &self,
        tape: &mut Tape,
        networks: &Networks,
        x: Var,
        statistics: Statistics,
    ) -> Result<Var> {
        networks.first().forward(tape, x, Mode { statistics, ..Mode::TRANSLATE })
    }

    fn take_values(
        &self,
        networks: &Networks,
        name: &str,
        b: &mut dyn Backend,
        path: &Path,
    ) -> Result<()> {
        let path = &checkpoint::model_file(path);
        let mut weights = checkpoint::load_weights(path)?;
        let tensors = if name == GENERATOR {
            let Some((config, tensors)) = weights.generator else {
                return Err(Error::input(format!(
                    "{} holds no generator; a discriminator goes to {INIT_DISCRIMINATOR}",
                    path.display()
                )));
            };
            // Weights do not tell whether the network has dropout.
            let same = GeneratorConfig { dropout: self.generator.dropout, ..config };
            if same != self.generator {
                return Err(differs(path, name, &same, &self.generator));
            }
            tensors
        } else {
            let Some(last) = weights.discriminators.len().checked_sub(1) else {
                return Err(Error::input(format!(
                    "{} holds no discriminator; give a checkpoint of a run or a latest_net_D.pth",
                    path.display()
                )));
            };
            if self.discriminators.is_empty() {
                return Err(Error::input(format!(
                    "{INIT_DISCRIMINATOR} has no use with {GAN} none, leave one of them out"
                )));
            }
            let mut mine = self.discriminators.iter().enumerate();
            let Some((i, mine)) = mine.find(|(i, _)| discriminator(*i) == name) else {
                return networks.named(name).map(drop);
            };
            // The file's discriminator of the same number; a .pth has only one.
            let (config, tensors) = weights.discriminators.swap_remove(i.min(last));
            if config != *mine {
                return Err(differs(path, name, &config, mine));
            }
            tensors
        };
        checkpoint::upload(b, networks.named(name)?.params(), &tensors, path)
    }
}

fn differs<C: serde::Serialize>(path: &Path, what: &str, found: &C, wanted: &C) -> Error {
    Error::input(format!(
        "{} does not fit this run: of the {what}, {}; change the settings to match",
        path.display(),
        differences(found, wanted)
    ))
}
