# What nginx says about a file that is no usable Proxy-Wasm module. Each mistake keeps nginx from starting, with a line
# that has the module's name, the file, the reason, and the place in the configuration.

use TestWasm 'no_plan';

# All that a module needs, for the inside of '(module ...)', with names to leave one out.
our %Part = (
    memory => '(memory (export "memory") 1)',
    malloc => '(func (export "malloc") (param i32) (result i32) (i32.const 1024))',
    abi    => '(func (export "proxy_abi_version_0_2_1"))',
);

sub but {
    my %without = map { $_ => 1 } @_;
    return join "\n", map { $without{$_} ? () : $Part{$_} } sort keys %Part;
}

sub half {
    open my $in, '<:raw', "$ENV{TEST_NGINX_GUESTS}/$_[0]" or die "cannot read $_[0]: $!";
    my $content = do { local $/; <$in> };
    return substr $content, 0, length($content) / 2;
}

# Imports come first in a module.
sub importing { return [['m.wat', "(module\n$_[0]\n" . but() . ")\n"]] }

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }') unless $block->main_config;
    $block->set_value(config      => '') unless $block->config;
    $block->set_value(must_die    => '');
});

run_tests();

__DATA__

=== TEST 1: the file is not there
--- main_config
wasm { module gone $TEST_NGINX_HTML_DIR/gone.wasm; }
--- error_log eval
qr/\[emerg\] .*module "gone" \(\S+\/gone\.wasm\): .*No such file or directory.* in \S+nginx\.conf:\d+$/



=== TEST 2: the file is a folder
--- main_config
wasm { module folder $TEST_NGINX_HTML_DIR; }
--- error_log eval
qr/\[emerg\] .*module "folder" \(\S+\): cannot read it: it is a directory in \S+nginx\.conf:\d+$/



=== TEST 3: the file is empty
--- user_files
>>> m.wat
--- error_log eval
qr/\[emerg\] .*module "m" .*not a WebAssembly module .*the file is empty in \S+nginx\.conf:\d+$/



=== TEST 4: the file is text, but not WAT
--- user_files
>>> m.wat
Dear reader, this is not a module.
--- error_log eval
qr/\[emerg\] .*module "m" .*not a WebAssembly module .*: it is text, and begins with "Dear reader, this is not a module\.", where WAT has a "\(" in \S+nginx\.conf:\d+$/



=== TEST 5: WAT with a mistake: the message says where
--- user_files
>>> m.wat
(module
  (func (export "f") (i32.cnst 1)))
--- error_log eval
qr/\[emerg\] .*module "m" .*not a WebAssembly module .*: line 2, column 23: .*i32\.cnst.* in \S+nginx\.conf:\d+$/



=== TEST 6: the file is binary, but nothing of WebAssembly
--- user_files eval
[['m.wat', "\x7fELF\x02\x01\x01\0" . "\xff\xfe\0" x 100]]
--- error_log eval
qr/\[emerg\] .*module "m" .*not a WebAssembly module .*: it is a program or library of this or another machine: .*wasm32-wasip1.* in \S+nginx\.conf:\d+$/



=== TEST 7: a real module that was cut in half
--- user_files eval
[['m.wat', main::half('rust-headers.wasm')]]
--- error_log eval
qr/\[emerg\] .*module "m" \(\S+\): truncated WebAssembly module: it has \d+ bytes, and goes on to byte \d+ at least; .* in \S+nginx\.conf:\d+$/



=== TEST 8: a module of eight bytes is a module, without anything
--- user_files eval
[['m.wat', "\0asm\1\0\0\0"]]
--- error_log eval
qr/\[emerg\] .*module "m" .*exports no "proxy_abi_version_.* in \S+nginx\.conf:\d+$/



=== TEST 9: a module of another version of WebAssembly
--- user_files eval
[['m.wat', "\0asm\7\0\0\0"]]
--- error_log eval
qr/\[emerg\] .*module "m" .*WebAssembly module: .*version.* in \S+nginx\.conf:\d+$/



=== TEST 10: a component is not a module
--- user_files eval
[['m.wat', "(component)\n"]]
--- error_log eval
qr/\[emerg\] .*module "m" .*: a component, and not a module: .*wasm32-wasip1 \(not wasm32-wasip2\).* in \S+nginx\.conf:\d+$/



=== TEST 11: a module whose code does not validate
--- user_files eval
[['m.wat', '(module ' . main::but() . '(func (result i32) (i64.const 1)))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*: invalid WebAssembly module: .*type mismatch.* in \S+nginx\.conf:\d+$/



=== TEST 12: no ABI marker
--- user_files eval
[['m.wat', '(module ' . main::but('abi') . ')']]
--- error_log eval
qr/\[emerg\] .*module "m" .*not a Proxy-Wasm module: it exports no "proxy_abi_version_X_Y_Z", .*but "malloc"; .*-buildmode=c-shared.*"cdylib".*-mexec-model=reactor.*-Wl,--export-dynamic in \S+nginx\.conf:\d+$/



=== TEST 13: the marker of an ABI that nobody knows
--- user_files eval
[['m.wat', '(module ' . main::but('abi') . '(func (export "proxy_abi_version_7_8_9")))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*unknown Proxy-Wasm ABI "7_8_9"; known are 0_1_0, 0_2_0, 0_2_1 and 0_2_100 in \S+nginx\.conf:\d+$/



=== TEST 14: no memory
--- user_files eval
[['m.wat', '(module ' . main::but('memory') . ')']]
--- error_log eval
qr/\[emerg\] .*module "m" .*exports no memory named "memory"; .*--import-memory.* in \S+nginx\.conf:\d+$/



=== TEST 15: something else is exported as "memory"
--- user_files eval
[['m.wat', '(module ' . main::but('memory') . '(memory 1) (func (export "memory")))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*exports no memory named "memory"; .* in \S+nginx\.conf:\d+$/



=== TEST 16: no allocator
--- user_files eval
[['m.wat', '(module ' . main::but('malloc') . ')']]
--- error_log eval
qr/\[emerg\] .*module "m" .*exports no allocator: neither "proxy_on_memory_allocate" nor "malloc", .*-Wl,--export=malloc.* in \S+nginx\.conf:\d+$/



=== TEST 17: a "malloc" of another type is no allocator
--- user_files eval
[['m.wat', '(module ' . main::but('malloc') . '(func (export "malloc") (param i64) (result i32) (i32.const 0)))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*exports no allocator.* in \S+nginx\.conf:\d+$/



=== TEST 18: an unknown import, with the type that the module wants
--- user_files eval
main::importing('(import "env" "proxy_fly" (func (param i32 i64) (result i32)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*unknown import "env\.proxy_fly" of type func \(i32, i64\) -> \(i32\); it is of another host, .* in \S+nginx\.conf:\d+$/



=== TEST 19: several unknown imports are all named
--- user_files eval
main::importing('(import "env" "proxy_fly" (func)) (import "env" "proxy_swim" (func (param f64)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*"env\.proxy_fly" of type func \(\) -> \(\), "env\.proxy_swim" of type func \(f64\) -> \(\); .* in \S+nginx\.conf:\d+$/



=== TEST 20: an import from a module that is not there
--- user_files eval
main::importing('(import "wasi_snapshot_preview2" "fd_write" (func (param i32 i32 i32 i32) (result i32)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*unknown import "wasi_snapshot_preview2\.fd_write" of type .*; WASI 0\.2 is for components: .*wasm32-wasip1.* in \S+nginx\.conf:\d+$/



=== TEST 21: an import that is not a function
--- user_files eval
main::importing('(import "env" "counter" (global i32))')
--- error_log eval
qr/\[emerg\] .*module "m" .*unknown import "env\.counter" of type global in \S+nginx\.conf:\d+$/



=== TEST 22: a host function imported with too few parameters
--- user_files eval
main::importing('(import "env" "proxy_log" (func (param i32 i32) (result i32)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*its import "env\.proxy_log" is func \(i32, i32\) -> \(i32\), but the host offers func \(i32, i32, i32\) -> \(i32\) in \S+nginx\.conf:\d+$/



=== TEST 23: a host function imported with parameters of another type
--- user_files eval
main::importing('(import "env" "proxy_increment_metric" (func (param i32 i32) (result i32)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*its import "env\.proxy_increment_metric" is func \(i32, i32\) -> \(i32\), but the host offers func \(i32, i64\) -> \(i32\) in \S+nginx\.conf:\d+$/



=== TEST 24: a host function imported as a memory
--- user_files eval
[['m.wat', '(module (import "env" "proxy_log" (memory 1)) ' . main::but('memory') . '(export "memory" (memory 0)))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*its import "env\.proxy_log" is (?:a )?memory, but the host offers func .* in \S+nginx\.conf:\d+$/



=== TEST 25: a host function of two possible types names both
--- user_files eval
main::importing('(import "env" "proxy_grpc_stream" (func (param i32) (result i32)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*its import "env\.proxy_grpc_stream" .*the host offers func .* or func .* in \S+nginx\.conf:\d+$/



=== TEST 26: a callback of another type
--- user_files eval
[['m.wat', '(module ' . main::but() . '(func (export "proxy_on_request_headers") (param i32 i32 i64) (result i32) (i32.const 0)))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*its export "proxy_on_request_headers" is func \(i32, i32, i64\) -> \(i32\), but the ABI wants func \(i32, i32\) -> \(i32\) or \(i32, i32, i32\) -> \(i32\) in \S+nginx\.conf:\d+$/



=== TEST 27: a callback without the result that it should have
--- user_files eval
[['m.wat', '(module ' . main::but() . '(func (export "proxy_on_configure") (param i32 i32)))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*its export "proxy_on_configure" is func \(i32, i32\) -> \(\), but the ABI wants func \(i32, i32\) -> \(i32\) in \S+nginx\.conf:\d+$/



=== TEST 28: a callback that is not a function
--- user_files eval
[['m.wat', '(module ' . main::but() . '(global (export "proxy_on_done") i32 (i32.const 0)))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*its export "proxy_on_done" is (?:a )?global, but the ABI wants func \(i32\) -> \(i32\) in \S+nginx\.conf:\d+$/



=== TEST 29: many unknown imports do not push the place out of the log entry
--- user_files eval
main::importing(CORE::join "\n", map { "(import \"env\" \"emscripten_runtime_function_$_\" (func (param i32 i32 i32) (result i32)))" } 1 .. 100)
--- error_log eval
qr/\[emerg\] .*module "m" .*"env\.emscripten_runtime_function_1" .*"env\.emscripten_runtime_function_8" of type \S+ \(i32, i32, i32\) -> \(i32\), and 92 more; Emscripten\'s for JavaScript: .*-sSTANDALONE_WASM.* in \S+nginx\.conf:\d+$/



=== TEST 30: control characters in the names of imports are shown, not written
--- user_files eval
[['m.wat', "(module (import \"env\" \"one\\0atwo\\00three\" (func)) " . main::but() . ')']]
--- error_log eval
qr/\[emerg\] .*module "m" .*unknown import "env\.one.+two.+three" of type .* in \S+nginx\.conf:\d+$/



=== TEST 31: a program with the marker of the ABI, and no callback
--- user_files eval
[['m.wat', "(module\n" . main::but() . '(func (export "_start")))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*not a filter: .*-buildmode=c-shared.*cdylib.*-mexec-model=reactor in \S+nginx\.conf:\d+$/



=== TEST 32: a program without it, which is to be a filter
--- config
proxy_wasm m;
--- user_files eval
[['m.wat', "(module\n" . main::but('abi') . '(func (export "_start")))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*not a Proxy-Wasm module: .*-buildmode=c-shared.*cdylib.*-mexec-model=reactor; .*"wasm_cgi" in \S+nginx\.conf:\d+$/



=== TEST 33: a device that has no end
--- main_config
wasm { module endless /dev/zero; }
--- error_log eval
qr/\[emerg\] .*module "endless" \(\/dev\/zero\): cannot read it: it is not a regular file in \S+nginx\.conf:\d+$/



=== TEST 34: a file that was packed by gzip
--- user_files eval
[['m.wat', "\x1f\x8b\x08\0\0\0\0\0\0\x03"]]
--- error_log eval
qr/\[emerg\] .*module "m" .*: it is packed by gzip: unpack it first, with gunzip .* in \S+nginx\.conf:\d+$/



=== TEST 35: a page of HTML in its place
--- user_files eval
[['m.wat', "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n"]]
--- error_log eval
qr/\[emerg\] .*module "m" .*: it is a page of HTML, .* it begins with "<!DOCTYPE html>" in \S+nginx\.conf:\d+$/



=== TEST 36: an image of a container, as tar
--- user_files eval
[['m.wat', 'manifest.json' . "\0" x 244 . "ustar\0" . "00" . "\0" x 300]]
--- error_log eval
qr/\[emerg\] .*module "m" .*: it is a tar archive, as images of containers are: .* in \S+nginx\.conf:\d+$/



=== TEST 37: a component in its binary form
--- user_files eval
[['m.wat', "\0asm\x0d\0\1\0"]]
--- error_log eval
qr/\[emerg\] .*module "m" .*: a component, and not a module: .*wasm32-wasip1 \(not wasm32-wasip2\).* in \S+nginx\.conf:\d+$/



=== TEST 38: a module for JavaScript, of wasm-bindgen
--- user_files eval
main::importing('(import "__wbindgen_placeholder__" "__wbindgen_describe" (func (param i32)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*unknown import "__wbindgen_placeholder__\.__wbindgen_describe" of type .*; wasm-bindgen's are for JavaScript: .*wasm32-wasip1 .* in \S+nginx\.conf:\d+$/



=== TEST 39: a function that the linker has not found
--- user_files eval
main::importing('(import "env" "inflate" (func (param i32 i32) (result i32)))')
--- error_log eval
qr/\[emerg\] .*module "m" .*unknown import "env\.inflate" of type .*; a function that the linker has not found: .* in \S+nginx\.conf:\d+$/



=== TEST 40: a plugin of Extism, which is to be a filter
--- config
proxy_wasm m;
--- user_files eval
[['m.wat', '(module (import "extism:host/env" "input_length" (func (result i64))) (memory (export "memory") 1) (func (export "f") (result i32) (i32.const 0)))']]
--- error_log eval
qr/\[emerg\] .*module "m" .*: not a filter, but a plugin of Extism: .*"wasm_function" in \S+nginx\.conf:\d+$/
