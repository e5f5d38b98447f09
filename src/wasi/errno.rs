//! The error numbers of WASI that this host answers, and what the system's errors are among them.

use std::io::{Error, ErrorKind};

use rustix::io::Errno as System;

use crate::vm::OutOfBounds;

/// The error numbers of WASI that these functions answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Errno {
    /// Too many arguments, or too long ones.
    TooBig = 1,
    /// Not for this user, or not for guests.
    Acces = 2,
    /// Not now.
    Again = 6,
    /// Not open.
    BadF = 8,
    /// In use.
    Busy = 10,
    /// No more room for this user.
    DQuot = 19,
    /// There already.
    Exist = 20,
    /// A pointer leads outside memory.
    Fault = 21,
    /// Larger than a file may be.
    FBig = 22,
    /// Interrupted.
    Intr = 27,
    /// An argument has no meaning.
    Inval = 28,
    /// The host failed.
    Io = 29,
    /// A directory.
    IsDir = 31,
    /// Too many symbolic links, or one that is not to be followed.
    Loop = 32,
    /// Too many descriptors of this guest.
    MFile = 33,
    /// Too long a name.
    NameTooLong = 37,
    /// Too many descriptors of this process.
    NFile = 41,
    /// No such file; nothing is granted.
    NoEnt = 44,
    /// No memory.
    NoMem = 48,
    /// No more room.
    NoSpc = 51,
    /// No directory.
    NotDir = 54,
    /// Not empty.
    NotEmpty = 55,
    /// Not supported.
    NotSup = 58,
    /// Out of what is granted.
    Perm = 63,
    /// Nobody reads any more.
    Pipe = 64,
    /// Granted for reading only.
    RoFs = 69,
    /// Not something to seek in.
    SPipe = 70,
    /// From one file system to another.
    XDev = 75,
    /// Never granted.
    NotCapable = 76,
}

impl From<OutOfBounds> for Errno {
    fn from(_: OutOfBounds) -> Self {
        Errno::Fault
    }
}

impl From<System> for Errno {
    fn from(err: System) -> Self {
        Error::from(err).into()
    }
}

impl From<Error> for Errno {
    fn from(err: Error) -> Self {
        match System::from_io_error(&err) {
            Some(System::LOOP) => return Errno::Loop,
            Some(System::MFILE | System::NFILE) => return Errno::NFile,
            _ => {}
        }
        match err.kind() {
            // What leads out of a directory fails without a number of the system.
            ErrorKind::PermissionDenied if err.raw_os_error().is_none() => Errno::Perm,
            ErrorKind::PermissionDenied => Errno::Acces,
            ErrorKind::NotFound => Errno::NoEnt,
            ErrorKind::AlreadyExists => Errno::Exist,
            ErrorKind::NotADirectory => Errno::NotDir,
            ErrorKind::IsADirectory => Errno::IsDir,
            ErrorKind::DirectoryNotEmpty => Errno::NotEmpty,
            ErrorKind::ReadOnlyFilesystem => Errno::RoFs,
            ErrorKind::StorageFull => Errno::NoSpc,
            ErrorKind::QuotaExceeded => Errno::DQuot,
            ErrorKind::FileTooLarge => Errno::FBig,
            ErrorKind::InvalidInput => Errno::Inval,
            ErrorKind::InvalidFilename => Errno::NameTooLong,
            ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy => Errno::Busy,
            ErrorKind::CrossesDevices => Errno::XDev,
            ErrorKind::WouldBlock => Errno::Again,
            ErrorKind::Interrupted => Errno::Intr,
            ErrorKind::NotSeekable => Errno::SPipe,
            ErrorKind::BrokenPipe => Errno::Pipe,
            ErrorKind::Unsupported => Errno::NotSup,
            ErrorKind::OutOfMemory => Errno::NoMem,
            _ => Errno::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_have_their_number_in_wasi() {
        for (system, wasi) in [
            (System::NOENT, Errno::NoEnt),
            (System::ACCESS, Errno::Acces),
            (System::EXIST, Errno::Exist),
            (System::NOTDIR, Errno::NotDir),
            (System::ISDIR, Errno::IsDir),
            (System::NOTEMPTY, Errno::NotEmpty),
            (System::NOSPC, Errno::NoSpc),
            (System::LOOP, Errno::Loop),
            (System::MFILE, Errno::NFile),
            (System::NAMETOOLONG, Errno::NameTooLong),
            (System::ROFS, Errno::RoFs),
            (System::INVAL, Errno::Inval),
            (System::PIPE, Errno::Pipe),
            (System::SPIPE, Errno::SPipe),
            (System::OPNOTSUPP, Errno::NotSup),
            (System::BADMSG, Errno::Io),
        ] {
            assert_eq!(Errno::from(system), wasi, "{system}");
        }
        assert_eq!(Errno::from(Error::new(ErrorKind::PermissionDenied, "outside")), Errno::Perm);
    }
}
