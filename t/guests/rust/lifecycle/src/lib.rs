//! Guest `lifecycle`: logs each callback with its arguments, one line each at level info, and does nothing else.

use abi::{CONTINUE, INFO, PLUGIN_CONFIGURATION};

fn log(line: String) {
    abi::log(INFO, line.as_bytes());
}

/// Exports callbacks that log their name and what the format says.
macro_rules! callbacks {
    ($($export:ident ( $($arg:ident),* ) $(-> $value:expr)?, $format:literal $(, $shown:expr)*;)*) => {
        $(callbacks!(@one $export ($($arg),*) ($($value)?) $format ($($shown),*));)*
    };
    (@one $export:ident ($($arg:ident),*) () $format:literal ($($shown:expr),*)) => {
        #[unsafe(no_mangle)]
        pub extern "C" fn $export($($arg: u32),*) {
            log(format!($format $(, $shown)*));
        }
    };
    (@one $export:ident ($($arg:ident),*) ($value:expr) $format:literal ($($shown:expr),*)) => {
        #[unsafe(no_mangle)]
        pub extern "C" fn $export($($arg: u32),*) -> i32 {
            log(format!($format $(, $shown)*));
            $value
        }
    };
}

callbacks! {
    proxy_on_context_create(id, parent), "on_context_create {id} parent {parent}";
    proxy_on_vm_start(id, size) -> 1, "on_vm_start {id} size {size}";
    proxy_on_configure(id, size) -> 1, "on_configure {id} size {size} config={}", configuration();
    proxy_on_tick(id), "on_tick {id}";
    proxy_on_request_headers(id, n, eos) -> CONTINUE, "on_request_headers {id} n {n} eos {}", eos != 0;
    proxy_on_request_body(id, size, eos) -> CONTINUE, "on_request_body {id} size {size} eos {}", eos != 0;
    proxy_on_request_trailers(id, n) -> CONTINUE, "on_request_trailers {id} n {n}";
    proxy_on_response_headers(id, n, eos) -> CONTINUE, "on_response_headers {id} n {n} eos {}", eos != 0;
    proxy_on_response_body(id, size, eos) -> CONTINUE, "on_response_body {id} size {size} eos {}", eos != 0;
    proxy_on_response_trailers(id, n) -> CONTINUE, "on_response_trailers {id} n {n}";
    proxy_on_done(id) -> 1, "on_done {id}";
    proxy_on_log(id), "on_log {id}";
    proxy_on_delete(id), "on_delete {id}";
}

fn configuration() -> String {
    let (_, bytes) = abi::get_buffer(PLUGIN_CONFIGURATION, 0, -1);
    String::from_utf8_lossy(&bytes).into_owned()
}
