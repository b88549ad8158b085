//! What a softgpu is set to: which cards it shows, how it schedules, what it checks.

use softgpu::{Checks, CpAsync, Order};

use crate::device::{PRESETS, Preset, preset};

/// The settings of a driver; fixed at `cuInit`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cards, by ordinal.
    pub devices: Vec<&'static Preset>,
    /// CUDA version of the driver, 1000 * major + 10 * minor.
    pub driver_version: u32,
    /// Run every operation when it is submitted instead of when something waits for it.
    pub eager: bool,
    /// Chooses among the orders that streams allow; `None` runs only what a wait needs, oldest
    /// first.
    pub seed: Option<u64>,
    /// Checks inside a launch.
    pub checks: Checks,
    /// Whether two streams touching the same bytes unordered are reported.
    pub hazards: bool,
    /// Whether launches are counted.
    pub counters: bool,
    /// Order of warps and blocks inside a launch.
    pub order: Order,
    /// When `cp.async` lands.
    pub cp_async: CpAsync,
    /// Host threads a launch may use; 0 means one a core.
    pub threads: usize,
    /// Warp instructions a block may execute before it counts as hung.
    pub budget: u64,
    /// Whether findings go to stderr as they are found.
    pub print: bool,
    /// Whether reasons of errors that have only a number are kept from stderr.
    pub quiet: bool,
}

impl Default for Config {
    /// One A100, CUDA 13.0, lazy streams, default checks, counters on.
    fn default() -> Self {
        let launch = softgpu::Options::default();
        Config {
            devices: vec![&PRESETS[0]],
            driver_version: 13_000,
            eager: false,
            seed: None,
            checks: Checks::DEFAULT,
            hazards: true,
            counters: true,
            order: Order::Forward,
            cp_async: CpAsync::Latest,
            threads: 0,
            budget: launch.budget,
            print: false,
            quiet: false,
        }
    }
}

/// The settings by the names that follow `SOFTGPU_` in the environment, in lower case.
pub const KEYS: [&str; 12] = [
    "device", "driver", "eager", "seed", "checks", "counters", "order", "cp_async", "threads",
    "budget", "print", "quiet",
];

impl Config {
    /// The defaults changed by `SOFTGPU_DEVICE`, `SOFTGPU_SEED` and so on, as `read` gives them.
    ///
    /// # Errors
    /// The sentence of [`Config::set`], with the variable's name before it.
    pub fn from_env(read: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
        let mut config = Config::default();
        for key in KEYS {
            let name = format!("SOFTGPU_{}", key.to_ascii_uppercase());
            if let Some(value) = read(&name) {
                config.set(key, &value).map_err(|why| format!("{name}: {why}"))?;
            }
        }
        Ok(config)
    }

    /// Changes one setting.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the value and which are right.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let value = value.trim();
        match key {
            "device" => {
                let find = |name: &str| {
                    preset(name).ok_or_else(|| {
                        let keys: Vec<_> = PRESETS.iter().map(|p| p.key).collect();
                        format!("no card is called {name:?}; there are {}", keys.join(", "))
                    })
                };
                self.devices = value.split(',').map(find).collect::<Result<_, _>>()?;
            }
            "driver" => {
                let version = value.split_once('.').and_then(|(major, minor)| {
                    Some(1000 * major.parse::<u32>().ok()? + 10 * minor.parse::<u32>().ok()?)
                });
                self.driver_version = version
                    .filter(|v| (9_000..100_000).contains(v))
                    .ok_or_else(|| format!("{value:?} is no CUDA version such as 13.0"))?;
            }
            "eager" => self.eager = flag(value)?,
            "seed" => {
                self.seed = if value == "none" { None } else { Some(number(value)?) };
            }
            "checks" => self.set_checks(value)?,
            "counters" => self.counters = flag(value)?,
            "order" => {
                self.order = match value {
                    "forward" => Order::Forward,
                    "reverse" => Order::Reverse,
                    seed => Order::Seeded(number(seed)?),
                }
            }
            "cp_async" => {
                self.cp_async = match value {
                    "latest" => CpAsync::Latest,
                    "earliest" => CpAsync::Earliest,
                    _ => return Err(format!("{value:?} is neither latest nor earliest")),
                }
            }
            "threads" => self.threads = number(value)? as usize,
            "budget" => self.budget = number(value)?.max(1),
            "print" => self.print = flag(value)?,
            "quiet" => self.quiet = flag(value)?,
            _ => return Err(format!("there is no setting {key:?}; there are {}", KEYS.join(", "))),
        }
        Ok(())
    }

    fn set_checks(&mut self, value: &str) -> Result<(), String> {
        (self.checks, self.hazards) = (Checks::NONE, false);
        for name in value.split(',') {
            match name.trim() {
                "none" => {}
                "default" => (self.checks, self.hazards) = (self.checks | Checks::DEFAULT, true),
                "all" => (self.checks, self.hazards) = (Checks::ALL, true),
                "uninitialized" => self.checks = self.checks | Checks::UNINITIALIZED,
                "shared-race" => self.checks = self.checks | Checks::SHARED_RACE,
                "global-race" => self.checks = self.checks | Checks::GLOBAL_RACE,
                "warp-race" => self.checks = self.checks | Checks::WARP_RACE,
                "sync" => self.checks = self.checks | Checks::SYNC,
                "streams" => self.hazards = true,
                other => {
                    return Err(format!(
                        "no check is called {other:?}; there are none, default, all, \
                         uninitialized, shared-race, global-race, warp-race, sync, streams"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" | "" => Ok(false),
        _ => Err(format!("{value:?} is neither 1 nor 0")),
    }
}

fn number(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{value:?} is no whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_from_the_environment_and_bad_ones_are_named() {
        let env = |name: &str| match name {
            "SOFTGPU_DEVICE" => Some("T4, RTX 4090".to_owned()),
            "SOFTGPU_DRIVER" => Some("12.4".to_owned()),
            "SOFTGPU_SEED" => Some("7".to_owned()),
            "SOFTGPU_CHECKS" => Some("sync,streams".to_owned()),
            _ => None,
        };
        let config = Config::from_env(env).expect("all four are right");
        assert_eq!(config.devices.iter().map(|p| p.sm()).collect::<Vec<_>>(), [75, 89]);
        assert_eq!((config.driver_version, config.seed), (12_040, Some(7)));
        assert!(config.checks == Checks::SYNC && config.hazards);
        let bad = Config::from_env(|n| (n == "SOFTGPU_DEVICE").then(|| "gtx".to_owned()));
        let why = bad.expect_err("there is no such card");
        assert!(why.contains("SOFTGPU_DEVICE") && why.contains("rtx3060"), "{why}");
        assert!(Config::default().set("driver", "thirteen").is_err());
        assert!(Config::default().set("colour", "red").is_err());
    }
}
