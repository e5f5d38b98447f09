//! Images of instances, and putting instances back to them (`Instance::restore`). What an instance can change is its memory, and its
//! globals: `instrument.rs` has refused modules that change more, and `page_map.rs` tells which pages were written to.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime as wt;

use super::page_map::{self, PageMap, Way};
use super::store::StoreData;
use crate::vm::Image;

/// Where nobody tells what was written to, all of a memory is looked at, if it is not larger. That takes some 10 µs for 256 KiB.
const MOST_COMPARED: usize = 256 << 10;

/// So many bytes more than in the image may be an instance's own. When there are more, a new one is cheaper: to put all of
/// them back would take longer for the rest of its life.
const MOST_OWN: usize = 2 << 20;

/// So many bytes of an instance's own are simply copied: to compare them takes longer. Of more than that a request changes only a
/// part: of 123 pages that a filter of the Go SDK has for itself, one that adds a header changes 13; the Rust SDK's has 3 pages.
const MOST_COPIED: usize = 64 << 10;

/// What an instance needs for being put back. It is found out when it is needed first.
#[derive(Default)]
pub(super) struct Reset {
    pages: Option<Pages>,
    globals: Option<Box<[Global]>>,
    /// What is to be put back, of the last time.
    ranges: Vec<Range<usize>>,
    /// How many faults there had been when the kernel told `ranges`: without another one they are what they were. `None`: they may
    /// be something else.
    asked_at: Option<u64>,
    /// That can be told of its memory.
    remembers: bool,
    /// An image was taken of it in a way that makes all of its pages look as if they had been written to.
    is_spoilt: bool,
}

/// What to look at.
enum Pages {
    Own(Arc<PageMap>),
    All,
}

/// A global that can change.
struct Global {
    global: wt::Global,
    kind: GlobalKind,
}

#[derive(Clone, Copy)]
enum GlobalKind {
    I32,
    I64,
    F32,
    F64,
    V128,
}

impl Reset {
    /// Keeps what the instance of this store is.
    pub fn snapshot(&mut self, store: &mut wt::Store<StoreData>) -> Result<Image, String> {
        let linked = store.data().linked.clone();
        if let Some(refusal) = &linked.reset_refusal {
            return Err(refusal.clone());
        }
        let globals = self.globals(store)?.iter().map(|global| global.get(store)).collect::<Result<_, _>>()?;
        let memory = memory_of(store);
        self.find_out(memory)?;
        let changed = match &self.pages {
            Some(Pages::Own(map)) => {
                let mut own = Vec::new();
                map.own(memory, &mut own).map_err(|err| err.to_string())?;
                // All that is read now counts then.
                self.is_spoilt = map.way() == Way::Words;
                Some(own)
            }
            _ => None,
        };
        Ok(Image::new(linked.program, memory, changed, globals))
    }

    /// Makes the instance of this store what the image says. `is_new`: nothing but a start function has run in it.
    pub fn restore(&mut self, store: &mut wt::Store<StoreData>, image: &Image, is_new: bool) -> Result<(), String> {
        if store.data().linked.program != image.program {
            return Err("the image is of another program".into());
        }
        if self.is_spoilt {
            return Err("its pages all look as if they had been written to".into());
        }
        let memory = memory_of(store);
        if memory.len() != image.memory() {
            return Err("its memory has grown".into());
        }
        self.find_out(memory)?;
        match &self.pages {
            Some(Pages::Own(map)) => {
                // Before the kernel is asked: what is written to while it answers has it asked again. (A child counts from 0 on.)
                let may_remember = self.remembers && !is_new && map.counts_faults() && map.is_of_this_process();
                let faults = if may_remember { page_map::faults() } else { None };
                if faults.is_none() || self.asked_at != faults {
                    self.asked_at = None;
                    self.ranges.clear();
                    #[cfg(test)]
                    tests::count_question();
                    map.own(memory, &mut self.ranges).map_err(|err| err.to_string())?;
                    self.asked_at = faults;
                }
                let own: usize = self.ranges.iter().map(ExactSizeIterator::len).sum();
                if is_new {
                    self.ranges.extend(image.changed());
                } else if own > image.changed_bytes().saturating_add(MOST_OWN) {
                    return Err("too much of its memory has been written to".into());
                }
                // A new one differs everywhere.
                let compares = !is_new && own > MOST_COPIED;
                let put_back = if compares { Image::put_back_what_differs } else { Image::put_back };
                self.ranges.iter().for_each(|range| put_back(image, memory, range.clone()));
            }
            _ => image.put_back_what_differs(memory, 0..image.memory()),
        }
        store.data_mut().copied.set(0);
        let globals = self.globals(store)?;
        if globals.len() != image.globals.len() {
            return Err("it has other globals".into());
        }
        for (global, bits) in globals.iter().zip(&image.globals) {
            global.set(store, *bits)?;
        }
        Ok(())
    }

    /// How to tell what was written to of its memory, if that has not been found out.
    fn find_out(&mut self, memory: &mut [u8]) -> Result<(), String> {
        if self.pages.is_none() {
            let pages = Pages::of(memory.len())?;
            if let Pages::Own(_) = &pages {
                self.remembers = page_map::keep_pages(memory).map_err(|err| format!("its pages are shared: {err}"))?;
            }
            self.pages = Some(pages);
        }
        Ok(())
    }

    fn globals(&mut self, store: &mut wt::Store<StoreData>) -> Result<&[Global], String> {
        if self.globals.is_none() {
            let (linked, instance) = (store.data().linked.clone(), store.data().instance);
            let instance = instance.ok_or("it has not started")?;
            let found = linked.globals.iter().map(|export| Global::find(store, instance, export));
            self.globals = Some(found.collect::<Option<_>>().ok_or("a global of it is not exported")?);
        }
        Ok(self.globals.as_deref().unwrap_or_default())
    }
}

impl Pages {
    /// How to tell for a memory of this size what was written to.
    fn of(memory: usize) -> Result<Pages, String> {
        match page_map() {
            Ok(map) => Ok(Pages::Own(map)),
            Err(_) if memory <= MOST_COMPARED => Ok(Pages::All),
            Err(reason) => Err(format!(
                "the system does not tell what was written to of its {} KiB of memory ({reason})",
                memory >> 10
            )),
        }
    }
}

impl Global {
    fn find(store: &mut wt::Store<StoreData>, instance: wt::Instance, export: &wt::ModuleExport) -> Option<Global> {
        let global = instance.get_module_export(&mut *store, export)?.into_global()?;
        let kind = match global.ty(&*store).content() {
            wt::ValType::I32 => GlobalKind::I32,
            wt::ValType::I64 => GlobalKind::I64,
            wt::ValType::F32 => GlobalKind::F32,
            wt::ValType::F64 => GlobalKind::F64,
            wt::ValType::V128 => GlobalKind::V128,
            wt::ValType::Ref(_) => return None,
        };
        Some(Global { global, kind })
    }

    fn get(&self, store: &mut wt::Store<StoreData>) -> Result<u128, String> {
        match self.global.get(store) {
            wt::Val::I32(value) => Ok(value.cast_unsigned().into()),
            wt::Val::I64(value) => Ok(value.cast_unsigned().into()),
            wt::Val::F32(bits) => Ok(bits.into()),
            wt::Val::F64(bits) => Ok(bits.into()),
            wt::Val::V128(value) => Ok(value.as_u128()),
            _ => Err("a global of it is a reference".into()),
        }
    }

    fn set(&self, store: &mut wt::Store<StoreData>, bits: u128) -> Result<(), String> {
        let value = match self.kind {
            GlobalKind::I32 => wt::Val::I32((bits as u32).cast_signed()),
            GlobalKind::I64 => wt::Val::I64((bits as u64).cast_signed()),
            GlobalKind::F32 => wt::Val::F32(bits as u32),
            GlobalKind::F64 => wt::Val::F64(bits as u64),
            GlobalKind::V128 => wt::Val::V128(bits.into()),
        };
        self.global.set(store, value).map_err(|err| err.to_string())
    }
}

/// Its memory; empty when it has none.
fn memory_of(store: &mut wt::Store<StoreData>) -> &mut [u8] {
    match store.data().memory {
        Some(memory) => memory.data_mut(store),
        None => &mut [],
    }
}

/// Gives a new instance as much memory as that of the image has.
pub(super) fn grow(store: &mut wt::Store<StoreData>, image: &Image) -> wt::Result<()> {
    let Some(memory) = store.data().memory else { return Ok(()) };
    let missing = image.memory().saturating_sub(memory.data_size(&*store)) as u64;
    if missing > 0 {
        let pages = missing.div_ceil(memory.page_size(&*store));
        memory.grow(&mut *store, pages)?;
    }
    Ok(())
}

/// What is exported for the globals that can change.
pub(super) fn globals_of(module: &wt::Module) -> Vec<wt::ModuleExport> {
    (0..).map_while(|n| module.get_export_index(&super::instrument::global_name(n))).collect()
}

/// The page map of this process, opened once. Processes that nginx forks have their own.
fn page_map() -> Result<Arc<PageMap>, String> {
    static OPEN: Mutex<Option<Arc<PageMap>>> = Mutex::new(None);
    #[cfg(test)]
    if let Some(way) = tests::way() {
        return way.and_then(PageMap::open_for).map(Arc::new);
    }
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(map) = open.as_ref().filter(|map| map.is_of_this_process()) {
        return Ok(map.clone());
    }
    let map = Arc::new(PageMap::open()?);
    *open = Some(map.clone());
    Ok(map)
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::{Cell, RefCell};

    use super::Way;

    thread_local! {
        static WAY: RefCell<Option<Result<Way, String>>> = const { RefCell::new(None) };
        static ASKED: Cell<usize> = const { Cell::new(0) };
    }

    /// How often this thread has asked the kernel for pages to put back.
    pub fn asked() -> usize {
        ASKED.get()
    }

    pub fn count_question() {
        ASKED.set(ASKED.get() + 1);
    }

    /// How this thread asks for pages, when a test says so.
    pub fn way() -> Option<Result<Way, String>> {
        WAY.with_borrow(Clone::clone)
    }

    /// Has all images and instances of this thread made in this way from now on.
    pub fn set_way(way: Result<Way, String>) {
        WAY.set(Some(way));
    }
}
