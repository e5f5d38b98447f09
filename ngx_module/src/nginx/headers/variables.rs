//! Variables of nginx follow the request when a filter changes it. Nginx keeps the value of most variables once it has
//! computed it (`valid` in the request's array of values): a `set`, an `if` or a log format of the server level may have
//! asked for `$http_x` or for a `map` over it before any filter ran. `request.rs` here is the caller.
//!
//! What was assigned stays: `set`, `auth_request_set`, the set_by_lua directives, captures of a regular expression.

use std::cell::RefCell;
use std::rc::Rc;

use crate::nginx::cycle;
use crate::nginx::request::HttpRequest;
use crate::nginx::variables::{self, Variable};

/// The variables of a configuration that depend on requests, by their place in a request's array of values.
struct DependentVariables {
    /// Read from the request whenever they are asked for.
    read: Vec<usize>,
    /// Computed from other variables: `map`, `geo`, `split_clients`.
    computed: Vec<usize>,
}

/// Makes nginx read the request again. To be called after a change of it.
pub fn follow(r: HttpRequest<'_>) {
    let dependents = DependentVariables::of(r);
    for index in &dependents.read {
        variables::forget(r, *index);
    }
    if dependents.computed.iter().any(|index| variables::is_known(r, *index)) {
        compute_again(r, &dependents.computed);
    }
}

/// Computes those anew that nginx has computed before. They are not just forgotten, because some that look the same are
/// assigned: the function behind these knows no value, and then the old one stays. All are forgotten before the first is
/// computed, since they may depend on each other.
fn compute_again(r: HttpRequest<'_>, computed: &[usize]) {
    let known = computed.iter().filter(|index| variables::is_known(r, **index));
    let old: Vec<_> = known.filter_map(|index| Some((*index, variables::forget(r, *index)?))).collect();
    variables::with_captures_kept(r, || {
        for (index, before) in &old {
            if !variables::compute(r, *index) {
                variables::put(r, *index, before);
            }
        }
    });
}

impl DependentVariables {
    /// Those of the configuration that a request is served by. It is looked through once, as long as no request of another one
    /// comes: a process that is its own master has both for a while after a reload.
    fn of(r: HttpRequest<'_>) -> Rc<DependentVariables> {
        type Known = Option<((usize, u64), Rc<DependentVariables>)>;
        thread_local! {
            static KNOWN: RefCell<Known> = const { RefCell::new(None) };
        }
        // The address alone might be that of a configuration which is gone.
        let key = (variables::configuration(r), cycle::number());
        KNOWN.with_borrow_mut(|known| match known {
            Some((of, dependents)) if *of == key => dependents.clone(),
            _ => {
                let dependents = Rc::new(DependentVariables::find(r));
                *known = Some((key, dependents.clone()));
                dependents
            }
        })
    }

    /// Looks through the variables of the configuration.
    fn find(r: HttpRequest<'_>) -> DependentVariables {
        let mut dependents = DependentVariables { read: Vec::new(), computed: Vec::new() };
        let all = variables::indexed(r);
        let count = all.len();
        for (index, variable) in all.enumerate().filter(|(_, variable)| !variable.is_never_kept()) {
            // One that a directive makes may have a value that is more than a copy.
            match variables::find(r, variable.name()).filter(|known| known.is_changeable()) {
                Some(made) if is_computed(made, variable, count) => dependents.computed.push(index),
                None if is_read(variable.name()) => dependents.read.push(index),
                _ => {}
            }
        }
        dependents
    }
}

/// Whether the variable has a function that computes it from the configuration of its directive, which `data` points to.
/// Those that `set` and its likes make are weak, or have their own number there. Only nginx's own modules count: a function
/// in a language, of a dynamic module, may do more than compute (`js_set`), and should run once.
fn is_computed(made: Variable<'_>, variable: Variable<'_>, count: usize) -> bool {
    !made.is_weak() && variable.data() > count && variable.is_of_nginx()
}

/// Whether nginx reads the variable from what filters can change.
fn is_read(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 12] = [
        b"host",
        b"content_length",
        b"content_type",
        b"remote_user",
        b"request_uri",
        b"proxy_add_x_forwarded_for",
        b"modern_browser",
        b"ancient_browser",
        b"msie",
        b"uid_got",
        b"secure_link",
        b"secure_link_expires",
    ];
    const PREFIXES: [&[u8]; 3] = [b"http_", b"cookie_", b"arg_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
