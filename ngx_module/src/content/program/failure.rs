//! What may go wrong with a program that answers a request: the status that the client gets for it, what the log says, and what it is
//! counted as. `served.rs`, `input.rs` and `output.rs` find the failures.

use nginx_sys::ngx_int_t;
use ngx_wasm::programs::{Ending, Refused};

use super::served::Served;
use crate::nginx::rc;
use crate::process::status::Event;

/// Why a program has not answered, or not in full.
pub enum Failure {
    Ended(Ending),
    /// Its headers are none.
    Head(String),
    /// It has written fewer bytes than it has said.
    Short,
    OutputLimit,
    /// It gives no sign of life.
    Silent,
    /// It has not begun.
    NotBegun(Refused),
    Other(String),
    NoMemory,
}

impl Failure {
    /// The status that stands for it, and what the log says.
    pub fn told(&self, served: &Served) -> (ngx_int_t, String) {
        match self {
            Failure::Ended(ending) if ending.is_late() => (rc::GATEWAY_TIME_OUT, ending.to_string()),
            Failure::Ended(ending @ (Ending::Failed(_) | Ending::Trap(_) | Ending::Exit(_))) => {
                (served.status_of_failure(), ending.to_string())
            }
            Failure::Ended(ending @ Ending::TooLarge(_)) => (rc::REQUEST_ENTITY_TOO_LARGE, ending.to_string()),
            Failure::Ended(Ending::Done) => (rc::BAD_GATEWAY, "ended without a response".into()),
            Failure::Ended(Ending::Host) => (rc::INTERNAL_SERVER_ERROR, Ending::Host.to_string()),
            Failure::Ended(Ending::Stopped) => (rc::SERVICE_UNAVAILABLE, "was stopped: the worker ends".into()),
            Failure::Ended(ending) => (rc::BAD_GATEWAY, ending.to_string()),
            Failure::Head(reason) => (rc::BAD_GATEWAY, reason.clone()),
            Failure::Short => (rc::BAD_GATEWAY, "ended before it had written what its Content-Length says".into()),
            Failure::OutputLimit => (
                rc::BAD_GATEWAY,
                format!(
                    "has written more than {} bytes (wasm_output_limit)",
                    served.loc().output_limit().unwrap_or_default()
                ),
            ),
            Failure::Silent => (
                rc::GATEWAY_TIME_OUT,
                format!(
                    "has given no sign of life for {} ms (wasm_program_timeout)",
                    served.loc().timeout().as_millis()
                ),
            ),
            Failure::NotBegun(Refused::Full) => {
                let limits = served.main.program_threads();
                (
                    rc::SERVICE_UNAVAILABLE,
                    format!(
                        "does not begin: all {} threads of this worker are busy, and {} requests wait for one (wasm_threads)",
                        limits.threads, limits.queue
                    ),
                )
            }
            Failure::NotBegun(Refused::NoThread(reason)) => {
                (rc::SERVICE_UNAVAILABLE, format!("does not begin: no thread can be started: {reason}"))
            }
            Failure::NotBegun(Refused::Closed) => (rc::SERVICE_UNAVAILABLE, "does not begin: the worker ends".into()),
            Failure::Other(reason) => (rc::INTERNAL_SERVER_ERROR, format!("does not begin: {reason}")),
            Failure::NoMemory => (rc::INTERNAL_SERVER_ERROR, "no memory".into()),
        }
    }

    /// What `$wasm_error` says.
    pub fn word(&self) -> &'static str {
        match self {
            Failure::Ended(ending) if ending.is_late() => match ending {
                Ending::Fuel => "out of fuel",
                _ => "timeout",
            },
            Failure::Ended(Ending::Trap(_)) => "trap",
            Failure::Ended(Ending::Exit(_)) => "exit",
            Failure::Ended(Ending::Failed(_)) => "failed",
            Failure::Ended(Ending::TooLarge(_)) => "body too large",
            Failure::Ended(Ending::Stopped) => "stopped",
            Failure::Ended(Ending::Done) | Failure::Head(_) => "no response",
            Failure::Short => "response cut",
            Failure::OutputLimit => "output too large",
            Failure::Silent => "timeout",
            Failure::NotBegun(_) => "no thread",
            Failure::Ended(_) | Failure::Other(_) | Failure::NoMemory => "not started",
        }
    }

    /// What it is counted as, beside a response that has failed.
    pub fn event(&self) -> Option<Event> {
        match self {
            Failure::Ended(Ending::CpuTime(_)) | Failure::Silent => Some(Event::Timeout),
            Failure::Ended(Ending::Fuel) => Some(Event::OutOfFuel),
            Failure::Ended(Ending::NotStarted(_)) => Some(Event::StartFailure),
            Failure::Ended(Ending::Trap(_)) => Some(Event::Trap),
            Failure::NotBegun(_) => Some(Event::NoThread),
            _ => None,
        }
    }
}
