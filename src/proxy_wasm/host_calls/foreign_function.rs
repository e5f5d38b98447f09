//! `proxy_call_foreign_function`: functions outside the ABI, by name. They are in `crate::proxy_wasm::foreign`.

use super::{Denied, Failure, HostCall, Row, Run, args, shown};
use crate::proxy_wasm::foreign::{self, Call};
use crate::proxy_wasm::types::Status;

pub(super) const TABLE: &[Row] = &[Row {
    name: "proxy_call_foreign_function",
    types: &[("iiiiii", "i")],
    when_denied: Denied::NotFound,
    run: Run::Status(call_foreign_function),
}];

/// Of the two places for the result, a guest that does not want it leaves one or both at 0.
fn call_foreign_function(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [name, name_len, arguments, arguments_len, ptr_at, len_at] = args(raw);
    // Before the function runs, which may have effects.
    for place in [ptr_at, len_at] {
        if place != 0 {
            call.memory().check(place, 4)?;
        }
    }
    call.memory().check(arguments, u64::from(arguments_len))?;
    let found = call.with_bytes(name, name_len, |name, state, _| {
        let is_denied = state.capabilities().is_some_and(|all| !all.may_run_foreign(name));
        foreign::find(name).map(|function| (function, is_denied.then(|| shown(name))))
    })?;
    let function = match found.ok_or(Status::NotFound)? {
        (function, None) => function,
        (_, Some(name)) => {
            let message = format!(
                "foreign function \"{name}\" is not allowed; add \"foreign={name}\" to \"proxy_wasm_allow\" if the filter may \
                 call it"
            );
            call.deny("foreign functions that are not allowed", &message);
            return Err(Status::NotFound.into());
        }
    };
    let mut result = call.state.take_scratch();
    let done = call
        .with_bytes(arguments, arguments_len, |arguments, state, host| {
            foreign::run(function, &mut Call { state, host }, arguments, &mut result)
        })
        .map_err(Failure::from)
        .and_then(|done| Ok(done?))
        .and_then(|()| give(call, &result, ptr_at, len_at));
    call.state.keep_scratch(result);
    done
}

fn give(call: &mut HostCall<'_>, result: &[u8], ptr_at: u32, len_at: u32) -> Result<(), Failure> {
    match (ptr_at, len_at) {
        (0, 0) => Ok(()),
        // Memory whose address the guest does not learn would be lost to it.
        (0, len_at) => {
            let len = u32::try_from(result.len()).map_err(|_| Status::InternalFailure)?;
            Ok(call.put_u32(len_at, len)?)
        }
        (ptr_at, 0) => call.give_at(result, ptr_at),
        (ptr_at, len_at) => call.give(result, ptr_at, len_at),
    }
}
