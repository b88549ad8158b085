//! How the program ends before its work is done: by a signal, or because its output is lost.
//!
//! SIGINT, SIGTERM and SIGHUP are watched, unless the caller has had them ignored (`nohup`, or a job
//! in the background): then they stay ignored. While nothing is to be saved, a signal ends the
//! program at once, with 128 + its number. In a run the first one is acknowledged and the run
//! saved; the next one ends the program at once, which is safe, since files are replaced whole.
//!
//! Output that cannot be written is treated alike. If the reader has gone away, the exit code is that
//! of a program which SIGPIPE has ended, without a word; otherwise there is a message and code 2.

use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Once, OnceLock};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::complain;
use crate::error::{Error, Result};

/// A signal within this time after the first is the same request: `timeout` sends two, and so do a
/// terminal that closes and its shell.
const SAME_REQUEST: Duration = Duration::from_millis(100);

/// The exit code where the reader of standard output has gone away.
pub const PIPE_CLOSED: u8 = 128 + SIGPIPE as u8;

/// What ends the program.
struct State {
    /// The work is to be stopped and saved.
    asked: Arc<AtomicBool>,
    /// A signal ends the program in its handler, and lost output where it is noticed.
    at_once: Arc<AtomicBool>,
    /// The last signal, or 0.
    signal: Arc<AtomicUsize>,
    /// A run is in progress, which is stopped and saved.
    running: AtomicBool,
    /// The first signal in a run was acknowledged.
    said: Once,
    /// Why output was lost.
    lost: OnceLock<io::Error>,
}

fn state() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| State {
        asked: Arc::default(),
        at_once: Arc::new(AtomicBool::new(true)),
        signal: Arc::default(),
        running: AtomicBool::new(false),
        said: Once::new(),
        lost: OnceLock::new(),
    })
}

/// Watches the signals that are not ignored. Until [`save_first`] each of them ends the program.
///
/// # Errors
/// [`Error::Machine`] where handlers cannot be installed.
pub fn watch() -> Result<()> {
    let state = state();
    let ignored = ignored();
    let watched: Vec<i32> =
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&s| ignored & bit(s) == 0).collect();
    let install = || -> io::Result<()> {
        for &signal in &watched {
            // In the order in which they are installed: the first one may not return.
            flag::register_conditional_shutdown(signal, 128 + signal, state.at_once.clone())?;
            flag::register_usize(signal, state.signal.clone(), signal as usize)?;
            flag::register(signal, state.asked.clone())?;
        }
        // Its default ends a process that writes a file beyond the limit; handled, the write fails.
        flag::register(SIGXFSZ, Arc::default()).map(drop)
    };
    let failed = |e| Error::machine(format!("cannot watch for signals: {e}"));
    install().map_err(failed)?;
    let mut signals = Signals::new(&watched).map_err(failed)?;
    let acknowledge = move || {
        for signal in signals.forever() {
            acknowledge(signal);
        }
    };
    if thread::Builder::new().name("signals".to_string()).spawn(acknowledge).is_err() {
        // Signals are obeyed all the same: the handlers do that.
        for &signal in &watched {
            flag::register(signal, state.at_once.clone()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Says what the first signal in a run does, and makes the next one end the program at once.
fn acknowledge(signal: i32) {
    if state().at_once.load(SeqCst) {
        return;
    }
    if state().running.load(SeqCst) {
        say_once(signal);
    }
    thread::sleep(SAME_REQUEST);
    state().at_once.store(true, SeqCst);
}

fn say_once(signal: i32) {
    state().said.call_once(|| {
        // A terminal has printed ^C behind the progress bar.
        let line = if io::stderr().is_terminal() { "\n" } else { "" };
        let (name, again) = match signal {
            SIGINT => ("SIGINT", "press Ctrl-C"),
            SIGTERM => ("SIGTERM", "send it"),
            _ => ("SIGHUP", "send it"),
        };
        let _ = writeln!(
            io::stderr(),
            "{line}{name}: stopping after this step, then saving; {again} again to stop at once"
        );
    });
}

/// From now on there is a run to be saved: the first signal, and output that is lost, set the flag
/// that is returned, and the program goes on until it looks at [`exit_code`] and [`lost`].
pub fn save_first() -> &'static AtomicBool {
    state().running.store(true, SeqCst);
    state().at_once.store(false, SeqCst);
    &state().asked
}

/// Does work that no signal interrupts, such as writing a file; one that comes meanwhile ends the
/// program behind it.
pub fn whole<T>(work: impl FnOnce() -> T) -> T {
    state().at_once.store(false, SeqCst);
    let done = work();
    state().at_once.store(true, SeqCst);
    if let Some(code) = exit_code() {
        exit(code.into());
    }
    done
}

/// The exit code of work that a signal has stopped.
pub fn exit_code() -> Option<u8> {
    let signal = state().signal.load(SeqCst);
    if signal > 0 && state().running.load(SeqCst) {
        // A short step may be over before the thread that acknowledges signals had its turn.
        say_once(signal as i32);
    }
    (signal > 0).then_some(128 + signal as u8)
}

/// Why output was lost, if it was.
pub fn lost() -> Option<&'static io::Error> {
    state().lost.get()
}

/// Output could not be written: the program ends here, or saves its work first.
pub fn lose(error: io::Error) {
    let state = state();
    let gone = error.kind() == ErrorKind::BrokenPipe;
    if state.at_once.load(SeqCst) && state.signal.load(SeqCst) == 0 {
        if gone {
            exit(PIPE_CLOSED.into());
        }
        complain(format!("cannot write standard output: {error}"));
        exit(2);
    }
    let _ = state.lost.set(error);
    state.asked.store(true, SeqCst);
}

/// The signals that are ignored, as bits: the line SigIgn of Linux's /proc/self/status. Elsewhere
/// none is known to be.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}
