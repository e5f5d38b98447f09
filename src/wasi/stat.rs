//! What WASI tells of files: `filestat`, types, rights.

use cap_std::fs::{FileType, FileTypeExt, Metadata, MetadataExt};

pub(super) const UNKNOWN: u8 = 0;
pub(super) const CHARACTER_DEVICE: u8 = 2;
pub(super) const DIRECTORY: u8 = 3;
pub(super) const REGULAR_FILE: u8 = 4;

pub(super) const RIGHT_FD_DATASYNC: u64 = 1 << 0;
pub(super) const RIGHT_FD_READ: u64 = 1 << 1;
pub(super) const RIGHT_FD_SEEK: u64 = 1 << 2;
pub(super) const RIGHT_FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
pub(super) const RIGHT_FD_SYNC: u64 = 1 << 4;
pub(super) const RIGHT_FD_TELL: u64 = 1 << 5;
pub(super) const RIGHT_FD_WRITE: u64 = 1 << 6;
pub(super) const RIGHT_FD_ADVISE: u64 = 1 << 7;
pub(super) const RIGHT_FD_ALLOCATE: u64 = 1 << 8;
pub(super) const RIGHT_FD_READDIR: u64 = 1 << 14;
pub(super) const RIGHT_FD_FILESTAT_GET: u64 = 1 << 21;
pub(super) const RIGHT_FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
pub(super) const RIGHT_FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
pub(super) const RIGHT_POLL_FD_READWRITE: u64 = 1 << 27;
pub(super) const ALL_RIGHTS: u64 = (1 << 30) - 1;

pub(super) const FLAG_APPEND: u16 = 1;
pub(super) const FLAG_DSYNC: u16 = 2;
pub(super) const FLAG_NONBLOCK: u16 = 4;
pub(super) const FLAG_RSYNC: u16 = 8;
pub(super) const FLAG_SYNC: u16 = 16;
/// Those with which a write waits for the disk.
pub(super) const FLAGS_SYNCHRONOUS: u16 = FLAG_DSYNC | FLAG_RSYNC | FLAG_SYNC;

pub(super) const FILESTAT: usize = 64;
pub(super) const FDSTAT: usize = 24;

/// A type of files, as WASI numbers it.
pub(super) fn file_type(of: FileType) -> u8 {
    const BLOCK_DEVICE: u8 = 1;
    const SOCKET: u8 = 6;
    const SYMBOLIC_LINK: u8 = 7;
    match of {
        _ if of.is_dir() => DIRECTORY,
        _ if of.is_file() => REGULAR_FILE,
        _ if of.is_symlink() => SYMBOLIC_LINK,
        _ if of.is_block_device() => BLOCK_DEVICE,
        _ if of.is_char_device() => CHARACTER_DEVICE,
        _ if of.is_socket() => SOCKET,
        _ => UNKNOWN,
    }
}

/// What is known of a file.
pub(super) fn filestat(metadata: &Metadata) -> [u8; FILESTAT] {
    let mut out = [0; FILESTAT];
    let nanoseconds = |seconds: i64, rest: i64| {
        let all = i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        u64::try_from(all.max(0)).unwrap_or(u64::MAX)
    };
    out[..8].copy_from_slice(&metadata.dev().to_le_bytes());
    out[8..16].copy_from_slice(&metadata.ino().to_le_bytes());
    out[16] = file_type(metadata.file_type());
    out[24..32].copy_from_slice(&metadata.nlink().to_le_bytes());
    out[32..40].copy_from_slice(&metadata.size().to_le_bytes());
    out[40..48].copy_from_slice(&nanoseconds(metadata.atime(), metadata.atime_nsec()).to_le_bytes());
    out[48..56].copy_from_slice(&nanoseconds(metadata.mtime(), metadata.mtime_nsec()).to_le_bytes());
    out[56..64].copy_from_slice(&nanoseconds(metadata.ctime(), metadata.ctime_nsec()).to_le_bytes());
    out
}
