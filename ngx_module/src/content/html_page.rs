//! `wasm_status html;`: the location answers with a page for people. `status_page.rs` and `metrics_page.rs` show the same to programs.

use nginx_sys::{NGINX_VERSION, ngx_http_request_t, ngx_int_t};
use ngx_wasm::shared::status_html::{self, FilterRow, ModuleRow, Origin, Place, ProgramRow, QueueRow, Threads, View};

use crate::config::conf::MainConf;
use crate::config::filter_conf::ModuleConf;
use crate::content::overview::{Filter, Overview, Program, Queue};
use crate::content::text_page;
use crate::nginx::callback::callback;
use crate::nginx::request::HttpRequest;
use crate::nginx::{cycle, rc};

callback! {
    pub fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => answer
}

fn answer(r: HttpRequest<'_>) -> ngx_int_t {
    let headers: [(&[u8], &[u8]); 5] = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", status_html::content_security_policy().as_bytes()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ];
    text_page::answer(r, &headers, || page(MainConf::of_request(r)))
}

fn page(main: &MainConf) -> String {
    let overview = Overview::of(main);
    let host = overview.host.as_ref();
    let threads = host.filter(|_| !overview.programs.is_empty()).map(|host| {
        let limits = main.program_threads();
        let limit = |of_worker: usize| of_worker.saturating_mul(overview.workers);
        Threads { counts: host.threads, limit: limit(limits.threads), queue_limit: limit(limits.queue) }
    });
    status_html::page(&View {
        version: env!("CARGO_PKG_VERSION"),
        nginx: &NGINX_VERSION.to_string_lossy(),
        engine: overview.engine(),
        now: cycle::seconds(),
        workers: overview.workers,
        leaving: overview.leaving,
        reloads: host.map(|host| host.reloads),
        is_measured: main.measures_callbacks == Some(true),
        filters: overview.filters.iter().map(|it| filter(it, main)).collect(),
        programs: overview.programs.iter().map(program).collect(),
        threads,
        services: host.map_or(&[][..], |host| &host.services),
        modules: main.modules.iter().map(|it| module(it, &overview)).collect(),
        zones: &overview.zones,
        queues: overview.queues.iter().map(queue).collect(),
    })
}

fn place<'a>(position: String, (server, location, index): (&'a [u8], &'a [u8], String)) -> Place<'a> {
    Place { position, server, location, index }
}

fn filter<'a>(filter: &'a Filter<'a>, main: &MainConf) -> FilterRow<'a> {
    FilterRow {
        name: &filter.name,
        place: place(filter.place(), filter.known_as()),
        root_id: filter.conf.map_or(b"", |conf| &conf.root_id),
        policy: filter.policy(),
        isolation: filter.isolation(),
        memory_limit: filter.memory_limit(main) as u64,
        summary: &filter.summary,
        latency: &filter.latency,
    }
}

fn program<'a>(program: &'a Program<'a>) -> ProgramRow<'a> {
    ProgramRow {
        name: &program.conf.name,
        directive: program.conf.kind.directive(),
        place: place(program.conf.place.to_string(), program.known_as()),
        summary: &program.summary,
        latency: program.latency.first().map(|(_, histogram)| histogram),
    }
}

fn module<'a>(module: &'a ModuleConf, overview: &Overview) -> ModuleRow<'a> {
    let origin = module.origin.as_ref().map(|origin| Origin {
        sha256: &origin.sum,
        source: origin.source.name(),
        time: origin.source.time(),
        has_changed: origin.has_changed(&module.path),
    });
    ModuleRow { name: &module.name, path: &module.path, summary: overview.sum(module), origin }
}

fn queue(queue: &Queue) -> QueueRow<'_> {
    QueueRow {
        name: queue.name.as_ref().map(|(vm_id, name)| (vm_id.as_slice(), name.as_slice())),
        messages: queue.messages,
    }
}
