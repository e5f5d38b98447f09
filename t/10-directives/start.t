# A filter that does not come up while nginx reads its configuration: nginx refuses to start, and says which filter, why,
# and where it stands. (The filters start in the master then, where no thread may be; endless loops must end there too.)

use TestWasm 'no_plan';

# All that a module needs, for the inside of '(module ...)', after the imports.
our $Parts = <<'WAT';
(memory (export "memory") 1)
(func (export "malloc") (param i32) (result i32) (i32.const 1024))
(func (export "proxy_abi_version_0_2_1"))
WAT

sub wat { return [['m.wat', "(module\n$_[0]\n$Parts\n$_[1])\n"]] }

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe $TEST_NGINX_GUESTS/rust-probe.wasm;
}
CONF
    $block->set_value(must_die => '') unless $block->request;
});

run_tests();

__DATA__

=== TEST 1: on_vm_start returns false
--- config
location /t { proxy_wasm probe '@vm_start false'; }
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_vm_start returned false: .* in \S+nginx\.conf:\d+$/



=== TEST 2: on_vm_start returns false because of the VM configuration
--- main_config
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm '@vm_start false'; }
--- config
location /t { proxy_wasm probe; }
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_vm_start returned false: .* in \S+nginx\.conf:\d+$/



=== TEST 3: on_configure returns false
--- config
location /t { proxy_wasm probe '@configure false'; }
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_configure returned false: .* in \S+nginx\.conf:\d+$/



=== TEST 4: what the guest says about its configuration is in the log too
--- main_config
wasm { module headers $TEST_NGINX_GUESTS/rust-headers.wasm; }
--- config
location /t { proxy_wasm headers 'sing a song'; }
--- error_log eval
[
    qr/\[error\] .*wasm "headers": bad statement: sing a song$/,
    qr/\[emerg\] .*filter "headers" does not start: proxy_on_configure returned false: the filter refuses its configuration; it said last: bad statement: sing a song in \S+nginx\.conf:\d+$/,
]



=== TEST 5: the Go SDK refuses a configuration in the same way
--- main_config
wasm { module headers $TEST_NGINX_GUESTS/go-headers.wasm; }
--- config
location /t { proxy_wasm headers 'sing a song'; }
--- error_log eval
[
    qr/\[error\] .*wasm "headers": bad statement: sing a song$/,
    qr/\[emerg\] .*filter "headers" does not start: proxy_on_configure returned false: the filter refuses its configuration; it said last: bad statement: sing a song in \S+nginx\.conf:\d+$/,
]



=== TEST 6: the AssemblyScript SDK refuses a configuration in the same way
--- main_config
wasm { module headers $TEST_NGINX_GUESTS/assemblyscript-headers.wasm; }
--- config
location /t { proxy_wasm headers 'sing a song'; }
--- error_log eval
[
    qr/\[error\] .*wasm "headers": bad statement: sing a song$/,
    qr/\[emerg\] .*filter "headers" does not start: proxy_on_configure returned false: the filter refuses its configuration; it said last: bad statement: sing a song in \S+nginx\.conf:\d+$/,
]



=== TEST 7: a trap in on_context_create
--- config
location /t { proxy_wasm probe '@create abort'; }
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_context_create trapped in context 1: .*unreachable.* in \S+nginx\.conf:\d+$/



=== TEST 8: a trap in on_vm_start
--- config
location /t { proxy_wasm probe '@vm_start abort'; }
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_vm_start trapped in context 1: .*unreachable.* in \S+nginx\.conf:\d+$/



=== TEST 9: a trap in on_configure
--- config
location /t { proxy_wasm probe '@configure abort'; }
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_configure trapped in context 1: .*unreachable.* in \S+nginx\.conf:\d+$/



=== TEST 10: a panic of a Rust guest: its message comes before nginx's
--- config
location /t { proxy_wasm probe '@configure trap'; }
--- error_log eval
[
    qr/\[error\] .*wasm "probe": .*panicked at/,
    qr/probe was told to/,
    qr/\[emerg\] .*filter "probe" does not start: proxy_on_configure trapped in context 1: .* in \S+nginx\.conf:\d+$/,
]



=== TEST 11: a trap in _initialize
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func (export "_initialize") unreachable)')
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: _initialize trapped .*unreachable.* in \S+nginx\.conf:\d+$/



=== TEST 12: a trap in _start
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func (export "_start") unreachable) (func (export "proxy_on_log") (param i32))')
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: _start trapped .*unreachable.* in \S+nginx\.conf:\d+$/



=== TEST 13: a trap in the start function of the module
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func $s unreachable) (start $s)')
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: .*unreachable.* in \S+nginx\.conf:\d+$/



=== TEST 14: an endless loop in on_configure ends with wasm_timeout
--- config
location /t {
    wasm_timeout 100ms;
    proxy_wasm probe '@configure loop';
}
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_configure trapped in context 1: still running after 100 ms \(wasm_timeout\).* in \S+nginx\.conf:\d+$/



=== TEST 15: an endless loop in the start function ends with wasm_timeout
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func $s (loop $l (br $l))) (start $s)')
--- config
location /t {
    wasm_timeout 100ms;
    proxy_wasm m;
}
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: .*still running after 100 ms \(wasm_timeout\).* in \S+nginx\.conf:\d+$/



=== TEST 16: an endless loop in the allocator ends with wasm_timeout
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (loop $l (br $l)) unreachable)
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $get (i32.const 7) (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 4)))
    (i32.const 1)))
--- config
location /t {
    wasm_timeout 100ms;
    proxy_wasm m 'some configuration';
}
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: proxy_on_configure trapped in context 1: still running after 100 ms \(wasm_timeout\).* in \S+nginx\.conf:\d+$/



=== TEST 17: an allocator that asks the host again and again is stopped
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func $ask (result i32)
    (call $get (i32.const 7) (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 4)))
  (func (export "malloc") (param i32) (result i32) (drop (call $ask)) (i32.const 1024))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $ask)) (i32.const 1)))
--- config
location /t { proxy_wasm m 'some configuration'; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: proxy_on_configure trapped in context 1: .* in \S+nginx\.conf:\d+$/



=== TEST 18: endless recursion is stopped
--- config
location /t { proxy_wasm probe '@configure recurse'; }
--- error_log eval
qr/\[emerg\] .*filter "probe" does not start: proxy_on_configure trapped in context 1: .*(?:stack|out of bounds).* in \S+nginx\.conf:\d+$/



=== TEST 19: proc_exit while starting
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat(
    '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))',
    '(func (export "_initialize") (call $exit (i32.const 3)))'
)
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: _initialize trapped .*called proc_exit\(3\).* in \S+nginx\.conf:\d+$/



=== TEST 20: a program whose _start ends with proc_exit(0) is no filter, and the message says how to build one
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat(
    '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))',
    '(func (export "_start") (call $exit (i32.const 0))) (func (export "proxy_on_log") (param i32))'
)
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: its _start called proc_exit\(0\): .*-buildmode=c-shared.*cdylib.*-mexec-model=reactor in \S+nginx\.conf:\d+$/



=== TEST 21: _initialize is called before main, and _start not at all then
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat(
    '(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))',
    '(data (i32.const 0) "initmainstrt")
     (func (export "_initialize") (drop (call $log (i32.const 2) (i32.const 0) (i32.const 4))))
     (func (export "main") (param i32 i32) (result i32) (call $log (i32.const 2) (i32.const 4) (i32.const 4)))
     (func (export "_start") (drop (call $log (i32.const 2) (i32.const 8) (i32.const 4))))
     (func (export "proxy_on_log") (param i32))'
)
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- grep_error_log eval
qr/wasm "m": \w+/
--- grep_error_log_out eval
qr/\A(?:wasm "m": init\nwasm "m": main\n)+\z/



=== TEST 22: of two filters the one that does not start is named by its own line
--- main_config
wasm {
    module probe $TEST_NGINX_GUESTS/rust-probe.wasm;
    module bad   $TEST_NGINX_GUESTS/rust-probe.wasm;
}
--- config
location /t {
    proxy_wasm probe;
    include $TEST_NGINX_HTML_DIR/filters.conf;
}
--- user_files
>>> filters.conf
# a comment
proxy_wasm bad '@configure false';
--- error_log eval
qr/\[emerg\] .*filter "bad" does not start: .* in \S+filters\.conf:2$/



=== TEST 23: a module that begins with more memory than the limit
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files
>>> m.wat
(module
  (memory (export "memory") 65536)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1")))
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: cannot instantiate: .*memory.* in \S+nginx\.conf:\d+$/



=== TEST 24: a data segment outside of the memory
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(data (i32.const 65535) "ab")')
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: .*out of bounds.* in \S+nginx\.conf:\d+$/



=== TEST 25: the call stack is exhausted
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func $f (export "_initialize") (call $f) (call $f))')
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: _initialize trapped .*stack exhausted.* in \S+nginx\.conf:\d+$/



=== TEST 26: a long backtrace does not push the place out of the log entry
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', CORE::join "\n", map {
    my ($n, $long) = ($_, 'a_name_that_a_compiler_made' x 10);
    "(func \$${long}_$n " . ($n == 1 ? '(export "_initialize") ' : '') . ($n < 30 ? "(call \$${long}_" . ($n + 1) . ')' : 'unreachable') . ')'
} 1 .. 30)
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: _initialize trapped .*unreachable.* in \S+nginx\.conf:\d+$/



=== TEST 27: the message has what the filter said, also what the log has not
--- config
location /t { proxy_wasm probe '@configure log info the key is missing; @configure false'; }
--- error_log eval
qr/\[emerg\] .*: the filter refuses its configuration; it said last: .*the key is missing.* in \S+nginx\.conf:\d+$/
--- no_error_log
[info]



=== TEST 28: JSON that lost a backslash to nginx, for a filter in Go
--- main_config
wasm { module auth $TEST_NGINX_GUESTS/go-auth.wasm; }
--- config
location /t { proxy_wasm auth '{"consumers": [{"name": "a \"b\""}]}'; }
--- error_log eval
qr/\[emerg\] .*filter "auth" does not start: proxy_on_configure returned false: the filter refuses its configuration, which begins as JSON does and is none: .* at line 1 column \d+ \(in nginx\.conf .* a backslash in it twice\); it said last: the configuration cannot be used: .* in \S+nginx\.conf:\d+$/



=== TEST 29: JSON that the filter does not like
--- main_config
wasm { module auth $TEST_NGINX_GUESTS/go-auth.wasm; }
--- config
location /t { proxy_wasm auth '{"consumers": []}'; }
--- error_log eval
qr/\[emerg\] .*: the filter refuses its configuration; it said last: the configuration cannot be used: there are no consumers in \S+nginx\.conf:\d+$/



=== TEST 30: a configuration in a file
--- main_config
wasm { module auth $TEST_NGINX_GUESTS/go-auth.wasm; }
--- config
location /t { proxy_wasm auth file=$TEST_NGINX_HTML_DIR/auth.json; }
--- user_files
>>> auth.json
{"consumers": [}
--- error_log eval
qr/\[emerg\] .*: the filter refuses its configuration, from "\S+\/auth\.json", which begins as JSON does and is none: .* at line 1 column 16; it said last: .* in \S+nginx\.conf:\d+$/



=== TEST 31: no configuration, for a filter that wants one
--- main_config
wasm { module auth $TEST_NGINX_GUESTS/go-auth.wasm; }
--- config
location /t { proxy_wasm auth; }
--- error_log eval
qr/\[emerg\] .*: the filter refuses its configuration, which is empty: it stands behind the name in "proxy_wasm", or in a file \(file=PATH\); it said last: .* in \S+nginx\.conf:\d+$/



=== TEST 32: the VM configuration
--- main_config
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm '[@vm_start false'; }
--- config
location /t { proxy_wasm probe '@vm_start log error "it is not that"; @vm_start false'; }
--- error_log eval
qr/\[emerg\] .*proxy_on_vm_start returned false: the filter refuses its VM configuration, which begins as JSON does and is none: .* in \S+nginx\.conf:\d+$/



=== TEST 33: an exception of AssemblyScript
--- main_config
wasm { module m $TEST_NGINX_GUESTS/assemblyscript-rootid.wasm; }
--- config
location /t { proxy_wasm m 'x' root_id=nobody; }
--- error_log eval
[
    qr/\[crit\] .*wasm "m": Missing root context factory for root id: nobody/,
    qr/\[emerg\] .*filter "m" does not start: proxy_on_context_create trapped in context \d+: .*; it asked for its root id before, which is "nobody" .*; it said last: Missing root context factory for root id: nobody at: \S+ in \S+nginx\.conf:\d+$/,
]



=== TEST 34: what a guest has printed before it ends itself, the last lines, up to 1 KB
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat(
    '(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))',
    '(data (i32.const 0) "\10\00\00\00\0e\06\00\00")
     (data (i32.const 16) "early\0a' . ('x' x 500 . '\0a') x 3 . 'panic: no \1brealm\0a\0agoroutine 1 [running]:\0a")
     (func (export "_initialize")
        (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $exit (i32.const 2)))'
)
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: _initialize trapped in context 0: called proc_exit\(2\); it said last: x{500} \| panic: no \\x1brealm \| goroutine 1 \[running\]: in \S+nginx\.conf:\d+$/



=== TEST 35: what it said comes before a long backtrace
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))', '(data (i32.const 0) "no realm")' . CORE::join "\n", map {
    my ($n, $long) = ($_, 'a_name_that_a_compiler_made' x 10);
    my $does = $n == 1 ? '(drop (call $log (i32.const 4) (i32.const 0) (i32.const 8)))' : '';
    "(func \$${long}_$n " . ($n == 1 ? '(export "_initialize") ' : '') . $does . ($n < 30 ? "(call \$${long}_" . ($n + 1) . ')' : 'unreachable') . ')'
} 1 .. 30)
--- config
location /t { proxy_wasm m; }
--- error_log eval
qr/\[emerg\] .*filter "m" does not start: _initialize trapped .*unreachable.*; it said last: no realm \(guest backtrace: .* < \.\.\.\) in \S+nginx\.conf:\d+$/



=== TEST 36: a filter that nothing would ever call starts, and lets all pass, but not without a word
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func (export "_initialize"))')
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/\[warn\] .*filter "m" has no callbacks of Proxy-Wasm, so it does nothing, and all requests pass: it exports none, .* in \S+nginx\.conf:\d+$/



=== TEST 37: one callback is enough
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))')
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- no_error_log
[warn]



=== TEST 38: callbacks that proxy_wasm_allow leaves out
--- main_config
wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }
--- user_files eval
main::wat('', '(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))')
--- config
location /t {
    proxy_wasm_allow on_response_headers;
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/\[warn\] .*filter "m" has no callbacks of Proxy-Wasm, .* it exports none, or "proxy_wasm_allow" leaves it none, in \S+nginx\.conf:\d+$/
