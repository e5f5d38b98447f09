# Mistakes about programs that keep nginx from starting, and what is no mistake. Those that can be made with any directive are in
# t/10-directives/mistakes.t.

use TestWasm 'no_plan';

# A block with `in_location` has that in a location with a program; `in_server`, `in_http` likewise.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module program $TEST_NGINX_GUESTS/rust-program.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module plugin  $TEST_NGINX_GUESTS/rust-extism.wasm;
}
CONF
    my $in_location = $block->in_location;
    $block->set_value(config => "location /p/ {\n    wasm_cgi program;\n    $in_location}\n") if defined $in_location;
});

run_tests();

__DATA__

=== TEST 1: a filter is no program
--- config
location /p/ { wasm_cgi headers; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*"headers".*(_start|proxy_wasm).*nginx\.conf:\d+/]



=== TEST 2: a program is no filter
--- config
location /p/ { proxy_wasm program; return 200; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*"program".*(_start|wasm_cgi|proxy_abi_version).*nginx\.conf:\d+/]



=== TEST 3: a plugin for Extism is no program
--- config
location /p/ { wasm_cgi plugin; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*"plugin".*(_start|wasm_function).*nginx\.conf:\d+/]



=== TEST 4: a module that is not there
--- config
location /p/ { wasm_cgi other; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*unknown module "other".*nginx\.conf:\d+/]



=== TEST 5: no module at all
--- main_config
# There is none.
--- config
location /p/ { wasm_cgi program; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*unknown module "program".*nginx\.conf:\d+/]



=== TEST 6: a program that imports what no host has
--- main_config
wasm { module odd $TEST_NGINX_HTML_DIR/odd.wat; }
--- user_files
>>> odd.wat
(module
  (import "env" "teleport" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
--- config
location /p/ { wasm_cgi odd; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*"odd".*teleport.*nginx\.conf:\d+/]



=== TEST 7: a program whose function takes arguments
--- main_config
wasm { module odd $TEST_NGINX_HTML_DIR/odd.wat; }
--- user_files
>>> odd.wat
(module
  (memory (export "memory") 1)
  (func (export "_start") (param i32)))
--- config
location /p/ { wasm_cgi odd; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*"odd".*_start.*nginx\.conf:\d+/]



=== TEST 8: a program that exports no memory
--- main_config
wasm { module odd $TEST_NGINX_HTML_DIR/odd.wat; }
--- user_files
>>> odd.wat
(module (func (export "_start")))
--- config
location /p/ { wasm_cgi odd; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*"odd".*memory.*nginx\.conf:\d+/]



=== TEST 9: twice in a location
--- config
location /p/ { wasm_cgi program; wasm_cgi program; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*"wasm_cgi" directive is duplicate.*nginx\.conf:\d+/]



=== TEST 10: a program and a function in one location
--- config
location /p/ { wasm_cgi program; wasm_function plugin greet; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*(wasm_function|wasm_cgi).*nginx\.conf:\d+/]



=== TEST 11: outside of a location
--- config
wasm_cgi program;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"wasm_cgi" directive is not allowed here.*nginx\.conf:\d+/]



=== TEST 12: threads are of all servers
--- config
wasm_threads 4;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"wasm_threads" directive is not allowed here.*nginx\.conf:\d+/]



=== TEST 13: threads, said twice
--- http_config
wasm_threads 4;
wasm_threads 4;
--- config
--- must_die
--- error_log eval
[qr/\[emerg\] .*"wasm_threads" directive is duplicate.*nginx\.conf:\d+/]



=== TEST 14: no threads
--- http_config
wasm_threads 0;
--- config
--- must_die
--- error_log eval
[qr/\[emerg\] .*"0".*"wasm_threads".*nginx\.conf:\d+/]



=== TEST 15: threads without a number
--- http_config
wasm_threads many;
--- config
--- must_die
--- error_log eval
[qr/\[emerg\] .*"many".*"wasm_threads".*nginx\.conf:\d+/]



=== TEST 16: a queue without a number
--- http_config
wasm_threads 4 queue=long;
--- config
--- must_die
--- error_log eval
[qr/\[emerg\] .*"queue=long".*"wasm_threads".*nginx\.conf:\d+/]



=== TEST 17: a word that threads do not have
--- http_config
wasm_threads 4 stack=1m;
--- config
--- must_die
--- error_log eval
[qr/\[emerg\] .*"stack=1m".*"wasm_threads".*nginx\.conf:\d+/]



=== TEST 18: an output that there is not
--- in_location
wasm_output html;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"html".*"wasm_output".*cgi.*raw.*nginx\.conf:\d+/]



=== TEST 19: a function that the module does not have
--- in_location
wasm_entry begin;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"program".*"begin".*nginx\.conf:\d+/]



=== TEST 20: a regular expression that is none
--- in_location
wasm_split_path_info ^(.+;
--- must_die
--- error_log eval
[qr/\[emerg\] .*(pcre|regex|wasm_split_path_info).*nginx\.conf:\d+/]



=== TEST 21: a regular expression without two captures
--- in_location
wasm_split_path_info ^(.+)$;
--- must_die
--- error_log eval
[qr/\[emerg\] .*(two captures|captures|wasm_split_path_info).*nginx\.conf:\d+/]



=== TEST 22: a switch that is neither on nor off
--- in_location
wasm_pass_authorization yes;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"yes".*"wasm_pass_authorization".*nginx\.conf:\d+/]



=== TEST 23: the same for the request's body
--- in_location
wasm_request_buffering maybe;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"maybe".*"wasm_request_buffering".*nginx\.conf:\d+/]



=== TEST 24: a time that is none
--- in_location
wasm_program_timeout soon;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"soon".*"wasm_program_timeout".*nginx\.conf:\d+/]



=== TEST 25: no time
--- in_location
wasm_program_timeout 0;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"0".*"wasm_program_timeout".*nginx\.conf:\d+/]



=== TEST 26: a size that is none
--- in_location
wasm_header_limit large;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"large".*"wasm_header_limit".*nginx\.conf:\d+/]



=== TEST 27: another
--- in_location
wasm_output_limit large;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"large".*"wasm_output_limit".*nginx\.conf:\d+/]



=== TEST 28: a directory that is not there
--- in_location
wasm_dir $TEST_NGINX_HTML_DIR/gone:/data;
--- must_die
--- error_log eval
[qr{\[emerg\] .*/gone".*No such file .*nginx\.conf:\d+}]



=== TEST 29: a file is no directory
--- in_location
wasm_dir $TEST_NGINX_HTML_DIR/file:/data;
--- user_files
>>> file
text
--- must_die
--- error_log eval
[qr{\[emerg\] .*/file".*Not a directory.*nginx\.conf:\d+}]



=== TEST 30: a name of a directory that is no path
--- in_location
wasm_dir $TEST_NGINX_HTML_DIR:data;
--- must_die
--- error_log eval
[qr{\[emerg\] .*data".*"?wasm_dir"?.*nginx\.conf:\d+}]



=== TEST 31: a name that leads out
--- in_location
wasm_dir $TEST_NGINX_HTML_DIR:/data/../other;
--- must_die
--- error_log eval
[qr{\[emerg\] .*wasm_dir.*nginx\.conf:\d+}]



=== TEST 32: a right that there is not
--- in_location
wasm_dir $TEST_NGINX_HTML_DIR:/data:rwx;
--- must_die
--- error_log eval
[qr{\[emerg\] .*rwx".*wasm_dir.*nginx\.conf:\d+}]



=== TEST 33: one name for two directories
--- in_location
wasm_dir $TEST_NGINX_HTML_DIR:/data;
wasm_dir $TEST_NGINX_SERVER_ROOT:/data;
--- must_die
--- error_log eval
[qr{\[emerg\] .*/data".*wasm_dir.*nginx\.conf:\d+}]



=== TEST 34: a variable with "=" in its name
--- in_location
wasm_env A=B c;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"A=B".*wasm_env.*nginx\.conf:\d+/]



=== TEST 35: a variable without a name
--- in_location
wasm_env "" c;
--- must_die
--- error_log eval
[qr/\[emerg\] .*wasm_env.*nginx\.conf:\d+/]



=== TEST 36: a variable without a value
--- in_location
wasm_env NAME;
--- must_die
--- error_log eval
[qr/\[emerg\] .*invalid number of arguments in "wasm_env" directive.*nginx\.conf:\d+/]



=== TEST 37: a variable of nginx that there is not
--- in_location
wasm_arg $no_such_variable_anywhere;
--- must_die
--- error_log eval
[qr/\[emerg\] .*unknown "no_such_variable_anywhere" variable/]



=== TEST 38: a snapshot behind a function that the module does not have
--- in_location
wasm_snapshot no-such-function;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"no-such-function".*nginx\.conf:\d+/]



=== TEST 39: what a program may have is said without a program
--- http_config
wasm_threads 4;
wasm_output raw;
wasm_env A b;
wasm_arg a;
--- config
wasm_pass_authorization on;
wasm_query_arguments on;
wasm_request_buffering off;
wasm_program_timeout 5s;
wasm_header_limit 4k;
wasm_output_limit 1m;
wasm_entry main;
wasm_dir $TEST_NGINX_HTML_DIR:/data;
wasm_split_path_info ^(.+)(/.*)$;
location /p/ { return 200 "ok\n"; }
--- request
GET /p/
--- response_body
ok



=== TEST 40: a program in text form, and with all that can be said
--- main_config
wasm { module small $TEST_NGINX_HTML_DIR/small.wat; }
--- user_files
>>> small.wat
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\20\00\00\00Content-Type: text/x\n\nfrom text\n")
  (func (export "begin") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))))
--- http_config
wasm_threads 2 queue=5;
--- config
location /p/ {
    wasm_cgi small;
    wasm_entry begin;
    wasm_output cgi;
    wasm_pass_authorization off;
    wasm_request_buffering off;
    wasm_program_timeout 5s;
    wasm_timeout 500ms;
    wasm_memory_limit 1m;
    wasm_header_limit 4k;
    wasm_output_limit 1m;
    wasm_fuel 100000;
    wasm_snapshot off;
}
--- request
GET /p/
--- response_headers
Content-Type: text/x
--- response_body
from text



=== TEST 41: a module may be a program here and another there
--- config
location /a/ { wasm_cgi program; }
location /b/ { wasm_cgi program; wasm_output raw; }
location /c/ { proxy_wasm headers; wasm_cgi program; }
--- request eval
["GET /a/hello", "GET /b/hello", "GET /c/hello"]
--- response_body eval
["hello\n", "Content-Type: text/plain\n\nhello\n", "hello\n"]



=== TEST 42: what is for filters alone, said of a program
--- in_location
proxy_wasm_on_error filter=program open;
--- must_die
--- error_log eval
qr/\[emerg\] .*"proxy_wasm_on_error" is for filters alone, and "program" is what "wasm_cgi" in \S+nginx\.conf:\d+ runs, in \S+nginx\.conf:\d+$/



=== TEST 43: each such directive
--- config
location /p/ {
    wasm_function plugin count_vowels;
    proxy_wasm_isolation filter=plugin request;
    proxy_wasm_recycle filter=plugin off;
    proxy_wasm_restart_delay filter=plugin 1s;
    proxy_wasm_trace filter=plugin on;
    proxy_wasm_env filter=plugin A 1;
}
--- must_die
--- error_log eval
[map { qr/\[emerg\] .*"proxy_wasm_$_" is for filters alone, and "plugin" is what "wasm_function" in / } qw( isolation recycle restart_delay trace env )]



=== TEST 44: what is for programs, too
--- config
location /p/ {
    wasm_cgi program;
    proxy_wasm_allow filter=program log;
    wasm_fuel filter=program 100000000;
    proxy_wasm_log_level filter=program warn;
    proxy_wasm_log_rate filter=program 10;
}
--- request
GET /p/echo
--- error_code: 200
--- no_error_log
has no effect



=== TEST 45: and is said where none of that name is
--- config
location /p/ { wasm_cgi program; }
location /q/ { wasm_fuel filter=program 1; return 200 "ok\n"; }
--- request
GET /q/
--- response_body
ok
--- error_log eval
qr/\[warn\] .*"wasm_fuel filter=program" in \S+nginx\.conf:\d+ has no effect: .* and "wasm_cgi program" stands in \S+nginx\.conf:\d+$/
