//! The lock around the driver, and waiting under it.
//!
//! A wait runs operations with the lock held, except calls into the program, during which other
//! threads may use the driver. Kernels keep the lock: they cannot call back.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::clock::OpId;
use crate::driver::Driver;
use crate::ops::{HostCall, Next, QUEUE, Work};

/// Who has operations run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The program, which waits for them and learns that they are complete.
    Program,
    /// The card, which goes on by itself: the program learns nothing, and a submission need not wait
    /// for the thread that is inside a call.
    Card,
}

/// A driver that threads share.
pub struct Gate {
    driver: Mutex<Driver>,
    changed: Condvar,
}

impl Gate {
    /// Wraps a driver.
    pub fn new(driver: Driver) -> Self {
        Gate { driver: Mutex::new(driver), changed: Condvar::new() }
    }

    /// Takes the lock. A panic under it leaves memory safe and the state usable, so poisoning is
    /// ignored.
    pub fn lock(&self) -> MutexGuard<'_, Driver> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs operations until none of `targets` is in flight, because the program waits for them.
    pub fn wait<'a>(
        &'a self,
        driver: MutexGuard<'a, Driver>,
        targets: &[OpId],
    ) -> MutexGuard<'a, Driver> {
        self.run(driver, targets, Caller::Program)
    }

    /// Runs operations until none of `targets` is in flight; for the card, until another thread is
    /// inside one of them.
    fn run<'a>(
        &'a self,
        mut driver: MutexGuard<'a, Driver>,
        targets: &[OpId],
        caller: Caller,
    ) -> MutexGuard<'a, Driver> {
        let mut needed = driver.ops.needed(targets);
        loop {
            match driver.ops.next(&mut needed) {
                Next::Done => return driver,
                Next::Busy if caller == Caller::Card => return driver,
                Next::Busy => {
                    driver = self.changed.wait(driver).unwrap_or_else(PoisonError::into_inner);
                }
                Next::Run(op) => {
                    match begin_host(&mut driver, op) {
                        Some(call) => {
                            drop(driver);
                            call();
                            driver = self.lock();
                            driver.complete(op, 0);
                        }
                        None => {
                            driver.ops.waiting = caller == Caller::Program;
                            driver.run(op);
                            driver.ops.waiting = false;
                        }
                    }
                    self.changed.notify_all();
                }
            }
        }
    }

    /// Takes one step towards `target` without waiting; calls into the program run on a thread of
    /// their own.
    pub fn nudge(&'static self, driver: &mut Driver, target: OpId) {
        let mut needed = driver.ops.needed(&[target]);
        if let Next::Run(op) = driver.ops.next(&mut needed) {
            match begin_host(driver, op) {
                Some(call) => {
                    std::thread::spawn(move || {
                        call();
                        self.lock().complete(op, 0);
                        self.changed.notify_all();
                    });
                }
                None => driver.run(op),
            }
        }
    }

    /// What follows every submission: an eager driver runs everything, a lazy one only when its
    /// queue is full.
    pub fn after_submission(&self) {
        let driver = self.lock();
        if driver.ops.pending.is_empty() {
            return;
        }
        if driver.config.eager {
            let all: Vec<OpId> = driver.ops.pending.keys().copied().collect();
            drop(self.run(driver, &all, Caller::Card));
        } else if driver.ops.pending.len() > QUEUE {
            let oldest: Vec<OpId> =
                driver.ops.pending.keys().copied().take(driver.ops.pending.len() - QUEUE).collect();
            drop(self.run(driver, &oldest, Caller::Card));
        }
    }
}

/// If the operation is a call into the program, marks it as running and returns the call.
fn begin_host(driver: &mut Driver, op: OpId) -> Option<HostCall> {
    let Work::Host(call) = &driver.ops.pending.get(&op)?.work else { return None };
    let call = HostCall::clone(call);
    driver.ops.start(op);
    Some(call)
}
