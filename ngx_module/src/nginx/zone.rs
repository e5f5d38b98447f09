//! A zone of nginx's shared memory, as the stores of `ngx_wasm` want their memory.
//!
//! Nginx makes the memory after it has read the configuration, before it forks, and gives a zone of the same name and size
//! the old memory at a reload. All of it is one allocation from the zone's slab pool. The lock is the pool's: the master
//! opens it when a worker dies that holds it (src/os/unix/ngx_process.c, ngx_unlock_mutexes).

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::atomic::AtomicU64;

use nginx_sys::{
    ngx_conf_t, ngx_cycle_t, ngx_int_t, ngx_pagesize, ngx_shared_memory_add, ngx_shm_zone_t, ngx_shmtx_lock,
    ngx_shmtx_t, ngx_shmtx_unlock, ngx_slab_alloc, ngx_slab_pool_t,
};
use ngx_wasm::shared::Memory;

use crate::nginx::guard::guard;
use crate::nginx::module::ngx_wasm_module;
use crate::nginx::plain::Plain;
use crate::nginx::pool::Pool;
use crate::nginx::{cycle, log, rc};

/// Nginx needs some pages for itself.
const FEWEST_PAGES: usize = 8;

/// A zone of a configuration. Nginx has its address.
pub struct Zone {
    name: Vec<u8>,
    /// Null until nginx has made the memory.
    pool: Cell<*mut ngx_slab_pool_t>,
    words: Cell<*const AtomicU64>,
    len: Cell<usize>,
}

impl Zone {
    /// Asks nginx for a zone of `size` bytes, or somewhat more.
    ///
    /// # Safety
    /// `cycle` is the cycle that nginx is making, before it makes shared memory. The zone must live as long as the cycle.
    pub unsafe fn declare(cycle: *mut ngx_cycle_t, name: &[u8], size: usize) -> Result<Box<Zone>, String> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let mut cf = ngx_conf_t::zeros();
        // SAFETY: a cycle that nginx makes has its pool and its log.
        (cf.cycle, cf.pool, cf.log) = unsafe { (cycle, (*cycle).pool, (*cycle).log) };
        // SAFETY: the pool is there as long as the cycle.
        let mut name_of_zone = unsafe { Pool::from_ptr(cf.pool) }.copy(name).ok_or("no memory")?;
        let size = size.max(FEWEST_PAGES * page()).div_ceil(page()) * page();
        let tag = (&raw mut ngx_wasm_module).cast();
        // SAFETY: the function looks at nothing of the configuration structure but these fields, and at the file being
        // read, which may be null, for its messages (src/core/ngx_cycle.c).
        let Some(shm) = (unsafe { ngx_shared_memory_add(&mut cf, &mut name_of_zone, size, tag).as_mut() }) else {
            return Err(format!("cannot make the shared memory zone \"{shown}\", see the message before"));
        };
        let zone = Box::new(Zone {
            name: name.to_vec(),
            pool: Cell::new(ptr::null_mut()),
            words: Cell::new(ptr::null()),
            len: Cell::new(0),
        });
        shm.init = Some(init);
        shm.data = ptr::from_ref(zone.as_ref()).cast_mut().cast();
        Ok(zone)
    }

    /// Takes over the memory that nginx has made, or that the configuration before has used.
    ///
    /// # Safety
    /// The memory of `shm` begins with a slab pool.
    unsafe fn attach(&self, shm: &ngx_shm_zone_t, before: Option<&Zone>) -> ngx_int_t {
        let pool = shm.shm.addr.cast::<ngx_slab_pool_t>();
        if let Some(before) = before {
            self.words.set(before.words.get());
            self.len.set(before.len.get());
        } else {
            // SAFETY: the slab pool stands there, and no other process has it yet.
            let fresh = unsafe { &mut *pool };
            fresh.set_log_nomem(0);
            let size = fresh.pfree * page();
            // SAFETY: the slab pool is there. What it gives is aligned to pages; other processes use the words too, only as atomics.
            let words = unsafe { ngx_slab_alloc(pool, size) };
            if words.is_null() {
                return rc::ERROR;
            }
            self.words.set(words.cast());
            self.len.set(size / size_of::<AtomicU64>());
        }
        self.pool.set(pool);
        rc::OK
    }

    /// The lock of the slab pool, once nginx has made that.
    fn mutex(&self) -> Option<*mut ngx_shmtx_t> {
        let pool = self.pool.get();
        // SAFETY: nginx has made the lock with the pool, which stays as long as the cycle.
        (!pool.is_null()).then(|| unsafe { &raw mut (*pool).mutex })
    }
}

/// How many bytes a page has.
fn page() -> usize {
    // SAFETY: nginx sets the variable first of all.
    unsafe { ngx_pagesize }
}

unsafe extern "C" fn init(shm: *mut ngx_shm_zone_t, before: *mut c_void) -> ngx_int_t {
    guard(rc::ERROR, || {
        // SAFETY: nginx calls this once the memory is there, with what `declare` has left.
        let (shm, zone) = unsafe { (&*shm, &*(*shm).data.cast::<Zone>()) };
        // SAFETY: this is the data of the zone of this name in the cycle before, if that had the same size; both cycles are alive
        // then (src/core/ngx_cycle.c, ngx_init_cycle).
        let before = unsafe { before.cast::<Zone>().as_ref() };
        // SAFETY: nginx has put a slab pool into the memory (src/core/ngx_cycle.c, ngx_init_zone_pool).
        unsafe { zone.attach(shm, before) }
    })
}

impl Memory for Zone {
    fn words(&self) -> &[AtomicU64] {
        if self.words.get().is_null() {
            return &[];
        }
        // SAFETY: `attach` got so many words, which stay mapped as long as the cycle, and are used as atomics only.
        unsafe { std::slice::from_raw_parts(self.words.get(), self.len.get()) }
    }

    fn lock(&self) {
        if let Some(mutex) = self.mutex() {
            // SAFETY: the lock is there.
            unsafe { ngx_shmtx_lock(mutex) };
        }
    }

    fn unlock(&self) {
        if let Some(mutex) = self.mutex() {
            // SAFETY: the lock is there, and lets go of nothing that this process does not hold.
            unsafe { ngx_shmtx_unlock(mutex) };
        }
    }

    fn was_reset(&self) {
        let line = format!(
            "wasm: a worker died while it wrote to the shared memory zone \"{}\", which is empty now",
            log::printable(&String::from_utf8_lossy(&self.name))
        );
        cycle::log().error(line);
    }
}

/// Memory of this process alone, of which only what is used exists.
pub struct Scratch {
    words: *mut c_void,
    size: usize,
}

impl Scratch {
    /// So many bytes.
    pub fn boxed(size: usize) -> Result<Box<dyn Memory>, String> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of zeros.
        let words = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
        if words == libc::MAP_FAILED {
            return Err(format!("no memory: {}", io::Error::last_os_error()));
        }
        Ok(Box::new(Scratch { words, size }))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: the mapping is there, and references to it do not outlive `self`.
        unsafe { libc::munmap(self.words, self.size) };
    }
}

impl Memory for Scratch {
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: so many bytes are mapped, aligned to pages.
        unsafe { std::slice::from_raw_parts(self.words.cast(), self.size / size_of::<AtomicU64>()) }
    }

    // One thread runs everything in a process of nginx.
    fn lock(&self) {}

    fn unlock(&self) {}
}
