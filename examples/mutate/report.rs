//! Prints the results as the tables of `kernels/MUTANTS.md`.

use std::fmt::Write;

use crate::Known;
use crate::changes::{Kind, Mutant};
use crate::judge::Fate;

/// The number of mutants with each outcome, in the order of the tables' columns.
struct Count {
    assertion: usize,
    check: usize,
    survived: usize,
    invalid: usize,
}

impl Count {
    fn of<'a>(all: impl Iterator<Item = &'a Mutant>, known: &Known) -> Self {
        let mut count = Count { assertion: 0, check: 0, survived: 0, invalid: 0 };
        for mutant in all {
            match known.fate(mutant) {
                Some(Fate::Assertion) => count.assertion += 1,
                Some(Fate::Check) => count.check += 1,
                Some(Fate::Invalid) => count.invalid += 1,
                Some(Fate::Survived | Fate::Endless) => count.survived += 1,
                None => {}
            }
        }
        count
    }

    fn caught(&self) -> usize {
        self.assertion + self.check
    }

    fn tried(&self) -> usize {
        self.caught() + self.survived
    }

    fn row(&self, name: &str) -> String {
        let Count { assertion, check, survived, invalid } = self;
        let tried = self.tried();
        format!("| {name} | {tried} | {assertion} | {check} | {survived} | {invalid} |\n")
    }
}

/// Totals by file and by kind, and the list of those that survive.
pub fn tables(all: &[Mutant], known: &Known) -> String {
    const HEAD: &str = "tried | caught by an assertion | by a check of softgpu | survive | do not \
                        compile |\n| --- | --- | --- | --- | --- | --- |\n";
    let total = Count::of(all.iter(), known);
    let mut files: Vec<&str> = all.iter().map(|mutant| mutant.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    let mut text = format!("\n| file | {HEAD}");
    for file in files {
        let count = Count::of(all.iter().filter(|mutant| mutant.file == file), known);
        text += &count.row(&format!("`{file}`"));
    }
    text += &total.row("all");
    let _ = write!(text, "\n| mistake | {HEAD}");
    for kind in Kind::ALL {
        let count = Count::of(all.iter().filter(|mutant| mutant.kind == kind), known);
        text += &count.row(&kind.to_string());
    }
    let open = all.iter().filter(|mutant| known.fate(mutant).is_none()).count();
    let share = 100.0 * total.caught() as f64 / total.tried().max(1) as f64;
    let _ = writeln!(
        text,
        "\n{} of {} caught: {share:.1} %; {open} not tried yet\n",
        total.caught(),
        total.tried()
    );
    for mutant in all {
        if let Some(fate @ (Fate::Survived | Fate::Endless)) = known.fate(mutant) {
            let Mutant { file, line, kind, what, .. } = mutant;
            let _ = writeln!(text, "{} {file}:{line}  {kind}: {what}", fate.word());
        }
    }
    text
}

/// Whether at least 95 % were caught.
pub fn enough(all: &[Mutant], known: &Known) -> bool {
    let total = Count::of(all.iter(), known);
    total.caught() * 100 >= 95 * total.tried()
}
