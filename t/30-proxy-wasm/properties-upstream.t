# Properties of the upstream, and what response.code_details and response.flags say of a response and of the lack of one.

use TestWasm 'no_plan';

# A number as the guest shows it: 8 bytes, little endian.
sub number {
    return CORE::join '', map { $_ >= 0x20 && $_ < 0x7f && $_ != 0x5c ? chr : sprintf '\\x%02x', $_ } unpack 'C8', pack 'q<', shift;
}

# What came of a response, as the header of the guest has it.
sub came_of {
    my ($details, $flags) = @_;
    return "x-probe-result: property response|code_details -> 0 $details | property response|flags -> 0 " . number($flags);
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }
CONF
    $block->set_value(http_config => ($block->http_config // '') . <<'CONF');
upstream one { server 127.0.0.1:$TEST_NGINX_SERVER_PORT; }
CONF
    $block->set_value(request => "GET /t\n") unless $block->request;
    # WHY: the two properties that most blocks look at.
    my $config = $block->config;
    $config =~ s/WHY/'\@response property response|code_details; \@response property response|flags'/g;
    $config .= "location /up { return 200 'ok'; }\n" unless $config =~ m{location /up };
    $block->set_value(config => $config);
});

run_tests();

__DATA__

=== TEST 1: upstream.*: nothing before there is one but its name; no attempt
--- config
location /t {
    proxy_wasm probe 'property upstream|address; property upstream|port; property upstream|local_address; property upstream|cx_pool_ready_duration; property upstream|transport_failure_reason; property upstream|tls_version; property cluster_name; property upstream|request_attempt_count; report';
    proxy_pass http://one/up;
}
--- response_body eval
"property upstream|address -> 1
property upstream|port -> 1
property upstream|local_address -> 1
property upstream|cx_pool_ready_duration -> 1
property upstream|transport_failure_reason -> 1
property upstream|tls_version -> 1
property cluster_name -> 0 one
property upstream|request_attempt_count -> 0 @{[ main::number(0) ]}
"



=== TEST 2: upstream.*: the peer, its upstream by name, our end of the connection
--- config
location /t {
    proxy_wasm probe '@response property upstream|address; @response property upstream|port; @response property upstream|request_attempt_count; @response property upstream|transport_failure_reason; @response property cluster_name; @response property xds|cluster_name; @response property upstream|tls_version; @response property upstream|local_address';
    proxy_pass http://one/up;
}
--- response_headers_like eval
my $port = $ENV{TEST_NGINX_SERVER_PORT};
"x-probe-result: property upstream\\|address -> 0 127\\.0\\.0\\.1:$port \\| property upstream\\|port -> 0 \Q@{[ main::number($port) ]}\E"
    . " \\| property upstream\\|request_attempt_count -> 0 \Q@{[ main::number(1) ]}\E \\| property upstream\\|transport_failure_reason -> 0"
    . " \\| property cluster_name -> 0 one \\| property xds\\|cluster_name -> 0 one \\| property upstream\\|tls_version -> 1"
    . " \\| property upstream\\|local_address -> 0 127\\.0\\.0\\.1:\\d+"



=== TEST 3: upstream.*: in the log phase, when the connection has gone
--- config
location /t {
    proxy_wasm probe '@log property upstream|address; @log property upstream|request_attempt_count; @log property cluster_name; @log property upstream|cx_pool_ready_duration; @log property response|backend_latency; @log property upstream|local_address';
    proxy_pass http://one/up;
}
--- error_log eval
[
    qr/property upstream\|address -> 0 127\.0\.0\.1:$ENV{TEST_NGINX_SERVER_PORT} /,
    'property upstream|request_attempt_count -> 0 ' . main::number(1),
    'property cluster_name -> 0 one',
    # Milliseconds as nanoseconds.
    qr/property upstream\|cx_pool_ready_duration -> 0 (?:[^\\]|\\x..){6}\\x00\\x00/,
    qr/property response\|backend_latency -> 0 (?:[^\\]|\\x..){6}\\x00\\x00/,
    qr/property upstream\|local_address -> 1 /,
]



=== TEST 4: upstream.local_address and local_port: what the upstream sees as its client
--- config
location /t {
    proxy_wasm probe '@response property upstream|local_address; @response get response x-port; @response property upstream|local_port';
    proxy_pass http://one/up;
}
location /up {
    add_header x-port $remote_port;
    return 200 "ok\n";
}
--- response_headers_like
x-probe-result: property upstream\|local_address -> 0 127\.0\.0\.1:(\d+) \| get response x-port -> 0 \1 \| property upstream\|local_port -> 0 (?:[^\\]|\\x..){2}(?:\\x00){6}



=== TEST 5: an upstream on a Unix socket
--- http_config
server {
    listen unix:$TEST_NGINX_HTML_DIR/u.sock;
    location / { return 200 "ok\n"; }
}
--- config
location /t {
    proxy_wasm probe '@response property upstream|address; @response property upstream|port; @response property cluster_name';
    proxy_pass http://unix:$TEST_NGINX_HTML_DIR/u.sock;
}
--- response_headers_like eval
"x-probe-result: property upstream\\|address -> 0 \Q$ENV{TEST_NGINX_HTML_DIR}\E/u\\.sock \\| property upstream\\|port -> 1 \\| property cluster_name -> 0 \\S+"



=== TEST 6: a second attempt: the peer that answered, both counted
--- http_config
upstream two {
    server 127.0.0.1:1 weight=100;
    server 127.0.0.1:$TEST_NGINX_SERVER_PORT;
}
--- config
location /t {
    proxy_wasm probe '@response property upstream|address; @response property upstream|request_attempt_count; @response property cluster_name; @response property response|code_details';
    proxy_pass http://two/up;
}
--- response_headers eval
"x-probe-result: property upstream|address -> 0 127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT} | property upstream|request_attempt_count -> 0 "
    . main::number(2) . " | property cluster_name -> 0 two | property response|code_details -> 0 via_upstream"
--- error_log
connect() failed



=== TEST 7: cluster_name of an address in a variable
--- config
location /t {
    set $target 127.0.0.1:$TEST_NGINX_SERVER_PORT;
    proxy_wasm probe '@response property cluster_name; @response property upstream|port';
    proxy_pass http://$target/up;
}
--- response_headers eval
"x-probe-result: property cluster_name -> 0 127.0.0.1 | property upstream|port -> 0 " . main::number($ENV{TEST_NGINX_SERVER_PORT})



=== TEST 8: from an upstream
--- config
location /t {
    proxy_wasm probe WHY;
    proxy_pass http://one/up;
}
--- response_headers eval
main::came_of('via_upstream', 0)



=== TEST 9: from nginx itself
--- config
location /t {
    proxy_wasm probe WHY;
    return 404 "none\n";
}
--- error_code: 404
--- response_headers eval
main::came_of('direct_response', 0)



=== TEST 10: from a filter: what it gave as the reason
--- config
location /t {
    proxy_wasm probe WHY;
    proxy_wasm probe 'respond 403 no';
    proxy_pass http://one/up;
}
--- error_code: 403
--- response_headers eval
main::came_of('probe', 0)
--- response_body chomp
no



=== TEST 11: in the place of one, because a filter failed: on the way in, and on the way out
--- config
location /t {
    proxy_wasm probe '@log property response|code_details; @log property response|flags';
    proxy_wasm probe 'abort';
    proxy_pass http://one/up;
}
location /out {
    proxy_wasm probe WHY;
    proxy_wasm probe '@response abort';
    proxy_pass http://one/up;
}
--- request eval
["GET /t", "GET /out"]
--- error_code eval
[503, 503]
--- response_headers eval
["", main::came_of('wasm_fail_stream', 0)]
--- error_log eval
qr/property response\|code_details -> 0 wasm_fail_stream/
--- expects_crit
wasm filter "probe": failed to call function: proxy_on_request_headers
wasm filter "probe": failed to call function: proxy_on_response_headers



=== TEST 12: no connection to the upstream
--- config
location /t {
    proxy_wasm probe '@response property response|code_details; @response property response|flags; @response property upstream|transport_failure_reason; @response property upstream|address; @response property upstream|cx_pool_ready_duration; @response property response|grpc_status';
    proxy_pass http://127.0.0.1:1/up;
}
--- error_code: 502
--- response_headers eval
main::came_of('upstream_reset_before_response_started{remote_connection_failure}', 0x20)
    . ' | property upstream|transport_failure_reason -> 0 connection failed | property upstream|address -> 0 127.0.0.1:1'
    . ' | property upstream|cx_pool_ready_duration -> 1 | property response|grpc_status -> 0 ' . main::number(14)
--- error_log
connect() failed



=== TEST 13: no peer that is up
--- http_config
upstream none { server 127.0.0.1:1 down; }
--- config
location /t {
    proxy_wasm probe '@response property response|code_details; @response property response|flags; @response property upstream|address; @response property upstream|transport_failure_reason; @response property cluster_name';
    proxy_pass http://none/up;
}
--- error_code: 502
--- response_headers eval
main::came_of('no_healthy_upstream', 2)
    . ' | property upstream|address -> 1 | property upstream|transport_failure_reason -> 1 | property cluster_name -> 0 none'
--- error_log
no live upstreams



=== TEST 14: no response in time
--- config
location /t {
    proxy_wasm probe WHY;
    proxy_read_timeout 50ms;
    proxy_pass http://one/silent;
}
location /silent {
    # It waits until its client goes.
    proxy_wasm probe 'pause';
    return 200;
}
--- error_code: 504
--- response_headers eval
main::came_of('response_timeout', 4)
--- error_log
upstream timed out



=== TEST 15: the upstream ends the connection without a response
--- config
location /t {
    proxy_wasm probe WHY;
    proxy_pass http://one/closes;
}
location /closes {
    return 444;
}
--- error_code: 502
--- response_headers eval
main::came_of('upstream_reset_before_response_started{connection_termination}', 0x40)
--- error_log
prematurely closed



=== TEST 16: what comes is no response
--- config
location /t {
    proxy_wasm probe WHY;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_2/;
}
--- tcp_listen: $TEST_NGINX_PORT_2
--- tcp_reply eval
"HTTP/1.1 200 OK\r\n\x01broken: x\r\n\r\n"
--- error_code: 502
--- response_headers eval
main::came_of('upstream_reset_before_response_started{protocol_error}', 0x800000)
--- error_log
upstream sent invalid header



=== TEST 17: the name of the upstream has no address
--- config
location /t {
    set $target no.such.name;
    proxy_wasm probe WHY;
    proxy_pass http://$target/up;
}
--- error_code: 502
--- response_headers eval
main::came_of('dns_resolution_failure', 0x4000000)
--- error_log
no resolver defined



=== TEST 18: an answer of the upstream that gives way to a page of nginx
--- config
location /t {
    proxy_wasm probe WHY;
    proxy_intercept_errors on;
    error_page 500 /page;
    proxy_pass http://one/broken;
}
location /broken { return 500; }
location /page {
    internal;
    proxy_wasm probe WHY;
    return 500 "page\n";
}
--- error_code: 500
--- response_headers eval
main::came_of('direct_response', 0)
--- response_body
page



=== TEST 19: an error page that another upstream makes
--- config
location /t {
    proxy_wasm probe WHY;
    error_page 502 = /page;
    proxy_pass http://127.0.0.1:1/;
}
location /page {
    internal;
    proxy_wasm probe '@response property response|code_details; @response property response|flags; @response property upstream|request_attempt_count';
    proxy_pass http://one/up;
}
--- response_headers eval
main::came_of('via_upstream', 0) . ' | property upstream|request_attempt_count -> 0 ' . main::number(1)
--- error_log
connect() failed



=== TEST 20: from the cache
--- http_config
proxy_cache_path $TEST_NGINX_SERVER_ROOT/cache keys_zone=cache:1m;
--- config
location /t {
    proxy_wasm probe WHY;
    proxy_cache cache;
    proxy_cache_key fixed;
    proxy_cache_valid 200 1h;
    proxy_pass http://one/up;
}
--- request eval
["GET /t", "GET /t"]
--- response_headers eval
[main::came_of('via_upstream', 0), main::came_of('cache.response_from_cache_filter', 0x100000)]



=== TEST 21: cluster_name of request headers: what the location passes requests on to, by each module
--- config
proxy_wasm probe 'property cluster_name; property xds|cluster_name; report';
location /proxy { proxy_pass http://one; }
location /proxy-uri/ { proxy_pass http://one/up; }
location /address { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT; }
location /fastcgi { fastcgi_pass one; }
location /uwsgi { uwsgi_pass one; }
location /scgi { scgi_pass one; }
location /grpc { grpc_pass grpc://one; }
location /memcached { set $memcached_key k; memcached_pass one; }
location /limited { limit_except POST { allow all; } proxy_pass http://one; }
--- request eval
[map { "GET /$_" } qw( proxy proxy-uri/x address fastcgi uwsgi scgi grpc memcached limited )]
--- response_body eval
[map { "property cluster_name -> 0 $_\nproperty xds|cluster_name -> 0 $_\n" } qw( one one 127.0.0.1 one one one one one one )]



=== TEST 22: cluster_name of request headers: not where the location has none, or a variable says it
--- config
proxy_wasm probe 'property cluster_name; report';
set $backend one;
location /plain { return 200; }
location /variable { proxy_pass http://$backend; }
--- request eval
["GET /plain", "GET /variable"]
--- response_body eval
["property cluster_name -> 1\n", "property cluster_name -> 1\n"]



=== TEST 23: cluster_name and route_name behind a redirect: what holds now, not what has failed before
--- http_config
upstream gone { server 127.0.0.1:1; }
--- config
location /t {
    proxy_intercept_errors on;
    error_page 502 = /other;
    proxy_pass http://gone;
}
location /other {
    proxy_wasm probe 'property cluster_name; property route_name; @response property cluster_name; @log property cluster_name';
    proxy_pass http://one/up;
}
--- request
GET /t
--- response_headers
x-probe-result: property cluster_name -> 0 one
--- error_log eval
[qr/probe: property cluster_name -> 0 one, client.*/, 'property route_name -> 0 /other', qr/property cluster_name -> 0 one while logging request/]
--- no_error_log
[alert]



=== TEST 24: cluster_name behind a redirect to a location that has none
--- http_config
upstream gone { server 127.0.0.1:1; }
--- config
location /u {
    error_page 502 = @page;
    proxy_pass http://gone;
}
location @page {
    proxy_wasm probe 'property cluster_name; property route_name; @response property cluster_name; @log property cluster_name';
    return 200 "page\n";
}
--- request
GET /u
--- response_headers
x-probe-result: property cluster_name -> 1
--- error_log eval
[qr/probe: property cluster_name -> 1(?! while logging)/, 'property route_name -> 0 @page', 'property cluster_name -> 1 while logging request']
--- no_error_log
[alert]
