//! How callbacks and starts of a VM fail.

use thiserror::Error;

use super::callbacks::Callback;
use super::ids::ContextId;
use super::module::AS_REACTOR;
use super::types::LogLevel;
use crate::vm::Trap;

/// A callback ended badly.
#[derive(Debug, Error)]
pub enum CallError {
    /// It trapped, and the VM is gone with it.
    #[error("{} trapped in context {context}: {trap}{}", .callback.name(), Backtrace(.trap))]
    Trap {
        /// Where.
        callback: Callback,
        /// In which context.
        context: ContextId,
        /// Why.
        trap: Trap,
    },
    /// An earlier one trapped.
    #[error("the VM has trapped before")]
    Dead,
}

/// A VM or a root context did not come up.
#[derive(Debug, Error)]
pub enum StartError {
    /// No instance could be made, or its start function failed.
    #[error("{trap}{}", Backtrace(.trap))]
    Instantiate {
        /// Why.
        trap: Trap,
    },
    /// What it is granted is not there.
    #[error("{0} (proxy_wasm_allow)")]
    Directory(String),
    /// Its `_start` ended with an exit, as that of a program does: nothing is left to be called.
    #[error(
        "its _start called proc_exit({0}): it is a program that runs and ends, and no filter; build it as a library (a \
         \"reactor\"): {AS_REACTOR}"
    )]
    Program(u32),
    /// A callback trapped.
    #[error(transparent)]
    Call(#[from] CallError),
    /// proxy_on_vm_start answered false.
    #[error("proxy_on_vm_start returned false: the filter refuses its VM configuration")]
    VmStart,
    /// proxy_on_configure answered false.
    #[error("proxy_on_configure returned false: the filter refuses its configuration")]
    Configure,
}

struct Backtrace<'a>(&'a Trap);

impl std::fmt::Display for Backtrace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.backtrace() {
            [] => Ok(()),
            frames => write!(f, " (guest backtrace: {})", frames.join(" < ")),
        }
    }
}

/// The level at which a failed callback is logged.
impl CallError {
    /// Severity in the host's log.
    pub fn level(&self) -> LogLevel {
        match self {
            CallError::Trap { .. } => LogLevel::Critical,
            CallError::Dead => LogLevel::Error,
        }
    }
}
