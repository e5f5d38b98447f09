# What a program may have: time of the processor, time between two signs of life, memory, output. What is within the limits passes.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm { module program $TEST_NGINX_GUESTS/rust-program.wasm; }
CONF
});

# What the program writes for `large`.
sub large {
    my ($size, $piece) = @_;
    my $letters = join '', map { $_ x $piece } 'a' .. 'z';
    return substr $letters x (1 + $size / length $letters), 0, $size;
}

run_tests();

__DATA__

=== TEST 1: waiting is no time of the processor
--- config
location /p/ { wasm_cgi program; wasm_timeout 50ms; wasm_program_timeout 10m; }
--- request
GET /p/sleep?ms=300
--- response_body
slept



=== TEST 2: nor is waiting between writes
--- config
location /p/ { wasm_cgi program; wasm_timeout 50ms; wasm_program_timeout 10m; }
--- request
GET /p/drip?n=10&ms=20
--- response_body_like: ^(line \d+\n){10}$



=== TEST 3: each run has its own time
--- config
location /p/ { wasm_cgi program; wasm_timeout 300ms; }
--- request eval
["GET /p/loop", "GET /p/hello", "GET /p/loop", "GET /p/hello"]
--- error_code eval
[504, 200, 504, 200]



=== TEST 4: writing is a sign of life
--- config
location /p/ { wasm_cgi program; wasm_timeout 10m; wasm_program_timeout 3s; }
--- request
GET /p/drip?n=32&ms=100
--- response_body_like: ^(line \d+\n){32}$



=== TEST 5: a program that writes and never ends has its time of the processor, no more
--- config
location /p/ { wasm_cgi program; wasm_timeout 50ms; }
--- request
GET /p/large?n=10000000000000&piece=100 HTTP/1.0
--- ignore_response
--- error_log eval
qr/\[error\] .*wasm program "program".*wasm_timeout/



=== TEST 6: memory
--- config
location /small/ { wasm_cgi program; wasm_memory_limit 8m; wasm_timeout 10m; }
location /large/ { wasm_cgi program; wasm_memory_limit 64m; wasm_timeout 10m; }
--- request eval
["GET /small/grow", "GET /large/grow", "GET /small/grow"]
--- response_body_like eval
['^no more memory after [4-7] MiB$', '^no more memory after [56]\d MiB$', '^no more memory after [4-7] MiB$']



=== TEST 7: without a word about it, 128 MiB
--- config
location /p/ { wasm_cgi program; wasm_timeout 10m; }
--- request
GET /p/grow
--- response_body_like: ^no more memory after 1[12]\d MiB$



=== TEST 8: memory for less than the program needs to begin
--- config
location /p/ { wasm_cgi program; wasm_memory_limit 64k; }
--- must_die
--- error_log eval
qr/\[emerg\] .*program "program": it does not start: cannot instantiate: memory minimum size of \d+ pages exceeds memory limits in \S+nginx\.conf:\d+$/



=== TEST 9: output up to the limit, with its headers
--- config
location /p/ { wasm_cgi program; wasm_output_limit 100026; }
--- request
GET /p/large?n=100000
--- response_body eval
::large(100_000, 16_384)



=== TEST 10: no limit for output when none is said
--- config
location /p/ { wasm_cgi program; wasm_output_limit 0; wasm_timeout 10m; }
--- request
GET /p/large?n=5000000&piece=65536
--- response_body eval
::large(5_000_000, 65_536)



=== TEST 11: fuel that is enough
--- config
location /p/ { wasm_cgi program; wasm_fuel 100000000; }
--- request eval
["GET /p/hello", "GET /p/hello", "GET /p/large?n=100000"]
--- error_code eval
[200, 200, 200]



=== TEST 12: locations have limits of their own
--- config
wasm_timeout 100ms;
location /p/ { wasm_cgi program; }
location /q/ { wasm_cgi program; wasm_header_limit 100; }
--- request eval
["GET /p/loop", "GET /p/big-header?n=200", "GET /q/big-header?n=200", "GET /q/loop"]
--- error_code eval
[504, 200, 502, 504]
