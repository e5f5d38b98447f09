# Which access rules hold for a request that a filter sends to another location: SECURITY.md says it.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module headers $TEST_NGINX_GUESTS/rust-headers.wasm; module bodies $TEST_NGINX_GUESTS/rust-bodies.wasm; }');
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



=== TEST 7: auth_request of the new location is asked, when that of the old one has let the request in
--- config
location /old {
    auth_request /yes;
    proxy_wasm_phase access;
    proxy_wasm headers 'request.replace :path /new.txt';
}
location /new.txt {
    auth_request /no;
}
location = /yes { return 204; }
location = /no { return 403; }
--- request
GET /old
--- error_code: 403



=== TEST 8: and when the filter looks at the body before it chooses the path
--- config
location /old {
    auth_request /yes;
    proxy_wasm bodies 'request-end set request :path /new.txt';
}
location /new.txt {
    auth_request /no;
    error_page 405 =200 @in;
}
location @in { return 200 "in\n"; }
location = /yes { return 204; }
location = /no { return 403; }
--- request
POST /old
body
--- error_code: 403



=== TEST 9: a request that auth_request of both locations lets in goes there
--- config
location /old {
    auth_request /yes;
    proxy_wasm_phase access;
    proxy_wasm headers 'request.replace :path /new.txt';
}
location /new.txt {
    auth_request /too;
}
location = /yes { return 204; }
location = /too { return 204; }
--- request
GET /old
--- response_body
new



=== TEST 10: Lua of the new location is asked, when that of the old one has let the request in
--- skip_eval: 1: !$ENV{TEST_WASM_LUA}
--- config
location /old {
    access_by_lua_block { ngx.ctx.old = true }
    proxy_wasm_phase access;
    proxy_wasm headers 'request.replace :path /new.txt';
}
location /new.txt {
    access_by_lua_block { ngx.exit(403) }
}
--- request
GET /old
--- error_code: 403



=== TEST 11: the client's address stays what it is, and so does the balancer's
--- config
location /old {
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Real-IP;
    proxy_wasm_phase access;
    proxy_wasm headers 'request.replace :path /new';
}
location /new {
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Real-IP;
    add_header X-Addresses "$remote_addr $realip_remote_addr";
    try_files /new.txt =404;
}
--- request
GET /old
--- more_headers
X-Real-IP: 127.1.2.3
--- response_headers
X-Addresses: 127.1.2.3 127.0.0.1
