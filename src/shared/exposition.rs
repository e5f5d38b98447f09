//! Metrics as text for Prometheus. Source: "Exposition formats" of its documentation, text format 0.0.4.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::filter_status::is_reserved;
use super::label::escaped;
use super::metrics::{Metrics, Reading};

/// All metrics. Bytes that the format does not allow in names become underscores, and names that are said of filters get one
/// before them; such a metric has its name as filters wrote it in the label `name`, so that no two are taken for one.
pub fn exposition(metrics: &Metrics) -> String {
    let mut all = Vec::new();
    metrics.visit(|name, reading, defined_by| all.push((name.to_vec(), reading, defined_by)));
    // When a reload gave a name another type, the new metric has the name, and the old one shows its type.
    all.sort_by_key(|(_, _, defined_by)| Reverse(*defined_by));
    let mut families: BTreeMap<String, (&'static str, String)> = BTreeMap::new();
    for (name, reading, _) in &all {
        let kind = match reading {
            Reading::Counter(_) => "counter",
            Reading::Gauge(_) => "gauge",
            Reading::Histogram(..) => "histogram",
        };
        let mut family = allowed(name);
        if is_reserved(&family) {
            family.insert(0, '_');
        }
        let label =
            if family.as_bytes() == name.as_slice() { String::new() } else { format!("name=\"{}\"", escaped(name)) };
        // One name has one type in this format.
        while families.get(&family).is_some_and(|(other, _)| *other != kind) {
            family.push('_');
            family.push_str(kind);
        }
        let (_, text) = families.entry(family.clone()).or_insert((kind, String::new()));
        write_samples(text, &family, &label, reading);
    }
    let mut out = String::new();
    for (family, (kind, text)) in families {
        // Writing to a string does not fail.
        let _ = write!(out, "# TYPE {family} {kind}\n{text}");
    }
    out
}

fn write_samples(out: &mut String, family: &str, label: &str, reading: &Reading) {
    let labels = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
    let _ = match reading {
        Reading::Counter(value) => writeln!(out, "{family}{labels} {value}"),
        Reading::Gauge(value) => writeln!(out, "{family}{labels} {value}"),
        Reading::Histogram(powers, samples, sum) => {
            let comma = if label.is_empty() { "" } else { "," };
            let mut below = 0u64;
            for (power, count) in powers.iter().enumerate() {
                below = below.wrapping_add(*count);
                let _ = writeln!(out, "{family}_bucket{{{label}{comma}le=\"{}\"}} {below}", 1u128 << power);
            }
            let _ = writeln!(out, "{family}_bucket{{{label}{comma}le=\"+Inf\"}} {samples}");
            writeln!(out, "{family}_sum{labels} {sum}\n{family}_count{labels} {samples}")
        }
    };
}

/// A name of letters, digits, underscores and colons, that does not begin with a digit.
fn allowed(name: &[u8]) -> String {
    let first = name.first().filter(|byte| byte.is_ascii_digit()).map(|_| '_');
    let rest = name.iter().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':' => char::from(*byte),
        _ => '_',
    });
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::MetricType::{Counter, Gauge, Histogram};
    use crate::shared::memory::Heap;

    fn metrics() -> Metrics {
        Metrics::new(Heap::boxed(1 << 16), 256)
    }

    #[test]
    fn each_type_has_its_form() {
        let metrics = metrics();
        metrics.increment(metrics.define(Counter, b"requests").unwrap(), 3).unwrap();
        metrics.increment(metrics.define(Gauge, b"open").unwrap(), -2).unwrap();
        let histogram = metrics.define(Histogram, b"size").unwrap();
        [1, 3, 4].into_iter().for_each(|value| metrics.record(histogram, value).unwrap());
        assert_eq!(
            exposition(&metrics),
            "# TYPE open gauge\nopen -2\n\
             # TYPE requests counter\nrequests 3\n\
             # TYPE size histogram\nsize_bucket{le=\"1\"} 1\nsize_bucket{le=\"2\"} 1\nsize_bucket{le=\"4\"} 3\n\
             size_bucket{le=\"+Inf\"} 3\nsize_sum 8\nsize_count 3\n"
        );
    }

    #[test]
    fn other_names_are_in_a_label() {
        let metrics = metrics();
        for name in [&b"a.b"[..], b"a_b", b"a-b", b"9", b"a\"\\\n\xff\xc3\xa4"] {
            metrics.define(Counter, name).unwrap();
        }
        metrics.record(metrics.define(Histogram, b"h.h").unwrap(), 1).unwrap();
        assert_eq!(
            exposition(&metrics),
            "# TYPE _9 counter\n_9{name=\"9\"} 0\n\
             # TYPE a______ counter\na______{name=\"a\\\"\\\\\\n\\\\xff\u{e4}\"} 0\n\
             # TYPE a_b counter\na_b{name=\"a.b\"} 0\na_b 0\na_b{name=\"a-b\"} 0\n\
             # TYPE h_h histogram\nh_h_bucket{name=\"h.h\",le=\"1\"} 1\nh_h_bucket{name=\"h.h\",le=\"+Inf\"} 1\n\
             h_h_sum{name=\"h.h\"} 1\nh_h_count{name=\"h.h\"} 1\n"
        );
    }

    #[test]
    fn names_of_what_is_said_about_filters_are_not_for_filters() {
        let metrics = metrics();
        metrics.define(Counter, b"wasm_filter_calls_total").unwrap();
        metrics.define(Counter, b"wasm_filter_other").unwrap();
        assert_eq!(
            exposition(&metrics),
            "# TYPE _wasm_filter_calls_total counter\n\
             _wasm_filter_calls_total{name=\"wasm_filter_calls_total\"} 0\n\
             # TYPE wasm_filter_other counter\nwasm_filter_other 0\n"
        );
    }

    #[test]
    fn a_family_has_one_type() {
        let metrics = metrics();
        metrics.define(Counter, b"a.b").unwrap();
        metrics.define(Gauge, b"a_b").unwrap();
        assert_eq!(
            exposition(&metrics),
            "# TYPE a_b counter\na_b{name=\"a.b\"} 0\n# TYPE a_b_gauge gauge\na_b_gauge 0\n"
        );
    }

    #[test]
    fn no_metrics_are_no_text() {
        assert_eq!(exposition(&metrics()), "");
    }
}
