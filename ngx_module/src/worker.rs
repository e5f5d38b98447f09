//! The filters that run in a worker: one VM for each `proxy_wasm` of the configuration, made when the worker starts, and
//! made again after a trap.

use std::rc::Rc;
use std::time::{Duration, Instant};

use nginx_sys::{NGX_LOG_CRIT, NGX_LOG_EMERG, NGX_LOG_NOTICE, ngx_cycle_t, ngx_log_t, ngx_msec_t};
use ngx_wasm::proxy_wasm::{Callback, ContextId, Vm};

use crate::calls::{Calls, Owner, Who};
use crate::conf::MainConf;
use crate::host::RootHost;
use crate::request::Request;
use crate::ticks::Ticks;
use crate::{engine, log, phases, queue_ready, startup};

/// A filter that does not start is tried again after this time, not for every request.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a worker has of a filter.
#[derive(Default)]
pub struct FilterInstance {
    running: Option<Running>,
    /// Counts replacements, so that a request knows whether its context is still there.
    generation: u64,
    failed: Option<Instant>,
    /// There once the filter has asked for a timer.
    ticks: Option<Box<Ticks>>,
    calls: Calls,
    /// Who gets the results of calls, once there has been one.
    owner: Option<Rc<Owner>>,
}

/// A VM with the root context of the filter.
pub struct Running {
    pub vm: Vm,
    pub root: ContextId,
}

impl FilterInstance {
    /// The number that stays the same as long as contexts of the VM are valid.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there is a VM.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The VM, if it is the one that `generation` speaks of and has not trapped.
    pub fn get(&mut self, generation: u64) -> Option<&mut Running> {
        if self.generation != generation {
            return None;
        }
        self.running.as_mut()
    }

    /// Does what the guest asked for in the callback that has just ended.
    pub fn settle(&mut self, main: &MainConf, filter: usize) {
        let Some(running) = &mut self.running else { return };
        if running.vm.has(Callback::OnQueueReady) {
            for (root, queue) in running.vm.take_registered_queues() {
                if root == running.root {
                    queue_ready::register(main, filter, self.generation, queue);
                }
            }
        }
        for (root, period) in running.vm.take_tick_periods() {
            if root == running.root {
                self.ticks.get_or_insert_with(|| Ticks::new(main, filter)).set_period(period as ngx_msec_t);
            }
        }
        let commands = running.vm.take_calls();
        let conf = &main.filters[filter];
        if let (false, Some(settings)) = (commands.is_empty(), &conf.calls) {
            let owner = self.owner.get_or_insert_with(|| {
                let who = Who::Filter { main, filter, generation: self.generation };
                Rc::new(Owner { who, name: conf.name.clone(), settings: settings.clone() })
            });
            self.calls.start(owner, commands);
        }
    }

    /// The calls of the VM that run.
    pub fn calls(&mut self) -> &mut Calls {
        &mut self.calls
    }

    /// The timer of the filter, if it ever asked for one.
    pub fn ticks(&mut self) -> Option<&mut Ticks> {
        self.ticks.as_deref_mut()
    }

    /// Drops a VM that has trapped, in a callback about `own` or about no request. Others that wait for the filter would wait in
    /// vain: they fail.
    ///
    /// # Safety
    /// The VM is the one that requests of this filter have their contexts in; nothing of them is borrowed.
    pub unsafe fn discard(&mut self, filter: usize, own: *mut Request) {
        if let Some(running) = self.running.take() {
            for stream in running.vm.streams() {
                let request = stream.0 as *mut Request;
                if request != own {
                    // SAFETY: a VM keeps the token of a context only until the stream ends, so it leads to a live request.
                    unsafe { phases::fail_waiting(request, filter) };
                }
            }
        }
        self.generation += 1;
        self.calls = Calls::default();
        self.owner = None;
        if let Some(ticks) = &mut self.ticks {
            ticks.restart();
        }
    }

    /// The VM, started now if it is not there. `None` when it does not start; the log says why.
    pub fn ensure(&mut self, main: &MainConf, filter: usize, log: *mut ngx_log_t) -> Option<&mut Running> {
        if self.running.is_none() {
            if self.failed.is_some_and(|failed| failed.elapsed() < RETRY_AFTER) {
                return None;
            }
            let number = filter;
            let filter = &main.filters[number];
            let mut host = RootHost::new(log, filter.name.clone(), filter.timeout);
            match startup::start(filter, &main.modules, &mut host) {
                Ok((vm, root)) => {
                    self.failed = None;
                    self.running = Some(Running { vm, root });
                    self.settle(main, number);
                }
                Err(reason) => {
                    self.failed = Some(Instant::now());
                    let name = String::from_utf8_lossy(&filter.name);
                    let line = format!(
                        "wasm filter \"{name}\" does not start in this worker, its requests fail: {} in {}",
                        log::printable(&reason),
                        filter.place
                    );
                    // SAFETY: the callers pass a log of the cycle or of a connection.
                    unsafe { log::write(NGX_LOG_CRIT, log, line) };
                }
            }
        }
        self.running.as_mut()
    }
}

/// Starts the filters of a worker, and the clock of their deadlines.
///
/// # Safety
/// `cycle` is the cycle that the worker runs.
pub unsafe fn start(cycle: *mut ngx_cycle_t) {
    // SAFETY: the configuration is complete, and this process has one thread until now.
    unsafe {
        let log = (*cycle).log;
        let Some(main) = MainConf::of(cycle).as_ref() else { return };
        if main.filters.is_empty() {
            return;
        }
        if let Err(err) = engine::start_ticker(main.engine.unwrap_or_default()) {
            log::write(NGX_LOG_EMERG, log, format!("wasm: no clock for deadlines, wasm_timeout does not work: {err}"));
        }
        for (filter, instance) in main.instances.iter().enumerate() {
            if let Ok(mut instance) = instance.try_borrow_mut() {
                instance.ensure(main, filter, log);
            }
        }
        log::write(NGX_LOG_NOTICE, log, format!("wasm: {} filter(s) started", main.filters.len()));
    }
}
