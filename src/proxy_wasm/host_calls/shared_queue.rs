//! Queues that all workers share.

use super::{Row, Run};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_register_shared_queue", types: &[("iii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_resolve_shared_queue", types: &[("iiiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_enqueue_shared_queue", types: &[("iii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_dequeue_shared_queue", types: &[("iii", "i")], run: Run::Unimplemented },
];
