# 'metrics', 'shm_kv', 'shm_queue' and 'wasm_metrics': where they may stand, what they take, how mistakes are told.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(config => 'location /t { proxy_wasm shared; return 200 "ok\n"; }') unless defined $block->config;
    return if defined $block->must_die;
    $block->set_value(request => "GET /t\n");
    $block->set_value(response_body => "ok\n");
});

run_tests();

__DATA__

=== TEST 1: all of them, with all parameters
--- main_config
wasm {
    metrics { slab_size 5m; max_metric_name_length 256; }
    shm_kv one 64k;
    shm_kv two 1m eviction=slru;
    shm_kv three 1m eviction=lru;
    shm_kv * 20m eviction=none;
    shm_queue one 64k;
    shm_queue * 15k;
    module shared $TEST_NGINX_GUESTS/rust-shared.wasm;
}



=== TEST 2: the smallest sizes work
--- main_config
wasm {
    module shared $TEST_NGINX_GUESTS/rust-shared.wasm;
    metrics { slab_size 12k; }
    shm_kv * 12k;
    shm_kv own 12k eviction=none;
    shm_queue * 12k;
    shm_queue own 12k;
}
--- config
location /t {
    proxy_wasm shared 'define histogram h; set k v; read k; set own/k v; read own/k; register q; push q x; pop q; register own/q; push own/q y; pop own/q';
    return 200 "ok\n";
}
--- error_log
define histogram h -> 1
read k -> v 1
read own/k -> v 1
pop q -> x
pop own/q -> y



=== TEST 3: an empty block of metrics
--- main_config
wasm { metrics { } module shared $TEST_NGINX_GUESTS/rust-shared.wasm; }



=== TEST 4: zones without filters
--- main_config
wasm { shm_kv one 64k; }
--- config
location /t { return 200 "ok\n"; }



=== TEST 5: a size that is too small
--- main_config
wasm { metrics { slab_size 11k; } }
--- must_die
--- error_log eval
[qr/invalid value "11k" of "slab_size": it takes a size from 12k to 4096m, such as 5m in .*nginx\.conf:\d+/]



=== TEST 6: a size that is none
--- main_config
wasm { shm_kv a much; }
--- must_die
--- error_log eval
[qr/invalid value "much" of "shm_kv": it takes a size/]



=== TEST 7: a size that is too large
--- main_config
wasm { shm_queue a 5000m; }
--- must_die
--- error_log eval
[qr/invalid value "5000m" of "shm_queue": it takes a size/]



=== TEST 8: a length of names that is none
--- main_config
wasm { metrics { max_metric_name_length 0; } }
--- must_die
--- error_log eval
[qr/invalid value "0" of "max_metric_name_length": it takes a number from 1 to 65536 in .*nginx\.conf:\d+/]



=== TEST 9: a name twice
--- main_config
wasm { shm_kv a 64k; shm_queue a 64k; shm_kv a 64k; }
--- must_die
--- error_log eval
[qr/duplicate "shm_kv" "a", the first is in .*nginx\.conf:\d+ in .*nginx\.conf:\d+/]



=== TEST 10: a name that keys could not begin with
--- main_config
wasm { shm_kv a/b 64k; }
--- must_die
--- error_log eval
[qr/invalid name "a\/b" of "shm_kv": it must not be empty, nor have a "\/" in .*nginx\.conf:\d+/]



=== TEST 11: an unknown eviction
--- main_config
wasm { shm_kv a 64k eviction=random; }
--- must_die
--- error_log eval
[qr/invalid parameter "eviction=random" of "shm_kv": it takes eviction=lru or eviction=none/]



=== TEST 12: a name that another module has for its memory
--- http_config
limit_req_zone $uri zone=wasm_metrics:1m rate=1r/s;
--- main_config
wasm { metrics { } }
--- must_die
--- error_log eval
[qr/the shared memory zone "wasm_metrics" is already declared for a different use/,
    qr/cannot make the shared memory zone "wasm_metrics", see the message before in .*nginx\.conf:\d+/]



=== TEST 13: what filters store when nginx tries them has the room that the zones will have
--- main_config
wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; shm_kv * 20m; shm_kv own 15k; }
--- config
location /t { proxy_wasm shared 'set-size k 5000000; set own/k v; read own/k'; return 200 "ok\n"; }
--- error_log
set-size k 5000000 -> ()
read own/k -> v 1
--- no_error_log
CasMismatch
