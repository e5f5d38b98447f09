//! proxy_get_current_time_nanoseconds.

use super::support::probe;
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};

#[test]
fn the_time_is_the_hosts_in_64_bits() {
    let answer = probe(FakeStream::default(), "proxy_get_current_time_nanoseconds", &[0x101], &[]);
    assert_eq!(answer.u64_at(0x101), FakeHost::default().now);
}
