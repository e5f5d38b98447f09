//! `get_log_level`, a function of Higress: the lowest level that is written. Its SDK asks before it makes a line.

use super::Call;
use crate::proxy_wasm::types::Status;

/// The number of the level, 32 bits little endian. Arguments are ignored.
pub(super) fn get(call: &mut Call<'_>, _: &[u8], result: &mut Vec<u8>) -> Result<(), Status> {
    result.extend_from_slice(&(call.host.log_level() as u32).to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::proxy_wasm::foreign::tests_support::Fixture;
    use crate::proxy_wasm::types::LogLevel;

    #[test]
    fn it_is_that_of_the_host_in_four_bytes() {
        let mut fixture = Fixture::default();
        for (level, number) in [(LogLevel::Trace, 0), (LogLevel::Warn, 3), (LogLevel::Critical, 5)] {
            fixture.host.lowest_level = level;
            assert_eq!(fixture.call("get_log_level", b"ignored"), Ok(vec![number, 0, 0, 0]));
        }
    }
}
