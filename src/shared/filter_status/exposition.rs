//! What is known about filters as text for Prometheus, in the format of `shared/exposition.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Event, Snapshot, Summary};
use crate::shared::label::escaped;

const PREFIX: &str = "wasm_filter_";
const WORKERS: &str = "wasm_workers";
const INSTANCES: &str = "instances";
const MEMORY: &str = "memory_bytes";
const ERROR_TIME: &str = "last_error_timestamp_seconds";

/// What tells filters apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterLabels {
    /// The name of its module.
    pub module: Vec<u8>,
    /// Where the configuration declares it.
    pub place: Vec<u8>,
}

/// Whether a name is one that [`exposition`] uses.
pub(in crate::shared) fn is_reserved(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return name == WORKERS };
    [INSTANCES, MEMORY, ERROR_TIME].contains(&rest)
        || rest.strip_suffix("_total").is_some_and(|rest| Event::ALL.iter().any(|(_, event)| *event == rest))
}

/// All that is known about these filters. Those with the same labels are added up.
pub fn exposition(snapshot: &Snapshot, filters: Vec<(FilterLabels, Summary)>) -> String {
    let mut by_labels = BTreeMap::<FilterLabels, Summary>::new();
    for (labels, summary) in &filters {
        by_labels.entry(labels.clone()).or_default().add(summary);
    }
    let mut out = String::new();
    let mut family = |name: String, kind: &str, value: &dyn Fn(&Summary) -> Option<u64>| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "# TYPE {name} {kind}");
        for (labels, summary) in &by_labels {
            if let Some(value) = value(summary) {
                let (module, place) = (escaped(&labels.module), escaped(&labels.place));
                let _ = writeln!(out, "{name}{{module=\"{module}\",place=\"{place}\"}} {value}");
            }
        }
    };
    for (event, name) in Event::ALL {
        family(format!("{PREFIX}{name}_total"), "counter", &|summary| Some(summary.get(event)));
    }
    family(format!("{PREFIX}{INSTANCES}"), "gauge", &|summary| Some(summary.instances));
    family(format!("{PREFIX}{MEMORY}"), "gauge", &|summary| Some(summary.memory));
    family(format!("{PREFIX}{ERROR_TIME}"), "gauge", &|summary| summary.last_error.as_ref().map(|(_, time)| *time));
    let _ = writeln!(out, "# TYPE {WORKERS} gauge\n{WORKERS} {}", snapshot.workers);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(module: &str, place: &str, traps: u64) -> (FilterLabels, Summary) {
        let mut summary = Summary { instances: 1, memory: 100, ..Summary::default() };
        summary.counters[Event::Trap as usize] = traps;
        (FilterLabels { module: module.into(), place: place.into() }, summary)
    }

    #[test]
    fn each_filter_has_a_line_in_each_family() {
        let mut failed = filter("b\"\\", "conf:2", 3);
        failed.1.last_error = Some((b"why".to_vec(), 77));
        let snapshot = Snapshot { workers: 2, ..Snapshot::default() };
        let text = exposition(&snapshot, vec![failed, filter("a", "conf:1", 1), filter("a", "conf:1", 4)]);
        for lines in [
            "# TYPE wasm_filter_traps_total counter\n\
             wasm_filter_traps_total{module=\"a\",place=\"conf:1\"} 5\n\
             wasm_filter_traps_total{module=\"b\\\"\\\\\",place=\"conf:2\"} 3\n",
            "# TYPE wasm_filter_instances gauge\nwasm_filter_instances{module=\"a\",place=\"conf:1\"} 2\n",
            "# TYPE wasm_filter_last_error_timestamp_seconds gauge\n\
             wasm_filter_last_error_timestamp_seconds{module=\"b\\\"\\\\\",place=\"conf:2\"} 77\n",
            "# TYPE wasm_workers gauge\nwasm_workers 2\n",
        ] {
            assert!(text.contains(lines), "{lines}\nin\n{text}");
        }
    }

    #[test]
    fn all_names_are_reserved() {
        let text = exposition(&Snapshot::default(), vec![filter("a", "b", 1)]);
        let families: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        assert_eq!(families.len(), Event::ALL.len() + 4);
        assert!(families.iter().all(|name| is_reserved(name)), "{families:?}");
        for other in ["wasm_filter_calls", "wasm_filter_", "wasm_filter_x_total", "calls", "wasm_workers_total"] {
            assert!(!is_reserved(other), "{other}");
        }
    }
}
