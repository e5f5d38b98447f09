//! `proxy_get_shared_data`, `proxy_set_shared_data`: keys and values that all workers share.

use super::{Row, Run};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_get_shared_data", types: &[("iiiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_set_shared_data", types: &[("iiiii", "i")], run: Run::Unimplemented },
];
