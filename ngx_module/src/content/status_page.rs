//! `wasm_status;`: the location answers with what is known about filters and programs, as JSON. `wasm_metrics;` shows the same
//! numbers to Prometheus.

use std::path::Path;

use nginx_sys::{NGINX_VERSION, ngx_http_request_t, ngx_int_t};
use ngx_wasm::shared::filter_status::{Event, FilterLabels, Snapshot, Summary, exposition as samples};
use serde_json::{Map, Value, json};

use crate::config::conf::MainConf;
use crate::config::filter_conf::FilterConf;
use crate::config::program_conf::ProgramLocation;
use crate::config::rules::{Isolation, OnError, Without};
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

/// What is known about filters, as text for Prometheus.
pub fn exposition(main: &MainConf) -> String {
    let (snapshot, filters) = all(main);
    let label = |filter: &Filter| FilterLabels {
        module: filter.name.clone(),
        place: filter.conf.map_or_else(|| "lua".to_owned(), |conf| conf.place.to_string()).into_bytes(),
    };
    let mut filters: Vec<_> = filters.into_iter().map(|filter| (label(&filter), filter.summary)).collect();
    for (program, summary) in programs(main) {
        let place = program.place.to_string().into_bytes();
        filters.push((FilterLabels { module: program.name.clone(), place }, summary));
    }
    if filters.is_empty() { String::new() } else { samples(&snapshot, filters) }
}

/// A filter of the configuration, or one that Lua has loaded.
struct Filter<'a> {
    conf: Option<&'a FilterConf>,
    /// That of its module, too.
    name: Vec<u8>,
    summary: Summary,
}

fn all(main: &MainConf) -> (Snapshot, Vec<Filter<'_>>) {
    let (snapshot, slots) = main.status.snapshot();
    let mut filters: Vec<_> = (main.filters.iter().enumerate())
        .map(|(n, conf)| {
            let summary = slots.get(n).copied().flatten().map(|slot| snapshot.get(slot)).unwrap_or_default();
            Filter { conf: Some(conf), name: conf.name.clone(), summary }
        })
        .collect();
    for (name, summary) in &snapshot.named {
        filters.push(Filter { conf: None, name: name.clone(), summary: summary.clone() });
    }
    (snapshot, filters)
}

/// The locations that run programs.
fn programs(main: &MainConf) -> Vec<(&ProgramLocation, Summary)> {
    let (snapshot, slots) = main.status.snapshot();
    let slots = slots.get(main.filters.len()..).unwrap_or_default();
    let summary = |n: usize| slots.get(n).copied().flatten().map(|slot| snapshot.get(slot)).unwrap_or_default();
    main.programs.iter().enumerate().map(|(n, program)| (program, summary(n))).collect()
}

fn status(main: &MainConf) -> Value {
    let (snapshot, filters) = all(main);
    let modules: Vec<_> = (main.modules.iter())
        .map(|module| {
            let mut total = Summary::default();
            let own = |filter: &&Filter| filter.conf.is_some() && filter.name == module.name;
            filters.iter().filter(own).for_each(|filter| total.add(&filter.summary));
            let mut object = numbers(&total);
            object.insert("name".into(), text(&module.name));
            object.insert("path".into(), module.path.as_str().into());
            object.insert("file".into(), path(module.file.as_deref()));
            Value::Object(object)
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "nginx": NGINX_VERSION.to_string_lossy(),
        "engine": main.engine.unwrap_or_default().name(),
        "workers": snapshot.workers,
        "leaving_workers": snapshot.leaving,
        "filters": filters.iter().map(filter).collect::<Vec<_>>(),
        "programs": programs(main).iter().map(program).collect::<Vec<_>>(),
        "modules": modules,
    })
}

fn program((program, summary): &(&ProgramLocation, Summary)) -> Value {
    const COUNTED: [Event; 9] = [
        Event::Request,
        Event::Trap,
        Event::Timeout,
        Event::OutOfFuel,
        Event::StartFailure,
        Event::RefusedGrowth,
        Event::Closed,
        Event::NoThread,
        Event::DroppedLine,
    ];
    let counted = Event::ALL.iter().filter(|(event, _)| COUNTED.contains(event));
    let mut object: Map<_, _> =
        counted.map(|(event, name)| ((*name).to_owned(), Value::from(summary.get(*event)))).collect();
    object.insert("name".into(), text(&program.name));
    object.insert("place".into(), program.place.to_string().into());
    object.insert("last_error".into(), last_error(summary));
    Value::Object(object)
}

fn last_error(summary: &Summary) -> Value {
    let error = summary.last_error.as_ref();
    error.map_or(Value::Null, |(what, time)| json!({"text": text(what), "time": time}))
}

fn filter(filter: &Filter<'_>) -> Value {
    let mut object = numbers(&filter.summary);
    object.insert("name".into(), text(&filter.name));
    object.insert("module".into(), text(&filter.name));
    let (place, policy, isolation) = match filter.conf {
        Some(conf) => (conf.place.to_string(), policy(conf.policy.on_error), isolation(conf.policy.isolation)),
        None => ("lua".into(), "lua", "worker"),
    };
    object.insert("place".into(), place.into());
    object.insert("policy".into(), policy.into());
    object.insert("isolation".into(), isolation.into());
    object.insert("file".into(), path(filter.conf.and_then(|conf| conf.file.as_deref())));
    object.insert("root_id".into(), filter.conf.map_or(Value::Null, |conf| text(&conf.root_id)));
    object.insert("last_error".into(), last_error(&filter.summary));
    Value::Object(object)
}

fn numbers(summary: &Summary) -> Map<String, Value> {
    let counters = Event::ALL.iter().map(|(event, name)| ((*name).to_owned(), summary.get(*event).into()));
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

/// As `proxy_wasm_on_error` takes it.
fn policy(on_error: OnError) -> &'static str {
    match on_error {
        OnError::Stay(Without::Closed) => "closed",
        OnError::Stay(Without::Open) => "open",
        OnError::Reload(Without::Closed) => "reload closed",
        OnError::Reload(Without::Open) => "reload open",
    }
}

/// As `proxy_wasm_isolation` takes it.
fn isolation(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Worker => "worker",
        Isolation::Request => "request",
        Isolation::FreshRequest => "request fresh",
    }
}
