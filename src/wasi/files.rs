//! Descriptors: the three standard streams (`streams.rs`), and what is open of the directories that the configuration grants
//! (`descriptors.rs`). `paths.rs` opens files, `disks.rs` has what waits for them.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use cap_std::fs::Metadata;

use super::call::{Call, Row, Run};
use super::descriptors::Descriptor;
use super::stat::{
    ALL_RIGHTS, DIRECTORY, FDSTAT, FLAG_NONBLOCK, REGULAR_FILE, RIGHT_FD_ADVISE, RIGHT_FD_ALLOCATE, RIGHT_FD_DATASYNC,
    RIGHT_FD_FDSTAT_SET_FLAGS, RIGHT_FD_FILESTAT_GET, RIGHT_FD_FILESTAT_SET_SIZE, RIGHT_FD_FILESTAT_SET_TIMES,
    RIGHT_FD_READ, RIGHT_FD_SEEK, RIGHT_FD_SYNC, RIGHT_FD_TELL, RIGHT_FD_WRITE, RIGHT_POLL_FD_READWRITE,
};
use super::streams::{STDERR, STDIN};
use super::vectors::Vectors;
use super::{Errno, listing, stat, streams};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[
    Row { name: "fd_advise", types: &[("iIIi", "i")], run: Run::Errno(advise) },
    Row { name: "fd_close", types: &[("i", "i")], run: Run::Errno(close) },
    Row { name: "fd_fdstat_get", types: &[("ii", "i")], run: Run::Errno(fdstat_get) },
    Row { name: "fd_fdstat_set_flags", types: &[("ii", "i")], run: Run::Errno(fdstat_set_flags) },
    Row { name: "fd_fdstat_set_rights", types: &[("iII", "i")], run: Run::Errno(not_for_guests) },
    Row { name: "fd_filestat_get", types: &[("ii", "i")], run: Run::Errno(filestat_get) },
    Row { name: "fd_filestat_set_size", types: &[("iI", "i")], run: Run::Errno(filestat_set_size) },
    Row { name: "fd_pread", types: &[("iiiIi", "i")], run: Run::Errno(pread) },
    Row { name: "fd_prestat_get", types: &[("ii", "i")], run: Run::Errno(prestat_get) },
    Row { name: "fd_prestat_dir_name", types: &[("iii", "i")], run: Run::Errno(prestat_dir_name) },
    Row { name: "fd_pwrite", types: &[("iiiIi", "i")], run: Run::Errno(pwrite) },
    Row { name: "fd_read", types: &[("iiii", "i")], run: Run::Errno(read) },
    Row { name: "fd_readdir", types: &[("iiiIi", "i")], run: Run::Errno(listing::readdir) },
    Row { name: "fd_renumber", types: &[("ii", "i")], run: Run::Errno(renumber) },
    Row { name: "fd_seek", types: &[("iIii", "i")], run: Run::Errno(seek) },
    Row { name: "fd_tell", types: &[("ii", "i")], run: Run::Errno(tell) },
    Row { name: "sock_accept", types: &[("iii", "i")], run: Run::Errno(not_supported) },
    Row { name: "sock_recv", types: &[("iiiiii", "i")], run: Run::Errno(not_supported) },
    Row { name: "sock_send", types: &[("iiiii", "i")], run: Run::Errno(not_supported) },
    Row { name: "sock_shutdown", types: &[("ii", "i")], run: Run::Errno(not_supported) },
];

/// What nobody needs; and what a filter must not do, for it would wait for a disk.
pub(super) fn not_for_guests(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    call.state.files.get(fd)?;
    Err(Errno::NotSup)
}

fn not_supported(_: &mut Call<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::NotSup)
}

/// Advice need not be taken.
fn advise(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    call.state.files.file(fd).map(|_| ())
}

/// Closing a standard stream is allowed and changes nothing: the log stays open.
fn close(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    if fd <= STDERR { Ok(()) } else { call.state.files.close(fd) }
}

fn fdstat_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, fdstat_at] = args(raw);
    let told = if fd <= STDERR {
        streams::fdstat(call, fd)
    } else {
        let is_program = call.is_program();
        fdstat(call.state.files.get(fd)?, is_program)
    };
    Ok(call.memory().write(fdstat_at, &told)?)
}

/// What is known of a descriptor. Directories claim all rights, those to write too: C libraries leave out what they do not
/// find here, and a guest is to learn from the error of its call that a directory is granted for reading only.
fn fdstat(descriptor: &Descriptor, is_program: bool) -> [u8; FDSTAT] {
    let mut out = [0; FDSTAT];
    let (file_type, flags, rights, inheriting) = match descriptor {
        Descriptor::Folder(_) => (DIRECTORY, 0, ALL_RIGHTS & !RIGHT_FD_SEEK, ALL_RIGHTS),
        Descriptor::File(file) => {
            let mut rights = RIGHT_FD_SEEK | RIGHT_FD_TELL | RIGHT_FD_FILESTAT_GET;
            if file.readable {
                rights |= RIGHT_FD_READ;
            }
            if file.writable {
                rights |= RIGHT_FD_WRITE | RIGHT_FD_FILESTAT_SET_SIZE;
            }
            if is_program {
                rights |= RIGHT_FD_ADVISE | RIGHT_FD_FDSTAT_SET_FLAGS | RIGHT_POLL_FD_READWRITE;
            }
            if is_program && file.writable {
                rights |= RIGHT_FD_ALLOCATE;
            }
            if is_program && file.changeable {
                rights |= RIGHT_FD_DATASYNC | RIGHT_FD_SYNC | RIGHT_FD_FILESTAT_SET_TIMES;
            }
            (REGULAR_FILE, file.flags, rights, 0)
        }
    };
    out[0] = file_type;
    out[2..4].copy_from_slice(&flags.to_le_bytes());
    out[8..16].copy_from_slice(&rights.to_le_bytes());
    out[16..24].copy_from_slice(&inheriting.to_le_bytes());
    out
}

/// A file waits for nothing as it is; whether it is written at its end, or through to the disk, is decided when it is opened.
fn fdstat_set_flags(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, flags] = args(raw);
    if fd <= STDERR {
        streams::set_flags(call, fd, flags);
        return Ok(());
    }
    let opened_with = match call.state.files.get(fd)? {
        Descriptor::File(file) => file.flags,
        Descriptor::Folder(_) => 0,
    };
    if flags & !u32::from(FLAG_NONBLOCK) == u32::from(opened_with) { Ok(()) } else { Err(Errno::NotSup) }
}

fn filestat_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, filestat_at] = args(raw);
    let filestat = if fd <= STDERR {
        streams::filestat(call)
    } else {
        stat::filestat(&match call.state.files.get(fd)? {
            Descriptor::Folder(folder) => folder.dir.dir_metadata()?,
            Descriptor::File(file) => Metadata::from_file(&file.file)?,
        })
    };
    Ok(call.memory().write(filestat_at, &filestat)?)
}

fn filestat_set_size(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    let size = raw.get(1).copied().unwrap_or_default();
    let file = call.state.files.file(fd)?;
    if !file.writable {
        return Err(Errno::Inval);
    }
    Ok(file.file.set_len(size)?)
}

/// The directories that are granted have the first numbers: guests ask for each until one is not open.
fn prestat_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    const GRANTED: u32 = 0;
    let [fd, prestat_at] = args(raw);
    let Descriptor::Folder(folder) = call.state.files.get(fd)? else { return Err(Errno::BadF) };
    let len = folder.guest.as_ref().ok_or(Errno::BadF)?.len() as u32;
    let mut memory = call.memory();
    memory.check(prestat_at, 8)?;
    memory.write_u32(prestat_at, GRANTED)?;
    // The sum cannot wrap: all 8 bytes are inside.
    Ok(memory.write_u32(prestat_at + 4, len)?)
}

fn prestat_dir_name(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, name_at, len] = args(raw);
    let Descriptor::Folder(folder) = call.state.files.get(fd)? else { return Err(Errno::BadF) };
    let name = folder.guest.clone().ok_or(Errno::BadF)?;
    if (len as usize) < name.len() {
        return Err(Errno::NameTooLong);
    }
    Ok(call.memory().write(name_at, &name)?)
}

/// The standard input of a filter is at its end.
fn read(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, at, count, moved_at] = args(raw);
    let vectors = Vectors { at, count, moved_at };
    if fd == STDIN {
        return if call.is_program() { streams::read(call, vectors) } else { Ok(call.put_u32(moved_at, 0)?) };
    }
    check_readable(call, fd)?;
    vectors.transfer(call, |call, (ptr, len), _| {
        call.fill(ptr, len, |bytes, state, _| Ok(state.files.file(fd)?.file.read(bytes)? as u32))?
    })
}

fn pread(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, at, count, _, moved_at] = args(raw);
    let offset = offset(raw)?;
    check_seekable(call, fd)?;
    check_readable(call, fd)?;
    Vectors { at, count, moved_at }.transfer(call, |call, (ptr, len), moved| {
        let offset = offset + u64::from(moved);
        call.fill(ptr, len, |bytes, state, _| Ok(state.files.file(fd)?.file.read_at(bytes, offset)? as u32))?
    })
}

fn pwrite(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, at, count, _, moved_at] = args(raw);
    let offset = offset(raw)?;
    check_seekable(call, fd)?;
    check_writable(call, fd)?;
    Vectors { at, count, moved_at }.transfer(call, |call, (ptr, len), moved| {
        let offset = offset + u64::from(moved);
        call.with_bytes(ptr, len, |bytes, state, _| Ok(state.files.file(fd)?.file.write_at(bytes, offset)? as u32))?
    })
}

/// `fd_write` to a file.
pub(super) fn write(call: &mut Call<'_>, fd: u32, vectors: Vectors) -> Result<(), Errno> {
    check_writable(call, fd)?;
    vectors.transfer(call, |call, (ptr, len), _| {
        call.with_bytes(ptr, len, |bytes, state, _| Ok(state.files.file(fd)?.file.write(bytes)? as u32))?
    })
}

/// The place in a file, which the system counts with a sign.
fn offset(raw: &[u64]) -> Result<u64, Errno> {
    // What one call moves must not lead beyond, either.
    const LARGEST: u64 = i64::MAX as u64 - u32::MAX as u64;
    raw.get(3).copied().filter(|offset| *offset <= LARGEST).ok_or(Errno::Inval)
}

/// To a filter its standard streams are no files, here; a program learns what is wrong with them.
fn check_seekable(call: &mut Call<'_>, fd: u32) -> Result<(), Errno> {
    if fd <= STDERR && call.is_program() { Err(Errno::SPipe) } else { Ok(()) }
}

fn check_readable(call: &mut Call<'_>, fd: u32) -> Result<(), Errno> {
    if call.state.files.file(fd)?.readable { Ok(()) } else { Err(Errno::BadF) }
}

fn check_writable(call: &mut Call<'_>, fd: u32) -> Result<(), Errno> {
    if call.state.files.file(fd)?.writable { Ok(()) } else { Err(Errno::BadF) }
}

/// No number of a standard stream is given away, for nothing else could be put in its place.
fn renumber(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    if !call.is_program() {
        return not_for_guests(call, raw);
    }
    let [from, to] = args(raw);
    if from <= STDERR || to <= STDERR { Err(Errno::NotSup) } else { call.state.files.renumber(from, to) }
}

fn seek(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    const START: u32 = 0;
    const CURRENT: u32 = 1;
    const END: u32 = 2;
    let [fd, _, whence, at] = args(raw);
    let offset = raw.get(1).copied().unwrap_or_default().cast_signed();
    if fd <= STDERR {
        return Err(Errno::SPipe);
    }
    let file = call.state.files.file(fd)?;
    let from = match whence {
        START => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        CURRENT => SeekFrom::Current(offset),
        END => SeekFrom::End(offset),
        _ => return Err(Errno::Inval),
    };
    let position = file.file.seek(from)?;
    Ok(call.put_u64(at, position)?)
}

fn tell(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, at] = args(raw);
    if fd <= STDERR {
        return Err(Errno::SPipe);
    }
    let position = call.state.files.file(fd)?.file.stream_position()?;
    Ok(call.put_u64(at, position)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::tests::support::{Answer, MEMORY, host_functions, probe};

    fn call(function: &str, args: &[u64]) -> Answer {
        probe(Default::default(), function, args, &[])
    }

    #[test]
    fn nothing_is_preopened() {
        for fd in [0, 3, 4] {
            assert_eq!(call("fd_prestat_get", &[fd, 0x100]).status, Errno::BadF as u32, "{fd}");
        }
        assert_eq!(call("fd_prestat_dir_name", &[3, 0x100, 10]).status, Errno::BadF as u32);
    }

    #[test]
    fn paths_lead_nowhere_and_there_are_no_sockets() {
        for (module, row) in host_functions() {
            let wanted = match row.name {
                name if module != "env" && name.starts_with("path_") => Errno::BadF,
                name if name.starts_with("sock_") => Errno::NotSup,
                _ => continue,
            };
            let answer = call(row.name, &vec![4; row.types[0].0.len()]);
            assert_eq!(answer.status, wanted as u32, "{}", row.name);
            assert!(answer.untouched(), "{}", row.name);
        }
    }

    #[test]
    fn the_standard_streams_are_character_devices() {
        for (fd, rights) in [(0, 2), (1, 0x40), (2, 0x40)] {
            let answer = call("fd_fdstat_get", &[fd, 0x100]);
            assert_eq!((answer.status, answer.memory[0x100], answer.u64_at(0x108)), (0, 2, rights), "{fd}");
            let answer = call("fd_filestat_get", &[fd, 0x100]);
            assert_eq!((answer.status, answer.memory[0x110]), (0, 2), "{fd}");
            assert_eq!(call("fd_close", &[fd]).status, 0, "{fd}");
            assert_eq!(call("fd_fdstat_set_flags", &[fd, 0]).status, 0, "{fd}");
            assert_eq!(call("fd_seek", &[fd, 0, 0, 0x100]).status, Errno::SPipe as u32, "{fd}");
            assert_eq!(call("fd_tell", &[fd, 0x100]).status, Errno::SPipe as u32, "{fd}");
        }
    }

    #[test]
    fn every_other_descriptor_is_not_open() {
        for (_, row) in host_functions().filter(|(_, row)| row.name.starts_with("fd_")) {
            for fd in [3, u64::from(u32::MAX)] {
                let mut args = vec![0; row.types[0].0.len()];
                args[0] = fd;
                let answer = call(row.name, &args);
                assert_eq!(answer.status, Errno::BadF as u32, "{} {fd}", row.name);
                assert!(answer.untouched(), "{}", row.name);
            }
        }
    }

    #[test]
    fn standard_input_is_at_its_end() {
        let answer = call("fd_read", &[0, 0x1000, 1, 0x100]);
        assert_eq!((answer.status, answer.u32_at(0x100)), (0, 0));
        assert_eq!(call("fd_read", &[1, 0x1000, 1, 0x100]).status, Errno::BadF as u32);
    }

    #[test]
    fn a_result_needs_a_place() {
        for (function, args) in [
            ("fd_fdstat_get", vec![1, u64::from(MEMORY) - 23]),
            ("fd_filestat_get", vec![1, u64::from(MEMORY) - 63]),
            ("fd_read", vec![0, 0, 0, u64::from(MEMORY) - 3]),
        ] {
            let answer = call(function, &args);
            assert_eq!(answer.status, Errno::Fault as u32, "{function}");
            assert!(answer.untouched(), "{function}");
        }
    }
}
