//! Redis for Higress plugins, an extension of that gateway.

use super::{Row, Run};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_redis_init", types: &[("iiiiiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_redis_call", types: &[("iiiii", "i")], run: Run::Unimplemented },
];
