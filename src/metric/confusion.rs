//! How often each class is taken for each other, and the figures that follow from it.

use serde::{Deserialize, Serialize};

/// Counts of pixels by their class and the class that they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// Pixels of class `i` that were given class `j`, at `i * classes + j`.
    counts: Vec<u64>,
}

/// Figures of a [`Confusion`], each 0 to 1; NaN where no pixel was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// Pixels whose class is right, of all.
    pub pixel_accuracy: f64,
    /// The same of each class that occurs, averaged over these.
    pub class_accuracy: f64,
    /// `right / (right + missed + false)` of each class that occurs in targets or outputs, averaged over these.
    pub mean_iou: f64,
}

impl Confusion {
    /// Of so many classes, with nothing counted.
    pub fn new(classes: usize) -> Self {
        Confusion { classes, counts: vec![0; classes * classes] }
    }

    /// Counts a pixel. A true class beyond the last is none, and does not count.
    ///
    /// # Panics
    /// If the given class is none.
    pub fn add(&mut self, class: usize, given: usize) {
        assert!(given < self.classes, "an output has a class everywhere");
        if class < self.classes {
            self.counts[class * self.classes + given] += 1;
        }
    }

    /// Pixels of a class that were given another.
    pub fn count(&self, class: usize, given: usize) -> u64 {
        self.counts[class * self.classes + given]
    }

    /// Pixels of a class.
    fn of_class(&self, class: usize) -> u64 {
        (0..self.classes).map(|given| self.count(class, given)).sum()
    }

    /// Pixels that were given a class.
    fn given(&self, given: usize) -> u64 {
        (0..self.classes).map(|class| self.count(class, given)).sum()
    }

    /// `right / (right + missed + false)` of a class; `None` if it occurs in neither.
    pub fn iou(&self, class: usize) -> Option<f64> {
        let right = self.count(class, class);
        let either = self.of_class(class) + self.given(class) - right;
        (either > 0).then(|| right as f64 / either as f64)
    }

    /// The share of a class that was given it; `None` if it does not occur.
    pub fn accuracy(&self, class: usize) -> Option<f64> {
        let all = self.of_class(class);
        (all > 0).then(|| self.count(class, class) as f64 / all as f64)
    }

    /// The figures of all.
    pub fn scores(&self) -> LabelScores {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        LabelScores {
            pixel_accuracy: right as f64 / self.counts.iter().sum::<u64>() as f64,
            class_accuracy: mean(
                (0..self.classes).filter_map(|class| self.accuracy(class)).collect(),
            ),
            mean_iou: mean((0..self.classes).filter_map(|class| self.iou(class)).collect()),
        }
    }

    /// As comma-separated text: a line for each class of the targets, a column for each that outputs give,
    /// then accuracy and IoU of the class, empty where it does not occur.
    pub fn csv(&self, names: &[String]) -> String {
        let quoted = |name: &String| match name.contains([',', '"']) {
            true => format!("\"{}\"", name.replace('"', "\"\"")),
            false => name.clone(),
        };
        let names: Vec<String> = names.iter().map(quoted).collect();
        let mut text = format!("target \\ output,{},accuracy,iou\n", names.join(","));
        let figure = |value: Option<f64>| value.map(|v| format!("{v:.6}")).unwrap_or_default();
        for (class, name) in names.iter().enumerate() {
            let counts: Vec<String> =
                (0..self.classes).map(|given| self.count(class, given).to_string()).collect();
            let (accuracy, iou) = (figure(self.accuracy(class)), figure(self.iou(class)));
            text += &format!("{name},{},{accuracy},{iou}\n", counts.join(","));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 3 classes, of which the last occurs in neither.
    #[test]
    fn the_figures_are_those_of_the_table() {
        let mut table = Confusion::new(3);
        for (class, given, times) in [(0, 0, 6), (0, 1, 2), (1, 1, 1), (1, 0, 1), (255, 0, 9)] {
            (0..times).for_each(|_| table.add(class, given));
        }
        let scores = table.scores();
        assert_eq!(scores.pixel_accuracy, 0.7);
        assert_eq!(scores.class_accuracy, (0.75 + 0.5) / 2.0);
        assert_eq!(scores.mean_iou, (6.0 / 9.0 + 1.0 / 4.0) / 2.0);
        assert_eq!(table.iou(2), None);
        let names = ["sky", "a, b", "x"].map(String::from);
        assert_eq!(
            table.csv(&names),
            "target \\ output,sky,\"a, b\",x,accuracy,iou\nsky,6,2,0,0.750000,0.666667\n\
             \"a, b\",1,1,0,0.500000,0.250000\nx,0,0,0,,\n"
        );
        assert!(Confusion::new(2).scores().mean_iou.is_nan());
    }
}
