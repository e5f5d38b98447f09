//! `proxy_call_foreign_function`: functions outside the ABI, by name.

use super::{Row, Run};

pub(super) const TABLE: &[Row] =
    &[Row { name: "proxy_call_foreign_function", types: &[("iiiiii", "i")], run: Run::Unimplemented }];
