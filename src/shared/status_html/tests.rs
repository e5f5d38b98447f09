//! The page of made-up states: what it says, in which order, and that others' words stay words.

use std::time::Duration;

use super::parts::MOST_ROWS;
use super::*;
use crate::shared::filter_status::{Event, Process, Slot, Summary};
use crate::shared::host_status::{CallKind, CallResult, HostStatus, Reloads, Service};
use crate::shared::latency::{Kind, Latencies};
use crate::shared::memory::{Heap, Usage};

const NOW: u64 = 1_800_000_000;

fn empty() -> View<'static> {
    View {
        version: "0.1.0",
        nginx: "1.22.1",
        engine: "wasmtime",
        now: NOW,
        workers: 2,
        leaving: 0,
        reloads: Some(Reloads { begun: 3, begun_at: NOW - 7200, ..Reloads::default() }),
        is_measured: false,
        filters: Vec::new(),
        programs: Vec::new(),
        threads: None,
        services: &[],
        modules: Vec::new(),
        zones: &[],
        queues: Vec::new(),
    }
}

fn place(line: u32) -> Place<'static> {
    let position = format!("/etc/nginx/nginx.conf:{line}");
    Place { position, server: b"example.org", location: b"/api", index: "0".into() }
}

fn filter<'a>(name: &'a str, summary: &'a Summary) -> FilterRow<'a> {
    FilterRow {
        name: name.as_bytes(),
        place: place(7),
        root_id: b"",
        policy: "reload closed",
        isolation: "worker",
        memory_limit: 128 << 20,
        summary,
        latency: &[],
    }
}

fn counted(counts: &[(Event, u64)]) -> Summary {
    let mut summary = Summary::default();
    counts.iter().for_each(|(event, n)| summary.counters[*event as usize] = *n);
    summary
}

fn erring(ago: u64, text: &str) -> Summary {
    Summary { last_error: Some((text.into(), NOW - ago)), ..Summary::default() }
}

/// What is between the tags, a line for each piece.
fn words(page: &str) -> String {
    let body = page.split_once("</style>").unwrap().1;
    let pieces = body.split('<').map(|piece| piece.split_once('>').map_or("", |(_, text)| text).trim());
    pieces.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n").replace('\u{a0}', " ")
}

fn has(page: &str, wanted: &str) {
    let words = words(page);
    assert!(words.contains(wanted), "not there: {wanted:?}, in:\n{words}");
}

#[test]
fn what_is_said_of_a_filter_is_in_its_row() {
    let mut summary = counted(&[
        (Event::Request, 12_345),
        (Event::Closed, 7),
        (Event::Open, 1),
        (Event::Trap, 2),
        (Event::Timeout, 1),
        (Event::RefusedGrowth, 1),
    ]);
    summary.instances = 2;
    summary.memory = 3 << 20;
    summary.paused = 4;
    summary.last_error = Some((b"it trapped".to_vec(), NOW - 3 * 3600));
    let mut view = empty();
    view.filters = vec![FilterRow { root_id: b"main", ..filter("auth", &summary) }];
    let page = page(&view);
    let row = "auth\nroot id main\non error: reload closed\nisolation: worker\nexample.org\n/api\n#0\n/etc/nginx/nginx.conf:7\nup\n\
               12,345\n4 waiting\n7\n1 went on without it, 2 traps, 1 time-out\n1.5 MiB of 128 MiB\n\
               average of 2 instances, 3 MiB, refused more 1 time\n3 h ago\nit trapped";
    has(&page, row);
    has(&page, "All is up.");
    has(
        &page,
        "Module\n0.1.0\nnginx\n1.22.1\nEngine\nwasmtime\nWorkers\n2\nConfiguration\nno. 3\nloaded\n2 h ago\nRefused reloads\n0\nLatency\nwasm_latency off",
    );
    assert!(page.contains("<rect width=\"1.2\""), "the bar has its length: {page}");
}

#[test]
fn filters_that_are_down_come_first_and_then_those_that_fail() {
    let down = |stopped, waiting, ago| Summary { stopped, waiting, ..erring(ago, "x") };
    let summaries = [
        ("fine", Summary::default()),
        ("earlier", erring(299, "x")),
        ("later", erring(5, "x")),
        ("once", erring(300, "x")),
        ("partly", down(0, 1, 9)),
        ("down", down(1, 1, 9000)),
        ("ahead", Summary { last_error: Some((b"x".to_vec(), NOW + 60)), ..Summary::default() }),
    ];
    let mut view = empty();
    view.filters = summaries.iter().map(|(name, summary)| filter(name, summary)).collect();
    let page = page(&view);
    let names: Vec<_> =
        page.split("role=\"rowheader\"><div>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(names, ["down", "partly", "ahead", "later", "earlier", "fine", "once"]);
    has(&page, "Of 7 filters and programs: 1 down, 1 down in some workers, 3 failing.");
    has(&page, "down\nin 1 of 2 workers until a reload, in 1 of 2 workers until it is started again");
    assert!(page.contains("<title>2 down - ngx-wasm</title>"));
    // What workers of the configuration before are without is not all.
    view.leaving = 1;
    has(
        &super::page(&view),
        "partly down\nin 1 of 3 workers until a reload, in 1 of 3 workers until it is started again",
    );
}

/// In an attribute, in a tag, as a reference, in the style; and what is not seen.
const HOSTILE: &str = "</td></style><script>alert(1)</script><img src=x onerror=alert(1)>\" ' & &lt; \u{202e}\u{200b}\u{1b}[0m\n\u{0}\u{85}";

#[test]
fn others_words_are_text_wherever_they_stand() {
    let mut summary = erring(1, HOSTILE);
    summary.instances = 1;
    let service = |name: Option<Vec<u8>>| {
        let table = HostStatus::new(Heap::boxed(HostStatus::size(1)), 1);
        table.begin(NOW);
        table.enter(Process { pid: 1, started: 1 }, &|_| true);
        let slot = table.service(CallKind::Http, b"a", &|_| true).unwrap();
        table.ended(slot, CallResult::Timeout, Duration::from_millis(3));
        Service { name, ..table.snapshot(&|_| true).services.remove(0) }
    };
    let hostile = || Place {
        position: HOSTILE.into(),
        server: HOSTILE.as_bytes(),
        location: HOSTILE.as_bytes(),
        index: HOSTILE.into(),
    };
    let numbered = || Place { index: "1".into(), ..hostile() };
    let services = [service(Some(HOSTILE.into())), service(None)];
    let zones = [(HOSTILE.as_bytes().to_vec(), Usage { size: 10, used: 20, evictions: Some(1), refusals: 2 })];
    let with = |place, summary| FilterRow {
        root_id: HOSTILE.as_bytes(),
        policy: HOSTILE,
        isolation: HOSTILE,
        place,
        ..filter(HOSTILE, summary)
    };
    let origin =
        |has_changed| Some(Origin { sha256: HOSTILE, source: HOSTILE, time: Duration::from_millis(7), has_changed });
    let module = |has_changed| ModuleRow {
        name: HOSTILE.as_bytes(),
        path: HOSTILE,
        summary: Summary::default(),
        origin: origin(has_changed),
    };
    let view = View {
        version: HOSTILE,
        nginx: HOSTILE,
        engine: HOSTILE,
        reloads: Some(Reloads { is_refused: true, refused: 2, refused_at: NOW, ..Reloads::default() }),
        filters: vec![with(hostile(), &summary), with(numbered(), &summary)],
        programs: vec![ProgramRow {
            name: HOSTILE.as_bytes(),
            directive: HOSTILE,
            place: numbered(),
            summary: &summary,
            latency: None,
        }],
        modules: [Some(true), Some(false), None].map(module).into(),
        services: &services,
        zones: &zones,
        queues: vec![QueueRow { name: Some((HOSTILE.as_bytes(), HOSTILE.as_bytes())), messages: 1 }],
        ..empty()
    };
    let page = page(&view);
    let markup = page.split_once("</style>").unwrap().1;
    for wrong in
        ["<script", "<img", "</style", "onerror=alert(1)>", "\u{202e}", "\u{200b}", "\u{1b}", "\u{0}", "\u{85}"]
    {
        assert!(!markup.contains(wrong), "{wrong:?} is on the page");
    }
    let shown = "&lt;/td&gt;&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot; &#39; &amp; \
                 &amp;lt; \\u{202e}\\u{200b}\\u{1b}[0m\\u{a}\\u{0}\\u{85}";
    // Each field of the view in the places where it is shown.
    assert_eq!(page.matches(shown).count(), 3 + 5 + 8 + 6 + 3 * 4 + 1 + 1 + 2, "{}", words(&page));
    // The page is well formed: each cell has its end, and each row as many cells as the table has columns.
    for table in page.split("<table").skip(1) {
        let columns = table.matches("role=\"columnheader\"").count();
        for row in table.split("<tr role=\"row\"").skip(2) {
            assert_eq!(
                row.matches("role=\"cell\"").count() + row.matches("role=\"rowheader\"").count(),
                columns,
                "{row}"
            );
        }
    }
    for (open, close) in [
        ("<div", "</div>"),
        ("<td", "</td>"),
        ("<th ", "</th>"),
        ("<small", "</small>"),
        ("<p", "</p>"),
        ("<section", "</section>"),
    ] {
        assert_eq!(markup.matches(open).count(), markup.matches(close).count(), "{open}");
    }
}

#[test]
fn bytes_that_are_no_text_are_shown_as_such_and_long_texts_are_cut() {
    let summary = Summary { last_error: Some((vec![b'a', 0xff, 0xc3], NOW)), ..Summary::default() };
    let long = "é".repeat(10_000);
    let mut view = empty();
    view.filters = vec![filter(&long, &summary)];
    let page = page(&view);
    has(&page, "a\u{fffd}\u{fffd}");
    has(&page, &format!("{}…", "é".repeat(399)));
    assert!(!page.contains(&"é".repeat(400)));
}

#[test]
fn latency_is_of_callbacks_in_requests_and_names_the_slowest() {
    let latencies = Latencies::new(Heap::boxed(Latencies::size(1, 1)), 1, 1);
    let slot = Slot(0);
    latencies.claim(slot, 1);
    latencies.add(0, slot, Kind::Start, Duration::from_millis(900));
    (0..9).for_each(|_| latencies.add(0, slot, Kind::RequestHeaders, Duration::from_micros(10)));
    latencies.add(0, slot, Kind::RequestBody, Duration::from_micros(110));
    let latency = latencies.of(slot);
    let summary = Summary::default();
    let mut view = View { is_measured: true, ..empty() };
    view.filters = vec![FilterRow { latency: &latency, ..filter("a", &summary) }, filter("b", &summary)];
    let page = page(&view);
    has(&page, "20 µs\n99% ≤ 250 µs\nrequest_body: 110 µs");
    has(&page, "Latency\nwasm_latency on");
}

#[test]
fn what_somebody_should_do_something_about_stands_on_top() {
    let reloads = Reloads { is_refused: true, refused: 1, refused_at: NOW - 120, ..Reloads::default() };
    let mut view = View { reloads: Some(reloads), ..empty() };
    let module = |has_changed| ModuleRow {
        name: b"m",
        path: "/m.wasm",
        summary: Summary::default(),
        origin: Some(Origin { sha256: "abc", source: "cache", time: Duration::from_micros(1500), has_changed }),
    };
    view.modules = [Some(true), Some(false), None].map(module).into();
    let told = page(&view);
    has(
        &told,
        "The last reload was refused\n2 min ago\n: nginx goes on with the configuration before. The error log says why.",
    );
    has(&told, "On disk 1 module is newer than what runs: a reload loads what is there.");
    has(&told, "/m.wasm\nthe file on disk is newer\nabc\nfrom the cache\ntook 1.5 ms\n0\n0");
    has(&told, "/m.wasm\nabc\n");
    has(&told, "/m.wasm\nworkers cannot see the file\n");
    has(&told, "There is no filter, and no program.");
    view.modules[1].origin = Some(Origin { sha256: "abc", source: "memory", time: Duration::ZERO, has_changed: None });
    has(&page(&view), "abc\nalready in memory\n0\n0");
    view.reloads = None;
    view.modules.remove(0);
    let told = page(&view);
    has(&told, "Nothing is counted: nginx has no shared memory for it.");
    assert!(!told.contains("refused") && !told.contains("On disk"));
}

#[test]
fn of_very_many_filters_the_worst_are_shown_and_the_others_counted() {
    let (fine, bad) = (Summary::default(), erring(1, "it trapped"));
    let mut view = empty();
    view.filters = (0..1234).map(|n| filter("f", if n == 1233 { &bad } else { &fine })).collect();
    let page = page(&view);
    assert_eq!(page.matches("rowheader").count(), MOST_ROWS);
    has(&page, "234 more are not shown.");
    has(&page, "it trapped");
    has(&page, "Of 1,234 filters and programs: 1 failing.");
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

#[test]
fn the_policy_has_the_sum_of_the_style_that_is_on_the_page_and_nothing_asks_for_more() {
    let page = page(&empty());
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let sum = Base64::encode_string(&Sha256::digest(style.as_bytes()));
    assert!(content_security_policy().contains(&format!("style-src 'sha256-{sum}';")));
    assert!(content_security_policy().starts_with("default-src 'none';"));
    for wrong in ["<script", " style=", " src=", " href=", "url(", "@import", "javascript:"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
}

/// Colours of a theme by their names in the style.
fn colours(theme: &str) -> impl Fn(&str) -> f64 {
    move |name| {
        let hex = theme.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("no {name}")).1;
        // The relative luminance of WCAG 2.
        let channel = |n: usize| {
            let value = f64::from(u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
    }
}

#[test]
fn text_has_the_contrast_that_wcag_wants_in_both_themes() {
    let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    for (theme, name) in [(light, "light"), (dark, "dark")] {
        let theme = theme.to_owned();
        let colour = colours(&theme);
        for back in ["page", "card"] {
            for text in ["ink", "dim", "up", "failing", "down"] {
                let (a, b) = (colour(text), colour(back));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{name}: {text} on {back}: {contrast:.2}");
            }
        }
        for back in ["failing-back", "down-back", "up-back"] {
            let (a, b) = (colour("ink"), colour(back));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{name}: ink on {back}: {contrast:.2}");
        }
    }
}
