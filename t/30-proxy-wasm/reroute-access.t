# Which access rules hold for a request that a filter sends to another location: SECURITY.md says it.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module headers $TEST_NGINX_GUESTS/rust-headers.wasm; }');
    $block->set_value(user_files => ">>> new.txt\nnew\n");
});

run_tests();

__DATA__

=== TEST 1: those of the old location have not run when the filter sends the request away
--- config
location /old {
    deny all;
    proxy_wasm headers 'request.replace :path /new.txt';
}
location /new.txt {
    allow all;
}
--- request
GET /old
--- response_body
new



=== TEST 2: without the filter they refuse it
--- config
location /old {
    deny all;
    proxy_wasm headers 'request.add x-any thing';
}
--- request
GET /old
--- error_code: 403
--- error_log
access forbidden by rule



=== TEST 3: those of the new location hold
--- config
location /old {
    allow all;
    proxy_wasm headers 'request.replace :path /new.txt';
}
location /new.txt {
    deny all;
}
--- request
GET /old
--- error_code: 403
--- error_log
access forbidden by rule



=== TEST 4: auth_basic of the new location too
--- config
location /old {
    proxy_wasm headers 'request.replace :path /new.txt';
}
location /new.txt {
    auth_basic "closed";
    auth_basic_user_file /dev/null;
}
--- request
GET /old
--- error_code: 401



=== TEST 5: what the server level decides by the path has seen the old one
--- config
if ($uri = /new.txt) { return 403; }
location /old {
    proxy_wasm headers 'request.replace :path /new.txt';
}
location /new.txt {
    allow all;
}
--- request
GET /old
--- response_body
new



=== TEST 6: and refuses the new one when a client asks for it
--- config
if ($uri = /new.txt) { return 403; }
location /new.txt {
    allow all;
}
--- request
GET /new.txt
--- error_code: 403
