# The directives about filters one by one: proxy_wasm_on_error, proxy_wasm_restart_delay, proxy_wasm_isolation,
# proxy_wasm_recycle, proxy_wasm_log_rate, proxy_wasm_allow, wasm_fuel. What they accept, where they may stand, and nginx's
# message for each mistake in what they are told (others: mistakes.t). What they do is in t/35-limits.

# Without the Lua module: where it is, names may be those that Lua gives to what it loads (t/40-lua/limits.t).
BEGIN { $ENV{TEST_NGINX_LOAD_MODULES} = $ENV{TEST_WASM_MODULE} }

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => ($block->main_config // '') . 'wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; module headers $TEST_NGINX_GUESTS/rust-headers.wasm; }');
    $block->set_value(config => '') unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: proxy_wasm_on_error: all its values
--- config
location /0 { proxy_wasm_on_error closed; proxy_wasm probe 'level; report'; return 200; }
location /1 { proxy_wasm_on_error open; proxy_wasm probe 'level; report'; return 200; }
location /2 { proxy_wasm_on_error reload; proxy_wasm probe 'level; report'; return 200; }
location /3 { proxy_wasm_on_error reload closed; proxy_wasm probe 'level; report'; return 200; }
location /4 { proxy_wasm_on_error reload open; proxy_wasm probe 'level; report'; return 200; }
location /5 { proxy_wasm_on_error filter=probe open; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 5]
--- response_body eval
[("level -> 0 2\n") x 6]



=== TEST 2: proxy_wasm_restart_delay: one time or two
--- config
location /0 { proxy_wasm_restart_delay 1ms; proxy_wasm probe 'level; report'; return 200; }
location /1 { proxy_wasm_restart_delay 2m; proxy_wasm probe 'level; report'; return 200; }
location /2 { proxy_wasm_restart_delay 1s 1s; proxy_wasm probe 'level; report'; return 200; }
location /3 { proxy_wasm_restart_delay 10ms 1h; proxy_wasm probe 'level; report'; return 200; }
location /4 { proxy_wasm_restart_delay filter=probe 5s 10s; proxy_wasm probe 'level; report'; return 200; }
location /5 { proxy_wasm_restart_delay 5s after=0; proxy_wasm probe 'level; report'; return 200; }
location /6 { proxy_wasm_restart_delay filter=probe 5s 10s after=4294967295; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 6]
--- response_body eval
[("level -> 0 2\n") x 7]



=== TEST 3: proxy_wasm_isolation: all its values, those of other hosts too
--- config
location /0 { proxy_wasm_isolation worker; proxy_wasm probe 'level; report'; return 200; }
location /1 { proxy_wasm_isolation none; proxy_wasm probe 'level; report'; return 200; }
location /2 { proxy_wasm_isolation request; proxy_wasm probe 'level; report'; return 200; }
location /3 { proxy_wasm_isolation stream; proxy_wasm probe 'level; report'; return 200; }
location /4 { proxy_wasm_isolation filter; proxy_wasm probe 'level; report'; return 200; }
location /5 { proxy_wasm_isolation filter=probe filter; proxy_wasm probe 'level; report'; return 200; }
location /6 { proxy_wasm_isolation request fresh; proxy_wasm probe 'level; report'; return 200; }
location /7 { proxy_wasm_isolation filter=probe stream fresh; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 7]
--- response_body eval
[("level -> 0 2\n") x 8]



=== TEST 4: proxy_wasm_recycle: on, off, a size
--- config
location /0 { proxy_wasm_recycle on; proxy_wasm probe 'level; report'; return 200; }
location /1 { proxy_wasm_recycle off; proxy_wasm probe 'level; report'; return 200; }
location /2 { proxy_wasm_recycle 64m; proxy_wasm probe 'level; report'; return 200; }
location /3 { proxy_wasm_recycle filter=probe 1m; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 3]
--- response_body eval
[("level -> 0 2\n") x 4]



=== TEST 5: proxy_wasm_log_rate: off, or a number
--- config
location /0 { proxy_wasm_log_rate off; proxy_wasm probe 'level; report'; return 200; }
location /1 { proxy_wasm_log_rate 1000; proxy_wasm probe 'level; report'; return 200; }
location /2 { proxy_wasm_log_rate filter=probe 1000; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 2]
--- response_body eval
[("level -> 0 2\n") x 3]



=== TEST 6: proxy_wasm_allow: words, on one line or several
--- config
location /0 { proxy_wasm_allow on_request_headers local_response; proxy_wasm probe 'level; report'; return 200; }
location /1 { proxy_wasm_allow on_request_headers; proxy_wasm_allow send_local_response; proxy_wasm probe 'level; report'; return 200; }
location /2 { proxy_wasm_allow filter=probe on_request_headers; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 2]
--- response_body eval
[("level -> 0 2\n") x 3]



=== TEST 7: wasm_fuel: off, or a number
--- config
location /0 { wasm_fuel off; proxy_wasm probe 'level; report'; return 200; }
location /1 { wasm_fuel 100000000; proxy_wasm probe 'level; report'; return 200; }
location /2 { wasm_fuel filter=probe 100000000; proxy_wasm probe 'level; report'; return 200; }
--- pipelined_requests eval
[map {"GET /$_"} 0 .. 2]
--- response_body eval
[("level -> 0 2\n") x 3]



=== TEST 8: each stands once for all filters and once for each name, on each level
--- http_config
proxy_wasm_on_error open;
proxy_wasm_on_error filter=headers closed;
proxy_wasm_on_error filter=probe reload open;
wasm_fuel 100000000;
--- config
proxy_wasm_on_error open;
proxy_wasm_on_error filter=probe closed;
location /t {
    proxy_wasm_on_error open;
    proxy_wasm_on_error filter=probe closed;
    proxy_wasm headers 'response.add x-hello world';
    proxy_wasm probe 'level; report';
    return 200;
}
--- request
GET /t
--- response_body
level -> 0 2



=== TEST 9: proxy_wasm_on_error ignore
--- config
proxy_wasm_on_error ignore;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "ignore" of "proxy_wasm_on_error": it takes "closed", "open", "reload", "reload closed" or "reload open" in \S+nginx\.conf:\d+$/



=== TEST 10: proxy_wasm_on_error reload ignore
--- config
proxy_wasm_on_error reload ignore;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "reload\ ignore" of "proxy_wasm_on_error": it takes "closed", "open", "reload", "reload closed" or "reload open" in \S+nginx\.conf:\d+$/



=== TEST 11: proxy_wasm_on_error closed open
--- config
proxy_wasm_on_error closed open;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "closed\ open" of "proxy_wasm_on_error": it takes "closed", "open", "reload", "reload closed" or "reload open" in \S+nginx\.conf:\d+$/



=== TEST 12: proxy_wasm_on_error reload closed open
--- config
proxy_wasm_on_error reload closed open;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "reload\ closed\ open" of "proxy_wasm_on_error": it takes "closed", "open", "reload", "reload closed" or "reload open" in \S+nginx\.conf:\d+$/



=== TEST 13: proxy_wasm_on_error open 1
--- config
proxy_wasm_on_error open 1;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "open\ 1" of "proxy_wasm_on_error": it takes "closed", "open", "reload", "reload closed" or "reload open" in \S+nginx\.conf:\d+$/



=== TEST 14: proxy_wasm_on_error filter=probe ignore
--- config
proxy_wasm_on_error filter=probe ignore;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "ignore" of "proxy_wasm_on_error": it takes "closed", "open", "reload", "reload closed" or "reload open" in \S+nginx\.conf:\d+$/



=== TEST 15: proxy_wasm_restart_delay 0
--- config
proxy_wasm_restart_delay 0;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 16: proxy_wasm_restart_delay 0s
--- config
proxy_wasm_restart_delay 0s;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0s" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 17: proxy_wasm_restart_delay fast
--- config
proxy_wasm_restart_delay fast;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "fast" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 18: proxy_wasm_restart_delay 10s 1s
--- config
proxy_wasm_restart_delay 10s 1s;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "10s\ 1s" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 19: proxy_wasm_restart_delay 1s 2s 3s
--- config
proxy_wasm_restart_delay 1s 2s 3s;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1s\ 2s\ 3s" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 20: proxy_wasm_restart_delay -1s
--- config
proxy_wasm_restart_delay -1s;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "\-1s" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 21: proxy_wasm_isolation process
--- config
proxy_wasm_isolation process;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "process" of "proxy_wasm_isolation": it takes "worker" \(or "none"\), or "request" \(or "stream", "filter"\), which "fresh" may follow in \S+nginx\.conf:\d+$/



=== TEST 22: proxy_wasm_isolation worker request
--- config
proxy_wasm_isolation worker request;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "worker\ request" of "proxy_wasm_isolation": it takes "worker" \(or "none"\), or "request" \(or "stream", "filter"\), which "fresh" may follow in \S+nginx\.conf:\d+$/



=== TEST 23: proxy_wasm_isolation filter=probe process
--- config
proxy_wasm_isolation filter=probe process;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "process" of "proxy_wasm_isolation": it takes "worker" \(or "none"\), or "request" \(or "stream", "filter"\), which "fresh" may follow in \S+nginx\.conf:\d+$/



=== TEST 24: proxy_wasm_recycle 0
--- config
proxy_wasm_recycle 0;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "proxy_wasm_recycle": it takes "on", "off", or a size such as 64m in \S+nginx\.conf:\d+$/



=== TEST 25: proxy_wasm_recycle always
--- config
proxy_wasm_recycle always;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "always" of "proxy_wasm_recycle": it takes "on", "off", or a size such as 64m in \S+nginx\.conf:\d+$/



=== TEST 26: proxy_wasm_recycle 1g
--- config
proxy_wasm_recycle 1g;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1g" of "proxy_wasm_recycle": it takes "on", "off", or a size such as 64m in \S+nginx\.conf:\d+$/



=== TEST 27: proxy_wasm_recycle -1m
--- config
proxy_wasm_recycle -1m;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "\-1m" of "proxy_wasm_recycle": it takes "on", "off", or a size such as 64m in \S+nginx\.conf:\d+$/



=== TEST 28: proxy_wasm_recycle on 64m
--- config
proxy_wasm_recycle on 64m;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "on\ 64m" of "proxy_wasm_recycle": it takes "on", "off", or a size such as 64m in \S+nginx\.conf:\d+$/



=== TEST 29: proxy_wasm_log_rate 0
--- config
proxy_wasm_log_rate 0;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "proxy_wasm_log_rate": it takes "off", or a number of lines in a second, such as 1000 in \S+nginx\.conf:\d+$/



=== TEST 30: proxy_wasm_log_rate -1
--- config
proxy_wasm_log_rate -1;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "\-1" of "proxy_wasm_log_rate": it takes "off", or a number of lines in a second, such as 1000 in \S+nginx\.conf:\d+$/



=== TEST 31: proxy_wasm_log_rate many
--- config
proxy_wasm_log_rate many;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "many" of "proxy_wasm_log_rate": it takes "off", or a number of lines in a second, such as 1000 in \S+nginx\.conf:\d+$/



=== TEST 32: proxy_wasm_log_rate 4294967296
--- config
proxy_wasm_log_rate 4294967296;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "4294967296" of "proxy_wasm_log_rate": it takes "off", or a number of lines in a second, such as 1000 in \S+nginx\.conf:\d+$/



=== TEST 33: proxy_wasm_log_rate 10 20
--- config
proxy_wasm_log_rate 10 20;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "10\ 20" of "proxy_wasm_log_rate": it takes "off", or a number of lines in a second, such as 1000 in \S+nginx\.conf:\d+$/



=== TEST 34: proxy_wasm_log_rate 1k
--- config
proxy_wasm_log_rate 1k;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1k" of "proxy_wasm_log_rate": it takes "off", or a number of lines in a second, such as 1000 in \S+nginx\.conf:\d+$/



=== TEST 35: wasm_fuel 0
--- config
wasm_fuel 0;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "0" of "wasm_fuel": it takes "off", or a number of units above 0, such as 10000000 in \S+nginx\.conf:\d+$/



=== TEST 36: wasm_fuel -1
--- config
wasm_fuel -1;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "\-1" of "wasm_fuel": it takes "off", or a number of units above 0, such as 10000000 in \S+nginx\.conf:\d+$/



=== TEST 37: wasm_fuel much
--- config
wasm_fuel much;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "much" of "wasm_fuel": it takes "off", or a number of units above 0, such as 10000000 in \S+nginx\.conf:\d+$/



=== TEST 38: wasm_fuel 18446744073709551616
--- config
wasm_fuel 18446744073709551616;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "18446744073709551616" of "wasm_fuel": it takes "off", or a number of units above 0, such as 10000000 in \S+nginx\.conf:\d+$/



=== TEST 39: wasm_fuel 1m
--- config
wasm_fuel 1m;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1m" of "wasm_fuel": it takes "off", or a number of units above 0, such as 10000000 in \S+nginx\.conf:\d+$/



=== TEST 40: wasm_fuel 1 2
--- config
wasm_fuel 1 2;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1\ 2" of "wasm_fuel": it takes "off", or a number of units above 0, such as 10000000 in \S+nginx\.conf:\d+$/



=== TEST 41: proxy_wasm_on_error about a filter that is not there
--- config
proxy_wasm_on_error filter=prob open;
proxy_wasm probe;
proxy_wasm headers;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*no "proxy_wasm prob" for what is said of "filter=prob" \(there is probe, headers\) in \S+nginx\.conf:\d+$/



=== TEST 42: proxy_wasm_restart_delay after=3
--- config
proxy_wasm_restart_delay after=3;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "after=3" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 43: proxy_wasm_restart_delay 1s after=
--- config
proxy_wasm_restart_delay 1s after=;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1s\ after=" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 44: proxy_wasm_restart_delay 1s after=few
--- config
proxy_wasm_restart_delay 1s after=few;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1s\ after=few" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 45: proxy_wasm_restart_delay 1s after=4294967296
--- config
proxy_wasm_restart_delay 1s after=4294967296;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1s\ after=4294967296" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 46: proxy_wasm_restart_delay 1s after=1 after=2
--- config
proxy_wasm_restart_delay 1s after=1 after=2;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1s\ after=1\ after=2" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 47: proxy_wasm_restart_delay 1s 2s 3s after=1
--- config
proxy_wasm_restart_delay 1s 2s 3s after=1;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "1s\ 2s\ 3s\ after=1" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 48: proxy_wasm_restart_delay after=1 1s
--- config
proxy_wasm_restart_delay after=1 1s;
proxy_wasm probe;
--- must_die
--- error_log eval
qr/\[emerg\] .*invalid value "after=1\ 1s" of "proxy_wasm_restart_delay": it takes one or two times above 0, the shorter first, and perhaps after=NUMBER, such as 1s 60s after=10 in \S+nginx\.conf:\d+$/



=== TEST 49: what is said for a name, and no filter goes by
--- config
location /t {
    proxy_wasm_on_error filter=probe closed;
    proxy_wasm headers 'response.add x-hello world';
    return 200 "ok\n";
}
location /other { proxy_wasm probe; }
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/\[warn\] .*"proxy_wasm_on_error filter=probe" in \S+nginx\.conf:\d+ has no effect: it is for what is declared on its level or further in, and "proxy_wasm probe" stands in \S+nginx\.conf:\d+$/



=== TEST 50: what is said where a filter is only inherited
--- config
proxy_wasm headers 'response.add x-hello world';
location /t {
    proxy_wasm_isolation request;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log eval
qr/\[warn\] .*"proxy_wasm_isolation" in \S+nginx\.conf:\d+ has no effect: it is for what is declared on its level or further in, and the filters that run there are declared further out, the first by "proxy_wasm headers" in \S+nginx\.conf:\d+$/



=== TEST 51: what is said for filters that are declared further in, or for none that there are
--- http_config
proxy_wasm_on_error filter=probe closed;
proxy_wasm_isolation request;
--- config
proxy_wasm_restart_delay 1s;
proxy_wasm_log_rate filter=headers 10;
location /t {
    proxy_wasm_recycle off;
    location /t/t {
        proxy_wasm probe 'level; report';
        proxy_wasm headers;
        return 200;
    }
}
location /none { proxy_wasm_on_error closed; return 200; }
--- request
GET /t/t
--- response_body
level -> 0 2
--- no_error_log
has no effect
