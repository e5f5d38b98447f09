# Shared data: values by key, in zones of shared memory.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; }')
        unless defined $block->main_config;
    $block->set_value(config => 'location /t { proxy_wasm shared; }') unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: a value comes back with its cas, which guards the next write
--- request
GET /t
--- more_headers
x-shared: read k; set k one; read k; set k two 1; set k three 1; read k; set k four 2; set k five; read k; set new x 99; read new
--- response_body
read k -> none none
set k one -> ()
read k -> one 1
set k two 1 -> ()
set k three 1 -> CasMismatch
read k -> two 2
set k four 2 -> ()
set k five -> ()
read k -> five 4
set new x 99 -> ()
read new -> x 5



=== TEST 2: large values, and an empty one
--- request
GET /t
--- more_headers
x-shared: set-size k 900000; read-size k; set-size k 0; read-size k; set-size k 200000; read-size k
--- response_body
set-size k 900000 -> ()
read-size k -> 900000
set-size k 0 -> ()
read-size k -> 0
set-size k 200000 -> ()
read-size k -> 200000



=== TEST 3: each module has its own keys, also with the same file
--- main_config
wasm {
    module one $TEST_NGINX_GUESTS/rust-shared.wasm;
    module two $TEST_NGINX_GUESTS/rust-shared.wasm;
}
--- config
location /t { proxy_wasm one 'set k one'; proxy_wasm two 'read k; set k two'; proxy_wasm one; }
location /u { proxy_wasm one; }
--- request
GET /u
--- more_headers
x-shared: read k
--- response_body
read k -> one 1
--- error_log
wasm "two": read k -> none none



=== TEST 4: when it is full, the least recently used values go
--- request
GET /t
--- more_headers
x-shared: set-size a 300000; set-size b 300000; read-size a; set-size c 300000; set-size d 300000; read-size a; read-size b; read-size c; read-size d
--- response_body
set-size a 300000 -> ()
set-size b 300000 -> ()
read-size a -> 300000
set-size c 300000 -> ()
set-size d 300000 -> ()
read-size a -> 300000
read-size b -> 0
read-size c -> 300000
read-size d -> 300000



=== TEST 5: without eviction what is there stays
--- main_config
wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; shm_kv * 64k eviction=none; }
--- request
GET /t
--- more_headers
x-shared: set-size a 30000; set-size b 30000; read-size a; read-size b; set a small; set-size b 30000; read-size b
--- response_body
set-size a 30000 -> ()
set-size b 30000 -> CasMismatch
read-size a -> 30000
read-size b -> 0
set a small -> ()
set-size b 30000 -> ()
read-size b -> 30000
--- error_log
no room for shared data "b" (key of 1 bytes, value of 30000), it is not stored; enlarge "shm_kv" in "wasm { }"



=== TEST 6: a value that never fits is not stored, and throws nothing out
--- request
GET /t
--- more_headers
x-shared: set a x; set-size b 5000000; read a; read-size b
--- response_body
set a x -> ()
set-size b 5000000 -> CasMismatch
read a -> x 1
read-size b -> 0
--- error_log
value of 5000000), it is not stored



=== TEST 7: a zone for keys that begin with its name
--- main_config
wasm {
    module shared $TEST_NGINX_GUESTS/rust-shared.wasm;
    shm_kv small 15k eviction=none;
    shm_kv * 2m;
}
--- request
GET /t
--- more_headers
x-shared: set-size k 1500000; read-size k; set small/k v; read small/k; set-size small/k 1500000; read small/k; read-size k
--- response_body
set-size k 1500000 -> ()
read-size k -> 1500000
set small/k v -> ()
read small/k -> v 1
set-size small/k 1500000 -> CasMismatch
read small/k -> v 1
read-size k -> 1500000
--- error_log
no room for shared data "small/k"
