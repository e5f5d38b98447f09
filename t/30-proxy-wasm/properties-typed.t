# Properties of the request and of what nginx has for Envoy's configuration: bytes as Envoy gives them.

use TestWasm 'no_plan';

# Bytes as the guest shows them.
sub shown {
    return join '', map { $_ >= 0x20 && $_ < 0x7f && $_ != 0x5c ? chr : sprintf '\\x%02x', $_ } unpack 'C*', shift;
}

# A number: 8 bytes, little endian.
sub number {
    return shown(pack 'q<', shift);
}

# A map: count, sizes, names and values.
sub pairs {
    my (@sizes, $text);
    while (my ($name, $value) = splice @_, 0, 2) {
        push @sizes, length $name, length $value;
        $text .= "$name\0$value\0";
    }
    return shown(pack('V*', @sizes / 2, @sizes) . ($text // ''));
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm {
    module probe $TEST_NGINX_GUESTS/rust-probe.wasm;
    ASSIGNS
}
CONF
    my $assigns = ($block->user_files // '') =~ /assigns\.wat/ ? 'module assigns $TEST_NGINX_HTML_DIR/assigns.wat;' : '';
    $block->set_value(main_config => $block->main_config =~ s/ASSIGNS/$assigns/r);
    $block->set_value(request => "GET /t\n") unless $block->request || $block->raw_request;
});

run_tests();

__DATA__

=== TEST 1: request.headers: pairs, each name once with its values joined; headers_bytes and total_size without separators
--- config
location /t {
    proxy_wasm probe 'property request|headers; property request|headers_bytes; property request|total_size; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nConnection: close\r\nx-one: 2\r\n\r\n"
--- response_body eval
my @pairs = (':authority', 'a.example', ':path', '/t', ':method', 'GET', ':scheme', 'http', 'x-one', '1,2', 'connection', 'close');
# The second line of a name counts with its name, and the comma does not.
my $size = length(CORE::join '', @pairs) - 1 + length 'x-one';
"property request|headers -> 0 @{[ main::pairs(@pairs) ]}
property request|headers_bytes -> 0 @{[ main::number($size) ]}
property request|total_size -> 0 @{[ main::number($size) ]}
"



=== TEST 2: request.protocol: HTTP/1.0
--- config
location /t {
    proxy_wasm probe 'property request|protocol; report';
    return 200;
}
--- raw_request eval
"GET /t HTTP/1.0\r\n\r\n"
--- response_body
property request|protocol -> 0 HTTP/1.0



=== TEST 3: request.protocol: HTTP/2, without a minor number
--- config
location /t {
    proxy_wasm probe '@log property request|protocol';
    return 200 "ok\n";
}
--- http2
--- error_log
property request|protocol -> 0 HTTP/2



=== TEST 4: request.size: what the client announced, whether nginx reads it or not; total_size: what has come
--- config
location /t {
    proxy_wasm probe 'property request|size; property request|total_size; property request|headers_bytes; @log property request|size; @log property request|total_size; @log property request|headers_bytes';
    return 200 "ok\n";
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 7\r\n\r\n1234567"
--- response_body
ok
--- grep_error_log eval
qr/property request\|(?:size|total_size|headers_bytes) -> 0 [^\s,]+/
--- grep_error_log_out eval
my @headers = (':authority', 'a', ':path', '/t', ':method', 'POST', ':scheme', 'http', 'connection', 'close', 'content-length', '7');
my $headers = length CORE::join '', @headers;
CORE::join '', map { "property request|$_\n" }
    "size -> 0 " . main::number(7), "total_size -> 0 " . main::number($headers), "headers_bytes -> 0 " . main::number($headers),
    "size -> 0 " . main::number(7), "total_size -> 0 " . main::number($headers + 7), "headers_bytes -> 0 " . main::number($headers)
--- error_log eval
'property request|headers_bytes -> 0 ' . main::number(length ':authoritya:path/t:methodPOST:schemehttpconnectionclosecontent-length7')



=== TEST 5: request.size of a body in chunks: 0 at first, at the end what has come, without the chunks' own bytes
--- config
location /t {
    proxy_wasm probe 'property request|size; @log property request|size';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    return 200 "ok\n";
}
--- raw_request eval
"POST /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
--- response_body
ok
--- error_log eval
["property request|size -> 0 " . main::number(0), "property request|size -> 0 " . main::number(5)]



=== TEST 6: request.duration: not before the end
--- config
location /t {
    proxy_wasm probe 'property request|duration; report';
    return 200;
}
--- response_body
property request|duration -> 1



=== TEST 7: before a response: sizes 0, maps empty, the rest not there
--- config
location /t {
    proxy_wasm probe 'property response|flags; property response|size; property response|total_size; property response|headers_bytes; property response|headers; property response|trailers; property response|code_details; property response|grpc_status; property response|backend_latency; report';
    return 200;
}
--- response_body eval
my ($number, $pairs) = (main::number(0), main::pairs());
"property response|flags -> 0 $number
property response|size -> 0 $number
property response|total_size -> 0 $number
property response|headers_bytes -> 0 $number
property response|headers -> 0 $pairs
property response|trailers -> 0 $pairs
property response|code_details -> 1
property response|grpc_status -> 1
property response|backend_latency -> 1
"



=== TEST 8: response.headers: pairs; a name with several values has them joined
--- config
location /t {
    proxy_wasm probe '@response property response|headers; @response property response|headers|x-two; @response property response|headers|:status';
    default_type text/plain;
    add_header x-two a;
    add_header x-two b;
    return 202 "ok\n";
}
--- error_code: 202
--- response_headers eval
# Filters see a response before add_header adds to it.
'x-probe-result: property response|headers -> 0 ' . main::pairs(':status', 202, 'content-type', 'text/plain', 'content-length', 3)
    . ' | property response|headers|x-two -> 1 | property response|headers|:status -> 0 202'



=== TEST 9: response.grpc_status: from the status when no header tells it
--- config
location /t {
    proxy_wasm probe '@response property response|grpc_status';
    return 404 "none\n";
}
--- error_code: 404
--- response_headers eval
'x-probe-result: property response|grpc_status -> 0 ' . main::number(12)



=== TEST 10: response.grpc_status: from the header
--- config
location /t {
    proxy_wasm probe '@response property response|grpc_status; @response property response|headers|grpc-status';
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    add_header grpc-status 5;
    return 200 "ok\n";
}
--- response_headers eval
'x-probe-result: property response|grpc_status -> 0 ' . main::number(5) . ' | property response|headers|grpc-status -> 0 5'



=== TEST 11: what nginx has for Envoy's configuration
--- config
location ~ ^/(t) {
    proxy_wasm probe 'property route_name; property xds|route_name; property xds|virtual_host_name; property listener_direction; property xds|listener_direction; property node|id; property xds|node|user_agent_name; property node|user_agent_version; property node|metadata; property metadata; property metadata|filter_metadata; property metadata|filter_metadata|a|b; property listener_metadata; property cluster_name; property xds|cluster_name; property upstream_host_metadata; property xds|upstream_host_metadata; property xds|filter_chain_name; property connection_id; report';
    return 200;
}
--- response_body_like eval
my ($inbound, $pairs) = map { quotemeta } main::number(1), main::pairs();
qr/\Aproperty route_name -> 0 \^\/\(t\)
property xds\|route_name -> 0 \^\/\(t\)
property xds\|virtual_host_name -> 0 localhost
property listener_direction -> 0 $inbound
property xds\|listener_direction -> 0 $inbound
property node\|id -> 0 \S+
property xds\|node\|user_agent_name -> 0 nginx
property node\|user_agent_version -> 0 1\.\d+\.\d+
property node\|metadata -> 1
property metadata -> 0
property metadata\|filter_metadata -> 0 $pairs
property metadata\|filter_metadata\|a\|b -> 1
property listener_metadata -> 0
property cluster_name -> 1
property xds\|cluster_name -> 1
property upstream_host_metadata -> 1
property xds\|upstream_host_metadata -> 1
property xds\|filter_chain_name -> 1
property connection_id -> 0 (?:[^\\\n]|\\x..){8}
\z/



=== TEST 12: node: a message of protocol buffers, with the fields 1, 6 and 7
--- config
location /t {
    proxy_wasm probe 'property node; property xds|node; property ngx.hostname; property ngx.nginx_version; report';
    return 200;
}
--- response_body_like eval
qr/\Aproperty node -> 0 \\x0a(?:\\x..|.)(\S+?)2\\x05nginx:(?:\\x..|.)(\S+)
property xds\|node -> 0 \\x0a(?:\\x..|.)\1.*
property ngx\.hostname -> 0 \1
property ngx\.nginx_version -> 0 \2
\z/



=== TEST 13: a variable of the configuration comes before what Envoy has under that name
--- config
set $route_name mine;
location /t {
    proxy_wasm probe 'property route_name; property xds|route_name; set-property route_name other; property route_name; report';
    return 200;
}
--- response_body
property route_name -> 0 mine
property xds|route_name -> 0 /t
set-property route_name other -> 0
property route_name -> 0 other



=== TEST 14: setting: what is read only is BadArgument, what nobody knows is kept for the other filters
--- config
location /t {
    proxy_wasm probe 'set-property request|path x; set-property response|code x; set-property connection|id x; set-property upstream|address x; set-property xds|node x; set-property metadata|filter_metadata x; set-property node x; set-property cluster_name x; set-property listener_direction x; set-property source x; set-property request x; set-property a|b x; set-property nonsense x; set-property ngx x; report';
    return 200;
}
--- response_body
set-property request|path x -> 2
set-property response|code x -> 2
set-property connection|id x -> 2
set-property upstream|address x -> 2
set-property xds|node x -> 2
set-property metadata|filter_metadata x -> 2
set-property node x -> 2
set-property cluster_name x -> 2
set-property listener_direction x -> 2
set-property source x -> 2
set-property request x -> 2
set-property a|b x -> 0
set-property nonsense x -> 0
set-property ngx x -> 1



=== TEST 15: a client and a server on a Unix socket: the path is the address, and there is no port
--- http_config
server {
    listen unix:$TEST_NGINX_HTML_DIR/s.sock;
    location / {
        proxy_wasm probe 'property destination|address; property destination|port; property source|address; property source|port; report';
        return 200;
    }
}
--- config
location /t {
    proxy_pass http://unix:$TEST_NGINX_HTML_DIR/s.sock;
}
--- response_body eval
"property destination|address -> 0 $ENV{TEST_NGINX_HTML_DIR}/s.sock
property destination|port -> 1
property source|address -> 0
property source|port -> 1
"



=== TEST 16: addresses of IPv6 in brackets
--- http_config
server {
    listen [::1]:$TEST_NGINX_PORT_1;
    location / {
        proxy_wasm probe 'property destination|address; property destination|port; property source|address; report';
        return 200;
    }
}
--- config
location /t {
    proxy_pass http://[::1]:$TEST_NGINX_PORT_1;
}
--- skip_eval
4: !eval { require IO::Socket::IP; IO::Socket::IP->new(LocalHost => '::1', Listen => 1) }
--- response_body_like eval
my $port = $ENV{TEST_NGINX_PORT_1};
qr/\Aproperty destination\|address -> 0 \[::1\]:$port
property destination\|port -> 0 \Q@{[ main::number($port) ]}\E
property source\|address -> 0 \[::1\]:\d+
\z/



=== TEST 17: wasmx.*: values of a request, in both forms, that all its filters share
--- config
location /t {
    proxy_wasm probe 'set-property wasmx|a one; set-property wasmx.b.c two; property wasmx.a; property wasmx|b|c; property wasmx|none; @log property wasmx|a';
    proxy_wasm probe 'property wasmx|a; set-property wasmx|a 1\x00; property wasmx|a; set-property wasmx|b.c ; property wasmx.b.c; set-property wasmx| x; report';
    return 200;
}
--- response_body
property wasmx|a -> 0 one
set-property wasmx|a 1\x00 -> 0
property wasmx|a -> 0 1\x5cx00
set-property wasmx|b.c -> 0
property wasmx.b.c -> 1
set-property wasmx| x -> 0
--- error_log
property wasmx.a -> 0 one
property wasmx|b|c -> 0 two
property wasmx|none -> 1
property wasmx|a -> 0 1\x5cx00 while logging



=== TEST 18: wasmx.*: the next request on the connection has none of them
--- config
location /t {
    proxy_wasm probe 'property wasmx.a; set-property wasmx.a one; report';
    return 200;
}
--- pipelined_requests eval
["GET /t", "GET /t"]
--- response_body eval
my $body = "property wasmx.a -> 1\nset-property wasmx.a one -> 0\n";
[$body, $body]



=== TEST 19: wasmx.*: nothing without a request
--- config
location /t {
    proxy_wasm probe '@configure set-property wasmx.a one; @configure property wasmx.a';
    return 200 "ok\n";
}
--- error_log
set-property wasmx.a one -> 1
property wasmx.a -> 1



=== TEST 20: what a filter can assign in a request is bounded: 1 MiB of variables, 64 KiB and 64 values of wasmx
--- http_config
--- user_files
>>> assigns.wat
(module
  (import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "ngx.mine")
  (data (i32.const 16) "wasmx.large")
  (data (i32.const 32) "wasmx.n0")
  (data (i32.const 48) "x-variables-x-large-x-count")
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_abi_version_0_2_1"))
  (func $fails (param $path i32) (param $len i32) (param $size i32) (param $times i32) (param $step i32) (result i32)
    (local $failed i32)
    (loop $again
      (if (call $set (local.get $path) (local.get $len) (i32.const 65536) (local.get $size))
        (then (local.set $failed (i32.add (local.get $failed) (i32.const 1)))))
      ;; Another name for each, when they are to differ.
      (i32.store8 (i32.const 39) (i32.add (i32.load8_u (i32.const 39)) (local.get $step)))
      (local.set $times (i32.sub (local.get $times) (i32.const 1)))
      (br_if $again (local.get $times)))
    (local.get $failed))
  ;; The number as one letter: a for none.
  (func $tell (param $name i32) (param $len i32) (param $number i32)
    (i32.store8 (i32.const 128) (i32.add (i32.const 97) (local.get $number)))
    (drop (call $add (i32.const 0) (local.get $name) (local.get $len) (i32.const 128) (i32.const 1))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (memory.fill (i32.const 65536) (i32.const 120) (i32.const 65536))
    ;; 20 times 64 KiB: 16 fit into 1 MiB.
    (call $tell (i32.const 48) (i32.const 11)
      (call $fails (i32.const 0) (i32.const 8) (i32.const 65536) (i32.const 20) (i32.const 0)))
    ;; 65536 bytes and a name do not fit, 65531 and the 5 bytes of the name do, also again in their own place.
    (call $tell (i32.const 60) (i32.const 7)
      (i32.add
        (call $fails (i32.const 16) (i32.const 11) (i32.const 65532) (i32.const 3) (i32.const 0))
        (call $fails (i32.const 16) (i32.const 11) (i32.const 65531) (i32.const 3) (i32.const 0))))
    (drop (call $set (i32.const 16) (i32.const 11) (i32.const 65536) (i32.const 0)))
    ;; 70 names: 64 fit.
    (call $tell (i32.const 68) (i32.const 7)
      (call $fails (i32.const 32) (i32.const 8) (i32.const 1) (i32.const 70) (i32.const 1)))
    (i32.const 0)))
--- config
set $mine '';
location /t {
    proxy_wasm assigns;
    return 200 "$http_x_variables $http_x_large $http_x_count\n";
}
--- response_body
e d g
