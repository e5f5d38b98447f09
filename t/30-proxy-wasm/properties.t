# Properties (proxy_get_property, proxy_set_property): families of the ABI, variables of nginx, and what is not there.

use TestWasm 'no_plan';

# A number as the guest shows it: 8 bytes, little endian.
sub number {
    my $text = '';
    $text .= ($_ >= 0x20 && $_ < 0x7f && $_ != 0x5c) ? chr : sprintf '\\x%02x', $_ for unpack 'C8', pack 'q<', shift;
    return $text;
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }
CONF
    $block->set_value(request => "GET /t\n") unless $block->request || $block->raw_request;
});

run_tests();

__DATA__

=== TEST 1: request.*: text
--- config
location /t {
    proxy_wasm probe 'property request|path; property request|url_path; property request|query; property request|host; property request|scheme; property request|method; property request|referer; property request|useragent; property request|protocol; property request|id; property request|headers|x-one; report';
    return 200;
}
--- raw_request eval
"PUT /t/%41?a=1&b HTTP/1.1\r\nHost: some.example\r\nReferer: there\r\nUser-Agent: me\r\nX-Request-Id: id-1\r\nX-One: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
--- response_body
property request|path -> 0 /t/%41?a=1&b
property request|url_path -> 0 /t/%41
property request|query -> 0 a=1&b
property request|host -> 0 some.example
property request|scheme -> 0 http
property request|method -> 0 PUT
property request|referer -> 0 there
property request|useragent -> 0 me
property request|protocol -> 0 HTTP/1.1
property request|id -> 0 id-1
property request|headers|x-one -> 0 1



=== TEST 2: request.*: what the request does not have
--- config
location /t {
    proxy_wasm probe 'property request|query; property request|referer; property request|headers|x-one; property request|nonsense; report';
    return 200;
}
--- response_body
property request|query -> 0
property request|referer -> 1
property request|headers|x-one -> 1
property request|nonsense -> 1



=== TEST 3: request.id: without the header, the one that nginx makes: 32 hexadecimal digits
--- config
location /t {
    proxy_wasm probe 'property request|id; report';
    return 200;
}
--- response_body_like
^property request\|id -> 0 [0-9a-f]{32}$



=== TEST 4: request.size: a number of 8 bytes, little endian
--- config
location /t {
    proxy_wasm probe 'property request|size; report';
    return 200;
}
--- request eval
"POST /t\n" . 'x' x 258
--- response_body
property request|size -> 0 \x02\x01\x00\x00\x00\x00\x00\x00



=== TEST 5: request.time, request.duration, request.total_size: numbers
--- config
location /t {
    proxy_wasm probe 'property request|time; @log property request|duration; @log property request|total_size';
    return 200 "ok\n";
}
--- error_log eval
[
    qr/property request\|time -> 0 \S+/,
    qr/property request\|duration -> 0 \S+/,
    qr/property request\|total_size -> 0 \S+/,
]



=== TEST 6: response.*: not before there is one
--- config
location /t {
    proxy_wasm probe 'property response|code; property response|headers|x-one; report';
    return 200;
}
--- response_body
property response|code -> 1
property response|headers|x-one -> 1



=== TEST 7: response.code and headers
--- config
location /t {
    proxy_wasm probe '@response property response|code; @response property response|headers|content-type; @log property response|code';
    default_type text/x-test;
    return 404 "none\n";
}
--- error_code: 404
--- response_headers eval
'x-probe-result: property response|code -> 0 ' . main::number(404) . ' | property response|headers|content-type -> 0 text/x-test'
--- error_log eval
'property response|code -> 0 ' . main::number(404)



=== TEST 8: source and destination
--- config
location /t {
    proxy_wasm probe 'property source|address; property destination|address; property destination|port; property source|nonsense; report';
    return 200;
}
--- response_body_like eval
my $port = $ENV{TEST_NGINX_SERVER_PORT};
qr/\Aproperty source\|address -> 0 127\.0\.0\.1:\d+
property destination\|address -> 0 127\.0\.0\.1:$port
property destination\|port -> 0 \Q@{[ main::number($port) ]}\E
property source\|nonsense -> 1
\z/



=== TEST 9: source.port is that of source.address
--- config
location /t {
    proxy_wasm probe 'property source|port; property ngx|remote_port';
    return 200 "ok\n";
}
--- error_log eval
qr/property source\|port -> 0 \S/



=== TEST 10: connection.*
--- config
location /t {
    proxy_wasm probe 'property connection|id; property connection|mtls; property connection|tls_version; property connection|requested_server_name; property connection|nonsense; report';
    return 200;
}
--- response_body_like
^property connection\|id -> 0 \S+
property connection\|mtls -> 0 \\x00
property connection\|tls_version -> 1
property connection\|requested_server_name -> 0
property connection\|nonsense -> 1$



=== TEST 11: plugin_*: name of the filter, of the VM, and the root id
--- config
location /t {
    proxy_wasm probe '@configure property plugin_name; property plugin_name; property plugin_root_id; property plugin_vm_id; report';
    return 200;
}
--- response_body
property plugin_name -> 0 probe
property plugin_root_id -> 0
property plugin_vm_id -> 0 probe
--- error_log
probe: property plugin_name -> 0 probe



=== TEST 12: variables of nginx, in three forms
--- config
set $mine 'my value';
location /t {
    proxy_wasm probe 'property ngx|uri; property ngx.uri; property uri; property ngx|arg_a; property ngx|http_x_one; property ngx|nonsense; property nonsense; report';
    return 200;
}
--- request
GET /t?a=1
--- more_headers
x-one: 2
--- response_body
property ngx|uri -> 0 /t
property ngx.uri -> 0 /t
property uri -> 0 /t
property ngx|arg_a -> 0 1
property ngx|http_x_one -> 0 2
property ngx|nonsense -> 1
property nonsense -> 1



=== TEST 13: variables of the configuration: read and written
--- config
location /t {
    set $mine before;
    proxy_wasm probe 'set-property ngx|mine after; property ngx|mine; @response property ngx|mine';
    add_header x-mine $mine;
    return 200 "ok\n";
}
--- response_headers
x-mine: before
x-probe-result: property ngx|mine -> 0 before
--- error_log
probe: property ngx|mine -> 0 after



=== TEST 14: a variable that a filter sets on the way out is in the access log
--- http_config
log_format mine '[$mine]';
--- config
set $mine '';
location /t {
    proxy_wasm probe '@log set-property ngx|mine from-filter';
    access_log logs/access.log mine;
    return 200 "ok\n";
}
--- access_log
[from-filter]



=== TEST 15: built-in variables that can be written: $args, $limit_rate
--- config
location /t {
    proxy_wasm probe 'set-property ngx|args b=2; property ngx|args; property ngx|arg_b; report';
    return 200;
}
--- request
GET /t?a=1
--- response_body
set-property ngx|args b=2 -> 0
property ngx|args -> 0 b=2
property ngx|arg_b -> 0 2



=== TEST 16: writing what cannot be written
--- config
location /t {
    proxy_wasm probe 'set-property ngx|uri /x; set-property ngx|nonsense 1; set-property plugin_name x; set-property request|path /x; property ngx|uri; report';
    return 200;
}
--- response_body
set-property ngx|uri /x -> 2
set-property ngx|nonsense 1 -> 1
set-property plugin_name x -> 2
set-property request|path /x -> 2
property ngx|uri -> 0 /t



=== TEST 17: a path with a NUL behind it is the same; an empty one is not there
--- config
location /t {
    proxy_wasm probe 'property request|method|; property plugin_name|; property ; report';
    return 200;
}
--- response_body
property request|method| -> 0 GET
property plugin_name| -> 0 probe
property -> 1



=== TEST 18: a dot does not part segments
--- config
location /t {
    proxy_wasm probe 'property request.method; report';
    return 200;
}
--- response_body
property request.method -> 1



=== TEST 19: without a request there is nothing of one
--- config
location /t {
    proxy_wasm probe '@configure property request|path; @configure property ngx|uri; @configure get request x-one; @configure add request x-one 1; @configure respond 200';
    return 200 "ok\n";
}
--- error_log
property request|path -> 1
property ngx|uri -> 1
get request x-one -> 1
add request x-one 1 -> 2
respond 200 -> 0
