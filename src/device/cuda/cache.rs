//! A cache of compiled kernels on disk, so that only the first run of a version compiles.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, process};

use super::nvrtc::Compiled;

/// The environment variable that names the cache folder; empty for no cache.
pub const VARIABLE: &str = "PIX2PIX_CACHE";

/// A folder of compiled kernels. Files are written under a temporary name and renamed, so that any
/// number of processes may use it at once; each ends with a hash of its contents, so that a damaged
/// file is compiled again.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
}

/// The key of everything that a compilation depends on: sources, options, architecture, version of
/// the compiler.
pub fn key(parts: &impl Hash) -> String {
    // Two different 64-bit hashes, because a collision would run the wrong kernel.
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        parts.hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(1), half(2))
}

impl Cache {
    /// The cache in the folder that `PIX2PIX_CACHE` names, or in the user's cache folder.
    pub fn of_user() -> Self {
        let named = env::var_os(VARIABLE).map(PathBuf::from);
        let users = || {
            let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
            cache.or_else(home).map(|cache| cache.join("pix2pix-engine").join("kernels"))
        };
        let folder = named.or_else(users).filter(|folder| !folder.as_os_str().is_empty());
        Cache { folder }
    }

    /// The cache in `folder`; with None nothing is kept.
    pub fn at(folder: Option<&Path>) -> Self {
        Cache { folder: folder.map(Path::to_path_buf) }
    }

    /// What was kept under `key`; None where there is nothing, or the file is damaged.
    pub fn get(&self, key: &str) -> Option<Compiled> {
        let bytes = fs::read(self.folder.as_ref()?.join(key)).ok()?;
        let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if self::key(&body).as_bytes() != seal {
            return None;
        }
        let (len, body) = body.split_at_checked(8)?;
        let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
        let (ptx, cubin) = body.split_at_checked(len)?;
        let ptx = String::from_utf8(ptx.to_vec()).ok()?;
        Some(Compiled { ptx, cubin: cubin.to_vec(), log: String::new() })
    }

    /// Keeps `compiled` under `key`. A cache that cannot be written is not an error: the next run
    /// compiles again.
    pub fn store(&self, key: &str, compiled: &Compiled) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let Some(folder) = &self.folder else { return };
        let mut bytes = (compiled.ptx.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(compiled.ptx.as_bytes());
        bytes.extend_from_slice(&compiled.cubin);
        let seal = self::key(&bytes.as_slice());
        bytes.extend_from_slice(seal.as_bytes());
        // A name that no other process or thread writes at the same time.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".{key}.{}.{number}.tmp", process::id()));
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&temporary, &bytes))
            .and_then(|()| fs::rename(&temporary, folder.join(key)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(Some(&folder.path().join("a")));
        let compiled = Compiled { ptx: "// ptx".into(), cubin: vec![1, 2, 3], log: String::new() };
        let key = key(&("sources", 80));
        assert_eq!(cache.get(&key), None);
        cache.store(&key, &compiled);
        assert_eq!(cache.get(&key), Some(compiled.clone()));
        let path = folder.path().join("a").join(&key);
        let bytes = fs::read(&path).unwrap();
        for len in 0..bytes.len() {
            fs::write(&path, &bytes[..len]).unwrap();
            assert_eq!(cache.get(&key), None, "cut to {len} bytes");
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 4;
            fs::write(&path, &wrong).unwrap();
            assert_eq!(cache.get(&key), None, "byte {at} changed");
        }
        assert_ne!(super::key(&("sources", 80)), super::key(&("sources", 86)));
    }

    #[test]
    fn no_folder_and_one_that_cannot_be_are_no_error() {
        let compiled = Compiled { ptx: String::new(), cubin: Vec::new(), log: String::new() };
        Cache::at(None).store("k", &compiled);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let cache = Cache::at(Some(&file));
        cache.store("k", &compiled);
        assert_eq!(cache.get("k"), None);
    }
}
