//! Files, of which a filter has none: the three standard streams are character devices, everything else is not open.

use super::Errno;
use crate::proxy_wasm::{HostCall, Row, Run, args};

pub(super) const TABLE: &[Row] = &[
    Row { name: "fd_advise", types: &[("iIIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_allocate", types: &[("iII", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_close", types: &[("i", "i")], run: Run::Wasi(close) },
    Row { name: "fd_datasync", types: &[("i", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_fdstat_get", types: &[("ii", "i")], run: Run::Wasi(fdstat_get) },
    Row { name: "fd_fdstat_set_flags", types: &[("ii", "i")], run: Run::Wasi(fdstat_set_flags) },
    Row { name: "fd_fdstat_set_rights", types: &[("iII", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_filestat_get", types: &[("ii", "i")], run: Run::Wasi(filestat_get) },
    Row { name: "fd_filestat_set_size", types: &[("iI", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_filestat_set_times", types: &[("iIIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_pread", types: &[("iiiIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_prestat_get", types: &[("ii", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_prestat_dir_name", types: &[("iii", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_pwrite", types: &[("iiiIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_read", types: &[("iiii", "i")], run: Run::Wasi(read) },
    Row { name: "fd_readdir", types: &[("iiiIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_renumber", types: &[("ii", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_seek", types: &[("iIii", "i")], run: Run::Wasi(seek) },
    Row { name: "fd_sync", types: &[("i", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_tell", types: &[("ii", "i")], run: Run::Wasi(seek) },
    Row { name: "path_create_directory", types: &[("iii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_filestat_get", types: &[("iiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_filestat_set_times", types: &[("iiiiIIi", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_link", types: &[("iiiiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_open", types: &[("iiiiiIIii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_readlink", types: &[("iiiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_remove_directory", types: &[("iii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_rename", types: &[("iiiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_symlink", types: &[("iiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_unlink_file", types: &[("iii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "sock_accept", types: &[("iii", "i")], run: Run::Wasi(not_supported) },
    Row { name: "sock_recv", types: &[("iiiiii", "i")], run: Run::Wasi(not_supported) },
    Row { name: "sock_send", types: &[("iiiii", "i")], run: Run::Wasi(not_supported) },
    Row { name: "sock_shutdown", types: &[("ii", "i")], run: Run::Wasi(not_supported) },
];

const STDIN: u32 = 0;
const STDERR: u32 = 2;
const CHARACTER_DEVICE: u8 = 2;

fn not_open(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::BadF)
}

fn no_entry(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::NoEnt)
}

fn not_supported(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::NotSup)
}

fn standard(fd: u32) -> Result<(), Errno> {
    if fd <= STDERR { Ok(()) } else { Err(Errno::BadF) }
}

/// Closing a standard stream is allowed and changes nothing: the log stays open.
fn close(_: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    standard(fd)
}

fn fdstat_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    const FDSTAT: usize = 24;
    const RIGHT_FD_READ: u64 = 1 << 1;
    const RIGHT_FD_WRITE: u64 = 1 << 6;
    let [fd, fdstat_at] = args(raw);
    standard(fd)?;
    let mut fdstat = [0; FDSTAT];
    fdstat[0] = CHARACTER_DEVICE;
    let rights = if fd == STDIN { RIGHT_FD_READ } else { RIGHT_FD_WRITE };
    fdstat[8..16].copy_from_slice(&rights.to_le_bytes());
    Ok(call.memory().write(fdstat_at, &fdstat)?)
}

fn fdstat_set_flags(_: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    standard(fd)
}

fn filestat_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    const FILESTAT: usize = 64;
    let [fd, filestat_at] = args(raw);
    standard(fd)?;
    let mut filestat = [0; FILESTAT];
    filestat[16] = CHARACTER_DEVICE;
    Ok(call.memory().write(filestat_at, &filestat)?)
}

/// Standard input is at its end.
fn read(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, _iovs, _count, size_at] = args(raw);
    if fd != STDIN {
        return Err(Errno::BadF);
    }
    Ok(call.put_u32(size_at, 0)?)
}

fn seek(_: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    standard(fd)?;
    Err(Errno::SPipe)
}
