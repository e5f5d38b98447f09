//! What is known, on a page for people: one file of HTML, without scripts, which its browser fetches again by itself. `content/` in the
//! adapter fills a [`View`] from what it shows as JSON and to Prometheus, too.
//!
//! Names, paths and errors are others' words: all text goes through [`markup::Html::put`], which leaves nothing in it that means
//! something to a browser.

mod filters;
mod markup;
mod others;
mod parts;
mod units;
mod view;

use std::sync::LazyLock;

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

use filters::State;
use markup::Html;
use parts::age;
use units::{count, date, machine_date, several};
pub use view::{FilterRow, ModuleRow, Origin, Place, ProgramRow, QueueRow, Threads, View};

const STYLE: &str = include_str!("status_html/style.css");

/// The header `Content-Security-Policy` of the page: its own style and nothing else, whatever got into it.
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let sum = Base64::encode_string(&Sha256::digest(STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{sum}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
}

/// The page.
pub fn page(view: &View<'_>) -> String {
    let mut html = Html::default();
    html.raw(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"refresh\" content=\"5\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>",
    );
    let tally = Tally::of(view);
    html.put(format_args!("{}ngx-wasm", tally.title()));
    html.raw("</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n<header>\n<h1>ngx-wasm</h1>\n<p>");
    html.raw("<time datetime=\"").put(machine_date(view.now)).raw("\">").put(date(view.now)).raw("</time>");
    html.raw(", refreshed every 5 seconds</p>\n</header>\n<main>\n");
    tally.write(&mut html);
    notices(&mut html, view);
    facts(&mut html, view);
    filters::filters(&mut html, view);
    filters::programs(&mut html, view);
    others::modules(&mut html, view);
    others::services(&mut html, view);
    others::zones(&mut html, view);
    others::queues(&mut html, view);
    html.raw("</main>\n</body>\n</html>\n");
    html.finish()
}

/// How many filters and programs are in which state.
struct Tally {
    all: usize,
    down: usize,
    partly: usize,
    failing: usize,
}

impl Tally {
    fn of(view: &View<'_>) -> Tally {
        let of_filters = view.filters.iter().map(|row| State::of_filter(row, view));
        let states: Vec<_> = of_filters.chain(view.programs.iter().map(|row| State::of_program(row, view))).collect();
        let number = |state| states.iter().filter(|other| **other == state).count();
        Tally {
            all: states.len(),
            down: number(State::Down),
            partly: number(State::Partly),
            failing: number(State::Failing),
        }
    }

    /// What the title begins with, so that a tab tells it.
    fn title(&self) -> String {
        match (self.down + self.partly, self.failing) {
            (0, 0) => String::new(),
            (0, failing) => format!("{failing} failing - "),
            (down, _) => format!("{down} down - "),
        }
    }

    fn write(&self, html: &mut Html) {
        let Tally { all, down, partly, failing } = *self;
        let told = [(down, "down"), (partly, "down in some workers"), (failing, "failing")];
        let told: Vec<_> = told.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let state = match (down + partly, failing) {
            (0, 0) => State::Up,
            (0, _) => State::Failing,
            _ => State::Down,
        };
        html.raw("<p class=\"verdict ")
            .raw(state.class())
            .raw("\"><i class=\"mark ")
            .raw(state.class())
            .raw("\"></i> ");
        match (all, told.is_empty()) {
            (0, _) => html.raw("There is no filter, and no program."),
            (1, true) => html.raw("All is up."),
            (_, true) => html.put(format_args!("All {} are up.", count(all as u64))),
            (_, false) => html.put(format_args!("Of {} filters and programs: {}.", count(all as u64), told.join(", "))),
        };
        html.raw("</p>\n");
    }
}

/// What somebody should do something about, beside filters.
fn notices(html: &mut Html, view: &View<'_>) {
    let mut notice = |write: &dyn Fn(&mut Html)| {
        html.raw("<p class=\"verdict failing\"><i class=\"mark failing\"></i> ");
        write(html);
        html.raw("</p>\n");
    };
    if let Some(reloads) = view.reloads.filter(|reloads| reloads.is_refused) {
        notice(&|html| {
            html.raw("The last reload was refused ");
            age(html, view, reloads.refused_at);
            html.raw(": nginx goes on with the configuration before. The error log says why.");
        });
    }
    let changed = view.modules.iter().filter(|row| row.origin.as_ref().is_some_and(|it| it.has_changed == Some(true)));
    let changed = changed.count();
    if changed > 0 {
        notice(&|html| {
            html.put(format_args!(
                "On disk {} newer than what runs: a reload loads what is there.",
                several(changed as u64, "module is", "modules are")
            ));
        });
    }
    if view.reloads.is_none() {
        notice(&|html| {
            html.raw("Nothing is counted: nginx has no shared memory for it.");
        });
    }
}

fn facts(html: &mut Html, view: &View<'_>) {
    html.raw("<dl>\n");
    let mut fact = |name: &'static str, write: &dyn Fn(&mut Html)| {
        html.raw("<div><dt>").raw(name).raw("</dt><dd>");
        write(html);
        html.raw("</dd></div>\n");
    };
    for (name, text) in [("Module", view.version), ("nginx", view.nginx), ("Engine", view.engine)] {
        fact(name, &|html| {
            html.put(text);
        });
    }
    fact("Workers", &|html| {
        html.put(count(view.workers as u64));
        if view.leaving > 0 {
            html.raw(" <small>").put(several(view.leaving as u64, "leaves", "leave")).raw("</small>");
        }
    });
    if let Some(reloads) = view.reloads {
        fact("Configuration", &|html| {
            html.put(format_args!("no. {}", reloads.begun)).raw(" <small>loaded ");
            age(html, view, reloads.begun_at);
            html.raw("</small>");
        });
        fact("Refused reloads", &|html| {
            html.put(count(reloads.refused));
            if reloads.refused > 0 {
                html.raw(" <small>last ");
                age(html, view, reloads.refused_at);
                html.raw("</small>");
            }
        });
    }
    fact("Latency", &|html| {
        html.raw(if view.is_measured { "wasm_latency on" } else { "wasm_latency off" });
    });
    if let Some(Threads { counts, limit, queue_limit }) = &view.threads {
        fact("Program threads", &|html| {
            let [limit, queue_limit] = [limit, queue_limit].map(|limit| count(*limit as u64));
            html.put(format_args!("{} busy", count(counts.busy))).raw(" <small>");
            html.put(format_args!("of {} (at most {limit}), ", count(counts.threads)));
            html.put(format_args!("{} queued (at most {queue_limit})", count(counts.queued))).raw("</small>");
        });
    }
    html.raw("</dl>\n");
}

#[cfg(test)]
mod tests;
