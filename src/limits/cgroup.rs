//! Linux control groups, versions 1 and 2: those of this process and all above them, each of which
//! limits what is below it.
//!
//! Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.

use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its folder.
    folder: PathBuf,
    /// Its path below the root of its hierarchy.
    name: String,
    /// Whether it is of version 2.
    unified: bool,
}

/// "the control group /a/b".
impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the control group {}", self.name)
    }
}

/// The groups that limit this process by `controller` ("memory", "pids"), from the one that it is in
/// up to the root that it can see, by the files below `root`.
pub fn above(root: &Path, controller: &str) -> Vec<Group> {
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
    let (own, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mut all = Vec::new();
    for line in own.lines() {
        // "5:cpu,memory:/a/b"; version 2 is "0::/a/b".
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let unified = controllers.is_empty();
        if !unified && !controllers.split(',').any(|c| c == controller) {
            continue;
        }
        let mount = mounts.lines().filter_map(mount).find(|mount| match unified {
            true => mount.kind == "cgroup2",
            false => mount.kind == "cgroup" && mount.options.split(',').any(|o| o == controller),
        });
        let Some(mount) = mount else { continue };
        // The part below the mount; nothing where the process is in a group outside of it.
        let below = match mount.root.as_str() {
            "/" => path,
            root => path.strip_prefix(root).unwrap_or_default(),
        };
        let below = below.trim_matches('/');
        let below = if below.split('/').any(|part| part == "..") { "" } else { below };
        let top = root.join(mount.point.trim_start_matches('/'));
        for name in Path::new(below).ancestors() {
            let folder = top.join(name);
            let name = format!("/{}", name.display());
            all.push(Group { folder, name, unified });
        }
    }
    all
}

struct Mount {
    root: String,
    point: String,
    kind: String,
    options: String,
}

/// A line of mountinfo: "31 23 0:28 ROOT POINT OPTIONS FIELDS - KIND SOURCE OPTIONS".
fn mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let (mut front, mut back) = (front.split(' ').skip(3), back.split(' '));
    let (root, point) = (unescaped(front.next()?), unescaped(front.next()?));
    let (kind, options) = (back.next()?.to_string(), back.nth(1)?.to_string());
    Some(Mount { root, point, kind, options })
}

/// A field of mountinfo, in which space, tab, newline and backslash are octal: `\040`.
fn unescaped(field: &str) -> String {
    let spelt = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    spelt.iter().fold(field.to_string(), |text, (code, c)| text.replace(code, c))
}

impl Group {
    fn number(&self, file: &str) -> Option<u64> {
        // "max" is no number, and no limit.
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }

    /// The limit on memory and what it leaves, in bytes. Pages of files count as used, and the kernel
    /// drops them when memory is wanted, so they are left.
    pub fn memory(&self) -> Option<(u64, u64)> {
        /// What version 1 has for "no limit": the largest number of whole pages.
        const UNLIMITED: u64 = 1 << 62;
        let (most, used, pages) = if self.unified {
            // Beyond `high` a group is slowed down to a crawl.
            let most = [self.number("memory.max"), self.number("memory.high")];
            let pages = ["inactive_file", "active_file"];
            (most.into_iter().flatten().min()?, self.number("memory.current")?, pages)
        } else {
            let pages = ["total_inactive_file", "total_active_file"];
            let used = self.number("memory.usage_in_bytes")?;
            (self.number("memory.limit_in_bytes")?, used, pages)
        };
        if most >= UNLIMITED {
            return None;
        }
        let stat = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let files = stat.lines().filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            pages.contains(&name).then(|| value.trim().parse::<u64>().ok())?
        });
        let used = used.saturating_sub(files.sum());
        Some((most, most.saturating_sub(used)))
    }

    /// The limit on processes and threads, and how many there are.
    pub fn processes(&self) -> Option<(u64, u64)> {
        Some((self.number("pids.max")?, self.number("pids.current")?))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Version 2: the process is in /jobs/mine/run; /jobs/mine has a limit of 150 MB and uses 80 MB,
    /// of which 30 MB are pages of files; the group of the process itself has none.
    pub fn nested(root: &Path) {
        write(root, "proc/self/cgroup", "0::/jobs/mine/run\n");
        write(
            root,
            "proc/self/mountinfo",
            "23 1 0:21 / /proc rw - proc proc rw\n\
             31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        let group = |name: &str, file: &str, text: &str| {
            write(root, &format!("sys/fs/cgroup/{name}/{file}"), text);
        };
        group("jobs/mine/run", "memory.max", "max\n");
        group("jobs/mine/run", "memory.current", "1000\n");
        group("jobs/mine", "memory.max", "150000000\n");
        group("jobs/mine", "memory.high", "max\n");
        group("jobs/mine", "memory.current", "80000000\n");
        let stat = "anon 50000000\ninactive_file 20000000\nactive_file 10000000\n";
        group("jobs/mine", "memory.stat", stat);
        group("jobs", "memory.max", "400000000\n");
        group("jobs", "memory.current", "80000000\n");
        group("jobs", "pids.max", "40\n");
        group("jobs", "pids.current", "38\n");
    }

    #[test]
    fn every_group_above_counts() {
        let root = tempfile::tempdir().unwrap();
        nested(root.path());
        let groups = above(root.path(), "memory");
        let names: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
        assert_eq!(names, ["/jobs/mine/run", "/jobs/mine", "/jobs", "/"]);
        let memory: Vec<_> = groups.iter().map(Group::memory).collect();
        let (inner, outer) = ((150_000_000, 100_000_000), (400_000_000, 320_000_000));
        assert_eq!(memory, [None, Some(inner), Some(outer), None]);
        let pids: Vec<_> = groups.iter().filter_map(Group::processes).collect();
        assert_eq!(pids, [(40, 38)]);
        // From `high` on the group is throttled.
        write(root.path(), "sys/fs/cgroup/jobs/mine/memory.high", "120000000\n");
        assert_eq!(groups[1].memory(), Some((120_000_000, 70_000_000)));
    }

    #[test]
    fn version_1_beside_version_2_and_a_mount_of_a_part_are_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        // As in a container that sees its own part of the hierarchy alone, at a place with a space.
        write(root, "proc/self/cgroup", "4:cpu,memory:/box/7/inner\n2:cpuset:/\n0::/elsewhere\n");
        write(
            root,
            "proc/self/mountinfo",
            "35 31 0:32 /box/7 /sys/fs/cgroup\\040one/memory rw shared:1 - cgroup cgroup rw,cpu,memory\n",
        );
        let memory = "sys/fs/cgroup one/memory";
        write(root, &format!("{memory}/memory.limit_in_bytes"), "200000000\n");
        write(root, &format!("{memory}/memory.usage_in_bytes"), "60000000\n");
        write(root, &format!("{memory}/memory.stat"), "cache 9\ntotal_inactive_file 10000000\n");
        write(root, &format!("{memory}/inner/memory.limit_in_bytes"), "9223372036854771712\n");
        write(root, &format!("{memory}/inner/memory.usage_in_bytes"), "5\n");
        let groups = above(root, "memory");
        let memory: Vec<_> = groups.iter().map(|g| (g.name.as_str(), g.memory())).collect();
        assert_eq!(memory, [("/inner", None), ("/", Some((200_000_000, 150_000_000)))]);
        assert_eq!(above(root, "pids"), []);
    }

    #[test]
    fn what_is_not_understood_is_no_limit() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(above(root.path(), "memory"), []);
        write(root.path(), "proc/self/cgroup", "rubbish\n0::/../../out\n");
        write(root.path(), "proc/self/mountinfo", "x\n1 2 3 / /c rw - cgroup2 none rw\n");
        let groups = above(root.path(), "memory");
        assert_eq!(groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["/"]);
        assert_eq!(groups[0].memory(), None);
    }
}
