//! What runs by a configuration: the instances of each of its filters in this process. `startup.rs` makes it, and the
//! configuration keeps it without knowing what it is.

use std::cell::RefCell;

use super::instances::Instances;
use super::queue_ready;
use crate::config::conf::MainConf;

/// What runs by a configuration.
struct Cycle {
    main: *const MainConf,
    /// One for each filter.
    instances: Vec<RefCell<Instances>>,
}

impl Drop for Cycle {
    fn drop(&mut self) {
        queue_ready::forget(self.main);
    }
}

/// Makes what is to run by a configuration, whose filters are known. Nothing runs yet.
pub fn make(main: &MainConf) {
    let instances = main.filters.iter().enumerate().map(|(filter, conf)| RefCell::new(Instances::new(filter, conf)));
    let cycle = Cycle { main, instances: instances.collect() };
    // Start-up makes it once.
    let _ = main.running.set(Box::new(cycle));
}

/// The instances of all filters of a configuration.
pub fn all(main: &MainConf) -> &[RefCell<Instances>] {
    let cycle = main.running.get().and_then(|running| running.downcast_ref::<Cycle>());
    cycle.map_or(&[], |cycle| &cycle.instances)
}

/// The instances of filter number `filter`.
pub fn instances(main: &MainConf, filter: usize) -> Option<&RefCell<Instances>> {
    all(main).get(filter)
}
