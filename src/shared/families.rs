//! The families of metrics that the host has beside those of filters: names, types, and what they are. `ngx_module/src/content/`
//! writes them; metrics of guests get other names (`guest_metrics.rs`).

use super::filter_status::{Event, Shown};
use super::page::{Family, Kind};

/// A family of the host.
pub type Own = Family<'static>;

const fn counter(name: &'static str, help: &'static str) -> Own {
    Family { name, kind: Kind::Counter, help, is_plain: false }
}

const fn gauge(name: &'static str, help: &'static str) -> Own {
    Family { name, kind: Kind::Gauge, help, is_plain: false }
}

const fn histogram(name: &'static str, help: &'static str) -> Own {
    Family { name, kind: Kind::Histogram, help, is_plain: false }
}

const fn info(name: &'static str, help: &'static str) -> Own {
    Family { name, kind: Kind::Info, help, is_plain: false }
}

macro_rules! families {
    ($($name:ident = $family:expr;)*) => {
        $(#[allow(missing_docs)] pub const $name: Own = $family;)*
        /// All but those that count events of filters and programs.
        const FIXED: &[Own] = &[$($name),*];
    };
}

families! {
    BUILD_INFO = info("wasm_build_info", "Version of the module, the nginx that it was built for, and the engine.");
    WORKERS = gauge("wasm_workers", "Workers of the newest configuration that has any.");
    LEAVING_WORKERS = gauge("wasm_leaving_workers", "Workers of configurations before, which still have requests.");

    GENERATION = gauge("wasm_config_generation", "Number of the configuration, counted since nginx started.");
    RELOADS = counter("wasm_config_reloads_total", "Reloads of the configuration, by whether nginx went over to it.");
    LAST_RELOAD_SUCCESSFUL = gauge(
        "wasm_config_last_reload_successful",
        "Whether nginx went over to the configuration that it has read last."
    );
    LAST_RELOAD_SUCCESS_TIME = gauge(
        "wasm_config_last_reload_success_timestamp_seconds",
        "When nginx went over to the configuration that it has."
    );
    LAST_RELOAD_REFUSED_TIME = gauge(
        "wasm_config_last_reload_refused_timestamp_seconds",
        "When nginx refused a configuration last."
    );

    MODULE_INFO = info("wasm_module_info", "The file of a module, its SHA-256, and where its compiled code comes from.");
    MODULE_LOAD_TIME = gauge("wasm_module_load_seconds", "How long it took to compile a module, or to get its compiled code.");
    MODULE_FILE_CHANGED = gauge(
        "wasm_module_file_changed",
        "Whether the file of a module is another one than nginx has read."
    );

    FILTER_INFO = info("wasm_filter_info", "What nginx.conf says of a filter, and where.");
    FILTER_ANSWERS = counter("wasm_filter_local_answers_total", "Requests that the filter answered itself, by class of status.");
    FILTER_PAUSED = gauge("wasm_filter_paused_requests", "Requests and responses that wait for the filter.");
    FILTER_DOWN = gauge(
        "wasm_filter_down_workers",
        "Workers in which requests have to do without the filter: stopped until a reload, or waiting for a restart."
    );
    FILTER_INSTANCES = gauge("wasm_filter_instances", "Instances of the filter, those too that wait for the next request.");
    FILTER_MEMORY = gauge("wasm_filter_memory_bytes", "Memory of all instances of the filter.");
    FILTER_MEMORY_LIMIT = gauge("wasm_filter_memory_limit_bytes", "Memory that an instance of the filter may have.");
    FILTER_LAST_ERROR = gauge(
        "wasm_filter_last_error_timestamp_seconds",
        "When a callback of the filter trapped last, or an instance did not start."
    );
    FILTER_DURATION = histogram(
        "wasm_filter_callback_duration_seconds",
        "How long callbacks of the filter ran, host calls included (wasm_latency)."
    );

    PROGRAM_INFO = info("wasm_program_info", "What nginx.conf says of a program or function, and where.");
    PROGRAM_LAST_ERROR = gauge("wasm_program_last_error_timestamp_seconds", "When the program failed last.");
    PROGRAM_DURATION = histogram(
        "wasm_program_duration_seconds",
        "How long requests took from the beginning of the program to the end of its response (wasm_latency)."
    );
    PROGRAM_THREADS = gauge("wasm_program_threads", "Threads of programs, by whether they run one.");
    PROGRAM_THREADS_LIMIT = gauge("wasm_program_threads_limit", "Threads that all workers may have (wasm_threads).");
    PROGRAM_QUEUE = gauge("wasm_program_queued_requests", "Requests that wait for a thread.");
    PROGRAM_QUEUE_LIMIT = gauge("wasm_program_queued_requests_limit", "Requests that may wait for a thread (wasm_threads).");

    SERVICE_CALLS = counter("wasm_service_calls_total", "Calls of filters to other services that have ended, by result.");
    SERVICE_IN_FLIGHT = gauge("wasm_service_calls_in_flight", "Calls to other services that have not ended.");
    SERVICE_DURATION = histogram("wasm_service_call_duration_seconds", "How long calls to other services took.");

    ZONE_SIZE = gauge("wasm_zone_size_bytes", "Size of a zone of shared memory that filters fill.");
    ZONE_USED = gauge("wasm_zone_used_bytes", "How much of the zone is used.");
    ZONE_EVICTIONS = counter("wasm_zone_evictions_total", "Values of shared data that made room for others.");
    ZONE_REFUSALS = counter("wasm_zone_refusals_total", "What filters wanted to store, and for which there was no room.");
    QUEUE_MESSAGES = gauge("wasm_shared_queue_messages", "Messages in a shared queue.");
}

/// The name of what counts an event of filters.
pub fn of_filters(shown: &Shown) -> String {
    format!("wasm_filter_{}_total", shown.name)
}

/// The name of what counts an event of programs.
pub fn of_programs(shown: &Shown) -> String {
    format!("wasm_program_{}_total", shown.name)
}

/// Names of all families, with their types.
pub fn all() -> Vec<(String, Kind)> {
    let fixed = FIXED.iter().map(|family| (family.name.to_owned(), family.kind));
    let of_filters = Event::ALL.iter().filter(|shown| shown.of_filters.is_some()).map(of_filters);
    let of_programs = Event::ALL.iter().filter(|shown| shown.of_programs.is_some()).map(of_programs);
    fixed.chain(of_filters.chain(of_programs).map(|name| (name, Kind::Counter))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_say_what_prometheus_wants_them_to() {
        let mut declared = HashSet::new();
        for (name, kind) in all() {
            let end =
                [(Kind::Counter, "_total"), (Kind::Info, "_info")].into_iter().find(|(wanted, _)| *wanted == kind);
            assert!(end.is_none_or(|(_, end)| name.ends_with(end)), "{name}");
            assert!(name.starts_with("wasm_") && (kind == Kind::Counter || !name.ends_with("_total")), "{name}");
            // OpenMetrics takes the ends off, and two families must not be one then.
            let base = name.trim_end_matches("_total").trim_end_matches("_info");
            assert!(declared.insert(base.to_owned()), "{name}");
        }
        assert!(FIXED.iter().all(|family| family.help.ends_with('.')));
    }
}
