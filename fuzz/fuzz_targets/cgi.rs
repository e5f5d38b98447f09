#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ngx_wasm_fuzz::cgi(data));
