//! What waits for disks, and so is for programs only: `fd_sync`, `fd_datasync`, `fd_allocate`, and the functions that set times.
//! All need a directory that is granted for writing.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FallocateFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fallocate, futimens, utimensat,
};
use rustix::io::retry_on_intr;

use super::call::{Call, Row, Run};
use super::descriptors::{Descriptor, Folder};
use super::errno::Errno;
use super::streams::STDERR;
use super::{files, paths};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[
    Row { name: "fd_allocate", types: &[("iII", "i")], run: Run::Errno(allocate) },
    Row { name: "fd_datasync", types: &[("i", "i")], run: Run::Errno(datasync) },
    Row { name: "fd_filestat_set_times", types: &[("iIIi", "i")], run: Run::Errno(set_times) },
    Row { name: "fd_sync", types: &[("i", "i")], run: Run::Errno(sync) },
    Row { name: "path_filestat_set_times", types: &[("iiiiIIi", "i")], run: Run::Errno(path_set_times) },
];

fn sync(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    write_back(call, raw, File::sync_all)
}

fn datasync(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    write_back(call, raw, File::sync_data)
}

/// Waits until a file, or the entries of a directory, are on the disk. As in POSIX, it need not have been opened for writing.
fn write_back(call: &mut Call<'_>, raw: &[u64], how: fn(&File) -> io::Result<()>) -> Result<(), Errno> {
    if !call.is_program() {
        return files::not_for_guests(call, raw);
    }
    let [fd] = args(raw);
    if fd <= STDERR {
        return Err(Errno::Inval);
    }
    match call.state.files.get(fd)? {
        Descriptor::File(file) if file.changeable => Ok(how(&file.file)?),
        // What stands for a directory cannot be read from, and so not be waited for.
        Descriptor::Folder(folder) if folder.writable => Ok(how(&folder.dir.open(".")?.into_std())?),
        Descriptor::File(_) | Descriptor::Folder(_) => Err(Errno::RoFs),
    }
}

/// Has the disk keep room for a part of a file, which becomes as long as that if it is shorter.
fn allocate(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    if !call.is_program() {
        return files::not_for_guests(call, raw);
    }
    let [fd] = args(raw);
    let [offset, len] = [1, 2].map(|n| raw.get(n).copied().unwrap_or_default());
    if fd <= STDERR {
        return Err(Errno::SPipe);
    }
    let file = call.state.files.file(fd)?;
    if !file.writable {
        return Err(Errno::BadF);
    }
    if len == 0 {
        return Err(Errno::Inval);
    }
    // The system counts with a sign.
    if offset.checked_add(len).is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(Errno::FBig);
    }
    Ok(retry_on_intr(|| fallocate(&file.file, FallocateFlags::empty(), offset, len))?)
}

/// `fd_filestat_set_times`.
fn set_times(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    if !call.is_program() {
        return files::not_for_guests(call, raw);
    }
    let [fd, _, _, flags] = args(raw);
    if fd <= STDERR {
        return Err(Errno::Inval);
    }
    let times = times(raw.get(1), raw.get(2), flags);
    match call.state.files.get(fd)? {
        Descriptor::File(file) if file.changeable => Ok(futimens(&file.file, &times?)?),
        Descriptor::Folder(folder) if folder.writable => folder.set_times(Path::new("."), &times?),
        Descriptor::File(_) | Descriptor::Folder(_) => Err(Errno::RoFs),
    }
}

/// `path_filestat_set_times` of a program.
fn path_set_times(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    // The times of what a filter changes are the system's. A program may set them: what unpacks an archive does.
    if !call.is_program() {
        return paths::not_for_guests(call, raw);
    }
    let [fd, lookup, ptr, len, _, _, flags] = args(raw);
    let path = paths::path(call, (ptr, len))?;
    let folder = call.state.files.writable_folder(fd)?;
    let times = times(raw.get(4), raw.get(5), flags)?;
    folder.set_times(&folder.followed(path, lookup & paths::FOLLOW != 0)?, &times)
}

/// The times to set: of the last access, and of the last change, in nanoseconds since 1970.
fn times(accessed: Option<&u64>, modified: Option<&u64>, flags: u32) -> Result<Timestamps, Errno> {
    const ACCESSED: u32 = 1;
    const ACCESSED_NOW: u32 = 2;
    const MODIFIED: u32 = 4;
    const MODIFIED_NOW: u32 = 8;
    if flags & !(ACCESSED | ACCESSED_NOW | MODIFIED | MODIFIED_NOW) != 0 {
        return Err(Errno::Inval);
    }
    Ok(Timestamps {
        last_access: time(accessed, flags & ACCESSED != 0, flags & ACCESSED_NOW != 0)?,
        last_modification: time(modified, flags & MODIFIED != 0, flags & MODIFIED_NOW != 0)?,
    })
}

fn time(time: Option<&u64>, is_given: bool, is_now: bool) -> Result<Timespec, Errno> {
    const SECOND: u64 = 1_000_000_000;
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let time = time.copied().unwrap_or_default();
    match (is_given, is_now) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Timespec { tv_sec: (time / SECOND) as i64, tv_nsec: (time % SECOND) as i64 }),
        (false, true) => Ok(special(UTIME_NOW)),
        (false, false) => Ok(special(UTIME_OMIT)),
    }
}

impl Folder {
    /// A path below this directory that leads to what the other does, without a symbolic link as its last part.
    fn followed(&self, path: PathBuf, follow: bool) -> Result<PathBuf, Errno> {
        let is_link = follow && self.metadata(&path, false)?.is_symlink();
        Ok(if is_link { self.dir.canonicalize(path)? } else { path })
    }

    /// Sets the times of what a path below this directory leads to; of a symbolic link they are its own. Nothing is opened but
    /// directories: the system is told the last part of the path alone, which leads nowhere else.
    fn set_times(&self, path: &Path, times: &Timestamps) -> Result<(), Errno> {
        let is_folder = [&b"/"[..], b"/."].iter().any(|end| path.as_os_str().as_bytes().ends_with(end));
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if !is_folder => {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                utimensat(self.dir.open_dir(parent)?, name, times, AtFlags::SYMLINK_NOFOLLOW)?
            }
            _ => utimensat(self.dir.open_dir(path)?, ".", times, AtFlags::empty())?,
        }
        Ok(())
    }
}
