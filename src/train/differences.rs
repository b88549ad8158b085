//! Describes the differences between two configurations.

use serde::Serialize;
use serde_json::Value;

/// "generator.depth is 5 there and 6 here, size is 32 there and 64 here"; empty for equal ones.
pub(crate) fn differences<T: Serialize>(there: &T, here: &T) -> String {
    let plain = |config| serde_json::to_value(config).expect("a config is plain data");
    let mut all = Vec::new();
    collect("", &plain(there), &plain(here), &mut all);
    all.join(", ")
}

fn collect(name: &str, there: &Value, here: &Value, all: &mut Vec<String>) {
    match (there, here) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for (key, value) in a {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                collect(&name, value, &b[key], all);
            }
        }
        _ if there != here => all.push(format!("{name} is {there} there and {here} here")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::RunConfig;

    #[test]
    fn every_difference_is_named() {
        let here = RunConfig::default();
        let mut there = here.clone();
        assert_eq!(differences(&there, &here), "");
        there.seed = 7;
        there.generator.depth = 5;
        assert_eq!(
            differences(&there, &here),
            "generator.depth is 5 there and 8 here, seed is 7 there and 0 here"
        );
        there = RunConfig { discriminators: Vec::new(), ..here.clone() };
        assert!(differences(&there, &here).starts_with("discriminator is null there and {"));
    }
}
