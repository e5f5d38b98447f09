//! What filters of all workers share: metrics, shared data, shared queues, each in zones of nginx's shared memory.
//! `directives/shared_memory.rs` fills [`ZoneSettings`], `startup.rs` declares the zones, `module.rs` says when they are there,
//! `host/` hands them to guests.
//!
//! A zone survives a reload as long as it keeps its name and size.

use std::cell::OnceCell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use nginx_sys::ngx_cycle_t;
use ngx_wasm::shared::{
    DEFAULT_MAX_METRIC_NAME, Eviction, KeyValue, Memory, Metrics, QueueZone, Queues, SharedData, Stores, Usage,
};

use crate::nginx::conf_position::ConfPosition;
use crate::nginx::zone::Scratch;
pub use crate::nginx::zone::Zone;
use crate::process::engine;

const DEFAULT_SIZE: usize = 1 << 20;

// Names of zones; the last bytes of some are those of the directive.
const METRICS: &[u8] = b"wasm_metrics";
const SHARED_DATA: &[u8] = b"wasm_shared_data";
const OWN_DATA: &[u8] = b"wasm_shm_kv_";
const SHARED_QUEUES: &[u8] = b"wasm_shared_queues";
const OWN_QUEUE: &[u8] = b"wasm_shm_queue_";

/// `shm_kv NAME SIZE [eviction=...];`
pub struct KeyValueConf {
    pub name: Vec<u8>,
    pub size: usize,
    pub eviction: Eviction,
    pub place: ConfPosition,
}

/// `shm_queue NAME SIZE;`
pub struct QueueConf {
    pub name: Vec<u8>,
    pub size: usize,
    pub place: ConfPosition,
}

/// What the directives say.
#[derive(Default)]
pub struct ZoneSettings {
    /// `metrics { }` has been read.
    pub metrics: Option<ConfPosition>,
    pub slab_size: Option<usize>,
    pub max_metric_name_length: Option<usize>,
    pub key_values: Vec<KeyValueConf>,
    pub queues: Vec<QueueConf>,
}

/// The shared state of a configuration.
#[derive(Default)]
pub struct SharedMemory {
    zones: Option<Stores>,
    /// Nginx has made the memory of the zones.
    is_there: bool,
    /// For filters that run before: what they write is for themselves.
    scratch: OnceCell<Stores>,
}

/// That of the configuration that was made last, while no request is served by it yet.
static LATEST: AtomicPtr<SharedMemory> = AtomicPtr::new(ptr::null_mut());

/// That of the configuration that this process went over to last, once nginx has made the memory.
static CURRENT: AtomicPtr<SharedMemory> = AtomicPtr::new(ptr::null_mut());

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let own = ptr::from_mut(self);
        for known in [&LATEST, &CURRENT] {
            let _ = known.compare_exchange(own, ptr::null_mut(), Ordering::SeqCst, Ordering::SeqCst);
        }
    }
}

impl SharedMemory {
    /// An empty one, to which the filters of the master have access. The box keeps its place.
    pub fn create() -> Box<SharedMemory> {
        let shared = Box::<SharedMemory>::default();
        LATEST.store(ptr::from_ref(shared.as_ref()).cast_mut(), Ordering::SeqCst);
        shared
    }

    /// Asks nginx for the zones. An error has the place of the directive that made it, if any.
    ///
    /// # Safety
    /// `cycle` is the cycle that nginx is making, before it makes shared memory.
    pub unsafe fn declare(
        &mut self,
        cycle: *mut ngx_cycle_t,
        settings: &ZoneSettings,
    ) -> Result<(), (Option<ConfPosition>, String)> {
        // SAFETY: nginx makes shared memory after this, and the stores go with the cycle.
        self.zones = Some(settings.stores(&|name, size| Ok(unsafe { Zone::declare(cycle, name, size) }?))?);
        // As large as the zones, so that filters find out now what does not fit.
        self.scratch = settings.stores(&|_, size| Scratch::boxed(size)).map(OnceCell::from)?;
        Ok(())
    }

    /// Nginx has made the memory of the zones.
    pub fn enter(&mut self) {
        if let Some(zones) = &self.zones {
            zones.metrics.begin();
            self.is_there = true;
            self.scratch.take();
            CURRENT.store(self, Ordering::SeqCst);
        }
    }

    fn stores(&self) -> Option<&Stores> {
        match &self.zones {
            Some(zones) if self.is_there => Some(zones),
            _ => {
                if self.scratch.get().is_none() {
                    // What init_by_lua runs comes before the end of the configuration.
                    let _ = self.scratch.set(ZoneSettings::default().stores(&|_, size| Scratch::boxed(size)).ok()?);
                }
                self.scratch.get()
            }
        }
    }
}

type MakeMemory<'a> = &'a dyn Fn(&[u8], usize) -> Result<Box<dyn Memory>, String>;

impl ZoneSettings {
    /// The stores that they ask for, in memory that `make` makes for a name and a size.
    fn stores(&self, make: MakeMemory<'_>) -> Result<Stores, (Option<ConfPosition>, String)> {
        let make = |name: &[u8], size: usize, place: Option<&ConfPosition>| {
            make(name, size).map_err(|err| (place.cloned(), err))
        };
        let metrics = make(METRICS, self.slab_size.unwrap_or(DEFAULT_SIZE), self.metrics.as_ref())?;
        let max_name = self.max_metric_name_length.unwrap_or(DEFAULT_MAX_METRIC_NAME);

        let default = self.key_values.iter().find(|conf| conf.name == b"*");
        let (size, eviction) =
            default.map_or((DEFAULT_SIZE, Eviction::LeastRecentlyUsed), |conf| (conf.size, conf.eviction));
        let memory = make(SHARED_DATA, size, default.map(|conf| &conf.place))?;
        let mut data = SharedData::new(KeyValue::new(memory, eviction));
        for conf in self.key_values.iter().filter(|conf| conf.name != b"*") {
            let memory = make(&[OWN_DATA, &*conf.name].concat(), conf.size, Some(&conf.place))?;
            data.add(&conf.name, KeyValue::new(memory, conf.eviction));
        }

        let default = self.queues.iter().find(|conf| conf.name == b"*");
        let size = default.map_or(DEFAULT_SIZE, |conf| conf.size);
        let memory = make(SHARED_QUEUES, size, default.map(|conf| &conf.place))?;
        let mut queues = Queues::new(QueueZone::new(memory));
        for conf in self.queues.iter().filter(|conf| conf.name != b"*") {
            let memory = make(&[OWN_QUEUE, &*conf.name].concat(), conf.size, Some(&conf.place))?;
            if !queues.add(&conf.name, QueueZone::new(memory)) {
                return Err((Some(conf.place.clone()), "too many \"shm_queue\", there can be 254 beside \"*\"".into()));
            }
        }
        Ok(Stores { metrics: Metrics::new(metrics, max_name), data, queues })
    }
}

/// How full the zones of some stores are, by their names.
pub fn usage(stores: &Stores) -> Vec<(Vec<u8>, Usage)> {
    let of = |all: &[u8], one: &[u8], name: Option<&[u8]>| match name {
        None => all.to_vec(),
        Some(name) => [one, name].concat(),
    };
    let metrics = (METRICS.to_vec(), stores.metrics.usage());
    let data = stores.data.stores().map(|(name, store)| (of(SHARED_DATA, OWN_DATA, name), store.usage()));
    let queues = stores.queues.zones().map(|(name, zone)| (of(SHARED_QUEUES, OWN_QUEUE, name), zone.usage()));
    let all = std::iter::once(metrics).chain(data).chain(queues);
    all.filter_map(|(name, usage)| Some((name, usage?))).collect()
}

/// The shared state of this process: in a worker that of its configuration; in the master, where filters are only tried,
/// something that ends with the configuration that is being read.
pub fn stores() -> Option<&'static Stores> {
    let known = if engine::in_worker() { &CURRENT } else { &LATEST };
    // SAFETY: both are cleared before what they point to goes, and its owner touches it only between guests: in a worker it is
    // that of its cycle, which is complete.
    unsafe { known.load(Ordering::SeqCst).as_ref() }.and_then(SharedMemory::stores)
}
