//! Metrics that filters define, on a page for Prometheus.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::families;
use super::metrics::{Metrics, Reading};
use super::page::{Family, Kind, Labels, Page, Samples};

/// Metrics that are shown under one name.
struct Shown {
    kind: Kind,
    metrics: Vec<(Labels, Reading)>,
}

/// Writes all metrics. Bytes that Prometheus does not allow in names become underscores, and names that the host has get one
/// before them; such a metric has its name as filters wrote it in the label `name`, so that no two are taken for one.
pub fn guest_metrics(page: &mut Page, metrics: &Metrics) {
    let mut all = Vec::new();
    metrics.visit(|name, reading, defined_by| all.push((name.to_vec(), reading, defined_by)));
    // When a reload gave a name another type, the new metric has the name, and the old one shows its type.
    all.sort_by_key(|(_, _, defined_by)| Reverse(*defined_by));
    let mut names = Names::of_host();
    let mut shown: BTreeMap<String, Shown> = BTreeMap::new();
    for (name, reading, _) in all {
        let kind = match reading {
            Reading::Counter(_) => Kind::Counter,
            Reading::Gauge(_) => Kind::Gauge,
            Reading::Histogram(..) => Kind::Histogram,
        };
        let family = names.take(allowed(&name), kind);
        let labels = if family.as_bytes() == name { Labels::none() } else { Labels::of(&[("name", name.as_slice())]) };
        shown.entry(family).or_insert(Shown { kind, metrics: Vec::new() }).metrics.push((labels, reading));
    }
    for (name, Shown { kind, metrics }) in shown {
        let help = format!("Metric {name} of a filter.");
        // OpenMetrics takes the end off the name of a counter, and what is left must be nobody else's.
        let base = name.strip_suffix("_total").filter(|_| kind == Kind::Counter);
        let is_plain = base.is_some_and(|base| names.has(base));
        page.family(&Family { name: &name, kind, help: &help, is_plain }, |samples| {
            metrics.iter().for_each(|(labels, reading)| write(samples, labels, reading));
        });
    }
}

/// What is taken of names: each sample belongs to one family, and a family has one type.
struct Names {
    /// The family of each sample, and its type.
    samples: HashMap<String, (String, Option<Kind>)>,
}

impl Names {
    /// Those of the host. No metric of a guest gets one of them, whatever its type.
    fn of_host() -> Names {
        let mut names = Names { samples: HashMap::new() };
        for (family, kind) in families::all() {
            names.note(&family, kind, None);
            if let Some(base) = family.strip_suffix("_total").or_else(|| family.strip_suffix("_info")) {
                names.samples.insert(base.to_owned(), (family, None));
            }
        }
        names
    }

    fn has(&self, sample: &str) -> bool {
        self.samples.contains_key(sample)
    }

    fn note(&mut self, family: &str, kind: Kind, of_guest: Option<Kind>) {
        for sample in samples_of(family, kind) {
            self.samples.insert(sample, (family.to_owned(), of_guest));
        }
    }

    /// The family of a metric that is to be shown under a name. Metrics of one type may share a family.
    fn take(&mut self, mut family: String, kind: Kind) -> String {
        if self.samples.get(&family).is_some_and(|(_, of_guest)| of_guest.is_none()) {
            family.insert(0, '_');
        }
        loop {
            let is_free = samples_of(&family, kind).all(|sample| {
                self.samples.get(&sample).is_none_or(|(known, of)| *known == family && *of == Some(kind))
            });
            if is_free {
                self.note(&family, kind, Some(kind));
                return family;
            }
            family.push('_');
            family.push_str(kind.name());
        }
    }
}

/// The names of the samples of a family. The first is that of the family.
fn samples_of(family: &str, kind: Kind) -> impl Iterator<Item = String> {
    let ends: &[&str] = if kind == Kind::Histogram { &["", "_bucket", "_sum", "_count"] } else { &[""] };
    ends.iter().map(move |end| format!("{family}{end}"))
}

fn write(samples: &mut Samples<'_>, labels: &Labels, reading: &Reading) {
    match reading {
        Reading::Counter(value) => samples.add(labels, value),
        Reading::Gauge(value) => samples.add(labels, value),
        Reading::Histogram(powers, count, sum) => {
            let buckets = powers.iter().enumerate().map(|(power, count)| ((1u128 << power) as f64, *count));
            samples.add_histogram(labels, buckets, *count, sum);
        }
    }
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
    use std::sync::Arc;

    use super::*;
    use crate::shared::MetricType::{Counter, Gauge, Histogram};
    use crate::shared::memory::Heap;
    use crate::shared::page::Format;

    fn metrics() -> Metrics {
        Metrics::new(Heap::boxed(1 << 16), 256)
    }

    fn page(metrics: &Metrics, format: Format) -> String {
        let mut page = Page::new(format);
        guest_metrics(&mut page, metrics);
        page.finish()
    }

    /// The page without what is said of families.
    fn samples(metrics: &Metrics) -> String {
        let text = page(metrics, Format::Text);
        let lines = text.lines().filter(|line| !line.starts_with("# HELP"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn each_type_has_its_form() {
        let metrics = metrics();
        metrics.increment(metrics.define(Counter, b"requests").unwrap(), 3).unwrap();
        metrics.increment(metrics.define(Gauge, b"open").unwrap(), -2).unwrap();
        let histogram = metrics.define(Histogram, b"size").unwrap();
        [1, 3, 4].into_iter().for_each(|value| metrics.record(histogram, value).unwrap());
        assert_eq!(
            page(&metrics, Format::Text),
            "# HELP open Metric open of a filter.\n# TYPE open gauge\nopen -2\n\
             # HELP requests Metric requests of a filter.\n# TYPE requests counter\nrequests 3\n\
             # HELP size Metric size of a filter.\n# TYPE size histogram\n\
             size_bucket{le=\"1\"} 1\nsize_bucket{le=\"2\"} 1\nsize_bucket{le=\"4\"} 3\n\
             size_bucket{le=\"+Inf\"} 3\nsize_sum 8\nsize_count 3\n"
        );
    }

    #[test]
    fn open_metrics_has_the_same_samples() {
        let metrics = metrics();
        for name in [&b"requests_total"[..], b"other", b"a_total", b"wasm_build_total"] {
            metrics.define(Counter, name).unwrap();
        }
        metrics.define(Gauge, b"a").unwrap();
        metrics.record(metrics.define(Histogram, b"size").unwrap(), u64::MAX).unwrap();
        let open = page(&metrics, Format::OpenMetrics);
        let declared: Vec<_> = open.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!(
            declared,
            [
                "# TYPE a gauge",
                "# TYPE a_total unknown",
                "# TYPE other unknown",
                "# TYPE requests counter",
                "# TYPE size histogram",
                "# TYPE wasm_build_total unknown"
            ]
        );
        let of = |page: &str| -> Vec<String> {
            let samples = page.lines().filter(|line| !line.starts_with('#'));
            samples.map(|line| line.replace(".0\"", "\"")).collect()
        };
        assert_eq!(of(&open), of(&page(&metrics, Format::Text)));
        assert!(open.contains("size_bucket{le=\"18446744073709551616.0\"} 1\n"), "{open}");
    }

    #[test]
    fn other_names_are_in_a_label() {
        let metrics = metrics();
        for name in [&b"a.b"[..], b"a_b", b"a-b", b"9", b"a\"\\\n\xff\xc3\xa4"] {
            metrics.define(Counter, name).unwrap();
        }
        metrics.record(metrics.define(Histogram, b"h.h").unwrap(), 1).unwrap();
        assert_eq!(
            samples(&metrics),
            "# TYPE _9 counter\n_9{name=\"9\"} 0\n\
             # TYPE a______ counter\na______{name=\"a\\\"\\\\\\n\\\\xff\u{e4}\"} 0\n\
             # TYPE a_b counter\na_b{name=\"a.b\"} 0\na_b 0\na_b{name=\"a-b\"} 0\n\
             # TYPE h_h histogram\nh_h_bucket{name=\"h.h\",le=\"1\"} 1\nh_h_bucket{name=\"h.h\",le=\"+Inf\"} 1\n\
             h_h_sum{name=\"h.h\"} 1\nh_h_count{name=\"h.h\"} 1\n"
        );
    }

    #[test]
    fn names_of_the_host_are_not_for_filters() {
        let metrics = metrics();
        for name in [
            &b"wasm_filter_calls_total"[..],
            b"wasm_filter_calls",
            b"wasm_filter_other",
            b"wasm_build",
            b"wasm_program_duration_seconds_sum",
        ] {
            metrics.define(Counter, name).unwrap();
        }
        let text = samples(&metrics);
        let declared: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(
            declared,
            [
                "_wasm_build counter",
                "_wasm_filter_calls counter",
                "_wasm_filter_calls_total counter",
                "_wasm_program_duration_seconds_sum counter",
                "wasm_filter_other counter"
            ]
        );
        assert!(text.contains("\n_wasm_filter_calls_total{name=\"wasm_filter_calls_total\"} 0\n"), "{text}");
    }

    #[test]
    fn a_family_has_one_type() {
        let metrics = metrics();
        metrics.define(Counter, b"a.b").unwrap();
        metrics.define(Gauge, b"a_b").unwrap();
        assert_eq!(
            samples(&metrics),
            "# TYPE a_b counter\na_b{name=\"a.b\"} 0\n# TYPE a_b_gauge gauge\na_b_gauge{name=\"a_b\"} 0\n"
        );
    }

    #[test]
    fn the_newer_one_of_two_types_has_the_name() {
        let heap = Arc::new(Heap::new(1 << 16));
        let [first, second] = [0, 1].map(|_| Metrics::new(Box::new(heap.clone()), 256));
        first.begin();
        first.increment(first.define(Counter, b"m").unwrap(), 5).unwrap();
        second.begin();
        second.define(Gauge, b"m").unwrap();
        assert_eq!(samples(&second), "# TYPE m gauge\nm 0\n# TYPE m_counter counter\nm_counter{name=\"m\"} 5\n");
    }

    #[test]
    fn a_sample_belongs_to_one_family() {
        let metrics = metrics();
        metrics.define(Gauge, b"size_count").unwrap();
        metrics.define(Histogram, b"size").unwrap();
        metrics.define(Histogram, b"time").unwrap();
        metrics.define(Counter, b"time_sum").unwrap();
        let text = samples(&metrics);
        let declared: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(
            declared,
            ["size_count gauge", "size_histogram histogram", "time histogram", "time_sum_counter counter"]
        );
    }

    #[test]
    fn no_metrics_are_no_text() {
        assert_eq!(page(&metrics(), Format::Text), "");
    }
}
