//! What a guest has open: the directories that it was granted, and what it has opened below them. `files.rs` and `paths.rs`
//! work on it; a VM owns it, so that all is closed when the VM ends.
//!
//! Paths are followed by `cap-std`, which has the kernel refuse what leads out of a directory, by `..`, an absolute path or a
//! symbolic link. Only regular files and directories are opened: a read of anything else might block the worker for ever.

use std::fs::File;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry, FileType, Metadata, OpenOptions, OpenOptionsExt, ReadDir};
use rustix::fs::OFlags;

use super::errno::Errno;
use super::grants::Grant;
use super::stat::{FLAG_APPEND, FLAG_DSYNC, FLAG_RSYNC, FLAG_SYNC};

/// The first descriptor behind the standard streams.
const FIRST: u32 = 3;

/// How many a filter may have open beside the directories that it was granted.
pub(super) const MOST: usize = 64;
/// How many a program may.
pub(super) const MOST_OF_A_PROGRAM: usize = 256;

/// All of a VM; places in the list are numbers, counted from [`FIRST`].
#[derive(Default)]
pub(crate) struct Descriptors {
    open: Vec<Option<Descriptor>>,
    granted: usize,
}

/// What is open under a number.
pub(super) enum Descriptor {
    Folder(Folder),
    File(OpenFile),
}

/// A directory.
pub(super) struct Folder {
    pub dir: Dir,
    /// The name that the guest knows it by, if it was granted.
    pub guest: Option<Vec<u8>>,
    pub writable: bool,
    /// How far the guest has read it.
    pub listing: Option<Listing>,
}

/// How far a directory has been read.
pub(super) struct Listing {
    pub entries: ReadDir,
    /// What has been read, and not been given as a whole.
    pub pending: Option<DirEntry>,
    /// The place of the one that comes next.
    pub next: u64,
}

/// A regular file.
pub(super) struct OpenFile {
    pub file: File,
    pub readable: bool,
    pub writable: bool,
    /// It is below a directory that is granted for writing, whatever it was opened for.
    pub changeable: bool,
    /// What it was opened with that WASI tells: [`FLAG_APPEND`], [`FLAGS_SYNCHRONOUS`](super::stat::FLAGS_SYNCHRONOUS).
    pub flags: u16,
}

/// How the guest wants to open something.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub read: bool,
    pub write: bool,
    pub append: bool,
    /// Which of [`FLAGS_SYNCHRONOUS`](super::stat::FLAGS_SYNCHRONOUS) it wants.
    pub synchronous: u16,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    /// Nothing but a directory will do.
    pub folder: bool,
    /// The last part of the path may be a symbolic link.
    pub follow: bool,
}

impl Descriptors {
    /// Opens what is granted. The error names the directory.
    pub fn open(grants: &[Grant]) -> Result<Descriptors, String> {
        let mut open = Vec::with_capacity(grants.len());
        for grant in grants {
            // The second step tells whether this user may go into it, which the system does not ask for the first.
            let dir = Dir::open_ambient_dir(&grant.host, ambient_authority())
                .and_then(|dir| dir.open_dir("."))
                .map_err(|err| format!("cannot open the directory \"{}\": {err}", grant.host.display()))?;
            let guest = Some(grant.guest.clone());
            open.push(Some(Descriptor::Folder(Folder { dir, guest, writable: grant.writable, listing: None })));
        }
        Ok(Descriptors { granted: open.len(), open })
    }

    /// Whether there is what was granted, untouched, and nothing else.
    pub(super) fn is_as_granted(&self) -> bool {
        let is_untouched = |descriptor: &Option<Descriptor>| {
            matches!(descriptor, Some(Descriptor::Folder(Folder { guest: Some(_), listing: None, .. })))
        };
        // What was opened and closed has left an empty place.
        let (granted, opened) = self.open.split_at(self.granted.min(self.open.len()));
        granted.len() == self.granted && granted.iter().all(is_untouched) && opened.iter().all(Option::is_none)
    }

    /// Closes what the guest has opened. Answers whether there is all that was granted, and nothing else.
    pub(super) fn put_back(&mut self) -> bool {
        let Descriptors { open, granted } = self;
        open.truncate(*granted);
        for descriptor in open.iter_mut().flatten() {
            if let Descriptor::Folder(Folder { dir: _, guest: _, writable: _, listing }) = descriptor {
                *listing = None;
            }
        }
        self.is_as_granted()
    }

    /// What is open under a number.
    pub(super) fn get(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        let place = fd.checked_sub(FIRST).ok_or(Errno::BadF)?;
        self.open.get_mut(place as usize).and_then(Option::as_mut).ok_or(Errno::BadF)
    }

    /// The directory under a number.
    pub(super) fn folder(&mut self, fd: u32) -> Result<&mut Folder, Errno> {
        match self.get(fd)? {
            Descriptor::Folder(folder) => Ok(folder),
            Descriptor::File(_) => Err(Errno::NotDir),
        }
    }

    /// The directory under a number, to change what is in it.
    pub(super) fn writable_folder(&mut self, fd: u32) -> Result<&mut Folder, Errno> {
        let folder = self.folder(fd)?;
        if folder.writable { Ok(folder) } else { Err(Errno::RoFs) }
    }

    /// The file under a number.
    pub(super) fn file(&mut self, fd: u32) -> Result<&mut OpenFile, Errno> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Folder(_) => Err(Errno::IsDir),
        }
    }

    /// Whether one more can be opened, when so many may be beside those that were granted.
    pub(super) fn room(&self, most: usize) -> Result<(), Errno> {
        let count = self.open.iter().flatten().count();
        if count < self.granted + most { Ok(()) } else { Err(Errno::MFile) }
    }

    /// Gives a descriptor the lowest number that is free.
    pub(super) fn insert(&mut self, descriptor: Descriptor) -> u32 {
        let place = match self.open.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                self.open.push(None);
                self.open.len() - 1
            }
        };
        self.open[place] = Some(descriptor);
        FIRST + place as u32
    }

    /// Gives a descriptor the number of another, which is closed. Those that were granted keep theirs: the next guest that has
    /// them knows them by their numbers, and nobody could tell any more which is which.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        let mut is_granted = |fd| {
            let descriptor = self.get(fd)?;
            Ok::<_, Errno>(matches!(descriptor, Descriptor::Folder(Folder { guest: Some(_), .. })))
        };
        if is_granted(from)? | is_granted(to)? {
            return Err(Errno::NotSup);
        }
        if from != to {
            self.open[(to - FIRST) as usize] = self.open[(from - FIRST) as usize].take();
        }
        Ok(())
    }

    /// Closes a descriptor.
    pub(super) fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.get(fd)?;
        self.open[(fd - FIRST) as usize] = None;
        Ok(())
    }
}

impl Folder {
    /// What is known of a path below this directory.
    pub fn metadata(&self, path: &Path, follow: bool) -> Result<Metadata, Errno> {
        Ok(if follow { self.dir.metadata(path)? } else { self.dir.symlink_metadata(path)? })
    }

    /// Opens a path below this directory.
    pub fn open(&self, path: &Path, how: How) -> Result<Descriptor, Errno> {
        let changes = how.write || how.append || how.create || how.truncate;
        if changes && !self.writable {
            return Err(Errno::RoFs);
        }
        if how.folder && (how.create || how.truncate) {
            return Err(Errno::Inval);
        }
        // To open a device may have effects already.
        match self.metadata(path, how.follow) {
            Ok(metadata) if metadata.is_symlink() => return Err(Errno::Loop),
            Ok(metadata) => check_type(metadata.file_type())?,
            Err(Errno::NoEnt) if how.create => {}
            Err(err) => return Err(err),
        }
        if how.folder {
            return Ok(self.below(self.dir.open_dir(path)?));
        }
        let file = self.dir.open_with(path, &options(how, changes))?.into_std();
        // It may be another one by now; to open it has not waited for anything.
        let metadata = Metadata::from_file(&file)?;
        check_type(metadata.file_type())?;
        if metadata.is_dir() {
            return Ok(self.below(Dir::from_std_file(file)));
        }
        let OpenOptionsOf { readable, writable } = OpenOptionsOf::guest(how);
        let flags = how.synchronous | if how.append { FLAG_APPEND } else { 0 };
        Ok(Descriptor::File(OpenFile { file, readable, writable, changeable: self.writable, flags }))
    }

    fn below(&self, dir: Dir) -> Descriptor {
        Descriptor::Folder(Folder { dir, guest: None, writable: self.writable, listing: None })
    }
}

/// What the guest may do with a file that it has opened.
struct OpenOptionsOf {
    readable: bool,
    writable: bool,
}

impl OpenOptionsOf {
    fn guest(how: How) -> Self {
        OpenOptionsOf { readable: how.read, writable: how.write || how.append }
    }
}

fn options(how: How, changes: bool) -> OpenOptions {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if !how.follow {
        flags |= OFlags::NOFOLLOW;
    }
    if how.synchronous & FLAG_DSYNC != 0 {
        flags |= OFlags::DSYNC;
    }
    // Linux has no other for reads.
    if how.synchronous & (FLAG_RSYNC | FLAG_SYNC) != 0 {
        flags |= OFlags::SYNC;
    }
    let mut options = OpenOptions::new();
    options
        .read(how.read || !changes)
        // To create or cut a file is to write.
        .write(changes && !how.append)
        .append(how.append)
        .create(how.create && !how.exclusive)
        .create_new(how.create && how.exclusive)
        .truncate(how.truncate)
        .custom_flags(flags.bits().cast_signed());
    options
}

fn check_type(file_type: FileType) -> Result<(), Errno> {
    if file_type.is_file() || file_type.is_dir() { Ok(()) } else { Err(Errno::Acces) }
}
