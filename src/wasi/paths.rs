//! Paths below the directories that the configuration grants: `path_open` and its kin. Nothing leads out of a directory, see
//! `descriptors.rs`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::call::{Call, Row, Run};
use super::descriptors::{self, How};
use super::stat::{FLAG_APPEND, FLAG_NONBLOCK, FLAGS_SYNCHRONOUS, RIGHT_FD_READ, RIGHT_FD_READDIR, RIGHT_FD_WRITE};
use super::{Errno, stat};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[
    Row { name: "path_create_directory", types: &[("iii", "i")], run: Run::Errno(create_directory) },
    Row { name: "path_filestat_get", types: &[("iiiii", "i")], run: Run::Errno(filestat_get) },
    Row { name: "path_link", types: &[("iiiiiii", "i")], run: Run::Errno(not_for_guests) },
    Row { name: "path_open", types: &[("iiiiiIIii", "i")], run: Run::Errno(open) },
    Row { name: "path_readlink", types: &[("iiiiii", "i")], run: Run::Errno(readlink) },
    Row { name: "path_remove_directory", types: &[("iii", "i")], run: Run::Errno(remove_directory) },
    Row { name: "path_rename", types: &[("iiiiii", "i")], run: Run::Errno(rename) },
    Row { name: "path_symlink", types: &[("iiiii", "i")], run: Run::Errno(symlink) },
    Row { name: "path_unlink_file", types: &[("iii", "i")], run: Run::Errno(unlink_file) },
];

pub(super) const FOLLOW: u32 = 1;

/// A path that a guest passes.
pub(super) fn path(call: &mut Call<'_>, (ptr, len): (u32, u32)) -> Result<PathBuf, Errno> {
    /// The system's own limit.
    const LONGEST: u32 = 4096;
    call.memory().check(ptr, u64::from(len))?;
    if len > LONGEST {
        return Err(Errno::NameTooLong);
    }
    let bytes = call.bytes(ptr, len)?;
    if bytes.contains(&0) {
        return Err(Errno::Inval);
    }
    Ok(OsString::from_vec(bytes).into())
}

fn open(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    const CREATE: u32 = 1;
    const DIRECTORY: u32 = 2;
    const EXCLUSIVE: u32 = 4;
    const TRUNCATE: u32 = 8;
    let [fd, lookup, ptr, len, flags, _, _, fd_flags, fd_at] = args(raw);
    let rights = raw.get(5).copied().unwrap_or_default();
    call.memory().check(fd_at, 4)?;
    let path = path(call, (ptr, len))?;
    let is_program = call.is_program();
    // Nobody waits for a regular file. What is synchronous waits for the disk, which a filter must not.
    let known = FLAG_APPEND | FLAG_NONBLOCK | if is_program { FLAGS_SYNCHRONOUS } else { 0 };
    if fd_flags & !u32::from(known) != 0 {
        return Err(Errno::NotSup);
    }
    let fd_flags = fd_flags as u16;
    let folder = flags & DIRECTORY != 0;
    let write = rights & RIGHT_FD_WRITE != 0 && !folder;
    let how = How {
        read: rights & (RIGHT_FD_READ | RIGHT_FD_READDIR) != 0,
        write,
        append: write && fd_flags & FLAG_APPEND != 0,
        synchronous: fd_flags & FLAGS_SYNCHRONOUS,
        create: flags & CREATE != 0,
        exclusive: flags & EXCLUSIVE != 0,
        truncate: flags & TRUNCATE != 0,
        folder,
        follow: lookup & FOLLOW != 0,
    };
    let files = &mut call.state.files;
    files.room(if is_program { descriptors::MOST_OF_A_PROGRAM } else { descriptors::MOST })?;
    let opened = files.folder(fd)?.open(&path, how)?;
    let opened = files.insert(opened);
    Ok(call.put_u32(fd_at, opened)?)
}

fn filestat_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, lookup, ptr, len, filestat_at] = args(raw);
    let path = path(call, (ptr, len))?;
    let metadata = call.state.files.folder(fd)?.metadata(&path, lookup & FOLLOW != 0)?;
    Ok(call.memory().write(filestat_at, &stat::filestat(&metadata))?)
}

/// Targets that are absolute paths of the host are not told.
fn readlink(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, ptr, len, buffer, buffer_len, used_at] = args(raw);
    let path = path(call, (ptr, len))?;
    let target = call.state.files.folder(fd)?.dir.read_link(&path)?;
    let target = target.as_os_str().as_bytes();
    let target = &target[..target.len().min(buffer_len as usize)];
    let mut memory = call.memory();
    memory.check(used_at, 4)?;
    memory.write(buffer, target)?;
    Ok(memory.write_u32(used_at, target.len() as u32)?)
}

fn create_directory(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, ptr, len] = args(raw);
    let path = path(call, (ptr, len))?;
    Ok(call.state.files.writable_folder(fd)?.dir.create_dir(path)?)
}

fn remove_directory(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, ptr, len] = args(raw);
    let path = path(call, (ptr, len))?;
    Ok(call.state.files.writable_folder(fd)?.dir.remove_dir(path)?)
}

fn unlink_file(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, ptr, len] = args(raw);
    let path = path(call, (ptr, len))?;
    Ok(call.state.files.writable_folder(fd)?.dir.remove_file(path)?)
}

fn rename(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, ptr, len, to_fd, to_ptr, to_len] = args(raw);
    let (from, to) = (path(call, (ptr, len))?, path(call, (to_ptr, to_len))?);
    // Another descriptor of the system, for the table of descriptors gives out one at a time.
    let to_dir = call.state.files.writable_folder(to_fd)?.dir.try_clone()?;
    Ok(call.state.files.writable_folder(fd)?.dir.rename(from, &to_dir, to)?)
}

/// Links are made by whoever fills a directory, not by guests, programs neither. A second name in a directory that is granted
/// for writing would have a file changed that is granted for reading only.
pub(super) fn not_for_guests(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    call.state.files.writable_folder(fd)?;
    Err(Errno::NotCapable)
}

/// A symbolic link can lead anywhere. This host follows none out of a directory, but others who use the directory do: a server
/// that serves its files, say.
fn symlink(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [_target, _len, fd] = args(raw);
    call.state.files.writable_folder(fd)?;
    Err(Errno::NotCapable)
}
