# Responses that filters make (proxy_send_local_response) in the place of a request's handler. Those in the place of a
# response that is on its way are in replaced-response.t.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
    module headers   $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

# A guest that answers with any arguments: STATUS, headers, BODY, gRPC status; in a callback for 'request' or 'response'.
our $Respond = sub {
    my ($direction, $status, $body, $grpc, @headers) = @_;
    my $hex = sub { join '', map { sprintf '\\%02x', ord } split //, shift };
    my $pairs = pack 'V', @headers / 2;
    $pairs .= pack 'VV', map { length } @headers[$_ * 2, $_ * 2 + 1] for 0 .. @headers / 2 - 1;
    $pairs .= join '', map {"$_\0"} @headers;
    my ($n, $b) = (length $pairs, length $body);
    return [['m.wat', <<"WAT"]];
(module
  (import "env" "proxy_send_local_response" (func \$respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func \$log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "@{[ $hex->($pairs) ]}")
  (data (i32.const 65536) "@{[ $hex->($body) ]}")
  (data (i32.const 60000) "status ?")
  (func (export "malloc") (param i32) (result i32) (i32.const 32768))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_${direction}_headers") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 60007) (i32.add (i32.const 48) (call \$respond
      (i32.const $status) (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const $b)
      (i32.const 0) (i32.const $n) (i32.const $grpc))))
    (drop (call \$log (i32.const 2) (i32.const 60000) (i32.const 8)))
    (i32.const 0)))
WAT
};

our $Main = 'wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }';

run_tests();

__DATA__

=== TEST 1: status, headers and body
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 403, "no entry\n", -1, 'x-one' => '1', 'X-Two' => 'a', 'x-two' => 'b')
--- config
location /t {
    proxy_wasm m;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_headers
x-one: 1
x-two: a, b
Content-Type: text/plain
Content-Length: 9
--- response_body
no entry
--- error_log
status 0



=== TEST 2: the guest's content-type goes before text/plain
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 200, '{}', -1, 'Content-Type' => 'application/json')
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- response_headers
Content-Type: application/json
--- response_body chomp
{}



=== TEST 3: without a body: no content-type, and a length of 0
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 401, '', -1, 'www-authenticate' => 'Basic realm="x"')
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- error_code: 401
--- response_headers
Content-Length: 0
!Content-Type
WWW-Authenticate: Basic realm="x"
--- response_body:



=== TEST 4: a content-length of the guest is that of the body, whatever it says
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 200, 'four', -1, 'content-length' => '400')
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- response_headers
Content-Length: 4
--- response_body chomp
four



=== TEST 5: a :status among the headers does not count
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 404, 'four', -1, ':status' => '200')
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- error_code: 404



=== TEST 6: HEAD: the headers, with the length of the body that is not sent
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 403, "no entry\n", -1, 'x-one' => '1')
--- config
location /t {
    proxy_wasm m;
}
--- request
HEAD /t
--- error_code: 403
--- response_headers
x-one: 1
Content-Length: 9
--- response_body:



=== TEST 7: a status without a body
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 204, "not sent", -1, 'x-one' => '1')
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- error_code: 204
--- response_headers
x-one: 1
!Content-Length
--- response_body:



=== TEST 8: a status that nginx has no words for
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 799, "x", -1)
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- error_code: 799



=== TEST 9: a redirect; its location stays as it is
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 302, '', -1, 'location' => '/login')
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- error_code: 302
--- response_headers
Location: /login



=== TEST 10: a status that no response has is 500, whatever the filter makes of the call: the request does not go on
--- config
location /t {
    proxy_wasm probe 'respond 0 text';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 500
--- response_headers
x-probe-local: 1
--- response_body chomp
text
--- error_log
[error]
a local response has the status 0, which is none of a response; it goes with 500
probe: respond 0 text -> 0



=== TEST 11: one of an interim response
--- config
location /t {
    proxy_wasm probe 'respond 100 text';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 500
--- response_headers
x-probe-local: 1
--- response_body chomp
text
--- error_log
[error]
a local response has the status 100, which is none of a response; it goes with 500
probe: respond 100 text -> 0



=== TEST 12: one of four digits
--- config
location /t {
    proxy_wasm probe 'respond 1000 text';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 500
--- response_headers
x-probe-local: 1
--- response_body chomp
text
--- error_log
[error]
a local response has the status 1000, which is none of a response; it goes with 500
probe: respond 1000 text -> 0



=== TEST 13: a negative one
--- config
location /t {
    proxy_wasm probe 'respond -1 text';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 500
--- response_headers
x-probe-local: 1
--- response_body chomp
text
--- error_log
[error]
a local response has the status 4294967295, which is none of a response; it goes with 500
probe: respond -1 text -> 0



=== TEST 14: the same in the place of a response
--- main_config eval
$::Main
--- user_files eval
$::Respond->('response', 1000, 'text', -1)
--- config
location /t {
    proxy_wasm m;
    return 200 "secret\n";
}
--- request
GET /t
--- error_code: 500
--- response_body chomp
text
--- error_log
status 0
a local response has the status 1000, which is none of a response; it goes with 500



=== TEST 15: broken pairs are left out, and the response goes: their count is wrong
--- config
location /t {
    proxy_wasm probe 'raw send_local_response 403 0 0 str:text buf 100 -1';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
text
--- error_log
raw send_local_response 403 0 0 str:text buf 100 -1 -> 0
the headers of a local response are not encoded as the ABI says, or too many; it goes without them



=== TEST 16: broken pairs are left out, and the response goes: no count
--- config
location /t {
    proxy_wasm probe 'raw send_local_response 403 0 0 str:text buf 3 -1';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
text
--- error_log
raw send_local_response 403 0 0 str:text buf 3 -1 -> 0
the headers of a local response are not encoded as the ABI says, or too many; it goes without them



=== TEST 17: headers that must not go on the wire are left out, the response goes
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 403, 'no', -1, 'x-one' => "1\r\nx-evil: 1", 'x evil' => '1', 'x-two' => '2', 'transfer-encoding' => 'chunked')
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- error_code: 403
--- response_headers
!x-one
!x-evil
!transfer-encoding
x-two: 2
Content-Length: 2
--- response_body chomp
no
--- error_log eval
qr/\[error\] .*wasm: a header of a local response is left out: CR, LF or NUL in the value of header "x-one"/



=== TEST 18: the response stops the request whatever the callback returns
--- config
location /t {
    proxy_wasm probe 'respond 403 no; action 0';
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
no
--- error_log
wasm "lifecycle": on_delete 2
--- no_error_log
on_request_headers



=== TEST 19: of two responses in one callback the first counts, and the second is Ok
--- config
location /t {
    proxy_wasm probe 'respond 403 first; respond 200 second';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
first
--- error_log eval
['probe: respond 200 second -> 0', qr/\[warn\] .*wasm "probe": .*local response.* is ignored/]



=== TEST 20: error_page does not intercept what a filter says
--- config
error_page 403 /sorry;
location /t {
    proxy_wasm probe 'respond 403 no';
    return 200 "ok\n";
}
location /sorry { return 200 "sorry\n"; }
--- request
GET /t
--- error_code: 403
--- response_body chomp
no



=== TEST 21: filters that saw the request see it; those behind the one that answered do not
--- config
location /t {
    proxy_wasm headers 'response.add x-before 1';
    proxy_wasm probe   'respond 403 no';
    proxy_wasm headers 'response.add x-after 1';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_headers
x-before: 1
! x-after



=== TEST 22: response callbacks see the local response
--- config
location /t {
    proxy_wasm probe 'respond 403 no; @response get response :status; @response get response x-probe-local; @response get response content-length';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_headers
x-probe-result: get response :status -> 0 403 | get response x-probe-local -> 0 1 | get response content-length -> 0 2



=== TEST 23: a response callback may change the status of a local response
--- config
location /t {
    proxy_wasm headers 'response.replace :status 404';
    proxy_wasm probe   'respond 403 no';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 404
--- response_body chomp
no



=== TEST 24: a local response in on_response_headers of another local response is ignored
--- config
location /t {
    proxy_wasm probe '@response respond 500 second';
    proxy_wasm probe 'respond 403 first';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- response_body chomp
first
--- error_log eval
qr/\[warn\] .*local response.* is ignored/



=== TEST 25: after the response it is too late: ignored
--- config
location /t {
    proxy_wasm probe '@log respond 500 late';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
probe: respond 500 late -> 0



=== TEST 26: gRPC: status 200, grpc-status for the HTTP status, the body as grpc-message
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 403, "no entry: 100%\n", -1, 'x-one' => '1')
--- config
location /t {
    proxy_wasm m;
}
--- request
POST /t
--- more_headers
Content-Type: application/grpc
--- error_code: 200
--- response_headers
Content-Type: application/grpc
grpc-status: 7
grpc-message: no entry: 100%25%0A
x-one: 1
--- response_body:



=== TEST 27: gRPC: the guest's own status
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 403, '', 16)
--- config
location /t {
    proxy_wasm m;
}
--- request
POST /t
--- more_headers
Content-Type: application/grpc+proto
--- error_code: 200
--- response_headers
grpc-status: 16



=== TEST 28: grpc-web is no gRPC
--- main_config eval
$::Main
--- user_files eval
$::Respond->('request', 403, 'no', -1)
--- config
location /t {
    proxy_wasm m;
}
--- request
POST /t
--- more_headers
Content-Type: application/grpc-web
--- error_code: 403
--- response_headers
!grpc-status



=== TEST 29: the body of the request is read past, and the connection goes on
--- config
location /t {
    proxy_wasm probe 'respond 403 no';
    return 200 "ok\n";
}
location /u { return 200 "u\n"; }
--- pipelined_requests eval
["POST /t\n" . 'x' x 100000, "GET /u"]
--- error_code eval
[403, 200]
--- response_body eval
["no", "u\n"]



=== TEST 30: proxy_send_http_response is the same function by its older name
--- main_config eval
$::Main
--- user_files eval
my $files = $::Respond->('request', 418, 'tea', -1);
$files->[0][1] =~ s/proxy_send_local_response/proxy_send_http_response/;
$files
--- config
location /t {
    proxy_wasm m;
}
--- request
GET /t
--- error_code: 418



=== TEST 31: the access log has status and size of the local response
--- config
location /t {
    proxy_wasm probe 'respond 403 no';
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 403
--- access_log
"GET /t HTTP/1.1" 403 2
