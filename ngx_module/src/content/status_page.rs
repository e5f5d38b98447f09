//! `wasm_status;`: the location answers with what is known about filters and programs, as JSON. `metrics_page.rs` shows the same
//! numbers to Prometheus.

use std::path::Path;

use nginx_sys::{NGINX_VERSION, ngx_http_request_t, ngx_int_t};
use ngx_wasm::shared::Histogram;
use ngx_wasm::shared::filter_status::{Event, Summary};
use ngx_wasm::shared::host_status::{CallResult, OTHERS, Reloads, Service, ThreadCounts};
use ngx_wasm::shared::latency::Kind;
use serde_json::{Map, Value, json};

use crate::config::conf::MainConf;
use crate::config::filter_conf::ModuleConf;
use crate::content::overview::{Filter, Overview, Program};
use crate::content::text_page;
use crate::nginx::callback::callback;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;

callback! {
    pub fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => answer
}

fn answer(r: HttpRequest<'_>) -> ngx_int_t {
    let headers: [(&[u8], &[u8]); 2] = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")];
    text_page::answer(r, &headers, || format!("{:#}\n", status(MainConf::of_request(r))))
}

fn status(main: &MainConf) -> Value {
    let overview = Overview::of(main);
    let host = overview.host.as_ref();
    let services: Vec<_> = host.iter().flat_map(|host| &host.services).map(service).collect();
    let zones: Vec<_> = (overview.zones.iter())
        .map(|(name, usage)| {
            json!({
                "name": text(name),
                "size": usage.size,
                "used": usage.used,
                "evictions": usage.evictions,
                "refusals": usage.refusals,
            })
        })
        .collect();
    let queues: Vec<_> = (overview.queues.iter())
        .map(|queue| {
            let (vm_id, name) =
                queue.name.as_ref().map_or((Value::Null, OTHERS.into()), |(vm_id, name)| (text(vm_id), text(name)));
            json!({"vm_id": vm_id, "name": name, "messages": queue.messages})
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "nginx": NGINX_VERSION.to_string_lossy(),
        "engine": overview.engine(),
        "workers": overview.workers,
        "leaving_workers": overview.leaving,
        "configuration": host.map(|host| configuration(&host.reloads)),
        "filters": overview.filters.iter().map(|it| filter(it, main)).collect::<Vec<_>>(),
        "programs": overview.programs.iter().map(program).collect::<Vec<_>>(),
        "threads": host.filter(|_| !overview.programs.is_empty()).map(|host| threads(&host.threads, &overview)),
        "modules": main.modules.iter().map(|it| module(it, &overview)).collect::<Vec<_>>(),
        "services": services,
        "zones": zones,
        "queues": queues,
    })
}

fn configuration(reloads: &Reloads) -> Value {
    json!({
        "generation": reloads.begun,
        "since": reloads.begun_at,
        "refused_reloads": reloads.refused,
        "last_refused": (reloads.refused > 0).then_some(reloads.refused_at),
        "last_is_refused": reloads.is_refused,
    })
}

fn threads(counts: &ThreadCounts, overview: &Overview) -> Value {
    let limits = overview.main.program_threads();
    json!({
        "threads": counts.threads,
        "busy": counts.busy,
        "queued": counts.queued,
        "limit": limits.threads.saturating_mul(overview.workers),
        "queue_limit": limits.queue.saturating_mul(overview.workers),
    })
}

fn module(module: &ModuleConf, overview: &Overview) -> Value {
    let mut object = numbers(&overview.sum(module));
    object.insert("name".into(), text(&module.name));
    object.insert("path".into(), module.path.as_str().into());
    object.insert("file".into(), path(module.file.as_deref()));
    let origin = module.origin.as_ref();
    object.insert("sha256".into(), origin.map(|origin| origin.sum.as_str()).into());
    object.insert("source".into(), origin.map(|origin| origin.source.name()).into());
    object.insert("load_time".into(), origin.map(|origin| origin.source.time().as_secs_f64()).into());
    object.insert("file_changed".into(), origin.and_then(|origin| origin.has_changed(&module.path)).into());
    Value::Object(object)
}

fn service(service: &Service) -> Value {
    let results =
        CallResult::ALL.map(|(result, name)| (name.to_owned(), Value::from(service.results[result as usize])));
    json!({
        "protocol": service.kind.name(),
        "name": service.name.as_deref().map_or(OTHERS.into(), text),
        "results": Map::from_iter(results),
        "in_flight": service.in_flight,
        "latency": latency(&service.latency),
    })
}

/// Seconds: on average, and what half and 99 of 100 did not exceed.
fn latency(histogram: &Histogram) -> Value {
    let bound = |part| histogram.quantile(part).filter(|bound| bound.is_finite());
    json!({"count": histogram.count(), "mean": histogram.mean(), "p50": bound(0.5), "p99": bound(0.99)})
}

fn latencies(all: &[(Kind, Histogram)]) -> Value {
    let by_kind: Map<_, _> = all.iter().map(|(kind, histogram)| (kind.name().to_owned(), latency(histogram))).collect();
    Value::Object(by_kind)
}

fn program(program: &Program) -> Value {
    let Program { conf, summary, .. } = program;
    let counted = Event::ALL.iter().filter(|shown| shown.of_programs.is_some());
    let mut object: Map<_, _> =
        counted.map(|shown| (shown.name.to_owned(), Value::from(summary.get(shown.event)))).collect();
    object.insert("name".into(), text(&conf.name));
    object.insert("place".into(), conf.place.to_string().into());
    insert_known_as(&mut object, program.known_as());
    object.insert("latency".into(), program.latency.first().map(|(_, histogram)| latency(histogram)).into());
    object.insert("last_error".into(), last_error(summary));
    Value::Object(object)
}

fn last_error(summary: &Summary) -> Value {
    let error = summary.last_error.as_ref();
    error.map_or(Value::Null, |(what, time)| json!({"text": text(what), "time": time}))
}

fn filter(filter: &Filter, main: &MainConf) -> Value {
    let summary = &filter.summary;
    let mut object = numbers(summary);
    object.insert("name".into(), text(&filter.name));
    object.insert("module".into(), text(&filter.name));
    object.insert("place".into(), filter.place().into());
    insert_known_as(&mut object, filter.known_as());
    object.insert("policy".into(), filter.policy().into());
    object.insert("isolation".into(), filter.isolation().into());
    object.insert("file".into(), path(filter.file()));
    object.insert("root_id".into(), filter.conf.map_or(Value::Null, |conf| text(&conf.root_id)));
    object.insert("memory_limit".into(), filter.memory_limit(main).into());
    object.insert("stopped_workers".into(), summary.stopped.into());
    object.insert("waiting_workers".into(), summary.waiting.into());
    object.insert("paused".into(), summary.paused.into());
    let answers = Event::ANSWERS.map(|(event, class)| (class.to_owned(), Value::from(summary.get(event))));
    object.insert("local_answers".into(), Map::from_iter(answers).into());
    object.insert("latency".into(), latencies(&filter.latency));
    object.insert("last_error".into(), last_error(summary));
    Value::Object(object)
}

fn insert_known_as(object: &mut Map<String, Value>, (server, location, index): (&[u8], &[u8], String)) {
    object.insert("server".into(), text(server));
    object.insert("location".into(), text(location));
    object.insert("index".into(), index.parse::<usize>().ok().into());
}

fn numbers(summary: &Summary) -> Map<String, Value> {
    let counters = Event::ALL.iter().map(|shown| (shown.name.to_owned(), summary.get(shown.event).into()));
    counters
        .chain([("instances".to_owned(), summary.instances.into()), ("memory".to_owned(), summary.memory.into())])
        .collect()
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// The file that a configuration is in.
fn path(path: Option<&Path>) -> Value {
    path.map_or(Value::Null, |path| path.to_string_lossy().into_owned().into())
}
