//! The limits of this process: memory, threads, open files, the size of a file, and disk space. Of
//! several limits of one kind the smallest holds, and messages name it.
//!
//! All of it is read from the system when it is asked for. What a system does not tell is no limit.

mod cgroup;

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;

use rustix::fs::statvfs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::settings::THREADS;
use crate::error::{Error, Result};
use cgroup::Group;

/// Address space that glibc reserves for the memory of one thread, and for its stack.
const PER_THREAD: u64 = (64 << 20) + (2 << 20);
/// Threads that a run starts after it has looked at its memory: two load pictures, one waits for
/// signals.
const MORE_THREADS: u64 = 3;
/// Open files beside two for each thread: output, libraries, folders, the files of the run.
const FILES: u64 = 32;

/// Free memory, and what leaves no more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeMemory {
    /// Bytes.
    pub bytes: u64,
    /// The limit that leaves no more, for messages: "the address space limit of 1.00 GB (ulimit -v)";
    /// `None` where it is the machine's memory.
    pub limit: Option<String>,
}

impl From<u64> for FreeMemory {
    fn from(bytes: u64) -> Self {
        FreeMemory { bytes, limit: None }
    }
}

/// "0.12 GB are free", and within which limit.
impl Display for FreeMemory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} are free", bytes(self.bytes))?;
        match &self.limit {
            Some(limit) => write!(f, " within {limit}"),
            None => Ok(()),
        }
    }
}

/// Bytes in the unit that reads best: "1.20 GB", "35 MB", "210 KB".
pub(crate) fn bytes(count: u64) -> String {
    let n = count as f64;
    match count {
        1_000_000_000.. => format!("{:.2} GB", n / 1e9),
        1_000_000.. => format!("{:.0} MB", n / 1e6),
        _ => format!("{:.0} KB", n / 1e3),
    }
}

/// The memory that this process can still take: the least of what the machine has free and can
/// reclaim, of what the limits on its address space and its data leave, and of what each control
/// group above it leaves. `None` if the system tells nothing.
pub(crate) fn memory() -> Option<FreeMemory> {
    memory_of(Path::new("/"), getrlimit(Resource::As), getrlimit(Resource::Data))
}

/// [`memory`] by the files below `root` and the two limits.
fn memory_of(root: &Path, space: Rlimit, data: Rlimit) -> Option<FreeMemory> {
    let (machine, process) = (table(root, "proc/meminfo"), table(root, "proc/self/status"));
    let mut all: Vec<FreeMemory> = Vec::new();
    if let Some(bytes) = kilobytes(&machine, "MemAvailable") {
        all.push(bytes.into());
    }
    if let (Some(most), Some(used)) = (space.current, kilobytes(&process, "VmSize")) {
        let left = most.saturating_sub(used).saturating_sub(MORE_THREADS * PER_THREAD);
        let limit = format!(
            "the address space limit of {} (ulimit -v), of which the program has {} and {} are \
             for threads",
            bytes(most),
            bytes(used),
            bytes(MORE_THREADS * PER_THREAD)
        );
        all.push(FreeMemory { bytes: left, limit: Some(limit) });
    }
    if let (Some(most), Some(used)) = (data.current, kilobytes(&process, "VmData")) {
        let limit = format!("the data limit of {} (ulimit -d)", bytes(most));
        all.push(FreeMemory { bytes: most.saturating_sub(used), limit: Some(limit) });
    }
    for group in cgroup::above(root, "memory") {
        if let Some((most, left)) = group.memory() {
            let limit = format!("the limit of {} of {group}", bytes(most));
            all.push(FreeMemory { bytes: left, limit: Some(limit) });
        }
    }
    all.into_iter().min_by_key(|free| free.bytes)
}

/// The error for `count` threads of which one could not be started, with the limit that holds.
pub(crate) fn no_threads(count: usize, cause: impl Display) -> Error {
    let groups = cgroup::above(Path::new("/"), "pids");
    let limits = [Resource::As, Resource::Data, Resource::Nproc].map(|of| getrlimit(of).current);
    let limit = threads_limit(&groups, limits);
    let limit = limit.map_or(String::new(), |limit| format!("; {limit}"));
    Error::machine(format!(
        "cannot start {count} thread{}: {cause}{limit}; give a smaller {THREADS}, or raise the \
         limit",
        if count == 1 { "" } else { "s" }
    ))
}

/// The limits on threads, for a message: on address space, on data, and on the user's processes.
fn threads_limit(groups: &[Group], limits: [Option<u64>; 3]) -> Option<String> {
    /// A larger limit on processes is one that systems set by default.
    const MANY: u64 = 10_000;
    let [space, data, processes] = limits;
    let group = groups.iter().filter_map(|group| Some((group.processes()?, group)));
    let group = group.min_by_key(|((most, now), _)| most.saturating_sub(*now));
    let mut all = Vec::new();
    if let Some(((most, now), group)) = group {
        all.push(format!("{group} allows {most} threads and has {now}"));
    }
    if let Some(most) = space {
        all.push(format!("the address space is limited to {} (ulimit -v)", bytes(most)));
    }
    if let Some(most) = data {
        all.push(format!("the data is limited to {} (ulimit -d)", bytes(most)));
    }
    if let Some(most) = processes.filter(|&most| most <= MANY) {
        all.push(format!("this user may have {most} threads (ulimit -u)"));
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// Makes sure that this process may open the files of a run with `threads` threads: raises the soft
/// limit where the hard one allows it.
///
/// # Errors
/// [`Error::Machine`] if the hard limit is too low.
pub(crate) fn open_files(threads: usize) -> Result<()> {
    let needed = FILES + 2 * threads as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|most| most >= needed);
    if enough(current) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(needed), maximum };
    if enough(maximum) && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    Err(Error::machine(format!(
        "this process may open {} files at a time (ulimit -n), and {threads} threads need \
         {needed}; raise the limit, or give a smaller {THREADS}",
        maximum.or(current).unwrap_or_default()
    )))
}

/// The largest file that this process may write, in bytes; `None` without a limit.
pub(crate) fn largest_file() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Bytes that can be written to the file system of `folder`, or of the nearest folder above it that
/// exists; `None` if the file system does not tell.
pub(crate) fn disk_space(folder: &Path) -> Option<u64> {
    let here = Path::new(".");
    let above = folder.ancestors().map(|p| if p.as_os_str().is_empty() { here } else { p });
    let system = statvfs(above.into_iter().find(|p| p.exists())?).ok()?;
    // Some file systems of networks and programs say nothing.
    (system.f_blocks > 0).then(|| system.f_bavail.saturating_mul(system.f_frsize))
}

/// The lines "Name: value" of a file.
fn table(root: &Path, name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root.join(name)).unwrap_or_default();
    let pair =
        |line: &str| line.split_once(':').map(|(k, v)| (k.to_string(), v.trim().to_string()));
    text.lines().filter_map(pair).collect()
}

fn value<'a>(table: &'a [(String, String)], name: &str) -> Option<&'a str> {
    table.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Bytes of a value "123 kB".
fn kilobytes(table: &[(String, String)], name: &str) -> Option<u64> {
    let number = value(table, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(number.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Rlimit = Rlimit { current: None, maximum: None };

    fn limit(bytes: u64) -> Rlimit {
        Rlimit { current: Some(bytes), maximum: None }
    }

    /// A machine with 8 GB free; a process of one thread with 100 MB of addresses and 10 MB of data.
    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable:    8000000 kB\n");
        write(
            "proc/self/status",
            "Name:\tx\nVmSize:\t  100000 kB\nVmData:\t   10000 kB\nThreads:\t1\n",
        );
        root
    }

    #[test]
    fn the_smallest_limit_on_memory_holds_and_is_named() {
        let root = machine();
        let free = |space, data| memory_of(root.path(), space, data).unwrap();
        assert_eq!(free(NONE, NONE), FreeMemory::from(8_000_000 * 1024));
        let data = free(NONE, limit(100 << 20));
        assert_eq!(data.bytes, (100 << 20) - 10_000 * 1024);
        assert_eq!(data.to_string(), "95 MB are free within the data limit of 105 MB (ulimit -d)");
        let space = free(limit(1 << 30), NONE);
        assert_eq!(space.bytes, (1 << 30) - 100_000 * 1024 - 3 * PER_THREAD);
        assert!(space.to_string().contains("1.07 GB (ulimit -v), of which the"), "{space}");
        // A process that is beyond its limit already, and limits that do not bind.
        assert_eq!(free(limit(1 << 20), NONE).bytes, 0);
        assert_eq!(free(limit(1 << 40), limit(1 << 40)), FreeMemory::from(8_000_000 * 1024));
        // A system that tells nothing.
        assert_eq!(memory_of(Path::new("/nowhere"), NONE, NONE), None);
    }

    #[test]
    fn a_control_group_that_leaves_less_is_named() {
        let root = machine();
        cgroup::tests::nested(root.path());
        let free = memory_of(root.path(), NONE, NONE).unwrap();
        assert_eq!(
            free.to_string(),
            "100 MB are free within the limit of 150 MB of the control group /jobs/mine"
        );
    }

    #[test]
    fn messages_about_threads_have_the_limits() {
        let text = |limits| threads_limit(&[], limits);
        assert_eq!(text([None, None, Some(96_365)]), None);
        let few = "this user may have 20 threads (ulimit -u)";
        assert_eq!(text([None, None, Some(20)]).unwrap(), few);
        assert_eq!(
            text([Some(1 << 30), Some(20_000_000), Some(20)]).unwrap(),
            format!(
                "the address space is limited to 1.07 GB (ulimit -v), the data is limited to 20 MB \
                 (ulimit -d), {few}"
            )
        );
        let root = tempfile::tempdir().unwrap();
        cgroup::tests::nested(root.path());
        assert_eq!(
            threads_limit(&cgroup::above(root.path(), "pids"), [None; 3]).unwrap(),
            "the control group /jobs allows 40 threads and has 38"
        );
        let error = no_threads(64, "Resource temporarily unavailable").to_string();
        assert!(error.starts_with("cannot start 64 threads: Resource temporarily"), "{error}");
        assert!(error.contains("smaller `threads`"), "{error}");
    }

    #[test]
    fn disk_space_is_that_of_the_nearest_folder() {
        let root = tempfile::tempdir().unwrap();
        assert!(disk_space(&root.path().join("not/yet/there")).unwrap() > 0);
        assert!(disk_space(Path::new("not-yet")).unwrap() > 0);
    }
}
