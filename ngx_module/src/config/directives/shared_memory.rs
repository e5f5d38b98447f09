//! `metrics { slab_size SIZE; max_metric_name_length NUMBER; }`, `shm_kv NAME SIZE [eviction=...];`, `shm_queue NAME SIZE;`
//! in `wasm { }`: how large the shared memory of filters is.

use std::ffi::{c_char, c_void};

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_parse_size};
use ngx_wasm::shared::Eviction;

use super::{Directive, METRICS_CONF, read_block, shown};
use crate::nginx::module::CONF_OK;
use crate::process::shared_memory::{KeyValueConf, QueueConf};

/// What configurations written for others may ask for. Nginx needs more for itself, and gets it.
const SMALLEST: usize = 12 << 10;
const LARGEST: usize = 4 << 30;
/// What a slot of a metric can tell.
const LONGEST_NAME: usize = 64 << 10;

pub unsafe extern "C" fn metrics(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    let first = unsafe {
        Directive::handle(cf, |directive| {
            let place = directive.place();
            let settings = &mut directive.main()?.settings;
            if let Some(first) = &settings.metrics {
                return Err(format!("\"metrics\" block is duplicate, the first is in {first}"));
            }
            settings.metrics = Some(place);
            Ok(())
        })
    };
    // SAFETY: as above.
    if first == CONF_OK { unsafe { read_block(cf, METRICS_CONF) } } else { first }
}

pub unsafe extern "C" fn slab_size(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let size = size(directive, 1)?;
            let settings = &mut directive.main()?.settings;
            if settings.slab_size.replace(size).is_some() {
                return Err("\"slab_size\" directive is duplicate".into());
            }
            Ok(())
        })
    }
}

pub unsafe extern "C" fn max_name(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let word = shown(directive.word(1).unwrap_or_default()).into_owned();
            let length = word.parse().ok().filter(|length| (1..=LONGEST_NAME).contains(length)).ok_or_else(|| {
                format!(
                    "invalid value \"{word}\" of \"max_metric_name_length\": it takes a number from 1 to {LONGEST_NAME}"
                )
            })?;
            let settings = &mut directive.main()?.settings;
            if settings.max_metric_name_length.replace(length).is_some() {
                return Err("\"max_metric_name_length\" directive is duplicate".into());
            }
            Ok(())
        })
    }
}

pub unsafe extern "C" fn key_value(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let (name, size, place) = (name(directive)?, size(directive, 2)?, directive.place());
            let eviction = match directive.word(3) {
                // Nothing here has segments; what matters to those who ask is that old values make room.
                None | Some(b"eviction=lru" | b"eviction=slru") => Eviction::LeastRecentlyUsed,
                Some(b"eviction=none") => Eviction::None,
                Some(other) => {
                    return Err(format!(
                        "invalid parameter \"{}\" of \"shm_kv\": it takes eviction=lru or eviction=none",
                        shown(other)
                    ));
                }
            };
            let stores = &mut directive.main()?.settings.key_values;
            if let Some(first) = stores.iter().find(|conf| conf.name == name) {
                return Err(format!("duplicate \"shm_kv\" \"{}\", the first is in {}", shown(&name), first.place));
            }
            stores.push(KeyValueConf { name, size, eviction, place });
            Ok(())
        })
    }
}

pub unsafe extern "C" fn queue(cf: *mut ngx_conf_t, _: *mut ngx_command_t, _: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its own structures to a handler.
    unsafe {
        Directive::handle(cf, |directive| {
            let (name, size, place) = (name(directive)?, size(directive, 2)?, directive.place());
            let queues = &mut directive.main()?.settings.queues;
            if let Some(first) = queues.iter().find(|conf| conf.name == name) {
                return Err(format!("duplicate \"shm_queue\" \"{}\", the first is in {}", shown(&name), first.place));
            }
            queues.push(QueueConf { name, size, place });
            Ok(())
        })
    }
}

/// The name of a zone. A slash would end it in a key.
fn name(directive: &Directive) -> Result<Vec<u8>, String> {
    let name = directive.word(1).unwrap_or_default();
    if name.is_empty() || name.contains(&b'/') {
        let directive = shown(directive.word(0).unwrap_or_default());
        return Err(format!(
            "invalid name \"{}\" of \"{directive}\": it must not be empty, nor have a \"/\"",
            shown(name)
        ));
    }
    Ok(name.to_vec())
}

fn size(directive: &Directive, n: usize) -> Result<usize, String> {
    let word = directive.words().get(n).ok_or("argument missing")?;
    // SAFETY: the argument is a string of nginx, which the function only reads.
    let size = unsafe { ngx_parse_size(std::ptr::from_ref(word).cast_mut()) };
    usize::try_from(size).ok().filter(|size| (SMALLEST..=LARGEST).contains(size)).ok_or_else(|| {
        let directive = shown(directive.word(0).unwrap_or_default());
        format!(
            "invalid size \"{}\" of \"{directive}\": it takes a size from 12k to 4096m, such as 5m",
            shown(word.as_bytes())
        )
    })
}
