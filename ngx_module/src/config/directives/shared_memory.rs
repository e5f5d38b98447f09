//! `metrics { slab_size SIZE; max_metric_name_length NUMBER; }`, `shm_kv NAME SIZE [eviction=...];`, `shm_queue NAME SIZE;`
//! in `wasm { }`: how large the shared memory of filters is.

use ngx_wasm::shared::Eviction;

use super::Directive;
use super::directive::shown;
use crate::config::conf::MainConf;
use crate::nginx::conf_position::ConfPosition;
use crate::process::shared_memory::{KeyValueConf, QueueConf};

/// What configurations written for others may ask for. Nginx needs more for itself, and gets it.
const SMALLEST: usize = 12 << 10;
const LARGEST: usize = 4 << 30;
/// What a slot of a metric can tell.
const LONGEST_NAME: usize = 64 << 10;

pub fn metrics(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    match main.settings.metrics.replace(directive.place()) {
        None => Ok(()),
        Some(first) => Err(directive.duplicate_block(&first)),
    }
}

pub fn slab_size(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    directive.set(&mut main.settings.slab_size, size(directive, 1))
}

pub fn max_name(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    directive.set(&mut main.settings.max_metric_name_length, directive.number(1..=LONGEST_NAME))
}

pub fn key_value(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    let (name, size, place) = (name(directive)?, size(directive, 2)?, directive.place());
    let eviction = match directive.word(3) {
        // Nothing here has segments; what matters to those who ask is that old values make room.
        None | Some(b"eviction=lru" | b"eviction=slru") => Eviction::LeastRecentlyUsed,
        Some(b"eviction=none") => Eviction::None,
        Some(other) => return Err(directive.invalid_parameter(other, "eviction=lru or eviction=none")),
    };
    let stores = &mut main.settings.key_values;
    if let Some(first) = stores.iter().find(|conf| conf.name == name) {
        return Err(duplicate(directive, &name, &first.place));
    }
    stores.push(KeyValueConf { name, size, eviction, place });
    Ok(())
}

pub fn queue(directive: &Directive, main: &mut MainConf) -> Result<(), String> {
    let (name, size, place) = (name(directive)?, size(directive, 2)?, directive.place());
    let queues = &mut main.settings.queues;
    if let Some(first) = queues.iter().find(|conf| conf.name == name) {
        return Err(duplicate(directive, &name, &first.place));
    }
    queues.push(QueueConf { name, size, place });
    Ok(())
}

/// The name of a zone. A slash would end it in a key.
fn name(directive: &Directive) -> Result<Vec<u8>, String> {
    let name = directive.word(1).unwrap_or_default();
    if name.is_empty() || name.contains(&b'/') {
        return Err(format!(
            "invalid name \"{}\" of \"{}\": it must not be empty, nor have a \"/\"",
            shown(name),
            directive.name()
        ));
    }
    Ok(name.to_vec())
}

fn size(directive: &Directive, n: usize) -> Result<usize, String> {
    directive.size(n, SMALLEST..=LARGEST, "5m")
}

fn duplicate(directive: &Directive, name: &[u8], first: &ConfPosition) -> String {
    format!("duplicate \"{}\" \"{}\", the first is in {first}", directive.name(), shown(name))
}
