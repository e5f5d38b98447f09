//! Which modules are accepted, and what a user reads about the others.

use super::support::{Guest, engine, host_functions, wat_types};
use crate::proxy_wasm::types::AbiVersion;
use crate::proxy_wasm::{Module, ModuleError};
use crate::vm::CompileError;

const MARKER: &str = "(func (export \"proxy_abi_version_0_2_1\"))";
const MEMORY: &str = "(memory (export \"memory\") 1)";
const ALLOCATOR: &str = "(func (export \"malloc\") (param i32) (result i32) (i32.const 0))";

fn check(wat: &str) -> Result<Module, ModuleError> {
    Module::new(engine().as_ref(), wat.as_bytes())
}

fn message(wat: &str) -> String {
    match check(wat) {
        Ok(_) => panic!("accepted: {wat}"),
        Err(err) => err.to_string(),
    }
}

/// The message about a module that is right but for `fields`; imports have to come first in WAT.
fn message_with(fields: &str) -> String {
    message(&format!("(module {fields} {MARKER} {MEMORY} {ALLOCATOR})"))
}

#[test]
fn marker_memory_and_allocator_are_enough() {
    let module = check(&format!("(module {MARKER} {MEMORY} {ALLOCATOR})")).unwrap();
    assert_eq!(module.abi(), AbiVersion::V0_2_1);
}

#[test]
fn bytes_that_are_no_module_are_refused_by_the_engine() {
    assert!(matches!(check("hello"), Err(ModuleError::Compile(CompileError::NotWasm(_)))));
    assert!(message("").contains("the file is empty"));
}

#[test]
fn a_module_without_a_marker_is_refused() {
    let text = message(&format!("(module {MEMORY} {ALLOCATOR})"));
    let wanted = "not a Proxy-Wasm module: it exports no \"proxy_abi_version_X_Y_Z\", as what is built with a Proxy-Wasm SDK does, but \
                  \"malloc\"; ";
    assert!(text.starts_with(wanted), "{text}");
    for flag in ["crate-type = [\"cdylib\"]", "-buildmode=c-shared", "-mexec-model=reactor and -Wl,--export-dynamic"] {
        assert!(text.contains(flag), "{text}");
    }
    assert!(message(&format!("(module {MEMORY})")).contains(" does, and no function at all; "));
    let functions: String = (0..7).map(|n| format!("(func (export \"f{n}\"))")).collect();
    assert!(
        message(&format!("(module {MEMORY} {functions})"))
            .contains("but \"f0\", \"f1\", \"f2\", \"f3\", \"f4\", and 2 more; ")
    );
}

#[test]
fn a_plugin_of_extism_is_told_its_directive() {
    let text = message(&format!(
        "(module (import \"extism:host/env\" \"input_length\" (func (result i64))) {MEMORY} {ALLOCATOR})"
    ));
    assert_eq!(
        text,
        "not a filter, but a plugin of Extism: it imports \"extism:host/env.input_length\"; the directive for it is \"wasm_function\""
    );
}

#[test]
fn a_program_without_a_marker_is_refused_as_a_program() {
    let start = "(func (export \"_start\"))";
    let text = message(&format!("(module {MEMORY} {ALLOCATOR} {start})"));
    assert!(text.starts_with("not a Proxy-Wasm module: "), "{text}");
    assert!(text.contains("-buildmode=c-shared") && text.contains("-mexec-model=reactor"), "{text}");
    assert!(text.contains("\"wasm_cgi\""), "{text}");
    let library = message(&format!("(module {MEMORY} {ALLOCATOR} {start} (func (export \"_initialize\")))"));
    assert!(library.contains(" does, but \"malloc\", \"_start\", \"_initialize\"; "), "{library}");
}

#[test]
fn a_program_that_no_callback_would_ever_find_is_refused() {
    let start = "(func (export \"_start\"))";
    let module = |more: &str| format!("(module {MARKER} {MEMORY} {ALLOCATOR} {more})");
    let text = message(&module(&format!("{start} (func (export \"__main_void\") (result i32) (i32.const 0))")));
    assert!(text.starts_with("not a filter: "), "{text}");
    assert!(text.contains("-buildmode=c-shared") && text.contains("cdylib"), "{text}");
    for more in ["", "(func (export \"_initialize\"))", "(func (export \"proxy_on_tick\") (param i32))"] {
        assert!(check(&module(&format!("{start} {more}"))).is_ok() != more.is_empty(), "{more}");
    }
}

#[test]
fn a_module_with_an_unknown_marker_alone_is_refused() {
    let marker = "(func (export \"proxy_abi_version_9_9_9\"))";
    assert_eq!(
        message(&format!("(module {marker} {MEMORY} {ALLOCATOR})")),
        "unknown Proxy-Wasm ABI \"9_9_9\"; known are 0_1_0, 0_2_0, 0_2_1 and 0_2_100"
    );
    assert!(check(&format!("(module {marker} {MARKER} {MEMORY} {ALLOCATOR})")).is_ok());
}

#[test]
fn all_known_markers_are_accepted() {
    for (marker, abi) in [
        ("0_1_0", AbiVersion::V0_1_0),
        ("0_2_0", AbiVersion::V0_2_0),
        ("0_2_1", AbiVersion::V0_2_1),
        ("0_2_100", AbiVersion::V0_2_100),
    ] {
        assert_eq!(Guest::new("").abi(marker).module().unwrap().abi(), abi, "{marker}");
    }
}

#[test]
fn a_module_without_memory_is_refused() {
    for fields in ["", "(memory 1)", "(func (export \"memory\"))"] {
        let text = message(&format!("(module {MARKER} {ALLOCATOR} {fields})"));
        assert!(text.starts_with("it exports no memory named \"memory\"; "), "{fields}: {text}");
    }
}

#[test]
fn a_module_without_an_allocator_is_refused() {
    for fields in ["", "(func (export \"malloc\") (param i32))"] {
        let text = message(&format!("(module {MARKER} {MEMORY} {fields})"));
        let wanted =
            "it exports no allocator: neither \"proxy_on_memory_allocate\" nor \"malloc\", of type (i32) -> (i32); ";
        assert!(text.starts_with(wanted), "{fields}: {text}");
        assert!(text.contains("-Wl,--export=malloc"), "{text}");
    }
}

#[test]
fn a_callback_of_another_type_is_refused_with_both_types() {
    assert_eq!(
        message_with("(func (export \"proxy_on_log\") (param i32 i64) (result i32) (i32.const 0))"),
        "its export \"proxy_on_log\" is func (i32, i64) -> (i32), but the ABI wants func (i32) -> ()"
    );
    assert_eq!(
        message_with("(func (export \"proxy_on_request_headers\") (param i32) (result i32) (i32.const 0))"),
        "its export \"proxy_on_request_headers\" is func (i32) -> (i32), \
         but the ABI wants func (i32, i32) -> (i32) or (i32, i32, i32) -> (i32)"
    );
    assert_eq!(
        message_with("(global (export \"proxy_on_done\") i32 (i32.const 0))"),
        "its export \"proxy_on_done\" is global, but the ABI wants func (i32) -> (i32)"
    );
}

#[test]
fn main_and_malloc_of_other_types_are_not_for_the_host() {
    let main = "(func (export \"main\") (param i64))";
    assert!(check(&format!("(module {MARKER} {MEMORY} {ALLOCATOR} {main})")).is_ok());
    let malloc = "(func (export \"malloc\") (param i64) (result i64) (i64.const 0))";
    assert!(Guest::new(malloc).module().is_ok());
}

#[test]
fn unknown_imports_are_all_listed_with_their_types() {
    let imports = r#"
        (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
        (import "env" "proxy_teleport" (func (param i32 i64 f32 f64)))
        (import "elsewhere" "table" (table 1 funcref))
        (import "env" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (import "env" "counter" (global (mut i32)))"#;
    let text = message_with(imports);
    let wanted = "unknown import \"env.proxy_teleport\" of type func (i32, i64, f32, f64) -> (), \
                  \"elsewhere.table\" of type table, \
                  \"env.fd_write\" of type func (i32, i32, i32, i32) -> (i32), \
                  \"env.counter\" of type global; ";
    assert!(text.starts_with(wanted), "{text}");
    assert!(text.contains("of another host"), "{text}");
}

#[test]
fn an_imported_memory_is_not_served() {
    let text = message(&format!(
        "(module (import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0)) {MARKER} {ALLOCATOR})"
    ));
    assert!(text.starts_with("unknown import \"env.memory\" of type memory; leave out --import-memory"), "{text}");
}

#[test]
fn a_known_import_of_another_type_is_refused_with_both_types() {
    assert_eq!(
        message_with("(import \"env\" \"proxy_log\" (func (param i32) (result i32)))"),
        "its import \"env.proxy_log\" is func (i32) -> (i32), but the host offers func (i32, i32, i32) -> (i32)"
    );
    assert_eq!(
        message_with("(import \"env\" \"proxy_log\" (global i32))"),
        "its import \"env.proxy_log\" is global, but the host offers func (i32, i32, i32) -> (i32)"
    );
    assert_eq!(
        message_with("(import \"env\" \"proxy_clear_route_cache\" (func (param i32)))"),
        "its import \"env.proxy_clear_route_cache\" is func (i32) -> (), \
         but the host offers func () -> (i32) or func () -> ()"
    );
}

#[test]
fn a_function_may_be_imported_twice() {
    let import = "(import \"env\" \"proxy_log\" (func (param i32 i32 i32) (result i32)))";
    assert!(check(&format!("(module {import} {import} {MARKER} {MEMORY} {ALLOCATOR})")).is_ok());
}

/// `clear_route_cache` with and without a result, `grpc_call` with 10 and 12 parameters, WASI under both names, ...
#[test]
fn every_host_function_links_under_every_type_that_it_offers() {
    for (module, row) in host_functions() {
        let modules = if module == "env" { vec!["env"] } else { vec!["wasi_snapshot_preview1", "wasi_unstable"] };
        for module in modules {
            for (params, results) in row.types {
                let name = row.name;
                let (params, results) = (wat_types(params), wat_types(results));
                let import = format!("(import \"{module}\" \"{name}\" (func (param{params}) (result{results})))");
                if let Err(err) = check(&format!("(module {import} {MARKER} {MEMORY} {ALLOCATOR})")) {
                    panic!("{import}: {err}");
                }
            }
        }
    }
}

#[test]
fn the_two_types_that_sdks_disagree_about_are_both_offered() {
    let offered = |name: &str| host_functions().find(|(_, row)| row.name == name).unwrap().1.types;
    assert_eq!(offered("proxy_clear_route_cache"), [("", "i"), ("", "")]);
    assert_eq!(offered("proxy_grpc_call").iter().map(|(params, _)| params.len()).collect::<Vec<_>>(), [12, 10]);
    assert_eq!(offered("proxy_grpc_stream").iter().map(|(params, _)| params.len()).collect::<Vec<_>>(), [9, 7]);
}
