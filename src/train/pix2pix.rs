//! The recipe of pix2pix, as the paper writes it (Isola et al. 2017, section 3): the discriminator
//! first, then the generator against the discriminator as it then is.

use std::path::Path;

use super::recipe::{NamedLoss, Recipe, Recorded, StepInput};
use super::{Networks, Objective, Scores, differences};
use crate::checkpoint::{self, DISCRIMINATOR, GENERATOR};
use crate::data::Image;
use crate::error::{Error, Result};
use crate::kernel::{Adam, Backend, Write};
use crate::model::{DiscriminatorConfig, GeneratorConfig, Network};
use crate::nn::Mode;
use crate::tape::{Tape, Var};
use crate::tensor::SampleRange;

/// A generator against any number of discriminators, with a distance to the target beside.
///
/// The losses of a step are "g_gan", "g_l1" (times lambda), "d_real" and "d_fake" (not halved), as
/// the objective has them; those of a second discriminator end in 2.
#[derive(Clone, Debug)]
pub struct Pix2Pix {
    /// The network that translates.
    pub generator: GeneratorConfig,
    /// Those that judge it; none where the objective has no adversarial loss.
    pub discriminators: Vec<DiscriminatorConfig>,
    /// Losses.
    pub objective: Objective,
    /// Of all networks.
    pub adam: Adam,
}

/// The name of discriminator number `i`, from 0: "discriminator", then "discriminator2".
fn discriminator(i: usize) -> String {
    numbered(DISCRIMINATOR, i)
}

/// "g_gan", then "g_gan2".
fn numbered(name: &str, i: usize) -> String {
    if i == 0 { name.to_string() } else { format!("{name}{}", i + 1) }
}

impl Recipe for Pix2Pix {
    fn networks(&self) -> Result<Vec<(String, Box<dyn Network>)>> {
        let mut all = vec![(GENERATOR.to_string(), self.generator.build()?)];
        for (i, config) in self.discriminators.iter().enumerate() {
            all.push((discriminator(i), config.build()?));
        }
        Ok(all)
    }

    fn state(&self) -> &[&'static str] {
        &Adam::STATE
    }

    fn inputs(&self) -> [StepInput; 2] {
        [
            StepInput { name: "a", channels: self.generator.in_channels },
            StepInput { name: "b", channels: self.generator.out_channels },
        ]
    }

    fn record(&self, tape: &mut Tape, networks: &Networks, [a, b]: [Var; 2]) -> Result<Recorded> {
        let Objective { gan, distance, lambda, conditional } = self.objective;
        let g = networks.first();
        let fake = g.forward(tape, a, Mode::TRAIN)?;
        let (mut terms, mut losses) = (Vec::new(), Vec::new());
        // Before D looks at it, so that in the backward pass D's gradient is the first to be written
        // and this one is added: D's covers the input's channels too, which would else be set to 0.
        let far = match distance.loss() {
            Some(loss) => Some(tape.distance(loss, lambda, fake, b)?),
            None => None,
        };
        terms.extend(far.map(|far| (1.0, far)));
        if let [Some(d_real), Some(d_fake), Some(g_fake)] =
            [gan.d_real(), gan.d_fake(), gan.g_fake()]
        {
            let (size, channels) = (tape.shape(a), tape.shape(a).c);
            let n = size.n;
            let (seen, judged) = if conditional {
                let a = tape.copy(a)?;
                (Some(a), tape.concat(&[a, fake])?)
            } else {
                (None, fake)
            };
            let still = tape.detach(fake);
            let pairs = match seen {
                Some(a) => {
                    tape.stack(&[(a, 0, 0), (still, 0, channels), (a, n, 0), (b, n, channels)])?
                }
                None => tape.stack(&[(still, 0, 0), (b, n, 0)])?,
            };
            let mut of_d = Vec::new();
            for i in 0..self.discriminators.len() {
                let d = networks.named(&discriminator(i))?;
                // Generated and real pictures go through D as one batch, which reads its filters
                // once, with statistics apart. The port's order: D's running ones see fake, real,
                // fake.
                let map = d.forward(tape, pairs, Mode { runs: 2, ..Mode::TRAIN })?;
                assert_eq!(d_fake.loss, d_real.loss, "D's two losses are of one kind");
                let both = tape.labelled(d_real.loss, map, &[d_fake.label, d_real.label])?;
                // Halved, to slow D down beside G (section 3.3).
                let group = d.params().group();
                tape.backward(&[(0.5, both)], group, Write::Set)?;
                tape.optimise(group, self.adam)?;
                of_d.push(both);
            }
            let (mut of_g, mut reals, mut fakes) = (Vec::new(), Vec::new(), Vec::new());
            for (i, both) in of_d.into_iter().enumerate() {
                let d = networks.named(&discriminator(i))?;
                let map = d.forward(tape, judged, Mode::TRAIN)?;
                let value = tape.labelled(g_fake.loss, map, &[g_fake.label])?;
                terms.push((1.0, value));
                of_g.push(NamedLoss { name: numbered("g_gan", i), value, channel: 0 });
                reals.push(NamedLoss { name: numbered("d_real", i), value: both, channel: 1 });
                fakes.push(NamedLoss { name: numbered("d_fake", i), value: both, channel: 0 });
            }
            losses.extend(of_g);
            losses.extend(far.map(|value| NamedLoss { name: "g_l1".into(), value, channel: 0 }));
            losses.extend(reals.into_iter().chain(fakes));
        } else {
            losses.extend(far.map(|value| NamedLoss { name: "g_l1".into(), value, channel: 0 }));
        }
        let group = g.params().group();
        tape.backward(&terms, group, Write::Set)?;
        tape.optimise(group, self.adam)?;
        Ok(Recorded { losses, output: fake })
    }

    fn preview(&self, tape: &mut Tape, networks: &Networks, x: Var) -> Result<Var> {
        networks.first().forward(tape, x, Mode::TRANSLATE)
    }

    fn score(&self, output: &Image, target: &Image, range: SampleRange) -> Result<Scores> {
        Scores::of(output, target, range)
    }

    fn take_values(
        &self,
        networks: &Networks,
        name: &str,
        b: &mut dyn Backend,
        path: &Path,
    ) -> Result<()> {
        let weights = checkpoint::load_weights(path)?;
        let tensors = if name == GENERATOR {
            let Some((config, tensors)) = weights.generator else {
                return Err(Error::input(format!(
                    "{} holds no generator; a discriminator goes to `init_discriminator`",
                    path.display()
                )));
            };
            // Dropout leaves no trace in weights.
            let same = GeneratorConfig { dropout: self.generator.dropout, ..config };
            if same != self.generator {
                return Err(differs(path, name, &same, &self.generator));
            }
            tensors
        } else {
            let Some((config, tensors)) = weights.discriminator else {
                return Err(Error::input(format!(
                    "{} holds no discriminator; give a checkpoint of a run or a latest_net_D.pth",
                    path.display()
                )));
            };
            let Some(mine) = self.discriminators.first() else {
                return Err(Error::input(
                    "`init_discriminator` has no use with `gan` none, leave one of them out",
                ));
            };
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
        "{} does not fit this run: of the {what}, {}; change the flags to match",
        path.display(),
        differences(found, wanted)
    ))
}
