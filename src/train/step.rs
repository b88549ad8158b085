//! The training step of pix2pix, as the paper writes it (Isola et al. 2017, section 3): the
//! discriminator first, then the generator against the discriminator as it then is.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::kernel::{Adam, Loss};
use crate::model::Network;
use crate::nn::Mode;
use crate::tape::{Program, Tape};
use crate::tensor::{Elem, Shape};

/// Label of a real picture.
const REAL: f32 = 1.0;
/// Label of a generated one.
const FAKE: f32 = 0.0;

/// The adversarial loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Gan {
    /// Binary cross entropy of logits; the generator maximises log D (equations 1 and 2).
    Vanilla,
    /// Mean squared difference from the label (Mao et al. 2017).
    Lsgan,
    /// No discriminator: the rows "L1" of the paper's tables.
    None,
}

/// The distance between output and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// Mean absolute difference (equation 3).
    L1,
    /// Mean squared difference.
    L2,
    /// None: the rows "GAN" and "cGAN" of Table 1.
    None,
}

/// What the networks are trained towards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Adversarial loss.
    pub gan: Gan,
    /// Distance to the target.
    pub distance: Distance,
    /// Weight of the distance, 100 in the paper.
    pub lambda: f32,
    /// The discriminator sees the input beside the output.
    pub conditional: bool,
}

impl Objective {
    /// Channels the discriminator sees.
    pub fn discriminator_channels(&self, input: usize, output: usize) -> usize {
        if self.conditional { input + output } else { output }
    }
}

/// A training step, recorded and planned.
///
/// Inputs "a" (n,h,w,in) and "b" (n,h,w,out), outputs "fake" and, as the objective has them,
/// the scalars "g_gan", "g_l1" (times lambda), "d_real" and "d_fake" (not halved), which are kept
/// run by run in the order of [`Step::losses`].
#[derive(Debug)]
pub struct Step {
    /// Ready to run.
    pub program: Program,
    /// The losses it has, by name.
    pub losses: Vec<&'static str>,
}

impl Step {
    /// Records a step on pictures of these shapes, input and target, planned behind `base` with
    /// activations stored as `elem`.
    ///
    /// # Errors
    /// Shapes that do not fit the networks; the objective wants a discriminator and there is none.
    #[allow(clippy::too_many_arguments)]
    pub fn record(
        g: &dyn Network,
        d: Option<&dyn Network>,
        objective: Objective,
        adam: Adam,
        [size, target]: [Shape; 2],
        elem: Elem,
        base: usize,
    ) -> Result<Step> {
        let tape = &mut Tape::new();
        let a = tape.input("a", size);
        let b = tape.input("b", target);
        let mut losses = Vec::new();

        let fake = g.forward(tape, a, Mode::TRAIN)?;
        let mut terms = Vec::new();
        // Before D looks at it, so that on the way back D's gradient is the first to be written and
        // this one is added: D's covers the input's channels too, which would else be set to 0.
        if objective.distance != Distance::None {
            let kind = if objective.distance == Distance::L2 { Loss::Mse } else { Loss::L1 };
            let weighted = tape.distance(kind, objective.lambda, fake, b)?;
            tape.output("g_l1", weighted);
            losses.push("g_l1");
            terms.push((1.0, weighted));
        }
        if let (Some(d), true) = (d, objective.gan != Gan::None) {
            let kind = if objective.gan == Gan::Lsgan { Loss::Mse } else { Loss::Bce };
            let judged = if objective.conditional {
                let a = tape.copy(a)?;
                tape.concat(&[a, fake])?
            } else {
                fake
            };
            let still = tape.detach(fake);
            let n = size.n;
            let pairs = if objective.conditional {
                tape.stack(&[(a, 0, 0), (still, 0, size.c), (a, n, 0), (b, n, size.c)])?
            } else {
                tape.stack(&[(still, 0, 0), (b, n, 0)])?
            };

            // Generated and real pictures go through D as one batch, which reads its filters once,
            // with statistics apart. The port's order: D's running ones see fake, real, fake.
            let map = d.forward(tape, pairs, Mode { runs: 2, ..Mode::TRAIN })?;
            let d_losses = tape.labelled(kind, map, &[FAKE, REAL])?;
            // Halved, to slow D down beside G (section 3.3).
            tape.update_sum(&[(0.5, d_losses)], d.params().group(), adam)?;

            let judged_map = d.forward(tape, judged, Mode::TRAIN)?;
            let g_gan = tape.labelled(kind, judged_map, &[REAL])?;
            terms.push((1.0, g_gan));
            tape.output("g_gan", g_gan);
            tape.output_channel("d_real", d_losses, 1);
            tape.output_channel("d_fake", d_losses, 0);
            losses.extend(["g_gan", "d_real", "d_fake"]);
        }
        tape.update_sum(&terms, g.params().group(), adam)?;
        tape.output("fake", fake);
        tape.keep(&losses)?;
        Ok(Step { program: tape.compile_as(elem, base), losses })
    }
}
