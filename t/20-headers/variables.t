# Variables of nginx follow the request when a filter changes it, also those that the server level has asked for before; what
# was assigned stays.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module probe $TEST_NGINX_GUESTS/rust-probe.wasm;
}
CONF
    $block->set_value(request => "GET /t\n") unless $block->request || $block->raw_request;
});

run_tests();

__DATA__

=== TEST 1: a header that the server level has looked at
--- config
if ($http_x_one = nobody) { return 500; }
location /t {
    proxy_wasm headers 'request.replace x-one new';
    return 200 "$http_x_one\n";
}
--- more_headers
x-one: old
--- response_body
new



=== TEST 2: a header that was not there, and one that goes
--- config
set $seen "$http_x_one|$http_x_two";
location /t {
    proxy_wasm headers 'request.add x-one new; request.remove x-two';
    return 200 "$seen [$http_x_one] [$http_x_two]\n";
}
--- more_headers
x-two: old
--- response_body
|old [new] []



=== TEST 3: a second value of a header
--- config
set $seen $http_x_one;
location /t {
    proxy_wasm headers 'request.add x-one b';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
    proxy_set_header x-shown "$seen/$http_x_one";
}
location /up {
    return 200 "$http_x_shown\n";
}
--- more_headers
x-one: a
--- response_body_like
^a/a(, b)?$



=== TEST 4: headers that nginx keeps apart, and what it makes of them
--- config
set $seen "$http_user_agent $http_cookie $cookie_a $content_type $http_referer $remote_user $host $http_host";
location /t {
    proxy_wasm headers 'request.replace user-agent ua2; request.replace cookie a=2; request.replace content-type text/two; request.replace referer r2; request.replace authorization Basic dXNlcjI6cA==; request.replace :authority two.example:81';
    return 200 "$seen\n$http_user_agent $http_cookie $cookie_a $content_type $http_referer $remote_user $host $http_host\n";
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: one.example:80\r\nConnection: close\r\nUser-Agent: ua1\r\nCookie: a=1\r\nContent-Type: text/one\r\nReferer: r1\r\nAuthorization: Basic dXNlcjE6cA==\r\n\r\n"
--- response_body
ua1 a=1 1 text/one r1 user1 one.example one.example:80
ua2 a=2 2 text/two r2 user2 two.example two.example:81



=== TEST 5: path, arguments, method
--- config
set $seen "$request_uri $uri $args $arg_a $request_method";
location /t {
    proxy_wasm headers 'request.replace :path /t/new?a=2; request.replace :method PUT';
    return 200 "$seen\n$request_uri $uri $args $arg_a $request_method\n";
}
--- request
GET /t?a=1
--- response_body
/t?a=1 /t a=1 1 GET
/t/new?a=2 /t/new a=2 2 PUT



=== TEST 6: a map over a header, and one over that map, whichever comes first
--- http_config
map $inner $outer { default other; in-new out-new; in-old out-old; }
map $http_x_one $inner { default none; new in-new; old in-old; }
--- config
set $seen $outer;
location /t {
    proxy_wasm headers 'request.replace x-one new';
    return 200 "$seen $inner $outer\n";
}
--- more_headers
x-one: old
--- response_body
out-old in-new out-new



=== TEST 7: the same with split_clients and geo
--- http_config
split_clients $http_x_one $part { 50% low; * high; }
geo $http_x_ip $net { default none; 10.0.0.0/8 ten; 192.168.0.0/16 home; }
--- config
set $seen "$part/$net";
location /t {
    proxy_wasm headers 'request.replace x-one %{x-two}; request.replace x-ip 10.1.1.1';
    return 200 "$net $part\n";
}
location /plain {
    return 200 "$net $part\n";
}
--- request eval
["GET /t", "GET /plain"]
--- more_headers eval
["x-one: a\nx-two: b\nx-ip: 192.168.1.1\n", "x-one: b\nx-ip: 10.1.1.1\n"]
--- response_body_like eval
["^ten (?:low|high)\$", "^ten (?:low|high)\$"]



=== TEST 8: the upstream that a header names
--- http_config
upstream backend_a { server 127.0.0.1:$TEST_NGINX_PORT_1; }
upstream backend_b { server 127.0.0.1:$TEST_NGINX_PORT_2; }
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; return 200 "a\n"; }
server { listen 127.0.0.1:$TEST_NGINX_PORT_2; return 200 "b\n"; }
map $http_x_backend $backend { default backend_a; b backend_b; }
--- config
if ($backend = nobody) { return 500; }
location /t {
    proxy_wasm headers 'request.add x-backend b';
    proxy_pass http://$backend;
}
--- response_body
b



=== TEST 9: what set has assigned stays, also under the name of a header
--- config
set $mine $http_x_one;
set $http_x_two assigned;
location /t {
    proxy_wasm headers 'request.replace x-one new; request.replace x-two new';
    return 200 "$mine $http_x_two\n";
}
--- more_headers
x-one: old
x-two: old
--- response_body
old assigned



=== TEST 10: what a filter has assigned stays
--- config
set $mine '';
location /t {
    proxy_wasm probe 'set-property ngx.mine by-filter';
    proxy_wasm headers 'request.replace x-one new';
    # Seen before 'set' runs again in the location.
    add_header x-mine $mine;
    return 200 "$mine\n";
}
--- response_body
by-filter



=== TEST 11: what auth_request_set has assigned stays
--- config
location /t {
    auth_request /auth;
    auth_request_set $who $upstream_http_x_who;
    error_page 418 = /again;
    proxy_intercept_errors on;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/teapot;
}
location /again {
    # After the redirect, with the variables of the request as they are.
    proxy_wasm headers 'request.replace x-one new';
    return 200 "$who $http_x_one\n";
}
location /auth {
    internal;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/who;
}
location /who {
    add_header x-who somebody;
    return 204;
}
location /teapot {
    return 418;
}
--- response_body
somebody new



=== TEST 12: $request_id stays the same
--- config
set $first $request_id;
location /t {
    proxy_wasm headers 'request.replace x-one new';
    if ($first = $request_id) { return 200 "same\n"; }
    return 200 "other\n";
}
--- response_body
same



=== TEST 13: captures of the location stay, whatever a map with regular expressions does
--- http_config
map $http_x_one $mapped { default none; ~^(.)(.)$ "$2$1"; }
--- config
set $seen $mapped;
location ~ ^/(t)/(.*)$ {
    proxy_wasm headers 'request.replace x-one yz';
    return 200 "$1 $2 $seen $mapped $1 $2\n";
}
--- request
GET /t/rest
--- more_headers
x-one: ab
--- response_body
t rest ba zy t rest



=== TEST 14: filters read the new values too
--- config
set $seen $http_x_one;
location /t {
    proxy_wasm headers 'request.replace x-one new';
    proxy_wasm probe 'property ngx.http_x_one; property ngx.seen; report';
    return 200;
}
--- more_headers
x-one: old
--- response_body
property ngx.http_x_one -> 0 new
property ngx.seen -> 0 old
