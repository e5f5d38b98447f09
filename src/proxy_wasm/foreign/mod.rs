//! Foreign functions: what a filter calls by name through `proxy_call_foreign_function`. They are Envoy's, with its names
//! and wire formats, and one of Higress.
//!
//! The two families that bring most code with them can be left out when the module is built: cargo features `cel` and `signatures`.
//!
//! Adding one: its function in a file of this folder, and a line in [`TABLE`]. `host_calls/foreign_function.rs` is the
//! caller; it reads and writes guest memory.

mod call;
#[cfg(feature = "cel")]
mod cel;
mod compression;
#[cfg(feature = "cel")]
mod expression_table;
#[cfg(feature = "cel")]
mod expressions;
mod filter_state;
mod kept;
mod log_level;
mod route;
#[cfg(feature = "signatures")]
mod signatures;

use super::types::Status;
pub(super) use call::{Call, Function};
pub(super) use kept::{Declared, Kept};

/// The names by which guests call them.
const TABLE: &[(&str, Function)] = &[
    ("clear_route_cache", route::clear_cache),
    ("compress", compression::compress),
    ("declare_property", filter_state::declare_property),
    #[cfg(feature = "cel")]
    ("expr_create", expressions::create),
    #[cfg(feature = "cel")]
    ("expr_delete", expressions::delete),
    #[cfg(feature = "cel")]
    ("expr_evaluate", expressions::evaluate),
    ("get_log_level", log_level::get),
    ("set_envoy_filter_state", filter_state::set),
    #[cfg(feature = "signatures")]
    ("sign", signatures::sign),
    ("uncompress", compression::uncompress),
    #[cfg(feature = "signatures")]
    ("verify_signature", signatures::verify),
];

/// The most bytes that a function takes: what is done with them is not interrupted by the deadline of the callback.
pub(super) const MAX_ARGUMENTS: usize = 16 << 20;

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// The function that guests call `name`.
pub(super) fn find(name: &[u8]) -> Option<Function> {
    TABLE.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, function)| *function)
}

/// Runs `function`, with the limit that holds for all of them.
pub(super) fn run(
    function: Function,
    call: &mut Call<'_>,
    arguments: &[u8],
    result: &mut Vec<u8>,
) -> Result<(), Status> {
    if arguments.len() > MAX_ARGUMENTS {
        return Err(Status::BadArgument);
    }
    function(call, arguments, result)
}

#[cfg(test)]
mod tests_support;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_function() {
        let mut names: Vec<_> = TABLE.iter().map(|(name, _)| *name).collect();
        assert!(names.is_sorted());
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn a_name_is_compared_byte_by_byte() {
        assert!(find(b"compress").is_some());
        for name in [&b""[..], b"Compress", b"compress\0", b"compres", b"\xff"] {
            assert!(find(name).is_none(), "{name:?}");
        }
    }
}
