//! What the guest can do beyond the statements of `probe` (the crate `operations`).

use std::hint::black_box;

use abi::{OK, REQUEST_HEADERS, RESPONSE_HEADERS, address, encode_pairs, raw};
use operations::Outcome;

use crate::{INSTANCE, log};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_shared_data(key: i32, key_size: i32, value: i32, size: i32, cas: i32) -> i32;
    fn proxy_set_shared_data(key: i32, key_size: i32, value: i32, size: i32, cas: i32) -> i32;
    fn proxy_register_shared_queue(name: i32, size: i32, queue: i32) -> i32;
    fn proxy_enqueue_shared_queue(queue: i32, data: i32, size: i32) -> i32;
    fn proxy_dequeue_shared_queue(queue: i32, data: i32, size: i32) -> i32;
    fn proxy_http_call(
        target: i32,
        target_size: i32,
        headers: i32,
        headers_size: i32,
        body: i32,
        body_size: i32,
        trailers: i32,
        trailers_size: i32,
        timeout: i32,
        call: i32,
    ) -> i32;
}

/// Runs a statement; false when it is none of these.
pub fn run(text: &str, id: u32, direction: i32, outcome: &mut Outcome) -> bool {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut words = rest.split(' ');
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0usize);
    match verb {
        "tell" => tell(direction),
        "leak" => {
            // Written to, so that the pages are there; without memory this traps, as in most guests.
            black_box(vec![1u8; number()].leak());
        }
        "spin" => {
            for n in 0..number() {
                black_box(n);
            }
        }
        "flood" => (0..number()).for_each(|n| log(&format!("line {n}"))),
        "headers" => headers(number(), number(), direction),
        "tick" => {
            // SAFETY: numbers alone.
            unsafe { raw::set_tick_period_milliseconds(number() as i32) };
        }
        "call" => call(rest, 1, id),
        "calls" => {
            let (times, target) = rest.split_once(' ').unwrap_or((rest, ""));
            call(target, times.parse().unwrap_or(0), id);
        }
        "park" => {
            INSTANCE.with_borrow_mut(|instance| instance.parked.push(id));
            outcome.action = abi::PAUSE;
        }
        "release" => release(),
        "share" => log(&format!("{rest} is {}", increment(rest.as_bytes()))),
        "register" => {
            let ((name, size), mut queue) = (address(rest.as_bytes()), 0u32);
            // SAFETY: the addresses are those of the values.
            unsafe { proxy_register_shared_queue(name, size, &raw mut queue as i32) };
        }
        "push" => push(rest),
        _ => return false,
    }
    true
}

/// Tells which instance this is, and how many streams it has had, to who comes next: in the header `x-NAME`.
fn tell(direction: i32) {
    let (name, text) = INSTANCE.with_borrow(|instance| {
        (format!("x-{}", instance.name), format!("start {} stream {}", instance.start, instance.created))
    });
    let map = if direction == 0 { REQUEST_HEADERS } else { RESPONSE_HEADERS };
    let ((name, name_size), (text, size)) = (address(name.as_bytes()), address(text.as_bytes()));
    // SAFETY: addresses and sizes of strings.
    unsafe { raw::replace_header_map_value(map, name, name_size, text, size) };
}

fn headers(count: usize, size: usize, direction: i32) {
    let map = if direction == 0 { REQUEST_HEADERS } else { RESPONSE_HEADERS };
    let value = "v".repeat(size);
    let mut statuses = std::collections::BTreeMap::<i32, usize>::new();
    for n in 0..count {
        let name = format!("x-many-{n}");
        let ((name, name_size), (value, size)) = (address(name.as_bytes()), address(value.as_bytes()));
        // SAFETY: addresses and sizes of strings.
        let status = unsafe { raw::add_header_map_value(map, name, name_size, value, size) };
        *statuses.entry(status).or_default() += 1;
    }
    log(&format!("headers {statuses:?}"));
}

/// `TARGET [PATH]`, so many times, with 20 s each; what comes is about the stream `id`.
fn call(rest: &str, times: usize, id: u32) {
    let (target, path) = rest.split_once(' ').unwrap_or((rest, "/"));
    let headers =
        encode_pairs(&[(b":method", b"GET"), (b":path", path.as_bytes()), (b":authority", target.as_bytes())]);
    let ((target, target_size), (headers, headers_size)) = (address(target.as_bytes()), address(&headers));
    let mut statuses = std::collections::BTreeMap::<i32, usize>::new();
    for _ in 0..times {
        let mut number = 0u32;
        // SAFETY: addresses and sizes of these bytes.
        let status = unsafe {
            proxy_http_call(target, target_size, headers, headers_size, 0, 0, 0, 0, 20_000, &raw mut number as i32)
        };
        if status == OK {
            INSTANCE.with_borrow_mut(|instance| instance.calls.insert(number, id));
        }
        *statuses.entry(status).or_default() += 1;
    }
    log(&format!("calls {statuses:?}"));
}

/// Resumes the requests that wait.
fn release() {
    let parked = INSTANCE.with_borrow_mut(|instance| std::mem::take(&mut instance.parked));
    for id in parked {
        // SAFETY: numbers alone.
        unsafe {
            if raw::set_effective_context(id as i32) == OK {
                raw::continue_stream(0);
            }
        }
    }
}

fn push(rest: &str) {
    let (name, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let ((name, size), mut queue) = (address(name.as_bytes()), 0u32);
    let (message, message_size) = address(message.as_bytes());
    // SAFETY: the addresses are those of the values.
    unsafe {
        proxy_register_shared_queue(name, size, &raw mut queue as i32);
        proxy_enqueue_shared_queue(queue as i32, message, message_size);
    }
}

pub fn take_message(queue: u32) {
    let (mut data, mut size) = (0u32, 0u32);
    // SAFETY: the host writes there what it has allocated here.
    unsafe {
        if proxy_dequeue_shared_queue(queue as i32, &raw mut data as i32, &raw mut size as i32) == OK && size > 0 {
            drop(Vec::from_raw_parts(data as *mut u8, size as usize, size as usize));
        }
    }
}

/// Counts with shared data: what the key's value is now.
pub fn increment(key: &[u8]) -> u32 {
    let (key, key_size) = address(key);
    loop {
        let (mut data, mut size, mut cas) = (0u32, 0u32, 0u32);
        // SAFETY: the host writes there what it has allocated here.
        let old = unsafe {
            let out = (&raw mut data as i32, &raw mut size as i32, &raw mut cas as i32);
            let status = proxy_get_shared_data(key, key_size, out.0, out.1, out.2);
            let value = if status == OK && size > 0 {
                Vec::from_raw_parts(data as *mut u8, size as usize, size as usize)
            } else {
                Vec::new()
            };
            String::from_utf8_lossy(&value).parse().unwrap_or(0u32)
        };
        let text = (old + 1).to_string();
        let (text, size) = address(text.as_bytes());
        // SAFETY: addresses and sizes of these bytes.
        match unsafe { proxy_set_shared_data(key, key_size, text, size, cas as i32) } {
            OK => return old + 1,
            // Another worker was faster.
            8 => continue,
            status => panic!("shared data: status {status}"),
        }
    }
}
