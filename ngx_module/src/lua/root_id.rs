//! The root id of a module that Lua loads: the name that Lua gave it, as in the other library of this API, or the empty one when
//! the guest does not know the name. `context.rs` has root contexts made here; what is found out with the first one counts for all.

use nginx_sys::{NGX_LOG_NOTICE, NGX_LOG_WARN};
use ngx_wasm::proxy_wasm::{ContextId, RootConfig, RootIdUse, StartError};

use super::context::PluginContext;
use super::plugin::Plugin;
use crate::filters::instances::Filter;
use crate::filters::root_host::RootHost;
use crate::nginx::cycle;

/// Which root id contexts get.
#[derive(Clone, Copy)]
pub enum Choice {
    /// The name of the plugin.
    Name,
    /// None.
    Empty,
}

type Made = Result<ContextId, StartError>;

/// Makes the root context of a configuration in the instance of this generation, or in one that takes its place; answers which.
/// `None`: there is no instance, and the log says why.
pub fn create(context: &PluginContext, generation: u64) -> Option<(Made, u64)> {
    let plugin = context.plugin();
    let root_host = || plugin.module.root_host(cycle::log());
    let mut host = root_host();
    if let Some(choice) = plugin.root_id.get() {
        return attempt(context, generation, choice, &mut host).map(|(made, _)| (made, generation));
    }
    host.hold();
    let (made, by_name) = attempt(context, generation, Choice::Name, &mut host)?;
    if matches!(by_name, RootIdUse::Ignored | RootIdUse::Known) {
        host.write_held_lines();
        return Some((decide(plugin, Choice::Name, made), generation));
    }
    // No context of this plugin has been made before, so no request can have one in the instance that is left.
    let generation = plugin.start_anew(generation)?;
    let mut other_host = root_host();
    other_host.hold();
    let (other, by_empty) = attempt(context, generation, Choice::Empty, &mut other_host)?;
    let is_empty = match (by_name, by_empty) {
        (_, RootIdUse::Known | RootIdUse::Ignored) | (RootIdUse::Unknown, RootIdUse::Silent) => true,
        (_, RootIdUse::Unknown) => false,
        (_, RootIdUse::Silent) => !plugin.has_name,
    };
    let name = String::from_utf8_lossy(plugin.module.name());
    if (by_name, by_empty) == (RootIdUse::Silent, RootIdUse::Silent) && !plugin.has_name {
        let what = format!(
            "looks at nothing when it starts, whether its root id is \"{name}\" or empty: if its filter is registered under \
             another one, it does nothing; load it under that name"
        );
        plugin.module.log(NGX_LOG_WARN, &what);
    } else if is_empty {
        plugin.module.log(NGX_LOG_NOTICE, &format!("does not know the root id \"{name}\", it gets the empty one"));
    }
    if is_empty {
        other_host.write_held_lines();
        return Some((decide(plugin, Choice::Empty, other), generation));
    }
    if by_name == RootIdUse::Unknown {
        host.write_held_lines();
        return Some((made, generation));
    }
    let generation = plugin.start_anew(generation)?;
    let (made, _) = attempt(context, generation, Choice::Name, &mut root_host())?;
    Some((decide(plugin, Choice::Name, made), generation))
}

/// A context was made with this root id: all others get it, too.
fn decide(plugin: &Plugin, choice: Choice, made: Made) -> Made {
    if made.is_ok() {
        plugin.root_id.set(Some(choice));
    }
    made
}

fn attempt(
    context: &PluginContext,
    generation: u64,
    choice: Choice,
    host: &mut RootHost<'_>,
) -> Option<(Made, RootIdUse)> {
    let module = &context.plugin().module;
    let mut instances = context.plugin().instances()?;
    let vm = &mut instances.get(generation)?.vm;
    let name = module.name().to_vec();
    let root_id = match choice {
        Choice::Name => name.clone(),
        Choice::Empty => Vec::new(),
    };
    let config = RootConfig { name, root_id, configuration: context.configuration.clone() };
    let made = module.clocked(|| vm.create_root(config, host));
    Some((made, vm.root_id_use()))
}

/// Whether a module has this name as text of its own, as C++ keeps one: with a zero behind it, and nothing of a name before it.
pub fn has_text(code: &[u8], name: &[u8]) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let text = [name, b"\0"].concat();
    !name.is_empty()
        && code.windows(text.len()).enumerate().any(|(at, window)| {
            window == text
                && at.checked_sub(1).and_then(|before| code.get(before)).is_none_or(|byte| !is_of_name(*byte))
        })
}
