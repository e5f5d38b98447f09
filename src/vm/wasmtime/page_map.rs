//! Which pages of memory this process has for itself: those that were written to since the engine mapped them, and never less. The
//! kernel tells, in one of two ways. `image.rs` asks, to put back these pages alone.
//!
//! Where nothing was written, the engine has mapped zeros, or a file with the first content of a memory. A page that was written to
//! once stays the process' own, in memory or in swap.
//!
//! To ask takes some microseconds, and is spared while the process has had no page fault: a page that is not its own is mapped read-only
//! or not at all, so that whoever writes to it, the kernel in a system call too, faults first, and each fault is counted when it has
//! been served (mm/memory.c, mm_account_fault). One thing makes pages a process' own without a fault: the kernel puts a huge page in
//! the place of small ones. So that is forbidden for memory whose pages are remembered.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// What the kernel knows of the memory of one process.
pub(super) struct PageMap {
    file: File,
    /// A child inherits the file, which goes on being about its parent.
    process: u32,
    page: usize,
    way: Way,
    counts_faults: bool,
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `PAGEMAP_SCAN`, of Linux 6.7 and later: answers the ranges.
    Scan,
    /// A word for each page. What was only read counts as written where the engine has mapped zeros.
    Words,
}

impl PageMap {
    /// That of this process, if the kernel gives it, and knows a page that was certainly written to.
    pub fn open() -> Result<PageMap, String> {
        let failed = |err: io::Error| format!("/proc/self/pagemap: {err}");
        let file = File::open("/proc/self/pagemap").map_err(failed)?;
        let page = rustix::param::page_size();
        let mut map =
            PageMap { file, process: std::process::id(), page, way: Way::Scan, counts_faults: counts_faults() };
        if map.is_right().is_err() {
            map.way = Way::Words;
            map.is_right().map_err(failed)?;
        }
        Ok(map)
    }

    /// The same, asked in this way.
    #[cfg(test)]
    pub fn open_for(way: Way) -> Result<PageMap, String> {
        let map = PageMap { way, ..PageMap::open()? };
        map.is_right().map_err(|err| err.to_string())?;
        Ok(map)
    }

    /// A child of the process that has opened it must open its own.
    pub fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    pub fn way(&self) -> Way {
        self.way
    }

    /// Whether [`faults`] tells that no page has become this process' own.
    pub fn counts_faults(&self) -> bool {
        self.counts_faults
    }

    /// Appends the ranges of `memory` that are this process' own, as offsets in it. They begin and end with a page, or with
    /// `memory`, which begins with a page.
    pub fn own(&self, memory: &[u8], found: &mut Vec<Range<usize>>) -> io::Result<()> {
        if !self.is_of_this_process() {
            return Err(io::Error::other("it is that of another process"));
        }
        if memory.is_empty() {
            return Ok(());
        }
        let start = memory.as_ptr().addr();
        if !start.is_multiple_of(self.page) {
            return Err(io::Error::other("the memory does not begin with a page"));
        }
        let end = (start + memory.len()).next_multiple_of(self.page);
        let mut add = |from: usize, to: usize| match found.last_mut() {
            Some(last) if last.end == from - start => last.end = (to - start).min(memory.len()),
            _ => found.push(from - start..(to - start).min(memory.len())),
        };
        match self.way {
            Way::Scan => self.scan(start, end, &mut add),
            Way::Words => self.read_words(start, end, &mut add),
        }
    }

    fn scan(&self, start: usize, end: usize, add: &mut impl FnMut(usize, usize)) -> io::Result<()> {
        let mut regions = [Region::default(); 32];
        let mut from = start;
        while from < end {
            let mut scan = Scan {
                size: size_of::<Scan>() as u64,
                flags: 0,
                start: from as u64,
                end: end as u64,
                walk_end: 0,
                regions: regions.as_mut_ptr().addr() as u64,
                regions_len: regions.len() as u64,
                max_pages: 0,
                inverted: IS_FILE | IS_ZEROS,
                all_of: IS_FILE | IS_ZEROS,
                any_of: IS_PRESENT | IS_SWAPPED,
                answered: IS_FILE,
            };
            // SAFETY: the structure is the one that the kernel wants; it writes to `regions`, as many as there are, and to the
            // structure, both of which are here until it has answered.
            let count = unsafe { ioctl(&self.file, ScanCall(&mut scan)) }?;
            for region in regions.iter().take(count) {
                add(region.start as usize, region.end as usize);
            }
            let reached = scan.walk_end as usize;
            if reached <= from || reached > end {
                return Err(io::Error::other("the scan does not go on"));
            }
            from = reached;
        }
        Ok(())
    }

    fn read_words(&self, start: usize, end: usize, add: &mut impl FnMut(usize, usize)) -> io::Result<()> {
        const WORD: usize = 8;
        let mut words = [0; 512 * WORD];
        let mut page = start / self.page;
        let last = end / self.page;
        while page < last {
            let wanted = (last - page).min(words.len() / WORD) * WORD;
            self.file.read_exact_at(&mut words[..wanted], (page * WORD) as u64)?;
            for word in words[..wanted].chunks_exact(WORD) {
                let word = word.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
                if word & (WORD_PRESENT | WORD_SWAPPED) != 0 && word & WORD_FILE == 0 {
                    add(page * self.page, (page + 1) * self.page);
                }
                page += 1;
            }
        }
        Ok(())
    }

    /// Looks for a page that was written to.
    fn is_right(&self) -> io::Result<()> {
        let mut bytes = vec![0; 3 * self.page];
        let first = bytes.as_ptr().addr().next_multiple_of(self.page) - bytes.as_ptr().addr();
        let written = &mut bytes[first..first + self.page];
        written.fill(1);
        let mut found = Vec::new();
        self.own(std::hint::black_box(written), &mut found)?;
        if matches!(&found[..], [one] if *one == (0..self.page)) {
            Ok(())
        } else {
            Err(io::Error::other("it does not know what was written to"))
        }
    }
}

/// How many page faults this process has had, with all its threads. The same number as before: no page has become its own since.
pub(super) fn faults() -> Option<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel fills the structure that it gets.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: it has succeeded.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_minflt.checked_add(usage.ru_majflt)?).ok()
}

/// Whether faults are counted here: a page that is read first, and then written to, has two.
fn counts_faults() -> bool {
    let page = rustix::param::page_size();
    // SAFETY: new memory, at no place that anybody has.
    let mapped =
        unsafe { mmap_anonymous(std::ptr::null_mut(), page, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
    let Ok(place) = mapped else { return false };
    let byte = place.cast::<u8>();
    let before = faults();
    // SAFETY: the memory is there until it is unmapped below.
    std::hint::black_box(unsafe { byte.read_volatile() });
    let between = faults();
    // SAFETY: as before.
    unsafe { byte.write_volatile(1) };
    let after = faults();
    // SAFETY: nobody has a reference to it.
    let unmapped = unsafe { munmap(place, page) };
    unmapped.is_ok() && matches!((before, between, after), (Some(a), Some(b), Some(c)) if a < b && b < c)
}

/// From now on the kernel does not put other pages in the place of those of `memory`, which begins with a page, but for a fault: no
/// huge pages, and no shared one of zeros (KSM), which would not count as this process' own any more. `Ok`: whether there are certainly
/// no new huge pages.
pub(super) fn keep_pages(memory: &mut [u8]) -> io::Result<bool> {
    let page = rustix::param::page_size();
    if memory.is_empty() || !memory.as_ptr().addr().is_multiple_of(page) || !memory.len().is_multiple_of(page) {
        return Ok(false);
    }
    let mut advise = |advice| {
        // SAFETY: the advice changes nothing of what is in the memory, and the range is that of the slice.
        unsafe { madvise(memory.as_mut_ptr().cast(), memory.len(), advice) }
    };
    match advise(Advice::LinuxUnmergeable) {
        // A kernel that was built without it does not know the advice.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(err) => return Err(err.into()),
    }
    Ok(match advise(Advice::LinuxNoHugepage) {
        Ok(()) => true,
        // The kernel was built without them.
        Err(Errno::INVAL) => !Path::new("/sys/kernel/mm/transparent_hugepage").exists(),
        Err(_) => false,
    })
}

// From linux/fs.h.
const IS_FILE: u64 = 1 << 2;
const IS_PRESENT: u64 = 1 << 3;
const IS_SWAPPED: u64 = 1 << 4;
const IS_ZEROS: u64 = 1 << 5;

// From Documentation/admin-guide/mm/pagemap.rst.
const WORD_FILE: u64 = 1 << 61;
const WORD_SWAPPED: u64 = 1 << 62;
const WORD_PRESENT: u64 = 1 << 63;

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    max_pages: u64,
    /// Pages match that have all of `all_of`, and some of `any_of`, when these are turned round.
    inverted: u64,
    all_of: u64,
    any_of: u64,
    /// What regions are told apart by.
    answered: u64,
}

struct ScanCall<'a>(&'a mut Scan);

// SAFETY: the number is that of this call, which reads and writes the structure behind the pointer, and answers a count.
unsafe impl Ioctl for ScanCall<'_> {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<Scan>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self.0).cast()
    }

    unsafe fn output_from_ptr(count: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
        usize::try_from(count).map_err(|_| Errno::INVAL)
    }
}
