# Subrequests and internal redirects: callbacks about bodies come once, and are about the main request.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module one $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module two $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module three $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: SSI: the included parts are not shown as bodies of their own, and the page is
--- config
ssi on;
proxy_wasm one 'response-body append !; response-body show';
location /inc { return 200 included; }
--- request
GET /t.html
--- user_files
>>> t.html
<!--# include virtual="/inc" -->.
--- response_body_like chomp
^included\.
!+$
--- no_error_log
body "included"



=== TEST 2: auth_request: the body is for the main request
--- config
location /t {
    proxy_wasm one 'request-body append 1';
    auth_request /auth;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
location /auth { return 204; }
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 5

body1



=== TEST 3: mirror: the copy has the body as the filters made it
--- config
location /t {
    proxy_wasm one 'request-body append 1';
    mirror /mirror;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo;
}
location /mirror { internal; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mirrored; }
location /mirrored { proxy_wasm two 'request-end show'; return 200 "$content_length----"; }
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 5

body1
--- access_log
"POST /mirrored HTTP/1.0" 200 5



=== TEST 4: X-Accel-Redirect
--- config
location /t {
    proxy_wasm one 'response-body append !';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/accel;
}
location /accel { add_header X-Accel-Redirect /other; return 200 first; }
location /other { proxy_wasm one 'response-body append !'; return 200 other; }
--- request
GET /t
--- response_body chomp
other!
--- error_log
response-body 5 end



=== TEST 5: X-Accel-Redirect within the same filters
--- config
proxy_wasm one 'request-body append 1; response-body append !';
location /t { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/accel; }
location /other { return 200 other; }
--- request
POST /t
body
--- response_body chomp
other!
--- http_config
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location /accel { add_header X-Accel-Redirect /other; return 200 first; } }



=== TEST 6: try_files
--- config
proxy_wasm one 'request-body append 1; response-headers remove response content-length; response-end append !';
location /t { try_files /none /u; }
location /u { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
--- request
POST /t
body
--- response_body chomp
POST /echo HTTP/1.0
Content-Length: 5

body1
!



=== TEST 7: error_page, after a body was read
--- config
proxy_wasm one 'request-body append 1; response-body append !';
location /t { error_page 404 =200 /u; return 404; }
location /u { return 200 page; }
--- request
POST /t
body
--- response_body chomp
page!



=== TEST 8: rewrite to a location with other filters: they see the body that has been read, as the first ones made it
--- config
location /t { proxy_wasm one 'request-body append 1'; rewrite ^ /u; }
location /u { proxy_wasm two 'request-body append 2; response-headers remove response content-length; response-end append !'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
--- request
POST /t
body
--- response_body chomp
POST /echo HTTP/1.0
Content-Length: 6

body12
!
--- error_log
wasm "two": request-body 5 end



=== TEST 9: a filter that answers in the body callback, with an error_page
--- config
location /t { proxy_wasm one 'request-body trap'; error_page 503 =200 /u; return 200 body; }
location /u { return 200 page; }
--- request
POST /t
body
--- response_body chomp
page
--- error_log
panicked
--- expects_crit
wasm "one": panicked at
wasm filter "one": failed to call function: proxy_on_request_body



=== TEST 10: addition: what it adds goes through the filters
--- config
location /t {
    proxy_wasm one 'response-body upper';
    add_after_body /after;
    addition_types text/plain;
    return 200 body;
}
location /after { return 200 after; }
--- request
GET /t
--- response_body chomp
BODYafter



=== TEST 11: a filter that fails in the body callback, with a page from an upstream, which is not told of the body
--- config
location /t { proxy_wasm one 'request-body trap'; error_page 503 =200 /u; return 200 body; }
location /u { proxy_wasm off; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
--- request
POST /t
body
--- response_body eval
"GET /echo HTTP/1.0\nContent-Length: 0\n\n\n"
--- error_log
panicked
--- expects_crit
wasm "one": panicked at
wasm filter "one": failed to call function: proxy_on_request_body
