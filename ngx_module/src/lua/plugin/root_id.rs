//! The root id of a module that Lua loads: the name that Lua gave it, as in the other library of this API, or the empty one when
//! the guest does not know the name. `plugin.rs` has root contexts made here; what is found out with the first one counts for all.

use nginx_sys::{NGX_LOG_NOTICE, NGX_LOG_WARN};
use ngx_wasm::proxy_wasm::{ContextId, RootConfig, RootIdUse, StartError, Vm};

use super::{Plugin, PluginContext, write};
use crate::filters::root_host::RootHost;

/// Which root id contexts get.
#[derive(Clone, Copy)]
pub enum Choice {
    /// The name of the plugin.
    Name,
    /// None.
    Empty,
}

type Made = Result<ContextId, StartError>;

/// Makes the root context of a configuration in the VM. `None`: there is no VM, and `failed` has been told why.
pub(super) fn create(context: &PluginContext, failed: &dyn Fn(String)) -> Option<Made> {
    let plugin = &context.plugin;
    let mut host = plugin.root_host();
    if let Some(choice) = plugin.root_id.get() {
        return attempt(context, choice, &mut host).map(|(made, _)| made);
    }
    host.hold();
    let (made, by_name) = attempt(context, Choice::Name, &mut host)?;
    if matches!(by_name, RootIdUse::Ignored | RootIdUse::Known) {
        host.tell();
        return Some(decide(plugin, Choice::Name, made));
    }
    // No context of this plugin has been made before, so no request can have one in the VM that is left.
    start_anew(plugin, failed)?;
    let mut other_host = plugin.root_host();
    other_host.hold();
    let (other, by_empty) = attempt(context, Choice::Empty, &mut other_host)?;
    let is_empty = match (by_name, by_empty) {
        (_, RootIdUse::Known | RootIdUse::Ignored) | (RootIdUse::Unknown, RootIdUse::Silent) => true,
        (_, RootIdUse::Unknown) => false,
        (_, RootIdUse::Silent) => !plugin.has_name,
    };
    let name = String::from_utf8_lossy(&plugin.name);
    if (by_name, by_empty) == (RootIdUse::Silent, RootIdUse::Silent) && !plugin.has_name {
        let what = format!(
            "looks at nothing when it starts, whether its root id is \"{name}\" or empty: if its filter is registered under \
             another one, it does nothing; load it under that name"
        );
        write(NGX_LOG_WARN, format!("wasm plugin \"{name}\" {what}"));
    } else if is_empty {
        write(
            NGX_LOG_NOTICE,
            format!("wasm plugin \"{name}\" does not know the root id \"{name}\", it gets the empty one"),
        );
    }
    if is_empty {
        other_host.tell();
        return Some(decide(plugin, Choice::Empty, other));
    }
    if by_name == RootIdUse::Unknown {
        host.tell();
        return Some(made);
    }
    start_anew(plugin, failed)?;
    let (made, _) = attempt(context, Choice::Name, &mut plugin.root_host())?;
    Some(decide(plugin, Choice::Name, made))
}

/// A context was made with this root id: all others get it, too.
fn decide(plugin: &Plugin, choice: Choice, made: Made) -> Made {
    if made.is_ok() {
        plugin.root_id.set(Some(choice));
    }
    made
}

fn attempt(context: &PluginContext, choice: Choice, host: &mut RootHost) -> Option<(Made, RootIdUse)> {
    let plugin = &context.plugin;
    let mut vm = plugin.vm.try_borrow_mut().ok()?;
    let vm: &mut Vm = vm.as_mut()?;
    let root_id = match choice {
        Choice::Name => plugin.name.clone(),
        Choice::Empty => Vec::new(),
    };
    let config = RootConfig { name: plugin.name.clone(), root_id, configuration: context.configuration.clone() };
    let made = plugin.clocked(|| vm.create_root(config, host));
    Some((made, vm.root_id_use()))
}

/// Replaces the VM.
fn start_anew(plugin: &Plugin, failed: &dyn Fn(String)) -> Option<()> {
    *plugin.vm.try_borrow_mut().ok()? = None;
    plugin.ensure_vm(failed).then_some(())
}

/// Whether a module has this name as text of its own, as C++ keeps one: with a zero behind it, and nothing of a name before it.
pub(super) fn has_text(code: &[u8], name: &[u8]) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let text = [name, b"\0"].concat();
    !name.is_empty()
        && code.windows(text.len()).enumerate().any(|(at, window)| {
            window == text
                && at.checked_sub(1).and_then(|before| code.get(before)).is_none_or(|byte| !is_of_name(*byte))
        })
}
