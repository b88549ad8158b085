//! The training step of pix2pix, as the paper writes it (Isola et al. 2017, section 3): the
//! discriminator first, then the generator against the discriminator as it then is.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::kernel::Adam;
use crate::model::{Discriminator, Generator};
use crate::nn::Mode;
use crate::tape::{Program, Tape, Var};
use crate::tensor::Shape;

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
/// the scalars "g_gan", "g_l1" (times lambda), "d_real" and "d_fake" (not halved).
#[derive(Debug)]
pub struct Step {
    /// Ready to run.
    pub program: Program,
    /// The losses it has, by name.
    pub losses: Vec<&'static str>,
}

impl Step {
    /// Records a step on pictures of `size` (the input's shape), planned behind `base`.
    ///
    /// # Errors
    /// Shapes that do not fit the networks; the objective wants a discriminator and there is none.
    pub fn record(
        g: &Generator,
        d: Option<&Discriminator>,
        objective: Objective,
        adam: Adam,
        size: Shape,
        base: usize,
    ) -> Result<Step> {
        let tape = &mut Tape::new();
        let a = tape.input("a", size);
        let b = tape.input("b", Shape { c: g.config.out_channels, ..size });
        let mut losses = Vec::new();

        let fake = g.forward(tape, a, Mode::TRAIN)?;
        let mut terms = Vec::new();
        if let (Some(d), true) = (d, objective.gan != Gan::None) {
            let judge = |tape: &mut Tape, map: Var, label: f32| match objective.gan {
                Gan::Lsgan => tape.mse_label(map, label),
                _ => tape.bce_with_logits(map, label),
            };
            let pair = |tape: &mut Tape, y: Var| -> Result<Var> {
                if !objective.conditional {
                    return Ok(y);
                }
                let a = tape.copy(a)?;
                tape.concat(&[a, y])
            };
            let judged = pair(tape, fake)?;
            let still = tape.detach(judged);
            let known = if objective.conditional { tape.copy(b)? } else { b };
            let known = pair(tape, known)?;

            // The port's order: the running statistics of D see fake, real, fake.
            let fake_map = d.forward(tape, still, Mode::TRAIN)?;
            let d_fake = judge(tape, fake_map, FAKE)?;
            let real_map = d.forward(tape, known, Mode::TRAIN)?;
            let d_real = judge(tape, real_map, REAL)?;
            // Halved, to slow D down beside G (section 3.3).
            let d_loss = tape.weighted_sum(&[(0.5, d_fake), (0.5, d_real)])?;
            tape.update(d_loss, d.params.group(), adam)?;

            let judged_map = d.forward(tape, judged, Mode::TRAIN)?;
            let g_gan = judge(tape, judged_map, REAL)?;
            terms.push((1.0, g_gan));
            for (name, loss) in [("g_gan", g_gan), ("d_real", d_real), ("d_fake", d_fake)] {
                tape.output(name, loss);
                losses.push(name);
            }
        }
        if objective.distance != Distance::None {
            let distance = match objective.distance {
                Distance::L2 => tape.l2(fake, b)?,
                _ => tape.l1(fake, b)?,
            };
            let weighted = tape.weighted_sum(&[(objective.lambda, distance)])?;
            tape.output("g_l1", weighted);
            losses.push("g_l1");
            terms.push((1.0, weighted));
        }
        let g_loss = tape.weighted_sum(&terms)?;
        tape.update(g_loss, g.params.group(), adam)?;
        tape.output("fake", fake);
        Ok(Step { program: tape.compile(base), losses })
    }
}
