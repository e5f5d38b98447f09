//! The folder of the compile cache, and what is demanded of it and of each file in it: nobody else may have been able to write
//! there. Everything goes through the descriptor of the folder, so that a path is followed once. `cache.rs` calls this.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Timestamps};
use rustix::io::Errno;
use thiserror::Error;

/// Bits of a mode that let group or others write.
const OTHERS_WRITE: u32 = 0o022;
/// Bits of a mode that let group or others do anything.
const OTHERS_ANY: u32 = 0o077;
const STICKY: u32 = 0o1000;
/// As many as Linux follows.
const MAX_LINKS: usize = 40;
/// What files are called until they are complete.
const UNFINISHED: &str = ".new-";

/// Why a folder cannot be a compile cache.
#[derive(Debug, Error)]
pub enum FolderError {
    /// It is missing and cannot be made, or cannot be opened.
    #[error("\"{}\": {reason}", .path.display())]
    Io {
        /// The part of the path.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Something else has the name.
    #[error("\"{}\" is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// It, or a folder that it is in, is somebody else's.
    #[error(
        "\"{}\" belongs to user {owner}; it must be root's or of the user that starts nginx, since nginx runs the machine code \
         in it: use chown, or another folder", .path.display()
    )]
    Owner {
        /// The part of the path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// It, or a folder that it is in, can be written by others.
    #[error(
        "\"{}\" has mode {mode:04o}; group and others must not be able to write it, since nginx runs the machine code in it: use \
         chmod go-w, or another folder", .path.display()
    )]
    Mode {
        /// The part of the path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Links that lead to each other.
    #[error("\"{}\" has too many symbolic links", .0.display())]
    Links(PathBuf),
}

impl FolderError {
    /// Whether somebody has to put it right: others could write there, or it is no folder at all. Otherwise the folder is of no use as
    /// things are, for want of room, of rights, or of the folder itself, and nothing is wrong with doing without.
    pub fn is_mistake(&self) -> bool {
        !matches!(self, FolderError::Io { .. })
    }

    /// Whether there is no such folder, or none that it could be in.
    pub fn is_missing(&self) -> bool {
        matches!(self, FolderError::Io { reason, .. } if reason.kind() == io::ErrorKind::NotFound)
    }
}

/// Why a file in the folder is not read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A link could lead to anything.
    #[error("it is a symbolic link")]
    Link,
    /// A folder, a device, a pipe.
    #[error("it is not a plain file")]
    NotAFile,
    /// Somebody else's.
    #[error("it belongs to user {0}, not to root or the user that starts nginx")]
    Owner(u32),
    /// Group or others can reach it.
    #[error("its mode is {0:04o}, not 0600")]
    Mode(u32),
    /// Another name of it may be where others can write.
    #[error("it has {0} names (hard links)")]
    Names(u64),
    /// None that the cache has written.
    #[error("it has {0} bytes, too many")]
    Size(u64),
}

/// An open folder that nobody else can write.
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    user: u32,
}

/// A file of a folder.
pub struct Listed {
    /// Its name.
    pub name: String,
    /// How long ago it was written or marked as used; nothing for times in the future.
    pub age: Duration,
}

impl Folder {
    /// Opens the folder with this absolute path, for a process of this user. `may_make`: when it is not there, it is made.
    pub fn open(path: &Path, user: u32, may_make: bool) -> Result<Folder, FolderError> {
        if may_make && let Err(reason) = DirBuilder::new().mode(0o700).create(path) {
            // On a file system that is only read, a folder may be all the same.
            let is_there = reason.kind() == io::ErrorKind::AlreadyExists || fs::symlink_metadata(path).is_ok();
            if !is_there {
                return Err(FolderError::Io { path: path.to_owned(), reason });
            }
        }
        let resolved = resolve(path, user)?;
        let failed = |reason: Errno| FolderError::Io { path: resolved.clone(), reason: reason.into() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&resolved, flags, Mode::empty()).map_err(|err| match err {
            Errno::NOTDIR => FolderError::NotAFolder(resolved.clone()),
            other => failed(other),
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        // In a sticky folder others could not remove files, but make them.
        check(&resolved, stat.st_uid, stat.st_mode & 0o777, user)?;
        Ok(Folder { fd, path: resolved, user })
    }

    /// The path of a file in it, for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether something has this name.
    pub fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// The content of a file, if it is there and only this process' user and root could have written it.
    pub fn read(&self, name: &str, longest: u64) -> Result<Option<Vec<u8>>, FileError> {
        // A pipe must not make nginx wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::MLINK) => return Err(FileError::Link),
            Err(Errno::NXIO) => return Err(FileError::NotAFile),
            Err(err) => return Err(FileError::Io(err.into())),
        };
        let stat = rustix::fs::fstat(&fd).map_err(io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FileError::NotAFile);
        }
        if stat.st_uid != 0 && stat.st_uid != self.user {
            return Err(FileError::Owner(stat.st_uid));
        }
        let mode = stat.st_mode & 0o7777;
        if mode & OTHERS_ANY != 0 {
            return Err(FileError::Mode(mode));
        }
        #[allow(clippy::useless_conversion, reason = "the type depends on the platform")]
        let names = u64::from(stat.st_nlink);
        if names != 1 {
            return Err(FileError::Names(names));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > longest {
            return Err(FileError::Size(size));
        }
        let mut content = Vec::with_capacity(size as usize);
        File::from(fd).take(longest).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Writes a file, in place of one that may have the name. It appears whole or not at all.
    pub fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.write_by(parts, |unfinished| rustix::fs::renameat(&self.fd, unfinished, &self.fd, name))
    }

    /// Writes a file unless one has the name. Answers whether it did.
    pub fn write_new(&self, name: &str, parts: &[&[u8]]) -> io::Result<bool> {
        let mut is_new = true;
        self.write_by(parts, |unfinished| {
            match rustix::fs::renameat_with(&self.fd, unfinished, &self.fd, name, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {
                    is_new = false;
                    rustix::fs::unlinkat(&self.fd, unfinished, AtFlags::empty())
                }
                // Some file systems cannot.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    rustix::fs::renameat(&self.fd, unfinished, &self.fd, name)
                }
                other => other,
            }
        })?;
        Ok(is_new)
    }

    fn write_by(&self, parts: &[&[u8]], finish: impl FnOnce(&str) -> Result<(), Errno>) -> io::Result<()> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|err| io::Error::other(err.to_string()))?;
        let unfinished = format!("{UNFINISHED}{:016x}", u64::from_ne_bytes(random));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, &unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        let written = (|| {
            let mut file = File::from(fd);
            for part in parts {
                file.write_all(part)?;
            }
            file.sync_all()?;
            finish(&unfinished)?;
            Ok(rustix::fs::fsync(&self.fd)?)
        })();
        if written.is_err() {
            // What is left behind goes when it is old; the error that counts is the first one.
            let _ = rustix::fs::unlinkat(&self.fd, &unfinished, AtFlags::empty());
        }
        written
    }

    /// Marks a file as used now.
    pub fn touch(&self, name: &str) -> io::Result<()> {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        Ok(rustix::fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Files whose names end so, and those that were begun and not finished.
    pub fn list(&self, suffix: &str) -> io::Result<(Vec<Listed>, Vec<Listed>)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (mut files, mut unfinished) = (Vec::new(), Vec::new());
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let list = match name {
                name if name.starts_with(UNFINISHED) => &mut unfinished,
                name if name.ends_with(suffix) => &mut files,
                _ => continue,
            };
            // One that another process has just removed is no error.
            let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let written = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
            list.push(Listed { name: name.to_owned(), age: now.saturating_sub(written) });
        }
        Ok((files, unfinished))
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }
}

/// Follows a path from the root, links too, and refuses one of which somebody else could exchange a part.
fn resolve(path: &Path, user: u32) -> Result<PathBuf, FolderError> {
    let mut rest: Vec<_> = path.components().rev().map(|part| part.as_os_str().to_owned()).collect();
    let mut resolved = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = rest.pop() {
        let next = match Path::new(&part).components().next() {
            Some(Component::RootDir) => PathBuf::from("/"),
            Some(Component::ParentDir) => resolved.parent().unwrap_or(Path::new("/")).to_owned(),
            Some(Component::Normal(name)) => resolved.join(name),
            _ => continue,
        };
        let failed = |reason| FolderError::Io { path: next.clone(), reason };
        let found = fs::symlink_metadata(&next).map_err(failed)?;
        if found.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(FolderError::Links(path.to_owned()));
            }
            // The mode of a link means nothing; who made it does.
            check(&next, found.uid(), 0, user)?;
            let target = fs::read_link(&next).map_err(failed)?;
            rest.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
            continue;
        }
        if !found.is_dir() {
            return Err(FolderError::NotAFolder(next));
        }
        // In a sticky folder nobody can move what is another's. The last part is looked at again by its descriptor.
        let mode = if found.mode() & STICKY == 0 { found.mode() & 0o777 } else { 0 };
        check(&next, found.uid(), mode, user)?;
        resolved = next;
    }
    Ok(resolved)
}

fn check(path: &Path, owner: u32, mode: u32, user: u32) -> Result<(), FolderError> {
    if owner != 0 && owner != user {
        return Err(FolderError::Owner { path: path.to_owned(), owner });
    }
    if mode & OTHERS_WRITE != 0 {
        return Err(FolderError::Mode { path: path.to_owned(), mode });
    }
    Ok(())
}
