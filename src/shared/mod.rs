//! What filters share across workers: metrics, keys with values, queues; and what workers tell about filters.
//!
//! The rules are here, over a [`Memory`] of plain words: the unit tests run over the heap exactly what workers run over
//! shared memory, which `ngx_module` provides. Nothing here holds an address, since each process may see the memory
//! elsewhere, and every index that is read from the memory is checked before it is used.

mod cells;
pub mod families;
pub mod filter_page;
pub mod filter_status;
mod guest_metrics;
mod histogram;
pub mod host_status;
mod key_value;
pub mod latency;
mod memory;
mod metrics;
pub mod page;
mod queues;
pub mod status_html;
mod table;

pub use guest_metrics::guest_metrics;
pub use histogram::Histogram;
pub use key_value::{Eviction, KeyValue, SetError, SharedData};
pub use memory::{Heap, Memory, Usage};
pub use metrics::{DefineError, MetricError, MetricType, Metrics};
pub use queues::{Depth, DequeueError, EnqueueError, QueueZone, Queues, WORKERS};

/// Everything of one configuration.
pub struct Stores {
    /// Counters, gauges, histograms.
    pub metrics: Metrics,
    /// Keys and values.
    pub data: SharedData,
    /// Queues.
    pub queues: Queues,
}

impl Stores {
    /// Stores over memory of this process alone, with `size` bytes each.
    pub fn on_heap(size: usize) -> Stores {
        Stores {
            metrics: Metrics::new(Heap::boxed(size), metrics::DEFAULT_MAX_NAME),
            data: SharedData::new(KeyValue::new(Heap::boxed(size), Eviction::LeastRecentlyUsed)),
            queues: Queues::new(QueueZone::new(Heap::boxed(size))),
        }
    }
}

/// The longest name of a metric, unless the configuration says otherwise.
pub const DEFAULT_MAX_METRIC_NAME: usize = metrics::DEFAULT_MAX_NAME;
