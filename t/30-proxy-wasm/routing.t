# A filter that changes :path sends the request to the location of the new one. The filters of both locations run: none is
# forgotten on the way out, and none is skipped on the way in.

use TestWasm 'no_plan';

our $Callbacks = qr/"lifecycle\w*": \K\w+(?= \d+.*, client:)/;

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module headers       $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle     $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module lifecycle_two $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module ticker        $TEST_NGINX_GUESTS/rust-ticker.wasm;
    module probe         $TEST_NGINX_GUESTS/rust-probe.wasm;
}
CONF
    $block->set_value(no_error_log => ['[crit]', '[alert]', '[emerg]']) unless $block->no_error_log;
});

run_tests();

__DATA__

=== TEST 1: the location of the new path answers, and nothing of the old one is done
--- config
location /old {
    proxy_wasm headers 'request.replace :path /new/b?c=d';
    rewrite ^ /elsewhere;
    return 200 "old\n";
}
location /new/ {
    return 200 "new $uri $args $request_uri\n";
}
location /elsewhere {
    return 200 "elsewhere\n";
}
--- request
GET /old?a
--- response_body
new /new/b c=d /new/b?c=d



=== TEST 2: the filter that sent a request away sees its response, where the other location has no filters
--- config
location /old {
    proxy_wasm headers 'request.replace :path /new; response.add x-old yes';
}
location /new {
    return 200 "new\n";
}
location /off {
    proxy_wasm off;
    return 200 "off\n";
}
--- request
GET /old
--- response_headers
x-old: yes
--- response_body
new



=== TEST 3: filters of both locations run, those of the second inside
--- config
location /old {
    proxy_wasm probe 'replace request :path /new; add request x-seen old; @response add response x-order old';
}
location /new {
    proxy_wasm headers 'request.add x-copy %{x-seen}; response.add x-order new';
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    return 200 "$request_uri $http_x_seen $http_x_copy\n";
}
--- request
GET /old
--- response_headers
x-order: new, old
--- response_body
/new old old



=== TEST 4: contexts of both begin once and end once, in order
--- config
location /old {
    proxy_wasm lifecycle;
    proxy_wasm headers 'request.replace :path /new';
}
location /new {
    proxy_wasm lifecycle_two;
    return 200 "new\n";
}
--- request
GET /old
--- response_body
new
--- error_log
on_delete
--- grep_error_log eval: qr/"lifecycle\w*": \w+(?= \d+.*, client:)/
--- grep_error_log_out
"lifecycle": on_context_create
"lifecycle": on_request_headers
"lifecycle_two": on_context_create
"lifecycle_two": on_request_headers
"lifecycle_two": on_response_headers
"lifecycle": on_response_headers
"lifecycle_two": on_response_body
"lifecycle": on_response_body
"lifecycle": on_done
"lifecycle": on_log
"lifecycle": on_delete
"lifecycle_two": on_done
"lifecycle_two": on_log
"lifecycle_two": on_delete



=== TEST 5: a chain that both locations inherit sees the request once
--- config
proxy_wasm lifecycle;
proxy_wasm headers 'request.replace :path /new';
location /old {
    return 200 "old\n";
}
location /new {
    return 200 "new\n";
}
--- request
GET /old
--- response_body
new
--- error_log
on_delete
--- grep_error_log eval: $::Callbacks
--- grep_error_log_out
on_context_create
on_request_headers
on_response_headers
on_response_body
on_done
on_log
on_delete



=== TEST 6: a filter that denies what is there is not got round by way of another location
--- config
location /open {
    proxy_wasm headers 'request.replace :path /closed/secret';
}
location /closed {
    proxy_wasm headers 'deny /closed 403';
    return 200 "secret\n";
}
--- request
GET /open
--- error_code: 403
--- response_body
denied by rust



=== TEST 7: two locations that send a request to each other end as nginx ends such cycles
--- config
location /a {
    proxy_wasm headers 'request.replace :path /b';
}
location /b {
    proxy_wasm headers 'request.replace :path /a';
}
--- request
GET /a
--- error_code: 500
--- error_log
rewrite or internal redirection cycle



=== TEST 8: a request that waits for a tick is sent on when it goes on
--- config
location /old {
    proxy_wasm probe 'replace request :path /new';
    proxy_wasm ticker '20 pause 1';
}
location /new {
    return 200 "new\n";
}
--- request
GET /old
--- response_body
new



=== TEST 9: a path that is set to what it was changes nothing
--- config
location /t {
    proxy_wasm lifecycle;
    proxy_wasm probe 'replace request :path /t?a';
    return 200 "$uri $args\n";
}
--- request
GET /t?a
--- response_body
/t a
--- error_log
on_delete
--- grep_error_log eval: $::Callbacks
--- grep_error_log_out
on_context_create
on_request_headers
on_response_headers
on_response_body
on_done
on_log
on_delete



=== TEST 10: the limits of the new location hold: internal and limit_except
--- config
location /old {
    proxy_wasm headers 'request.replace :path /new';
}
location /new {
    limit_except GET { deny all; }
    return 200 "new\n";
}
--- request
POST /old
--- error_code: 403
