//! Host calls that link and do nothing yet.

use super::support::{Guest, host_functions, wat_types};
use crate::proxy_wasm::Run;
use crate::proxy_wasm::types::{LogLevel, Status};

#[test]
fn an_unimplemented_call_says_so_to_the_guest_always_and_in_the_log_once() {
    for (_, row) in host_functions().filter(|(_, row)| matches!(row.run, Run::Unimplemented)) {
        let name = row.name;
        for (params, results) in row.types {
            let args: String =
                params.chars().map(|letter| if letter == 'I' { "(i64.const -1)" } else { "(i32.const -1)" }).collect();
            let call = match *results {
                "" => format!("(call $it {args})"),
                _ => format!("(note \"answer\" (call $it {args}))"),
            };
            let (param_types, result_types) = (wat_types(params), wat_types(results));
            let guest = Guest::on_request(&format!("{call} {call}"))
                .import(&format!("(import \"env\" \"{name}\" (func $it (param{param_types}) (result{result_types})))"));
            let mut world = guest.start();
            for _ in 0..2 {
                let id = world.stream();
                world.request_headers(id).unwrap();
                let unimplemented = Status::Unimplemented as u32;
                let wanted =
                    if results.is_empty() { vec![] } else { vec![format!("answer {unimplemented} {unimplemented}")] };
                assert_eq!(world.notes(), wanted, "{name}");
            }
            assert_eq!(
                world.host.logged(LogLevel::Warn),
                [format!("host call {name} is not implemented and answers Unimplemented; said once")]
            );
        }
    }
}
