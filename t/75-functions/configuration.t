# Mistakes about functions that keep nginx from starting: the module, the function, the manifest, their words.

use TestWasm 'no_plan';

# `manifest` is what a manifest says, and `functions` what is said in a location.
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module extism  $TEST_NGINX_GUESTS/rust-extism.wasm;
    module program $TEST_NGINX_GUESTS/rust-program.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
}
CONF
    my $manifest = $block->manifest;
    if (defined $manifest) {
        $block->set_value(user_files => ">>> manifest.json\n$manifest");
        $block->set_value(config => 'location = /f { wasm_function extism greet manifest=$TEST_NGINX_HTML_DIR/manifest.json; }');
    }
    my $functions = $block->functions;
    $block->set_value(config => "location = /f { $functions }\n") if defined $functions;
});

run_tests();

__DATA__

=== TEST 1: a filter is no plugin
--- functions: wasm_function headers greet;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"headers".*proxy_wasm.*nginx\.conf:\d+/]



=== TEST 2: a module that is not there
--- functions: wasm_function other greet;
--- must_die
--- error_log eval
[qr/\[emerg\] .*unknown module "other".*nginx\.conf:\d+/]



=== TEST 3: a function that is not there: those that are, are named
--- functions: wasm_function extism greets;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"extism".*"?greets"?.*\bgreet\b.*nginx\.conf:\d+/]



=== TEST 4: a function with arguments is none of a plugin's
--- functions: wasm_function extism with_arguments;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"extism".*with_arguments.*nginx\.conf:\d+/]



=== TEST 5: a plugin without its function
--- functions: wasm_function extism;
--- must_die
--- error_log eval
[qr/\[emerg\] .*invalid number of arguments in "wasm_function" directive.*nginx\.conf:\d+/]



=== TEST 6: a word that is none
--- functions: wasm_function extism greet config=x;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"config=x".*"wasm_function".*nginx\.conf:\d+/]



=== TEST 7: twice
--- functions: wasm_function extism greet; wasm_function extism echo;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"wasm_function" directive is duplicate.*nginx\.conf:\d+/]



=== TEST 8: a mode that is none
--- functions: wasm_function extism greet; wasm_function_mode xml;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"xml".*"wasm_function_mode".*raw.*json.*nginx\.conf:\d+/]



=== TEST 9: a status that is no error
--- functions: wasm_function extism greet; wasm_function_error 200;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"200".*"wasm_function_error".*nginx\.conf:\d+/]



=== TEST 10: a status that is none
--- functions: wasm_function extism greet; wasm_function_error teapot;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"teapot".*"wasm_function_error".*nginx\.conf:\d+/]



=== TEST 11: another word behind it
--- functions: wasm_function extism greet; wasm_function_error 500 html;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"html".*"wasm_function_error".*nginx\.conf:\d+/]



=== TEST 12: a manifest that is not there
--- functions: wasm_function extism greet manifest=gone.json;
--- must_die
--- error_log eval
[qr/\[emerg\] .*gone\.json".*No such file .*nginx\.conf:\d+/]



=== TEST 13: a manifest that is no JSON
--- manifest
config: yes
--- must_die
--- error_log eval
[qr/\[emerg\] .*manifest\.json.*JSON.*nginx\.conf:\d+/]



=== TEST 14: a word that manifests do not have
--- manifest
{ "allowed_host": ["a"] }
--- must_die
--- error_log eval
[qr/\[emerg\] .*manifest\.json.*"allowed_host".*nginx\.conf:\d+/]



=== TEST 15: another type than it has
--- manifest
{ "config": ["a"] }
--- must_die
--- error_log eval
[qr/\[emerg\] .*manifest\.json.*config.*nginx\.conf:\d+/]



=== TEST 16: a sum that is not that of the module
--- manifest
{ "wasm": [ { "path": "x.wasm", "hash": "0000000000000000000000000000000000000000000000000000000000000000" } ] }
--- must_die
--- error_log eval
[qr/\[emerg\] .*(SHA-256|hash).*nginx\.conf:\d+/]



=== TEST 17: two modules in one plugin
--- manifest
{ "wasm": [ { "path": "a.wasm" }, { "path": "b.wasm" } ] }
--- must_die
--- error_log eval
[qr/\[emerg\] .*manifest\.json.*2 modules.*nginx\.conf:\d+/]



=== TEST 18: a directory that is not there
--- manifest
{ "allowed_paths": { "gone": "/data" } }
--- must_die
--- error_log eval
[qr/\[emerg\] .*gone".*No such file/]



=== TEST 19: time that is none
--- manifest
{ "timeout_ms": 0 }
--- must_die
--- error_log eval
[qr/\[emerg\] .*timeout_ms.*nginx\.conf:\d+/]



=== TEST 20: outside of a location
--- config
wasm_function extism greet;
--- must_die
--- error_log eval
[qr/\[emerg\] .*"wasm_function" directive is not allowed here.*nginx\.conf:\d+/]



=== TEST 21: what functions may have is said without one
--- http_config
wasm_function_mode json;
wasm_function_error 502 text;
--- config
location = /f { return 200 "ok\n"; }
--- request
GET /f
--- response_body
ok



=== TEST 22: a manifest with all that hosts know
--- manifest
{
  "wasm": [ { "path": "https://example.com/plugin.wasm", "name": "main" } ],
  "memory": { "max_pages": 500, "max_http_response_bytes": 1000, "max_var_bytes": 1000 },
  "config": { "a": "b" },
  "allowed_hosts": ["*.example.com"],
  "allowed_paths": {},
  "timeout_ms": 5000
}
--- request
POST /f
Bob
--- response_body chomp
Hello, Bob!



=== TEST 23: one plugin with two manifests
--- config
location = /a { wasm_function extism config manifest=$TEST_NGINX_HTML_DIR/a.json; }
location = /b { wasm_function extism config manifest=$TEST_NGINX_HTML_DIR/b.json; }
location = /c { wasm_function extism config; }
--- user_files
>>> a.json
{ "config": { "one": "from a" } }
>>> b.json
{ "config": { "one": "from b" } }
--- request eval
[map {"POST /$_\none"} qw( a b c a )]
--- response_body eval
["from a", "from b", "there is no one", "from a"]
