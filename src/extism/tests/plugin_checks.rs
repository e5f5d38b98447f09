//! What is a plugin, and why a module is none.

use super::support::{function, plugin, try_plugin, wat};

fn refusal(wat: &str) -> String {
    try_plugin(wat).err().unwrap_or_else(|| panic!("{wat} is a plugin")).to_string()
}

const FUNCTION: &str = "(func (export \"f\"))";

#[test]
fn functions_are_those_that_take_nothing_and_give_a_number_or_nothing() {
    let body = r#"(func (export "a") (result i32) (i32.const 0)) (func (export "b")) (func (export "_start"))
        (func (export "takes") (param i32)) (func (export "gives") (result i64) (i64.const 0))
        (func (export "two") (result i32 i32) (i32.const 0) (i32.const 0)) (global (export "g") i32 (i32.const 0))
        (func (export "_initialize")) (func (export "__wasm_call_ctors")) (func (export "asyncify_stop_unwind"))
        (func (export "asyncify_get_state") (result i32) (i32.const 0)) (func (export "hs_exit"))"#;
    let plugin = plugin(body);
    assert_eq!(plugin.functions().collect::<Vec<_>>(), ["a", "b", "_start"]);
    assert!(plugin.has("a") && plugin.has("_start"));
    assert!(!plugin.has("takes") && !plugin.has("g") && !plugin.has("_initialize") && !plugin.has("none"));
}

#[test]
fn a_plugin_has_a_function() {
    for body in ["", "(func (export \"f\") (param i32))", "(func (export \"_initialize\"))"] {
        assert!(refusal(&wat(body)).starts_with("it exports no function that could be called"), "{body}");
    }
}

#[test]
fn a_plugin_needs_no_memory_unless_it_imports_wasi() {
    let alone = r#"(module (import "extism:host/env" "input_length" (func (result i64))) (func (export "f")))"#;
    assert!(try_plugin(alone).is_ok());
    let wasi = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (func (export "f")))"#;
    assert_eq!(refusal(wasi), "it imports WASI, but exports no memory named \"memory\"");
}

#[test]
fn functions_of_an_application_are_refused() {
    let wat = r#"(module (import "extism:host/user" "mult" (func (param i64) (result i64)))
        (import "extism:host/user" "add" (func)) (func (export "f")))"#;
    let err = refusal(wat);
    assert!(
        err.starts_with("it imports \"mult\", \"add\" from \"extism:host/user\": functions that an application"),
        "{err}"
    );
}

#[test]
fn unknown_imports_are_named() {
    let wat = r#"(module (import "lib" "capitalize" (func (param i64))) (import "extism:host/env" "memory" (memory 1))
        (import "extism:host/env" "new_one" (func)) (import "wasi_snapshot_preview1" "sock_open" (func)) (func (export "f")))"#;
    let err = refusal(wat);
    let wanted = "unknown import \"lib.capitalize\" of type func (i64) -> (), \"extism:host/env.memory\" of type memory, \
                  \"extism:host/env.new_one\" of type func () -> (), \"wasi_snapshot_preview1.sock_open\" of type func () -> (); \
                  a plugin can import from";
    assert!(err.starts_with(wanted), "{err}");
}

#[test]
fn an_import_has_the_type_of_the_host_function() {
    for (import, found, offered) in [
        ("\"alloc\" (func (param i32) (result i32))", "func (i32) -> (i32)", "func (i64) -> (i64)"),
        ("\"store_u8\" (func (param i64 i64))", "func (i64, i64) -> ()", "func (i64, i32) -> ()"),
        ("\"log_info\" (global i32)", "global", "func (i64) -> ()"),
    ] {
        let err = refusal(&format!("(module (import \"extism:host/env\" {import}) {FUNCTION})"));
        assert!(err.ends_with(&format!("is {found}, but the host offers {offered}")), "{err}");
    }
}

#[test]
fn what_is_made_for_something_else_is_told_apart() {
    let filter = r#"(module (func (export "proxy_abi_version_0_2_1")) (func (export "f")))"#;
    assert_eq!(
        refusal(filter),
        "it is a Proxy-Wasm filter (it exports \"proxy_abi_version_0_2_1\"); use \"proxy_wasm\""
    );
    let old = r#"(module (import "env" "extism_alloc" (func (param i64) (result i64))) (func (export "f")))"#;
    assert!(refusal(old).starts_with("its import \"env.extism_alloc\" is of a PDK before 1.0"));
    assert!(refusal("text").starts_with("not a WebAssembly module"));
}

#[test]
fn what_starts_a_plugin_has_its_type() {
    for (export, wanted) in
        [("hs_init", "func (i32, i32) -> ()"), ("__wasm_call_ctors", "func () -> ()"), ("_initialize", "func () -> ()")]
    {
        let err = refusal(&wat(&format!("(func (export \"{export}\") (param i64)) {FUNCTION}")));
        let text = format!("its export \"{export}\", which starts it, is func (i64) -> (), but should be {wanted}");
        assert_eq!(err, text);
    }
}

#[test]
fn a_plugin_imports_what_it_wants_under_both_names_of_wasi() {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        let wat = format!(
            "(module (import \"{module}\" \"sched_yield\" (func (result i32))) (memory (export \"memory\") 1) {})",
            function("f", "")
        );
        assert!(try_plugin(&wat).is_ok());
    }
}
