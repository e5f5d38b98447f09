//! `wasm_metrics;`: the location answers with all metrics of filters, and what is known about filters and the module, as text for
//! Prometheus.

use std::collections::BTreeMap;

use nginx_sys::{NGINX_VERSION, ngx_http_request_t, ngx_int_t};
use ngx_wasm::shared::families;
use ngx_wasm::shared::filter_page::{self, Item};
use ngx_wasm::shared::guest_metrics;
use ngx_wasm::shared::host_status::{CallResult, HostSnapshot, OTHERS, Service};
use ngx_wasm::shared::page::{Format, Labels, Page};

use crate::config::conf::MainConf;
use crate::content::overview::{Filter, Overview, Program};
use crate::content::text_page;
use crate::nginx::callback::callback;
use crate::nginx::headers;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;
use crate::process::shared_memory;

callback! {
    pub fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => answer
}

fn answer(r: HttpRequest<'_>) -> ngx_int_t {
    let mut accept = Vec::new();
    headers::request::visit(r, &mut |name, value| {
        if name.eq_ignore_ascii_case(b"accept") {
            accept.extend_from_slice(value);
            accept.push(b',');
        }
    });
    let format = Format::accepted(&accept);
    let headers: [(&[u8], &[u8]); 2] = [(b"content-type", format.content_type().as_bytes()), (b"vary", b"Accept")];
    text_page::answer(r, &headers, || page(MainConf::of_request(r), format))
}

fn page(main: &MainConf, format: Format) -> String {
    let mut page = Page::new(format);
    if let Some(stores) = shared_memory::stores() {
        guest_metrics(&mut page, &stores.metrics);
    }
    let overview = Overview::of(main);
    build(&mut page, &overview);
    filter_page::filters(&mut page, &overview.filters.iter().map(|it| filter(it, main)).collect::<Vec<_>>());
    filter_page::programs(&mut page, &overview.programs.iter().map(program).collect::<Vec<_>>());
    modules(&mut page, main);
    if let Some(host) = &overview.host {
        page.family(&families::WORKERS, |samples| samples.add(&Labels::none(), overview.workers));
        page.family(&families::LEAVING_WORKERS, |samples| samples.add(&Labels::none(), overview.leaving));
        reloads(&mut page, host);
        services(&mut page, &host.services);
        if !overview.programs.is_empty() {
            threads(&mut page, &overview, host);
        }
    }
    zones(&mut page, &overview);
    page.finish()
}

fn build(page: &mut Page, overview: &Overview) {
    let nginx = NGINX_VERSION.to_bytes();
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let labels = [("version", version), ("nginx", nginx), ("engine", overview.engine().as_bytes())];
    page.family(&families::BUILD_INFO, |samples| samples.add(&Labels::of(&labels), 1));
}

fn labels(kind: &str, name: &[u8], (server, location, index): &(&[u8], &[u8], String)) -> Labels {
    Labels::of(&[(kind, name), ("server", server), ("location", location), ("index", index.as_bytes())])
}

fn filter(filter: &Filter, main: &MainConf) -> Item {
    let labels = labels("filter", &filter.name, &filter.known_as());
    let module = filter.conf.and_then(|conf| conf.module(&main.modules)).map_or("", |module| &module.path);
    let info = labels
        .with("place", filter.place().as_bytes())
        .with("module", module.as_bytes())
        .with("root_id", filter.conf.map_or(b"", |conf| &conf.root_id))
        .with("policy", filter.policy().as_bytes())
        .with("isolation", filter.isolation().as_bytes());
    Item {
        labels,
        summary: filter.summary.clone(),
        info,
        memory_limit: Some(filter.memory_limit(main)),
        latency: filter.latency.clone(),
    }
}

fn program(program: &Program) -> Item {
    let conf = program.conf;
    let labels = labels("program", &conf.name, &program.known_as());
    let info =
        labels.with("place", conf.place.to_string().as_bytes()).with("directive", conf.kind.directive().as_bytes());
    Item { labels, summary: program.summary.clone(), info, memory_limit: None, latency: program.latency.clone() }
}

fn modules(page: &mut Page, main: &MainConf) {
    let all = || main.modules.iter().filter_map(|module| Some((module, module.origin.as_ref()?)));
    let name = |name: &[u8]| Labels::of(&[("module", name)]);
    page.family(&families::MODULE_INFO, |samples| {
        for (module, origin) in all() {
            let labels = name(&module.name)
                .with("path", module.path.as_bytes())
                .with("sha256", origin.sum.as_bytes())
                .with("source", origin.source.name().as_bytes());
            samples.add(&labels, 1);
        }
    });
    page.family(&families::MODULE_LOAD_TIME, |samples| {
        all().for_each(|(module, origin)| samples.add(&name(&module.name), origin.source.time().as_secs_f64()));
    });
    page.family(&families::MODULE_FILE_CHANGED, |samples| {
        for (module, origin) in all() {
            if let Some(has_changed) = origin.has_changed(&module.path) {
                samples.add(&name(&module.name), u8::from(has_changed));
            }
        }
    });
}

fn reloads(page: &mut Page, host: &HostSnapshot) {
    let reloads = host.reloads;
    page.family(&families::GENERATION, |samples| samples.add(&Labels::none(), reloads.begun));
    page.family(&families::RELOADS, |samples| {
        // The first configuration was no reload.
        samples.add(&Labels::of(&[("result", b"applied")]), reloads.begun.saturating_sub(1));
        samples.add(&Labels::of(&[("result", b"refused")]), reloads.refused);
    });
    page.family(&families::LAST_RELOAD_SUCCESSFUL, |samples| {
        samples.add(&Labels::none(), u8::from(!reloads.is_refused));
    });
    page.family(&families::LAST_RELOAD_SUCCESS_TIME, |samples| samples.add(&Labels::none(), reloads.begun_at));
    if reloads.refused > 0 {
        page.family(&families::LAST_RELOAD_REFUSED_TIME, |samples| samples.add(&Labels::none(), reloads.refused_at));
    }
}

fn services(page: &mut Page, services: &[Service]) {
    let labels = |service: &Service| {
        let name = service.name.as_deref().unwrap_or(OTHERS.as_bytes());
        Labels::of(&[("protocol", service.kind.name().as_bytes()), ("service", name)])
    };
    page.family(&families::SERVICE_CALLS, |samples| {
        for service in services {
            for (result, name) in CallResult::ALL {
                let count = service.results[result as usize];
                samples.add(&labels(service).with("result", name.as_bytes()), count);
            }
        }
    });
    page.family(&families::SERVICE_IN_FLIGHT, |samples| {
        services.iter().for_each(|service| samples.add(&labels(service), service.in_flight));
    });
    page.family(&families::SERVICE_DURATION, |samples| {
        services.iter().for_each(|service| service.latency.write(samples, &labels(service)));
    });
}

fn threads(page: &mut Page, overview: &Overview, host: &HostSnapshot) {
    let (counts, limits) = (host.threads, overview.main.program_threads());
    page.family(&families::PROGRAM_THREADS, |samples| {
        samples.add(&Labels::of(&[("state", b"busy")]), counts.busy);
        samples.add(&Labels::of(&[("state", b"idle")]), counts.threads.saturating_sub(counts.busy));
    });
    page.family(&families::PROGRAM_QUEUE, |samples| samples.add(&Labels::none(), counts.queued));
    let limit = |of_worker: usize| of_worker.saturating_mul(overview.workers);
    page.family(&families::PROGRAM_THREADS_LIMIT, |samples| samples.add(&Labels::none(), limit(limits.threads)));
    page.family(&families::PROGRAM_QUEUE_LIMIT, |samples| samples.add(&Labels::none(), limit(limits.queue)));
}

fn zones(page: &mut Page, overview: &Overview) {
    let zones = || overview.zones.iter().map(|(name, usage)| (Labels::of(&[("zone", name.as_slice())]), usage));
    page.family(&families::ZONE_SIZE, |samples| zones().for_each(|(labels, usage)| samples.add(&labels, usage.size)));
    page.family(&families::ZONE_USED, |samples| zones().for_each(|(labels, usage)| samples.add(&labels, usage.used)));
    page.family(&families::ZONE_EVICTIONS, |samples| {
        let evicting = zones().filter_map(|(labels, usage)| Some((labels, usage.evictions?)));
        evicting.for_each(|(labels, evictions)| samples.add(&labels, evictions));
    });
    page.family(&families::ZONE_REFUSALS, |samples| {
        zones().for_each(|(labels, usage)| samples.add(&labels, usage.refusals));
    });
    // Names that are cut may be the same.
    let mut queues = BTreeMap::<Labels, u64>::new();
    for queue in &overview.queues {
        let (vm_id, name) = queue.name.as_ref().map_or((&b""[..], OTHERS.as_bytes()), |(vm_id, name)| (vm_id, name));
        *queues.entry(Labels::of(&[("vm_id", vm_id), ("queue", name)])).or_default() += queue.messages;
    }
    page.family(&families::QUEUE_MESSAGES, |samples| {
        queues.iter().for_each(|(labels, messages)| samples.add(labels, messages));
    });
}
