//! The filters of a request as its callbacks meet them: contexts are made, called and ended, and what becomes of a request one of
//! whose filters fails (`proxy_wasm_on_error`). `flow/` and `phases/` are the callers.

use nginx_sys::NGX_LOG_ALERT;
use ngx_wasm::proxy_wasm::{AbiVersion, CallError, Callback, Vm};
use smallvec::SmallVec;

use crate::config::loc_conf::LocConf;
use crate::config::rules::Without;
use crate::filters::cycle;
use crate::filters::instances::About;
use crate::filters::requests::RootWorld;
use crate::http::host::RequestHost;
use crate::http::report;
use crate::http::request::{Request, Run, Wants};
use crate::http::{phases, upstream_choice};
use crate::nginx::pool::Kept;
use crate::nginx::request::HttpRequest;
use crate::process::status::{Event, FilterStatus};

/// Why a filter cannot have its say; the log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its callback has failed, and the request with it.
    Closed,
    /// It does not work now, and the request goes on without it.
    Open,
    /// Its instance, which knew the request, has gone.
    Gone,
}

/// Makes the contexts of all filters of the chain.
pub fn create_contexts(request: &Request, loc: &LocConf, filters: &[usize]) -> Result<(), Lost> {
    let main = request.main;
    let log = request.r().log();
    let declared_order = loc.declared_order();
    let mut started = SmallVec::<[Wants; 4]>::new();
    for filter in filters {
        let all = cycle::instances(main, *filter).ok_or(Lost::Gone)?;
        let mut instances = all.try_borrow_mut().map_err(|_| reentered(request, *filter))?;
        let instance = match report::measured(request, || instances.enter(log)) {
            Ok(instance) => instance,
            Err(without) => {
                report::keep_error(request, request.filter_name(*filter), "not started");
                match lose(request, &instances.status(), without) {
                    Lost::Open => continue,
                    lost => return Err(lost),
                }
            }
        };
        let generation = instance.generation;
        let of_higress = instance.vm.abi() == AbiVersion::V0_2_100;
        let wanted = Wants {
            request_headers: instance.vm.has(Callback::OnRequestHeaders),
            response_headers: instance.vm.has(Callback::OnResponseHeaders),
            request_body: instance.vm.has(Callback::OnRequestBody),
            request_trailers: instance.vm.has(Callback::OnRequestTrailers),
            response_body: instance.vm.has(Callback::OnResponseBody),
            response_trailers: instance.vm.has(Callback::OnResponseTrailers),
        };
        let (root, token) = (instance.root, request.token());
        let is_traced = main.filters[*filter].policy.trace.is_on_in(request.r());
        let begun = |context| {
            started.push(wanted);
            let run = Run { filter: *filter, instances: all, context, generation, of_higress, is_traced };
            request.runs.borrow_mut().push(run);
        };
        if !instance.vm.has(Callback::OnContextCreate) {
            begun(instance.vm.add_stream(root, token));
            instances.status().count(Event::Request);
            continue;
        }
        let mut host = RequestHost::new(request, *filter, loc.timeout(), is_traced);
        match report::measured(request, || instance.vm.create_stream(root, token, &mut host)) {
            Ok(context) => {
                begun(context);
                drop(host);
                instances.status().count(Event::Request);
                instances.after_callback_of_request(generation);
            }
            Err(err) => {
                let consequences = instances.count_failure(generation, &err, About::Request);
                host.log_failure(&err, &consequences.text);
                drop(host);
                instances.discard(&consequences, Some(request.token()));
                match lose(request, &instances.status(), consequences.own) {
                    Lost::Open => continue,
                    lost => return Err(lost),
                }
            }
        }
    }
    started.iter().for_each(|wants| request.add_stages(wants, declared_order));
    Ok(())
}

/// Counts a request that a filter cannot serve, and that fails or goes on without it. One that fails does so once.
pub fn lose(request: &Request, status: &FilterStatus, without: Without) -> Lost {
    match without {
        Without::Closed => {
            if !request.is_lost.replace(true) {
                status.count(Event::Closed);
            }
            Lost::Closed
        }
        Without::Open => {
            status.count(Event::Open);
            Lost::Open
        }
    }
}

/// Whether the instance that has the context of a filter is still there.
pub fn is_served(run: &Run) -> bool {
    run.instances.try_borrow_mut().is_ok_and(|mut instances| instances.get(run.generation).is_some())
}

/// Runs a callback of one filter. A filter that the request is to do without is not asked any more after that.
pub fn call<R>(
    request: &Request,
    loc: &LocConf,
    run: Run,
    callback: impl FnOnce(&mut Vm, &mut RequestHost) -> Result<R, CallError>,
) -> Result<R, Lost> {
    let mut instances = run.instances.try_borrow_mut().map_err(|_| reentered(request, run.filter))?;
    let lost = match instances.get(run.generation) {
        None => {
            if !request.logging.get() {
                report::keep_error(request, request.filter_name(run.filter), "gone");
            }
            match instances.without() {
                // The log phase comes round here again.
                Without::Open if request.is_skipped(run.filter) || request.logging.get() => Lost::Open,
                Without::Open => lose(request, &instances.status(), Without::Open),
                Without::Closed => {
                    if !request.logging.get() {
                        lose(request, &instances.status(), Without::Closed);
                    }
                    Lost::Gone
                }
            }
        }
        Some(instance) => {
            let mut host = RequestHost::new(request, run.filter, loc.timeout(), run.is_traced);
            let result = report::measured(request, || callback(&mut instance.vm, &mut host));
            report::note_fuel(request, run, instance.vm.fuel_used(run.context));
            match result {
                Ok(result) => {
                    drop(host);
                    instances.after_callback_of_request(run.generation);
                    return Ok(result);
                }
                Err(err) => {
                    let consequences = instances.count_failure(run.generation, &err, About::Request);
                    host.log_failure(&err, &consequences.text);
                    drop(host);
                    instances.discard(&consequences, Some(request.token()));
                    match consequences.own {
                        // The response is out.
                        Without::Closed if request.logging.get() => Lost::Closed,
                        Without::Open if request.logging.get() => Lost::Open,
                        own => lose(request, &instances.status(), own),
                    }
                }
            }
        }
    };
    if lost == Lost::Open
        && let Some(run) = request.run_of(run.filter)
    {
        request.skip(run);
        // The other direction may wait for the filter.
        phases::wake(request);
    }
    Err(lost)
}

/// Ends the context of one filter: on_done, on_log, on_delete. A failure is in the log, and there is no response left that it
/// could change.
pub fn end(request: &Request, loc: &LocConf, run: Run) {
    let is_unheard = run.instances.try_borrow_mut().is_ok_and(|mut instances| {
        instances.get(run.generation).is_some_and(|instance| instance.vm.end_unheard_stream(run.context))
    });
    let is_served = is_unheard || call(request, loc, run, |vm, host| vm.end_stream(run.context, host)).is_ok();
    if let Ok(mut instances) = run.instances.try_borrow_mut() {
        instances.leave(run.generation, is_served);
    }
}

/// Ends the contexts of all filters of a request.
pub fn end_all(request: &Request) {
    request.logging.set(true);
    if let Some(address) = request.upstream_host.take() {
        upstream_choice::tell_unused(request.r(), &address);
    }
    let loc = LocConf::of(request.r());
    // Nothing that a guest does now is about a filter of the request any more.
    let (left, runs) = (request.left.take(), request.runs.take());
    for run in left {
        end(request, loc, run);
    }
    for run in runs {
        end(request, loc, run);
    }
    if let Some(seats) = request.seats.take() {
        seats.end(request);
    }
}

/// Ends the contexts of subrequests that are done. nginx has no log phase for them, unless `log_subrequest` asks for it.
pub fn end_done_subrequests(r: HttpRequest<'_>) {
    let Some(main) = Request::of(r.main()) else { return };
    // All of them live in the pool of the main request.
    let is_done = |request: &Kept<Request>| request.r().is_done() && !request.logging.get();
    let done: SmallVec<[Kept<Request>; 4]> = main.subrequests.borrow().iter().copied().filter(is_done).collect();
    for request in done {
        end_all(&request);
    }
}

/// A filter's host call made nginx run the same filter again. Nothing in this module does, so another module must have.
fn reentered(request: &Request, filter: usize) -> Lost {
    let name = String::from_utf8_lossy(request.filter_name(filter));
    request.r().log().write(NGX_LOG_ALERT, format!("wasm filter \"{name}\" was entered while it ran"));
    Lost::Closed
}
