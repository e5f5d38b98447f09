# proxy_wasm_log_level: from which level on a filter's own lines are written, where trace and debug go, what guests are told of it
# (proxy_get_log_level), and what it leaves alone: what the module says of a filter, the log's own level, proxy_wasm_log_rate.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; module other $TEST_NGINX_GUESTS/rust-probe.wasm; module headers $TEST_NGINX_GUESTS/rust-headers.wasm; }');
    $block->set_value(request => "GET /t\n") unless defined $block->request || defined $block->pipelined_requests;
});

run_tests();

__DATA__

=== TEST 1: trace and debug are written at info, and say what they are
--- config
location /t {
    proxy_wasm_log_level trace;
    proxy_wasm probe 'log trace one; log debug two; log info three; log warn four; log error five; log critical six';
    return 200 "ok\n";
}
--- error_log eval
[
    qr/\[info\] .*wasm "probe": trace: one,/,
    qr/\[info\] .*wasm "probe": debug: two,/,
    qr/\[info\] .*wasm "probe": three,/,
    qr/\[warn\] .*wasm "probe": four,/,
    qr/\[error\] .*wasm "probe": five,/,
    qr/\[crit\] .*wasm "probe": six,/,
]



=== TEST 2: what is below the level is not written
--- config
location /t {
    proxy_wasm_log_level warn;
    proxy_wasm probe 'log trace quiet; log debug quiet; log info quiet; stdout quiet; log warn loud; stderr louder';
    return 200 "ok\n";
}
--- error_log eval
[qr/\[warn\] .*wasm "probe": loud,/, qr/\[error\] .*wasm "probe": louder,/]
--- no_error_log
quiet



=== TEST 3: guests are told the lowest level that is written
--- config
location /0 { proxy_wasm_log_level trace;    proxy_wasm probe 'level; report'; return 200; }
location /1 { proxy_wasm_log_level debug;    proxy_wasm probe 'level; report'; return 200; }
location /2 { proxy_wasm_log_level info;     proxy_wasm probe 'level; report'; return 200; }
location /3 { proxy_wasm_log_level warn;     proxy_wasm probe 'level; report'; return 200; }
location /4 { proxy_wasm_log_level error;    proxy_wasm probe 'level; report'; return 200; }
location /5 { proxy_wasm_log_level critical; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 5]
--- response_body eval
[map {"level -> 0 $_\n"} 0 .. 5]



=== TEST 4: the SDK of Higress is told the same
--- config
location /t {
    proxy_wasm_log_level debug;
    proxy_wasm probe 'foreign get_log_level; report';
    return 200;
}
--- response_body
foreign get_log_level -> 0 01000000



=== TEST 5: the log's own level still holds
--- config
location /t {
    error_log logs/error.log warn;
    proxy_wasm_log_level debug;
    proxy_wasm probe 'log debug quiet; log info quiet; log warn loud; level; report';
    return 200;
}
--- response_body
log debug quiet -> 0
log info quiet -> 0
log warn loud -> 0
level -> 0 3
--- error_log
wasm "probe": loud
--- no_error_log
wasm "probe": quiet
wasm "probe": debug



=== TEST 6: what the module says of a filter is not the filter's
--- config
location /t {
    proxy_wasm_log_level critical;
    proxy_wasm_allow log;
    proxy_wasm probe 'log error quiet; property request|id';
    return 200 "ok\n";
}
--- response_body
ok
--- error_log eval
qr/\[error\] .*wasm "probe": "proxy_get_property" is not allowed; /
--- no_error_log
quiet



=== TEST 7: with a name it is for filters of that name, and comes before what is said for all
--- config
location /t {
    proxy_wasm_log_level error;
    proxy_wasm_log_level filter=other debug;
    proxy_wasm probe 'log info quiet';
    proxy_wasm other 'log debug loud';
    return 200 "ok\n";
}
--- error_log eval
qr/\[info\] .*wasm "other": debug: loud,/
--- no_error_log
quiet



=== TEST 8: a filter goes by the level that declares it
--- http_config
proxy_wasm_log_level debug;
--- config
proxy_wasm probe 'log debug inherited';
location /t {
    proxy_wasm_log_level critical;
    return 200 "ok\n";
}
--- error_log eval
[qr/\[info\] .*wasm "probe": debug: inherited,/, qr/\[warn\] .*"proxy_wasm_log_level" in \S+nginx\.conf:\d+ has no effect: /]



=== TEST 9: the inner level wins
--- config
proxy_wasm_log_level debug;
location /t {
    proxy_wasm_log_level error;
    proxy_wasm probe 'log debug quiet; level; report';
    return 200;
}
--- response_body
log debug quiet -> 0
level -> 0 4
--- no_error_log
wasm "probe": debug



=== TEST 10: lines that are not written do not count for proxy_wasm_log_rate, those at info do
--- config
location /t {
    proxy_wasm_log_level debug;
    proxy_wasm_log_rate 3;
    proxy_wasm headers 'log trace no; log trace no; log trace no; log debug first; log debug second; log info third; log debug fourth; log error fifth';
    return 200 "ok\n";
}
--- error_log
wasm "headers": debug: first
wasm "headers": debug: second
wasm "headers": third
wasm "headers": dropped 2 lines, more than 3 in a second (proxy_wasm_log_rate)
--- no_error_log
wasm "headers": debug: fourth
wasm "headers": fifth



=== TEST 11: the start of a filter goes by it, too
--- config
location /t {
    proxy_wasm_log_level debug;
    proxy_wasm probe '@configure log debug starting; @configure level';
    return 200 "ok\n";
}
--- error_log
wasm "probe": debug: starting
wasm "probe": probe: level -> 0 1
