//! Where imports come from that no host function serves: what a module was built with, or for, as their names tell it. `imports.rs`
//! asks, for its error.

use super::{ExternType, Import};

/// By the first name, and what the second begins with: the tool or host behind it, and what to do.
const ORIGINS: &[(&str, &str, &str)] = &[
    ("wbg", "", WASM_BINDGEN),
    ("__wbindgen_placeholder__", "", WASM_BINDGEN),
    ("__wbindgen_externref_xform__", "", WASM_BINDGEN),
    ("env", "__wbindgen", WASM_BINDGEN),
    ("gojs", "", GO_FOR_JAVASCRIPT),
    ("go", "", GO_FOR_JAVASCRIPT),
    ("env", "runtime.", TINYGO_FOR_JAVASCRIPT),
    ("env", "syscall/js.", TINYGO_FOR_JAVASCRIPT),
    ("wasi_snapshot_preview2", "", COMPONENT),
    ("wasi", "thread-spawn", THREADS),
    ("wasi_snapshot_preview1", "thread", THREADS),
    ("wasi_snapshot_preview1", "sock_", SOCKETS),
    ("wasi_unstable", "sock_", SOCKETS),
    ("wasix_32v1", "", WASIX),
    ("wasix_64v1", "", WASIX),
    ("http_handler", "", "this is the interface of http-wasm, not Proxy-Wasm: build it with a Proxy-Wasm SDK"),
    ("env", "memory", "leave out --import-memory (in AssemblyScript importMemory): a module has its own memory here"),
    ("env", "__indirect_function_table", "leave out --import-table: a module has its own table here"),
    ("GOT.mem", "", DYNAMIC),
    ("GOT.func", "", DYNAMIC),
    ("env", "__memory_base", DYNAMIC),
    ("env", "__table_base", DYNAMIC),
    ("env", "__stack_pointer", DYNAMIC),
    ("env", "emscripten_", EMSCRIPTEN),
    ("env", "_emscripten_", EMSCRIPTEN),
    ("env", "__syscall_", EMSCRIPTEN),
    ("env", "invoke_", EXCEPTIONS),
    ("env", "__cxa_", EXCEPTIONS),
    ("env", "_Unwind_", EXCEPTIONS),
    ("env", "__resumeException", EXCEPTIONS),
    ("env", "console.", ASSEMBLYSCRIPT),
    ("env", "seed", ASSEMBLYSCRIPT),
    ("env", "trace", ASSEMBLYSCRIPT),
    ("env", "Date.", ASSEMBLYSCRIPT),
    ("env", "Math.", ASSEMBLYSCRIPT),
    (
        "env",
        "proxy_",
        "it is of another host, or of a version of Proxy-Wasm that is not known here; which there are is in docs/proxy-wasm.md",
    ),
];

const WASM_BINDGEN: &str = "wasm-bindgen's are for JavaScript: build it for --target wasm32-wasip1 instead of \
                            wasm32-unknown-unknown, or without the crates and features that are for browsers (wasm-bindgen, js-sys, the \
                            feature \"js\" of getrandom, \"wasmbind\" of chrono)";
const GO_FOR_JAVASCRIPT: &str = "Go's and TinyGo's for JavaScript: build it with GOOS=wasip1 GOARCH=wasm instead of GOOS=js (TinyGo: \
                                 -target=wasip1 instead of wasm)";
const TINYGO_FOR_JAVASCRIPT: &str = "TinyGo's for JavaScript: build it with -target=wasip1 instead of wasm";
const COMPONENT: &str = "WASI 0.2 is for components: build it for WASI preview 1, in Rust with --target wasm32-wasip1 (not wasm32-wasip2), \
                         in TinyGo with -target=wasip1";
const THREADS: &str =
    "guests have no threads here: build it for wasm32-wasip1 (not wasm32-wasip1-threads), without -pthread";
const SOCKETS: &str = "guests have no sockets here: a filter calls other services by proxy_http_call and its like";
const WASIX: &str = "it is built for WASIX, the extension of Wasmer: build it for WASI preview 1 (wasm32-wasip1)";
const DYNAMIC: &str = "it is a library for dynamic linking: build it without -shared, -fPIC and SIDE_MODULE, in C and C++ with \
                       -mexec-model=reactor";
const EMSCRIPTEN: &str =
    "Emscripten's for JavaScript: link it with -sSTANDALONE_WASM, and without what needs a browser or a file system";
const EXCEPTIONS: &str =
    "they are for exceptions: compile C++ with -fno-exceptions, and Emscripten's setjmp with -sSUPPORT_LONGJMP=0";
const ASSEMBLYSCRIPT: &str = "AssemblyScript's for JavaScript: use what the SDK for Proxy-Wasm has in the place of console, trace, Date \
                              and Math.random";
const UNRESOLVED: &str = "a function that the linker has not found: name the library or file that has it, and leave out \
                          --allow-undefined, so that the linker says what is missing";

/// Why a module wants these, which there are not, if a name tells: the first one that tells of a tool, or else of a mistake in linking.
pub(super) fn cause(imports: &[&Import]) -> Option<&'static str> {
    let origin = imports.iter().find_map(|import| origin(&import.module, &import.name));
    // Names as of C are all that is left of a function that was declared, and is nowhere.
    let is_of_c = |import: &&Import| import.module == "env" && matches!(import.ty, ExternType::Func(_));
    origin.or_else(|| imports.iter().any(is_of_c).then_some(UNRESOLVED))
}

fn origin(module: &str, name: &str) -> Option<&'static str> {
    if module.starts_with("wasi:") {
        return Some(COMPONENT);
    }
    if module.starts_with("extism:") {
        return Some("it is a plugin of Extism: the directive for it is \"wasm_function\"");
    }
    // What wasm-bindgen makes for bundlers and for the web.
    if module.ends_with("_bg.js") || name.starts_with("__wbindgen") || name.starts_with("__wbg_") {
        return Some(WASM_BINDGEN);
    }
    let known = ORIGINS.iter().find(|(first, second, _)| *first == module && name.starts_with(second));
    known.map(|(_, _, cause)| *cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::FuncType;

    fn function(module: &str, name: &str) -> Import {
        let ty = ExternType::Func(FuncType { params: Vec::new(), results: Vec::new() });
        Import { module: module.into(), name: name.into(), ty }
    }

    fn cause_of(module: &str, name: &str) -> &'static str {
        cause(&[&function(module, name)]).unwrap_or_default()
    }

    #[test]
    fn a_tool_tells_more_than_a_name_of_c() {
        let (puts, bindgen) = (function("env", "puts"), function("wbg", "f"));
        assert!(cause(&[&puts, &bindgen]).is_some_and(|cause| cause.contains("wasm-bindgen")));
        assert_eq!(cause(&[&puts, &puts]), Some(UNRESOLVED));
        assert_eq!(cause(&[]), None);
    }

    #[test]
    fn the_tool_behind_a_name_is_told() {
        for (module, name, wanted) in [
            ("wbg", "__wbg_log_1d3ae0273d8f4f8a", "--target wasm32-wasip1"),
            ("__wbindgen_placeholder__", "__wbindgen_describe", "wasm-bindgen"),
            ("./filter_bg.js", "__wbindgen_throw", "wasm-bindgen"),
            ("gojs", "runtime.wasmExit", "GOOS=wasip1"),
            ("env", "runtime.ticks", "-target=wasip1"),
            ("env", "syscall/js.valueGet", "-target=wasip1"),
            ("wasi:cli/environment@0.2.0", "get-environment", "not wasm32-wasip2"),
            ("wasi_snapshot_preview2", "fd_write", "not wasm32-wasip2"),
            ("wasi", "thread-spawn", "no threads"),
            ("wasi_snapshot_preview1", "sock_accept", "no sockets"),
            ("wasix_32v1", "fd_dup", "WASIX"),
            ("http_handler", "get_uri", "http-wasm"),
            ("extism:host/env", "input_length", "wasm_function"),
            ("GOT.mem", "errno", "dynamic linking"),
            ("env", "__memory_base", "dynamic linking"),
            ("env", "emscripten_memcpy_js", "-sSTANDALONE_WASM"),
            ("env", "__syscall_openat", "-sSTANDALONE_WASM"),
            ("env", "invoke_vii", "-fno-exceptions"),
            ("env", "__cxa_throw", "-fno-exceptions"),
            ("env", "console.log", "AssemblyScript"),
            ("env", "proxy_fly", "Proxy-Wasm"),
            ("env", "png_read_image", "--allow-undefined"),
        ] {
            assert!(cause_of(module, name).contains(wanted), "{module}.{name}: {}", cause_of(module, name));
        }
    }

    #[test]
    fn of_other_names_nothing_is_known() {
        assert_eq!(cause_of("elsewhere", "f"), "");
        let global = Import { module: "env".into(), name: "counter".into(), ty: ExternType::Other("global") };
        assert_eq!(cause(&[&global]), None);
    }

    #[test]
    fn a_memory_of_the_host_is_none() {
        let memory = Import { module: "env".into(), name: "memory".into(), ty: ExternType::Memory };
        assert!(cause(&[&memory]).is_some_and(|cause| cause.contains("--import-memory")));
    }
}
