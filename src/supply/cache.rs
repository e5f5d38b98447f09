//! Compiled code on disk, for the next start of nginx. What is in a file of it becomes machine code of the server, so nothing is
//! taken that could have been written by somebody else: see `folder.rs` for who may have written, `entry.rs` for what.
//!
//! The folder has a file for each module and form of code (`*.code`), and `key`, made at random when the folder is new. Its own
//! user and root can read that: who can only bring files into the folder, cannot make one that is taken.

use std::io;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use super::entry::{self, EntryError, EntryKey, Secret};
use super::folder::{FileError, Folder, FolderError, Listed};
use crate::vm::{CompileError, Module, TrustedCode};

const KEY_FILE: &str = "key";
const SUFFIX: &str = ".code";
/// No code of a module is so large; it keeps a file that is not the cache's from filling the memory.
const MAX_CODE: u64 = 1 << 30;
/// What has not been used for so long goes.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// So many of the others stay, those that were used last.
const MAX_FILES: usize = 128;
/// A file that another process is writing is younger.
const MAX_UNFINISHED: Duration = Duration::from_secs(3600);

/// A folder with compiled code.
pub struct CodeCache {
    folder: Folder,
    secret: Secret,
}

/// What an engine has made, for another one with the same fingerprint.
pub(super) fn code_of(module: &dyn Module) -> Result<TrustedCode, CompileError> {
    Ok(TrustedCode::of_checked(module.serialize()?, 0))
}

/// Why a file of the cache is not used.
#[derive(Debug, Error)]
pub enum RefusedFile {
    /// Others could have written it.
    #[error(transparent)]
    File(#[from] FileError),
    /// It says something wrong.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

impl CodeCache {
    /// Opens the folder for a process of this user, and makes it when it is not there, and may be made. Answers also why there is a new
    /// key, if one that was there could not be used: all files have to be made again then.
    pub fn open(path: &Path, user: u32, may_make: bool) -> Result<(CodeCache, Option<String>), FolderError> {
        let folder = Folder::open(path, user, may_make)?;
        let failed = |reason| FolderError::Io { path: folder.path_of(KEY_FILE), reason };
        let mut complaint = None;
        // Two processes that begin at the same time have one key.
        for _ in 0..3 {
            let reason = match folder.read(KEY_FILE, size_of::<Secret>() as u64) {
                Ok(None) => {
                    folder.write_new(KEY_FILE, &[&new_secret().map_err(failed)?]).map_err(failed)?;
                    continue;
                }
                Ok(Some(content)) => match Secret::try_from(content) {
                    Ok(secret) => return Ok((CodeCache { folder, secret }, complaint)),
                    Err(_) => "its length is wrong".to_owned(),
                },
                Err(reason) => reason.to_string(),
            };
            let path = folder.path_of(KEY_FILE);
            complaint =
                Some(format!("\"{}\" is replaced, and all modules are compiled anew: {reason}", path.display()));
            folder.write(KEY_FILE, &[&new_secret().map_err(failed)?]).map_err(failed)?;
        }
        Err(failed(io::Error::other("it changes while it is read")))
    }

    /// The file of an entry, for messages.
    pub fn path_of(&self, key: &EntryKey) -> std::path::PathBuf {
        self.folder.path_of(&file_name(key))
    }

    /// Whether there is a file for an entry; whether it is right, only [`CodeCache::get`] finds.
    pub fn has(&self, key: &EntryKey) -> bool {
        self.folder.has(&file_name(key))
    }

    /// The code of an entry, if there is one and it is right in every respect.
    pub fn get(&self, key: &EntryKey) -> Result<Option<TrustedCode>, RefusedFile> {
        let name = file_name(key);
        let Some(content) = self.folder.read(&name, MAX_CODE)? else { return Ok(None) };
        let start = entry::check(&content, key, &self.secret)?;
        // Without it the file only goes earlier than others.
        let _ = self.folder.touch(&name);
        Ok(Some(TrustedCode::of_checked(content, start)))
    }

    /// Keeps the code of an entry, in place of what may be there.
    pub fn put(&self, key: &EntryKey, code: &[u8]) -> io::Result<()> {
        let header = entry::header(key, &self.secret, code);
        self.folder.write(&file_name(key), &[&header, code])
    }

    /// Removes what has not been used for long, and what are too many. Answers how many.
    pub fn prune(&self) -> io::Result<usize> {
        let (mut files, unfinished) = self.folder.list(SUFFIX)?;
        files.sort_by_key(|file| file.age);
        let old =
            files.iter().enumerate().filter(|(n, file)| *n >= MAX_FILES || file.age > MAX_AGE).map(|(_, file)| file);
        let mut count = 0;
        for Listed { name, .. } in old.chain(unfinished.iter().filter(|file| file.age > MAX_UNFINISHED)) {
            self.folder.remove(name)?;
            count += 1;
        }
        Ok(count)
    }
}

fn file_name(key: &EntryKey) -> String {
    key.name() + SUFFIX
}

fn new_secret() -> io::Result<Secret> {
    let mut secret = [0; 64];
    getrandom::fill(&mut secret).map_err(|err| io::Error::other(err.to_string()))?;
    Ok(secret)
}
