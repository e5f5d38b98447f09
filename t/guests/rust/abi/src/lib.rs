//! The Proxy-Wasm ABI as it is: the host's functions with their plain statuses, and the exports that every guest
//! needs. For guests that test the host, where an SDK would hide a status or panic at it.

/// Declares host functions that take and return only i32, and `call`, which calls one by its name.
macro_rules! host_functions {
    ($($name:ident ( $($arg:ident),* ) = $import:literal;)*) => {
        pub mod raw {
            #[link(wasm_import_module = "env")]
            unsafe extern "C" {
                $(#[link_name = $import] pub fn $name($($arg: i32),*) -> i32;)*
            }
        }

        /// Calls the host function NAME (without `proxy_`) with these arguments, missing ones being 0, whatever
        /// they point to. None when there is no such function here.
        pub fn call(name: &str, arguments: &[i32]) -> Option<i32> {
            let mut arguments = arguments.iter().copied();
            match name {
                $(stringify!($name) => {
                    $(let $arg = arguments.next().unwrap_or(0);)*
                    // SAFETY: the host checks what it is given; that is what a test calls this for.
                    Some(unsafe { raw::$name($($arg),*) })
                })*
                _ => None,
            }
        }
    };
}

host_functions! {
    log(level, text, size) = "proxy_log";
    get_log_level(level) = "proxy_get_log_level";
    get_current_time_nanoseconds(time) = "proxy_get_current_time_nanoseconds";
    set_tick_period_milliseconds(period) = "proxy_set_tick_period_milliseconds";
    set_effective_context(context) = "proxy_set_effective_context";
    done() = "proxy_done";
    get_buffer_bytes(buffer, start, max, data, size) = "proxy_get_buffer_bytes";
    get_buffer_status(buffer, size, flags) = "proxy_get_buffer_status";
    set_buffer_bytes(buffer, start, replaced, data, size) = "proxy_set_buffer_bytes";
    get_header_map_size(map, size) = "proxy_get_header_map_size";
    get_header_map_pairs(map, data, size) = "proxy_get_header_map_pairs";
    set_header_map_pairs(map, data, size) = "proxy_set_header_map_pairs";
    get_header_map_value(map, name, name_size, data, size) = "proxy_get_header_map_value";
    add_header_map_value(map, name, name_size, data, size) = "proxy_add_header_map_value";
    replace_header_map_value(map, name, name_size, data, size) = "proxy_replace_header_map_value";
    remove_header_map_value(map, name, name_size) = "proxy_remove_header_map_value";
    get_property(path, path_size, data, size) = "proxy_get_property";
    set_property(path, path_size, data, size) = "proxy_set_property";
    send_local_response(status, details, details_size, body, body_size, headers, headers_size, grpc_status)
        = "proxy_send_local_response";
    continue_stream(stream) = "proxy_continue_stream";
    close_stream(stream) = "proxy_close_stream";
    get_status(code, data, size) = "proxy_get_status";
    call_foreign_function(name, name_size, arguments, arguments_size, data, size) = "proxy_call_foreign_function";
}

/// Host functions of 0.1.0 that Envoy has for such modules only: one that imports them does not start there, so they are
/// not in `call`.
pub mod of_0_1_0 {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        #[link_name = "proxy_clear_route_cache"]
        pub fn clear_route_cache() -> i32;
    }
}

pub const OK: i32 = 0;
pub const INFO: i32 = 2;
pub const CONTINUE: i32 = 0;
pub const PAUSE: i32 = 1;
pub const REQUEST_HEADERS: i32 = 0;
pub const RESPONSE_HEADERS: i32 = 2;
pub const VM_CONFIGURATION: i32 = 6;
pub const PLUGIN_CONFIGURATION: i32 = 7;

/// A status, and the bytes that came with it.
pub type Answer = (i32, Vec<u8>);

/// The address and size of some bytes, as two arguments of a host function.
pub fn address(bytes: &[u8]) -> (i32, i32) {
    (bytes.as_ptr() as i32, bytes.len() as i32)
}

/// Calls a host function that returns bytes in memory which it had allocated here.
fn answer(call: impl FnOnce(i32, i32) -> i32) -> Answer {
    let (mut data, mut size) = (0u32, 0u32);
    let status = call(&raw mut data as i32, &raw mut size as i32);
    if status != OK || data == 0 || size == 0 {
        return (status, Vec::new());
    }
    // SAFETY: the host got this memory, of this size, from proxy_on_memory_allocate below.
    (status, unsafe { Vec::from_raw_parts(data as *mut u8, size as usize, size as usize) })
}

pub fn log(level: i32, text: &[u8]) -> i32 {
    let (text, size) = address(text);
    unsafe { raw::log(level, text, size) }
}

pub fn get_buffer(buffer: i32, start: i32, max: i32) -> Answer {
    answer(|data, size| unsafe { raw::get_buffer_bytes(buffer, start, max, data, size) })
}

pub fn get_value(map: i32, name: &[u8]) -> Answer {
    let (name, name_size) = address(name);
    answer(|data, size| unsafe { raw::get_header_map_value(map, name, name_size, data, size) })
}

pub fn get_pairs(map: i32) -> Answer {
    answer(|data, size| unsafe { raw::get_header_map_pairs(map, data, size) })
}

pub fn get_property(path: &[u8]) -> Answer {
    let (path, path_size) = address(path);
    answer(|data, size| unsafe { raw::get_property(path, path_size, data, size) })
}

pub fn call_foreign_function(name: &[u8], arguments: &[u8]) -> Answer {
    let ((name, name_size), (arguments, arguments_size)) = (address(name), address(arguments));
    answer(|data, size| unsafe { raw::call_foreign_function(name, name_size, arguments, arguments_size, data, size) })
}

/// Pairs in the ABI's form.
pub fn encode_pairs(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(part);
        bytes.push(0);
    }
    bytes
}

/// The pairs in the ABI's form, or None when they are malformed.
pub fn decode_pairs(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let number = |index: usize| {
        let field = bytes.get(index * 4..index * 4 + 4)?;
        Some(u32::from_le_bytes(field.try_into().ok()?) as usize)
    };
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let count = number(0)?;
    let mut start = count.checked_mul(8)?.checked_add(4)?;
    let mut part = |size: usize| {
        let part = bytes.get(start..start + size)?;
        (bytes.get(start + size) == Some(&0)).then_some(())?;
        start += size + 1;
        Some(part)
    };
    (0..count).map(|pair| Some((part(number(1 + 2 * pair)?)?, part(number(2 + 2 * pair)?)?))).collect()
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before anything else.
    unsafe { __wasm_call_ctors() }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::leak(vec![0u8; size].into_boxed_slice()).as_mut_ptr()
}
