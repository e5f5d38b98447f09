//! `clear_route_cache`: the location is to be chosen again, from the request as the filter has left it.

use super::Call;
use crate::proxy_wasm::types::Status;

/// The same as `proxy_clear_route_cache`. Arguments are ignored.
pub(super) fn clear_cache(call: &mut Call<'_>, _: &[u8], _: &mut Vec<u8>) -> Result<(), Status> {
    call.host.clear_route_cache()
}

#[cfg(test)]
mod tests {
    use crate::proxy_wasm::foreign::tests_support::Fixture;

    #[test]
    fn the_host_is_told_and_without_a_stream_that_is_no_failure() {
        let mut fixture = Fixture::default();
        assert_eq!(fixture.call("clear_route_cache", b"ignored"), Ok(vec![]));
        assert_eq!(fixture.stream().routes_cleared, 1);
        fixture.host.selected = None;
        assert_eq!(fixture.call("clear_route_cache", b""), Ok(vec![]));
    }
}
