# What becomes of what a program writes: its header block (RFC 3875, section 6), its body, and with wasm_output raw all of it.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm { module program $TEST_NGINX_GUESTS/rust-program.wasm; }
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
default_type application/x-default;
location /p/   { wasm_cgi program; }
location /raw/ { wasm_cgi program; wasm_output raw; }
location /told { return 200 "$request_method $uri $args $request_uri\n"; }
CONF
    # The query is what the program says, in one write and byte by byte. Empty lines at the end of a section are lost.
    return unless defined $block->says;
    my $says = $block->says =~ /\n\r?\n/ ? $block->says : $block->says . "\n";
    $says =~ s/([^\w.\/:;=-])/sprintf '%%%02X', ord $1/eg;
    my $method = $block->method // 'GET';
    $block->set_value(request => ["$method /p/say?$says", "$method /p/say-slowly?$says"]);
    for my $section (qw( response_body response_headers error_code raw_response_headers_like response_body_like )) {
        my $value = $block->$section;
        $block->set_value($section => [$value, $value]) if defined $value && ref $value ne 'ARRAY';
    }
});

# What the program writes for `large`.
sub large {
    my ($size, $piece) = @_;
    my $letters = join '', map { $_ x $piece } 'a' .. 'z';
    return substr $letters x (1 + $size / length $letters), 0, $size;
}

run_tests();

__DATA__

=== TEST 1: an answer
--- request
GET /p/hello
--- response_headers
Content-Type: text/plain
! Content-Length
Transfer-Encoding: chunked
--- response_body
hello
--- error_code: 200



=== TEST 2: the status, with a reason of the program's own
--- says chop
Status: 299 Rather Fine
Content-Type: text/plain

fine
--- error_code: 299
--- raw_response_headers_like eval
qr{^HTTP/1\.1 299 Rather Fine\r}
--- response_body chomp
fine



=== TEST 3: the status alone
--- says
Status: 201

made
--- error_code: 201
--- response_body
made



=== TEST 4: the program's own error pages are what it says
--- config
error_page 404 /told;
location /told { return 200 "told\n"; }
location /p/ { wasm_cgi program; }
--- request
GET /p/status?404%20Gone
--- error_code: 404
--- response_body
status 404 Gone



=== TEST 5: lines may end with CRLF, and names be in any case
--- says eval
"status: 202 Taken\r\ncontent-TYPE: text/x\r\nX-A:no space\r\nX-B:\t  spaces  \r\nx-empty:\r\n\r\none\r\ntwo\n"
--- error_code: 202
--- response_headers
Content-Type: text/x
X-A: no space
X-B: spaces
--- response_body eval
"one\r\ntwo\n"



=== TEST 6: fields of one name are all there, in their order
--- says
Set-Cookie: first=1; Path=/
Content-Type: text/plain
Set-Cookie: second=2; HttpOnly
X-A: 1
x-a: 2

cookies
--- raw_response_headers_like eval
qr{Set-Cookie: first=1; Path=/\r\n.*Set-Cookie: second=2; HttpOnly\r\n}s
--- response_headers
X-A: 1, 2
--- response_body
cookies



=== TEST 7: the type is the program's, whole
--- says
Content-Type: text/html; charset=iso-8859-15; x="y"

typed
--- response_headers
Content-Type: text/html; charset=iso-8859-15; x="y"
--- response_body
typed



=== TEST 8: fields that nginx knows and those that it does not
--- says
Content-Type: text/plain
Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT
ETag: "abc"
Cache-Control: no-store
Content-Language: de
X-Nobody-Knows: it

fields
--- response_headers
Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT
ETag: "abc"
Cache-Control: no-store
Content-Language: de
X-Nobody-Knows: it
--- response_body
fields



=== TEST 9: what belongs to the connection is nginx's to say
--- says
Content-Type: text/plain
Transfer-Encoding: chunked
Connection: upgrade
Keep-Alive: timeout=9
Upgrade: websocket
Trailer: X-T

5
hello
0

--- response_headers
! Upgrade
! Keep-Alive
! Trailer
Transfer-Encoding: chunked
--- response_body
5
hello
0




=== TEST 10: the length is kept where the program says it
--- request
GET /p/large?n=200000&piece=999&length
--- response_headers
Content-Length: 200000
! Transfer-Encoding
--- response_body eval
::large(200_000, 999)



=== TEST 11: only headers
--- request
GET /p/headers-only
--- response_headers
Content-Type: text/plain
--- response_body
--- error_code: 200



=== TEST 12: an answer without a body
--- says
Status: 204 No Content
X-A: yes

--- error_code: 204
--- response_headers
X-A: yes
! Content-Length
! Transfer-Encoding
--- response_body



=== TEST 13: not modified, where the program says so
--- says
Status: 304 Not Modified
ETag: "abc"

--- error_code: 304
--- response_headers
ETag: "abc"
--- response_body



=== TEST 14: conditions are the program's business
--- says
Content-Type: text/plain
ETag: "abc"
Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT

whole
--- more_headers
If-None-Match: "abc"
If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT
--- error_code: 200
--- response_body
whole



=== TEST 15: and so are ranges
--- says
Content-Type: text/plain
Content-Length: 6

whole
--- more_headers
Range: bytes=0-1
--- error_code: 200
--- response_body
whole



=== TEST 16: HEAD: the program runs, its body is dropped
--- request eval
["HEAD /p/large?n=200000&length", "HEAD /p/env", "HEAD /p/hello"]
--- response_headers eval
["Content-Length: 200000", "Content-Type: text/plain", "! Content-Length"]
--- response_body eval
["", "", ""]



=== TEST 17: HEAD: what the program wants to say is said all the same
--- method: HEAD
--- says
Status: 410 Gone
X-A: yes

this is not seen
--- error_code: 410
--- response_headers
X-A: yes
--- response_body



=== TEST 18: a path as Location is a redirect that the client does not see
--- request
GET /p/redirect-local?to=/told
--- response_body
GET /told  /p/redirect-local?to=/told
--- response_headers
! Location
--- error_code: 200



=== TEST 19: with arguments
--- request
GET /p/redirect-local?to=/told%3fa=b%26c
--- response_body
GET /told a=b&c /p/redirect-local?to=/told%3fa=b%26c



=== TEST 20: it is a GET, whatever the request was
--- request
POST /p/redirect-local?to=/told
a body
--- response_body
GET /told  /p/redirect-local?to=/told



=== TEST 21: but a HEAD stays one
--- request
HEAD /p/redirect-local?to=/told
--- error_code: 200
--- response_body



=== TEST 22: to another program, which gets no body
--- request
POST /p/redirect-local?to=/p/env%3fname=REQUEST_METHOD%26name=CONTENT_LENGTH%26name=PATH_INFO
a body
--- response_body
REQUEST_METHOD=GET
CONTENT_LENGTH is not set
PATH_INFO=/env



=== TEST 23: to a named location it is not
--- config
location @named { return 200 "named\n"; }
location /p/ { wasm_cgi program; }
--- request
GET /p/redirect-local?to=@named
--- error_code: 302
--- response_headers
Location: @named



=== TEST 24: an endless redirect ends
--- config
location /p/ { wasm_cgi program; wasm_env QUERY_STRING to=/p/redirect-local; }
--- request
GET /p/redirect-local
--- error_code: 500
--- error_log
redirection cycle



=== TEST 25: a location that is internal can be had so
--- config
location /inside { internal; return 200 "inside\n"; }
location /p/ { wasm_cgi program; }
--- request eval
["GET /inside", "GET /p/redirect-local?to=/inside"]
--- error_code eval
[404, 200]
--- response_body_like eval
["404 Not Found", "^inside\$"]



=== TEST 26: a path with another status is for the client
--- request
GET /p/redirect-local?to=/told&status=303%20See%20Other
--- error_code: 303
--- response_headers_like
Location: (http://[^/]+)?/told
--- response_body
it is elsewhere



=== TEST 27: a whole address is for the client
--- request
GET /p/redirect-absolute?to=https://example.com/a%3fb
--- error_code: 302
--- response_headers
Location: https://example.com/a?b



=== TEST 28: with its own status, and a body
--- request
GET /p/redirect-absolute?to=https://example.com/&status=308
--- error_code: 308
--- response_headers
Location: https://example.com/
Content-Type: text/plain
--- response_body
it is elsewhere



=== TEST 29: raw: all is the body
--- request
GET /raw/say?Status:%20404%0aContent-Type:%20text/x%0a%0abody%0a
--- error_code: 200
--- response_headers
Content-Type: application/x-default
--- response_body
Status: 404
Content-Type: text/x

body



=== TEST 30: raw: bytes of any kind
--- request
GET /raw/rubbish
--- response_body eval
pack 'C*', map { (($_ * 2654435761) & 0xffffffff) >> 24 } 0 .. 4999



=== TEST 31: raw: nothing is a body too
--- request
GET /raw/close
--- error_code: 200
--- response_body



=== TEST 32: raw: HEAD
--- request
HEAD /raw/hello
--- error_code: 200
--- response_headers
Content-Type: application/x-default
--- response_body



=== TEST 33: nginx adds to it as to other answers
--- config
location /p/ {
    add_header X-Added "$status $sent_http_x_a";
    expires 1h;
    wasm_cgi program;
}
--- says
Content-Type: text/plain
X-A: yes

added
--- response_headers
X-A: yes
X-Added: 200 yes
Cache-Control: max-age=3600
--- response_body
added



=== TEST 34: a client of HTTP/1.0 sees the end by that of the connection
--- request
GET /p/large?n=100000 HTTP/1.0
--- response_headers
! Transfer-Encoding
! Content-Length
--- response_body eval
::large(100_000, 16_384)



=== TEST 35: over HTTP/2
--- http2
--- request
GET /p/say?Status:%20203%20Second%20Hand%0aContent-Type:%20text/x%0aX-A:%20b%0aSet-Cookie:%20a%0aSet-Cookie:%20b%0a%0abody%0a
--- error_code: 203
--- response_headers
Content-Type: text/x
X-A: b
--- response_body
body



=== TEST 36: over HTTP/2, large
--- http2
--- request
GET /p/large?n=2000000&length
--- response_headers
Content-Length: 2000000
--- response_body eval
::large(2_000_000, 16_384)



=== TEST 37: in many small writes
--- request
GET /p/large?n=5000&piece=1
--- response_body_like: ^(abcdefghijklmnopqrstuvwxyz){192}abcdefgh$



=== TEST 38: in pieces with time between them
--- request
GET /p/drip?n=5&ms=2
--- response_body
line 1
line 2
line 3
line 4
line 5



=== TEST 39: headers as large as is allowed
--- config
location /p/ { wasm_cgi program; wasm_header_limit 200; }
--- request
GET /p/big-header?n=140
--- response_headers_like
X-Big: x{140}
--- response_body
big



=== TEST 40: many fields
--- request eval
'GET /p/say?Content-Type:%20text/plain%0a' . CORE::join('', map {"X-$_:%20$_%0a"} 1 .. 150) . '%0amany'
--- response_headers
X-1: 1
X-75: 75
X-150: 150
--- response_body chomp
many



=== TEST 41: the log knows what was sent
--- request
GET /p/say?Status:%20202%0aContent-Length:%205%0a%0a12345
--- error_code: 202
--- response_body chomp
12345
--- access_log eval
[qr{"GET /p/say\S+ HTTP/1\.1" 202 5 }]
