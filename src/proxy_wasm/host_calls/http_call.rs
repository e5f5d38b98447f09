//! `proxy_http_call` and `proxy_get_status`: HTTP requests to other services.

use super::{Row, Run};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_http_call", types: &[("iiiiiiiiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_dispatch_http_call", types: &[("iiiiiiiiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_get_status", types: &[("iii", "i")], run: Run::Unimplemented },
];
