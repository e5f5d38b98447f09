# Functions that fail: the status that wasm_function_error says, otherwise 500; the plugin's own error only where that is wanted, and
# always in the error log; the next request is served.

use TestWasm 'no_plan';

# Each block asks for its function and then for one that works.
add_block_preprocessor(sub {
    my $block = shift;
    my @rust = qw( greet fail fail_late code error_and_zero loop trap panic leave grow big large_var );
    my $more = $block->more_config // '';
    my $request = ref $block->request ? join ' ', @{$block->request} : $block->request // '';
    $block->set_value(config => join '',
        "wasm_timeout 10s;\n", (map {"location = /$_ { $more wasm_function extism $_; }\n"} @rust),
        $request =~ m{/go/} ? (map {"location = /go/$_ { $more wasm_function go $_; }\n"} qw( hello crash )) : (),
        $request =~ m{/as/} ? (map {"location = /as/$_ { $more wasm_function assemblyscript $_; }\n"} qw( refuse crash )) : (),
    ) unless $block->config;
    unless ($block->main_config) {
        # Only what is used: each is compiled for each test.
        my %files = (extism => 'rust-extism', go => 'go-extism', assemblyscript => 'assemblyscript-extism');
        my @used = grep { $block->config =~ /wasm_function\s+$_\s/ } sort keys %files;
        $block->set_value(main_config => "wasm {\n" . join('', map {"module $_ \$TEST_NGINX_GUESTS/$files{$_}.wasm;\n"} @used) . "}\n");
    }
    return if ref $block->request || $block->request =~ /^HEAD/;
    my ($status, $body, $unlike) = ($block->error_code, $block->response_body_like // "\\b@{[ $block->error_code ]}\\b", $block->response_body_unlike // 'nothing like this');
    $block->set_value(request => [$block->request, "POST /greet\nBob"]);
    $block->set_value(error_code => [$status, 200]);
    $block->set_value(response_body_like => [$body, '^Hello, Bob!$']);
    $block->set_value(response_body_unlike => [$unlike, 'nothing like this']);
});

# After each of several requests the log of all of them is looked at.
check_accum_error_log();

run_tests();

__DATA__

=== TEST 1: an error is 500, and the client is not told more
--- request
POST /fail
the secret reason
--- error_code: 500
--- response_body_unlike: secret
--- error_log eval
qr/\[error\] .*"extism".*fail.*the secret reason.*request: "POST \/fail/



=== TEST 2: unless it is to be
--- more_config: wasm_function_error 500 text;
--- request
POST /fail
the reason
--- error_code: 500
--- response_body_like: ^the reason$
--- error_log eval
qr/\[error\] .*"extism".*fail.*the reason/



=== TEST 3: with another status
--- more_config: wasm_function_error 409 text;
--- request
POST /fail
the reason
--- error_code: 409
--- response_body_like: ^the reason$
--- error_log eval
qr/\[error\] .*"extism".*fail.*the reason/



=== TEST 4: with another status, and nginx's page
--- more_config: wasm_function_error 409;
--- request
POST /fail
the secret reason
--- error_code: 409
--- response_body_unlike: secret
--- error_log eval
qr/\[error\] .*"extism".*fail.*the secret reason/



=== TEST 5: an output that comes before the error does not count
--- more_config: wasm_function_error 500 text;
--- request
POST /fail_late
late
--- error_code: 500
--- response_body_like: ^late$
--- error_log eval
qr/\[error\] .*"extism".*fail_late.*late/



=== TEST 6: a code other than 0 is an error, too
--- request
POST /code
x
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*code.*7/



=== TEST 7: and an error is one with the code 0
--- more_config: wasm_function_error 500 text;
--- request
POST /error_and_zero
x
--- error_code: 500
--- response_body_like: ^an error, though the code is 0$
--- error_log eval
qr/\[error\] .*"extism".*error_and_zero.*though the code is 0/



=== TEST 8: a trap
--- request
POST /trap
x
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*trap/



=== TEST 9: a trap has no text of its own
--- more_config: wasm_function_error 500 text;
--- request
POST /trap
x
--- error_code: 500
--- response_body_unlike: backtrace|unreachable
--- error_log eval
qr/\[error\] .*"extism".*trap/



=== TEST 10: a panic
--- request
POST /panic
at the test
--- error_code: 500
--- error_log eval
[qr/"extism".*panicked at/, qr/\[error\] .*"extism".*panic.*(trap|unreachable)/]



=== TEST 11: an exit code
--- request
POST /leave
x
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*leave.*exit\D*5/



=== TEST 12: a function that never ends
--- config
location = /loop { wasm_function extism loop; wasm_timeout 100ms; }
location = /greet { wasm_function extism greet; }
--- request eval
["POST /loop\nx", "POST /greet\nBob"]
--- error_code_like eval
['^50[04]$', '^200$']
--- response_body_like eval
['\b50[04]\b', '^Hello, Bob!$']
--- error_log eval
qr/\[error\] .*"extism".*loop.*wasm_timeout/



=== TEST 13: or takes longer than its manifest says
--- config
location = /loop { wasm_function extism loop manifest=$TEST_NGINX_HTML_DIR/manifest.json; wasm_timeout 10m; }
location = /greet { wasm_function extism greet; }
--- user_files
>>> manifest.json
{ "timeout_ms": 100 }
--- request eval
["POST /loop\nx", "POST /greet\nBob"]
--- error_code_like eval
['^50[04]$', '^200$']
--- response_body_like eval
['\b50[04]\b', '^Hello, Bob!$']
--- error_log eval
qr/\[error\] .*"extism".*loop.*timeout_ms/



=== TEST 14: fuel that is used up
--- config
location = /loop { wasm_function extism loop; wasm_timeout 10m; wasm_fuel 1000000; }
location = /greet { wasm_function extism greet; wasm_fuel 1000000; }
--- request
POST /loop
x
--- error_code: 504
--- error_log eval
qr/\[error\] .*"extism".*loop.*fuel/



=== TEST 15: memory that is not there
--- config
location = /grow { wasm_function extism grow; wasm_memory_limit 16m; }
location = /greet { wasm_function extism greet; wasm_memory_limit 16m; }
--- request
POST /grow
x
--- error_code: 200
--- response_body_like: ^no more memory after 1[0-5] MiB$



=== TEST 16: an input that does not fit
--- config
location = /greet { client_max_body_size 10m; wasm_function extism greet; wasm_memory_limit 2m; }
--- request eval
"POST /greet\n" . 'x' x 5_000_000
--- error_code: 413
--- error_log eval
qr/\[error\] .*"extism".*(memory|5000000)/



=== TEST 17: a variable that is too large
--- request
POST /large_var
2000000
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*large_var/



=== TEST 18: one that is not
--- request
POST /large_var
1000000
--- error_code: 200
--- response_body_like: ^kept 1000000, then None$



=== TEST 19: an output that cannot be made
--- request
POST /big
no number
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*big.*invalid digit/



=== TEST 20: error_page
--- config
error_page 500 502 /sorry;
location = /sorry { return 200 "sorry: $status\n"; }
location = /fail { wasm_function extism fail; }
location = /trap { wasm_function extism trap; wasm_function_error 502; }
location = /greet { wasm_function extism greet; }
--- request eval
["POST /fail\nx", "POST /trap\nx", "POST /greet\nBob"]
--- error_code eval
[500, 502, 200]
--- response_body eval
["sorry: 500\n", "sorry: 502\n", "Hello, Bob!"]



=== TEST 21: a text is the answer, error_page or not
--- config
error_page 409 /sorry;
location = /sorry { return 200 "sorry\n"; }
location = /fail { wasm_function extism fail; wasm_function_error 409 text; }
location = /greet { wasm_function extism greet; }
--- request
POST /fail
the reason
--- error_code: 409
--- response_body_like: ^the reason$



=== TEST 22: Go: an error
--- more_config: wasm_function_error 422 text;
--- request eval
["GET /go/hello", "POST /go/hello\nBob"]
--- error_code eval
[422, 200]
--- response_body_like eval
['^nobody is there to be greeted$', '^hello Bob$']
--- error_log eval
qr/\[error\] .*"go".*nobody is there/



=== TEST 23: Go: a panic
--- request eval
["GET /go/crash", "POST /go/hello\nBob"]
--- error_code eval
[500, 200]
--- error_log eval
[qr/"go".*panic: as it was asked for/, qr/\[error\] .*"go".*crash/]



=== TEST 24: AssemblyScript: an error, and one with a trap behind it
--- more_config: wasm_function_error 400 text;
--- request eval
["POST /as/crash\nyou", "POST /as/refuse\nyou"]
--- error_code eval
[400, 400]
--- response_body_like eval
['^as it was asked for$', '^it is refused: you$']
--- error_log eval
qr/\[error\] .*"assemblyscript".*crash.*as it was asked for/



=== TEST 25: an envelope that is none
--- config
wasm_function_mode json;
location = /answer { wasm_function extism json_answer; }
location = /greet { wasm_function_mode raw; wasm_function extism greet; }
--- request
POST /answer
this is no JSON
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*json_answer.*JSON/



=== TEST 26: an envelope with a status that is none
--- config
wasm_function_mode json;
location = /answer { wasm_function extism json_answer; }
location = /greet { wasm_function_mode raw; wasm_function extism greet; }
--- request
POST /answer
{"status": 99}
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*json_answer.*status.*99/



=== TEST 27: an envelope with what it does not have
--- config
wasm_function_mode json;
location = /answer { wasm_function extism json_answer; }
location = /greet { wasm_function_mode raw; wasm_function extism greet; }
--- request
POST /answer
{"headers": {"x": 5}}
--- error_code: 500
--- error_log eval
qr/\[error\] .*"extism".*json_answer.*header/



=== TEST 28: a header with a line end in it is left out, and the log says so
--- config
wasm_function_mode json;
location = /answer { wasm_function extism json_answer; }
location = /greet { wasm_function_mode raw; wasm_function extism greet; }
--- request eval
["POST /answer\n" . '{"headers": {"x-a": "b\r\nSet-Cookie: evil=1", "x-b": "c"}, "body": "the rest"}', "POST /greet\nBob"]
--- raw_response_headers_unlike eval
[qr/evil|x-a/i, qr/evil/]
--- response_body eval
["the rest", "Hello, Bob!"]
--- error_log eval
qr/\[error\] .*x-a/



=== TEST 29: HEAD fails as well
--- request
HEAD /trap
--- error_code: 500
--- response_body



=== TEST 30: over HTTP/2
--- http2
--- more_config: wasm_function_error 409 text;
--- request
POST /fail
the reason
--- error_code: 409
--- response_body_like: ^the reason$
--- error_log eval
qr/\[error\] .*"extism".*the reason/
