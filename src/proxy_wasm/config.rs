//! What a VM and its root contexts are made with.

use std::sync::Arc;

use super::capabilities::Capabilities;
use crate::vm::InstanceLimits;

/// What all root contexts of a VM share.
#[derive(Clone, Debug)]
pub struct VmConfig {
    /// `plugin_vm_id`.
    pub id: Vec<u8>,
    /// VM configuration.
    pub configuration: Vec<u8>,
    /// `NAME=VALUE`, each: what WASI shows of an environment.
    pub environment: Arc<Vec<Vec<u8>>>,
    /// Caps on the instance.
    pub limits: InstanceLimits,
    /// Whether the number of a context that has ended goes to the next new one.
    pub reuse_context_ids: bool,
    /// How many calls to other services may be in flight.
    pub max_calls: usize,
    /// How many contexts may wait for the guest's proxy_done; when there are more, the one that has waited longest ends.
    pub max_pending: usize,
    /// What the guest may do; `None` is everything but files.
    pub capabilities: Option<Arc<Capabilities>>,
    /// What all callbacks about a stream may use up together; each one about no stream has as much, too. The module must have
    /// been compiled for that.
    pub fuel: Option<u64>,
    /// The host is told how long each callback took.
    pub is_measured: bool,
}

impl Default for VmConfig {
    fn default() -> Self {
        VmConfig {
            id: Vec::new(),
            configuration: Vec::new(),
            environment: Arc::default(),
            limits: InstanceLimits::default(),
            reuse_context_ids: false,
            max_calls: 1024,
            max_pending: 1024,
            capabilities: None,
            fuel: None,
            is_measured: false,
        }
    }
}

/// One filter: a root context and its configuration.
#[derive(Clone, Debug, Default)]
pub struct RootConfig {
    /// `plugin_name`.
    pub name: Vec<u8>,
    /// `plugin_root_id`; C++ guests choose a root class by it.
    pub root_id: Vec<u8>,
    /// Plugin configuration.
    pub configuration: Vec<u8>,
}
