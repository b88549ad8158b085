//! The losses of one step, by name.

/// The losses of one step, in the order in which the recipe reports them. Those of pix2pix have the
/// values that the PyTorch port prints: `g_l1` includes lambda, the discriminator's are not halved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses(Vec<(String, f32)>);

impl Losses {
    /// Losses from names and equally many values.
    pub fn new<'a>(
        names: impl IntoIterator<Item = &'a String>,
        values: impl IntoIterator<Item = f32>,
    ) -> Self {
        Losses(names.into_iter().cloned().zip(values).collect())
    }

    /// Name and value of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f32)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The loss of this name.
    pub fn get(&self, name: &str) -> Option<f32> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Whether all are finite.
    pub fn finite(&self) -> bool {
        self.iter().all(|(_, value)| value.is_finite())
    }

    /// "g_l1 is NaN and d_real is infinite": those that are not finite.
    pub(super) fn not_finite(&self) -> String {
        let is = |v: f32| if v.is_nan() { "NaN" } else { "infinite" };
        let all = self.iter().filter(|(_, value)| !value.is_finite());
        all.map(|(name, value)| format!("{name} is {}", is(value)))
            .collect::<Vec<_>>()
            .join(" and ")
    }
}
