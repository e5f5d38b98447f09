//! What runs by a configuration: the instances of each of its filters in this process. `startup.rs` makes it, and the
//! configuration keeps it without knowing what it is.

use std::cell::RefCell;
use std::rc::Rc;

use super::configured::Configured;
use super::instances::Instances;
use crate::config::conf::MainConf;

/// What runs by a configuration: the instances of each filter.
struct Cycle(Vec<Rc<RefCell<Instances>>>);

/// Makes what is to run by a configuration, whose filters are known. Nothing runs yet.
///
/// # Safety
/// The configuration keeps its place, and what is said about its filters.
pub unsafe fn make(main: &MainConf) {
    // SAFETY: `main` keeps the instances, so it is there as long as they are.
    let instances =
        (0..main.filters.len()).map(|filter| Instances::of(Rc::new(unsafe { Configured::new(main, filter) })));
    // Start-up makes it once.
    let _ = main.running.set(Box::new(Cycle(instances.collect())));
}

/// The instances of all filters of a configuration.
pub fn all(main: &MainConf) -> &[Rc<RefCell<Instances>>] {
    let cycle = main.running.get().and_then(|running| running.downcast_ref::<Cycle>());
    cycle.map_or(&[], |cycle| &cycle.0)
}

/// The instances of filter number `filter`.
pub fn instances(main: &MainConf, filter: usize) -> Option<&RefCell<Instances>> {
    all(main).get(filter).map(Rc::as_ref)
}
