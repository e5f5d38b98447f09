//! A page of metrics as text for Prometheus: `guest_metrics.rs` writes those of filters, `filter_status/families.rs` and
//! `ngx_module` what is known about them. Sources: "Exposition formats" of Prometheus' documentation (text format 0.0.4), and the
//! specification of OpenMetrics 1.0.0.

use std::fmt::{Display, Write as _};

/// A form of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The form that a client wants, which has sent this `Accept`. Whoever says nothing gets the text format.
    pub fn accepted(accept: &[u8]) -> Format {
        let (mut text, mut open) = (0.0, 0.0);
        for (kind, version, quality) in String::from_utf8_lossy(accept).split(',').map(media_range) {
            match (kind.as_str(), version.as_deref()) {
                ("application/openmetrics-text", None | Some("1.0.0")) => open = quality.max(open),
                ("text/plain", _) => text = quality.max(text),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Format::OpenMetrics } else { Format::Text }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// A bound of a bucket. OpenMetrics has one form for each number.
    fn bound(self, bound: f64) -> String {
        match self {
            _ if bound.fract() != 0.0 => bound.to_string(),
            // All digits of large ones, too.
            Format::Text => format!("{bound:.0}"),
            Format::OpenMetrics => format!("{bound:.1}"),
        }
    }
}

/// Type, version, and quality of an item of `Accept`.
fn media_range(item: &str) -> (String, Option<String>, f64) {
    let mut parts = item.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let (mut version, mut quality) = (None, 1.0);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value.to_owned()),
            "q" => quality = value.parse().unwrap_or(0.0),
            _ => {}
        }
    }
    (kind, version, quality)
}

/// What a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers that grow.
    Counter,
    /// Numbers.
    Gauge,
    /// Values, by their size.
    Histogram,
    /// Labels that say something, with the number 1.
    Info,
}

impl Kind {
    /// What the text format calls it, which knows no `info`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Metrics of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family<'a> {
    /// Its name, with `_total` or `_info` if samples have that.
    pub name: &'a str,
    /// What it has.
    pub kind: Kind,
    /// What it is, in a sentence.
    pub help: &'a str,
    /// OpenMetrics is not to take the end off its name: what is left is that of another one.
    pub is_plain: bool,
}

/// Labels of a sample, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(String);

impl Labels {
    /// None.
    pub fn none() -> Labels {
        Labels::default()
    }

    /// These labels: names, and values that may be any bytes.
    pub fn of(labels: &[(&str, &[u8])]) -> Labels {
        labels.iter().fold(Labels::none(), |all, (name, value)| all.with(name, value))
    }

    /// One more.
    pub fn with(&self, name: &str, value: &[u8]) -> Labels {
        let comma = if self.0.is_empty() { "" } else { "," };
        Labels(format!("{}{comma}{name}=\"{}\"", self.0, escaped(value)))
    }

    fn in_braces(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!("{{{}}}", self.0) }
    }
}

/// The value of a label: UTF-8, with three characters escaped. Other bytes than UTF-8 are shown, and other control characters: with a
/// zero in it, nothing of the page would be read.
pub(super) fn escaped(value: &[u8]) -> String {
    let mut out = String::new();
    let show = |out: &mut String, byte: u8| {
        // Writing to a string does not fail.
        let _ = write!(out, "\\\\x{byte:02x}");
    };
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other if other.is_ascii_control() => show(&mut out, other as u8),
                other => out.push(other),
            }
        }
        chunk.invalid().iter().for_each(|byte| show(&mut out, *byte));
    }
    out
}

/// A page that is being written.
pub struct Page {
    format: Format,
    out: String,
}

impl Page {
    /// An empty one.
    pub fn new(format: Format) -> Page {
        Page { format, out: String::new() }
    }

    /// Writes a family with the samples that `fill` adds. Without samples there is nothing of it.
    pub fn family(&mut self, family: &Family<'_>, fill: impl FnOnce(&mut Samples<'_>)) {
        let mut samples = Samples { format: self.format, name: family.name, out: String::new() };
        fill(&mut samples);
        let samples = samples.out;
        if samples.is_empty() {
            return;
        }
        let (name, kind) = self.declared(family);
        let help = match self.format {
            Format::Text => family.help.replace('\\', "\\\\").replace('\n', "\\n"),
            Format::OpenMetrics => escaped(family.help.as_bytes()),
        };
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
    }

    /// What a family is called where it is declared, and its type.
    fn declared<'a>(&self, family: &Family<'a>) -> (&'a str, &'static str) {
        let name = family.name;
        match (self.format, family.kind) {
            (Format::Text, kind) => (name, kind.name()),
            // A counter whose samples do not end as OpenMetrics wants it keeps its name, and is no counter there.
            (_, Kind::Counter) if family.is_plain => (name, "unknown"),
            (_, Kind::Counter) => name.strip_suffix("_total").map_or((name, "unknown"), |name| (name, "counter")),
            (_, Kind::Info) => name.strip_suffix("_info").map_or((name, "gauge"), |name| (name, "info")),
            (_, kind) => (name, kind.name()),
        }
    }

    /// The whole page.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// The samples of a family.
pub struct Samples<'f> {
    format: Format,
    name: &'f str,
    out: String,
}

impl Samples<'_> {
    /// Adds a sample.
    pub fn add(&mut self, labels: &Labels, value: impl Display) {
        let _ = writeln!(self.out, "{}{} {value}", self.name, labels.in_braces());
    }

    /// Adds a histogram: for each bound the number of values that are above the one before and not above it, how many there are in
    /// all, and their sum.
    pub fn add_histogram(
        &mut self,
        labels: &Labels,
        buckets: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: impl Display,
    ) {
        let name = self.name;
        let mut below = 0u64;
        for (bound, count) in buckets {
            below = below.wrapping_add(count);
            let labels = labels.with("le", self.format.bound(bound).as_bytes()).in_braces();
            let _ = writeln!(self.out, "{name}_bucket{labels} {below}");
        }
        let infinite = labels.with("le", b"+Inf").in_braces();
        let labels = labels.in_braces();
        let _ = writeln!(
            self.out,
            "{name}_bucket{infinite} {count}\n{name}_sum{labels} {sum}\n{name}_count{labels} {count}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Family<'_> =
        Family { name: "a_total", kind: Kind::Counter, help: "All \"a\".\n\\", is_plain: false };
    const INFO: Family<'_> = Family { name: "b_info", kind: Kind::Info, help: "B.", is_plain: false };

    fn page(format: Format, fill: impl Fn(&mut Page)) -> String {
        let mut page = Page::new(format);
        fill(&mut page);
        page.finish()
    }

    #[test]
    fn each_format_declares_families_in_its_way() {
        let fill = |page: &mut Page| {
            page.family(&COUNTER, |samples| samples.add(&Labels::of(&[("x", b"1"), ("y", b"\"")]), 3));
            page.family(&INFO, |samples| samples.add(&Labels::none(), 1));
            page.family(&Family { name: "c", ..COUNTER }, |samples| samples.add(&Labels::none(), 0.5));
            page.family(&Family { name: "nothing", ..COUNTER }, |_| {});
        };
        assert_eq!(
            page(Format::Text, fill),
            "# HELP a_total All \"a\".\\n\\\\\n# TYPE a_total counter\na_total{x=\"1\",y=\"\\\"\"} 3\n\
             # HELP b_info B.\n# TYPE b_info gauge\nb_info 1\n\
             # HELP c All \"a\".\\n\\\\\n# TYPE c counter\nc 0.5\n"
        );
        assert_eq!(
            page(Format::OpenMetrics, fill),
            "# HELP a All \\\"a\\\".\\n\\\\\n# TYPE a counter\na_total{x=\"1\",y=\"\\\"\"} 3\n\
             # HELP b B.\n# TYPE b info\nb_info 1\n\
             # HELP c All \\\"a\\\".\\n\\\\\n# TYPE c unknown\nc 0.5\n# EOF\n"
        );
    }

    #[test]
    fn buckets_of_histograms_are_sums_and_their_bounds_are_written_as_each_format_wants_them() {
        let family = Family { name: "h", kind: Kind::Histogram, help: "H.", is_plain: false };
        let fill = |page: &mut Page| {
            page.family(&family, |samples| {
                let labels = Labels::of(&[("x", b"1")]);
                samples.add_histogram(&labels, [(0.25, 1), (1.0, 2)].into_iter(), 4, 7.5);
            });
        };
        let expected = |one: &str| {
            format!(
                "# HELP h H.\n# TYPE h histogram\nh_bucket{{x=\"1\",le=\"0.25\"}} 1\nh_bucket{{x=\"1\",le=\"{one}\"}} 3\n\
                 h_bucket{{x=\"1\",le=\"+Inf\"}} 4\nh_sum{{x=\"1\"}} 7.5\nh_count{{x=\"1\"}} 4\n"
            )
        };
        assert_eq!(page(Format::Text, fill), expected("1"));
        assert_eq!(page(Format::OpenMetrics, fill), expected("1.0") + "# EOF\n");
    }

    #[test]
    fn labels_are_text_whatever_they_are() {
        let labels = Labels::of(&[("name", b"a\"\\\n\xff\xc3\xa4")]);
        assert_eq!(labels, Labels("name=\"a\\\"\\\\\\n\\\\xff\u{e4}\"".into()));
        assert_eq!(escaped(b"\0\r\x1b\x7f \t"), "\\\\x00\\\\x0d\\\\x1b\\\\x7f \\\\x09");
    }

    #[test]
    fn open_metrics_is_for_who_asks_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [
            prometheus,
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "text/plain;q=0.5, Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.7",
            "text/plain;q=0.5, application/openmetrics-text;q=0.5",
        ] {
            assert_eq!(Format::accepted(accept.as_bytes()), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text;q=0.3,text/plain;q=0.5",
            "\u{fffd},;=,;q",
        ] {
            assert_eq!(Format::accepted(accept.as_bytes()), Format::Text, "{accept}");
        }
    }
}
