//! The FCN-score (Isola et al. 2017, section 4.1): a network that was trained on real photographs finds the classes in
//! generated ones; the better they are found, the more the photographs look like what they were made from.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Case, Predictions, System};
use crate::data::{Direction, Domains, Image};
use crate::error::Result;
use crate::translate::Translator;

/// The network that scores, which all systems share.
pub type Scorer = Rc<RefCell<Translator>>;

/// Where photographs come from.
#[allow(missing_debug_implementations)]
pub enum Photographs {
    /// The real ones: the ceiling of the scores.
    Real,
    /// Files.
    Folder(Box<Predictions>),
    /// A model, which is given its own side of the pairs.
    Model(Box<Translator>),
}

/// Photographs, seen by the scorer.
#[allow(missing_debug_implementations)]
pub struct ThroughScorer {
    /// What they are called.
    pub name: String,
    /// Where they come from.
    pub photographs: Photographs,
    /// The scorer.
    pub scorer: Scorer,
}

impl ThroughScorer {
    fn photograph(&mut self, case: &Case, real: &Image) -> Result<Image> {
        match &mut self.photographs {
            Photographs::Real => Ok(real.clone()),
            Photographs::Folder(files) => files.output(case, real),
            Photographs::Model(model) => {
                let Domains { input, target } = model.domains();
                let direction = model.direction().unwrap_or(Direction::AToB);
                let (of_a, of_b) = direction.order(input, target);
                let ((a, b), _) = case.pair.read_as([of_a, of_b])?;
                model.translate(&direction.order(a, b).0)
            }
        }
    }
}

impl System for ThroughScorer {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_baseline(&self) -> bool {
        matches!(self.photographs, Photographs::Real)
    }

    fn output(&mut self, case: &Case, input: &Image) -> Result<Image> {
        let photograph = self.photograph(case, input)?;
        self.scorer.borrow_mut().translate(&photograph)
    }

    fn seen(&mut self, case: &Case, input: &Image) -> Result<Option<Image>> {
        Ok(Some(self.photograph(case, input)?))
    }
}
