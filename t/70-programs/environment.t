# What a program is told: the environment of CGI (RFC 3875), what wasm_env and wasm_arg add, and nothing of nginx's own environment.

use TestWasm 'no_plan';

use File::Temp ();
use Peer;

my $folder = File::Temp->newdir;
chmod 0755, "$folder";
my %file = Peer->certificates("$folder");
$ENV{TEST_NGINX_SERVER_CERTIFICATE} = "$file{server}.crt";
$ENV{TEST_NGINX_SERVER_KEY}         = "$file{server}.key";

# It must not reach a program.
$ENV{LEAKED} = 'leaked';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF' . ($block->main_config // ''));
env LEAKED;
wasm { module program $TEST_NGINX_GUESTS/rust-program.wasm; }
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
location /p/ { wasm_cgi program; }
CONF
});

run_tests();

__DATA__

=== TEST 1: what each request has
--- request
GET /p/env?name=GATEWAY_INTERFACE&name=SERVER_PROTOCOL&name=REQUEST_METHOD&name=REQUEST_SCHEME&name=SCRIPT_NAME&name=PATH_INFO&name=SERVER_NAME&name=REMOTE_ADDR
--- response_body
GATEWAY_INTERFACE=CGI/1.1
SERVER_PROTOCOL=HTTP/1.1
REQUEST_METHOD=GET
REQUEST_SCHEME=http
SCRIPT_NAME=/p
PATH_INFO=/env
SERVER_NAME=localhost
REMOTE_ADDR=127.0.0.1



=== TEST 2: ports, and the server
--- request
GET /p/env?name=SERVER_PORT&name=REMOTE_PORT&name=SERVER_SOFTWARE&name=SERVER_ADDR
--- response_body_like eval
qr{^SERVER_PORT=$ENV{TEST_NGINX_SERVER_PORT}\nREMOTE_PORT=\d+\nSERVER_SOFTWARE=nginx/[\d.]+\nSERVER_ADDR=127\.0\.0\.1$}



=== TEST 3: the query is as the client wrote it, and so is the URI
--- request
GET /p/%65nv?name=QUERY_STRING&name=REQUEST_URI&a=%20+%2f
--- response_body
QUERY_STRING=name=QUERY_STRING&name=REQUEST_URI&a=%20+%2f
REQUEST_URI=/p/%65nv?name=QUERY_STRING&name=REQUEST_URI&a=%20+%2f



=== TEST 4: a query that is not there is empty
--- config
location /p { wasm_cgi program; wasm_arg env; }
--- request
GET /p
--- response_body_like: (?m)^QUERY_STRING=$



=== TEST 5: the path is decoded
--- request
GET /p/env/a%20b%2Fc/%C3%A4/../d?name=PATH_INFO
--- response_body
PATH_INFO=/env/a b/c/d



=== TEST 6: bytes of a path that are no text reach the program as they are
--- request
GET /p/env/%e4%ff?name=PATH_INFO
--- response_body eval
"PATH_INFO=/env/\xe4\xff\n"



=== TEST 7: a location for all paths
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { wasm_cgi program; }
}
--- config
location /all/ { proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/; }
--- request
GET /all/env?name=SCRIPT_NAME&name=PATH_INFO
--- response_body
SCRIPT_NAME=
PATH_INFO=/env



=== TEST 8: a prefix without its last slash
--- config
location /a/b { wasm_cgi program; }
--- request
GET /a/b/env/c?name=SCRIPT_NAME&name=PATH_INFO
--- response_body
SCRIPT_NAME=/a/b
PATH_INFO=/env/c



=== TEST 9: a prefix that is preferred to regular expressions
--- config
location ^~ /a/ { wasm_cgi program; }
location ~ env { return 404; }
--- request
GET /a/env?name=SCRIPT_NAME&name=PATH_INFO
--- response_body
SCRIPT_NAME=/a
PATH_INFO=/env



=== TEST 10: an exact location has no rest of a path
--- config
location = /exact { wasm_cgi program; wasm_arg env; }
--- request
GET /exact?name=SCRIPT_NAME&name=PATH_INFO&name=PATH_TRANSLATED
--- response_body
SCRIPT_NAME=/exact
PATH_INFO is not set
PATH_TRANSLATED is not set



=== TEST 11: nor does a regular expression
--- config
location ~ \.cgi$ { wasm_cgi program; wasm_arg env; }
--- request
GET /dir/a.cgi?name=SCRIPT_NAME&name=PATH_INFO
--- response_body
SCRIPT_NAME=/dir/a.cgi
PATH_INFO is not set



=== TEST 12: wasm_split_path_info says where the path is cut
--- config
location ~ \.cgi(/|$) {
    wasm_split_path_info ^(.+?\.cgi)(/.*)$;
    wasm_cgi program;
}
--- request
GET /dir/a.cgi/env/b.cgi?name=SCRIPT_NAME&name=PATH_INFO
--- response_body
SCRIPT_NAME=/dir/a.cgi
PATH_INFO=/env/b.cgi



=== TEST 13: a path that it does not match is that of the program
--- config
location ~ \.cgi(/|$) {
    wasm_split_path_info ^(.+?\.cgi)(/.*)$;
    wasm_cgi program;
    wasm_arg env;
}
--- request
GET /dir/a.cgi?name=SCRIPT_NAME&name=PATH_INFO
--- response_body
SCRIPT_NAME=/dir/a.cgi
PATH_INFO is not set



=== TEST 14: header fields are variables
--- more_headers
X-Some-Thing: with  spaces
accept-LANGUAGE: de
--- request
GET /p/env?name=HTTP_X_SOME_THING&name=HTTP_ACCEPT_LANGUAGE&name=HTTP_HOST&name=HTTP_X_NONE
--- response_body
HTTP_X_SOME_THING=with  spaces
HTTP_ACCEPT_LANGUAGE=de
HTTP_HOST=localhost
HTTP_X_NONE is not set



=== TEST 15: fields of one name are one variable
--- more_headers
X-A: one
X-B: other
x-a: two
X-A: three
--- request
GET /p/env?name=HTTP_X_A&name=HTTP_X_B
--- response_body
HTTP_X_A=one, two, three
HTTP_X_B=other



=== TEST 16: but cookies are joined as cookies
--- more_headers
Cookie: a=1
Cookie: b=2; c=3
--- request
GET /p/env?name=HTTP_COOKIE
--- response_body
HTTP_COOKIE=a=1; b=2; c=3



=== TEST 17: the client does not say which proxy the program uses
--- more_headers
Proxy: http://127.0.0.1:1
Proxy_: http://127.0.0.1:2
--- request
GET /p/env?name=HTTP_PROXY
--- response_body
HTTP_PROXY is not set



=== TEST 18: what belongs to the connection is not passed on
--- more_headers
TE: trailers
Keep-Alive: timeout=1
Upgrade: websocket
--- request
GET /p/env?name=HTTP_CONNECTION&name=HTTP_TE&name=HTTP_KEEP_ALIVE&name=HTTP_UPGRADE&name=HTTP_TRANSFER_ENCODING
--- response_body
HTTP_CONNECTION is not set
HTTP_TE is not set
HTTP_KEEP_ALIVE is not set
HTTP_UPGRADE is not set
HTTP_TRANSFER_ENCODING is not set



=== TEST 19: the body's type and length have names of their own
--- request
POST /p/env?name=CONTENT_TYPE&name=CONTENT_LENGTH&name=HTTP_CONTENT_TYPE&name=HTTP_CONTENT_LENGTH
hello
--- more_headers
Content-Type: text/x; a=b
--- response_body
CONTENT_TYPE=text/x; a=b
CONTENT_LENGTH=5
HTTP_CONTENT_TYPE is not set
HTTP_CONTENT_LENGTH is not set



=== TEST 20: without a body neither is there
--- request
GET /p/env?name=CONTENT_TYPE&name=CONTENT_LENGTH
--- response_body
CONTENT_TYPE is not set
CONTENT_LENGTH is not set



=== TEST 21: bytes of a field that are no text reach the program as they are
--- more_headers eval
"X-Latin: gr\xfc\xdfe"
--- request
GET /p/env?name=HTTP_X_LATIN
--- response_body eval
"HTTP_X_LATIN=gr\xfc\xdfe\n"



=== TEST 22: large fields
--- more_headers eval
CORE::join "\n", map { "X-Large-$_: " . $_ x 7000 } 1 .. 3
--- request
GET /p/env?name=HTTP_X_LARGE_1&name=HTTP_X_LARGE_3
--- response_body eval
'HTTP_X_LARGE_1=' . '1' x 7000 . "\nHTTP_X_LARGE_3=" . '3' x 7000 . "\n"



=== TEST 23: what a client proves itself with is passed on where that is said
--- config
location /on/ { wasm_cgi program; wasm_pass_authorization on; }
--- more_headers
Authorization: Basic YTpi
--- request
GET /on/env?name=HTTP_AUTHORIZATION
--- response_body
HTTP_AUTHORIZATION=Basic YTpi



=== TEST 24: and is not where that is said
--- config
location /off/ { wasm_cgi program; wasm_pass_authorization off; }
--- more_headers
Authorization: Basic YTpi
Proxy-Authorization: Basic YTpi
--- request
GET /off/env?name=HTTP_AUTHORIZATION&name=HTTP_PROXY_AUTHORIZATION
--- response_body
HTTP_AUTHORIZATION is not set
HTTP_PROXY_AUTHORIZATION is not set



=== TEST 25: whom nginx knows
--- config
location /p/ {
    auth_basic realm;
    auth_basic_user_file $TEST_NGINX_HTML_DIR/users;
    wasm_pass_authorization off;
    wasm_cgi program;
}
--- user_files
>>> users
alice:{PLAIN}secret
--- more_headers
Authorization: Basic YWxpY2U6c2VjcmV0
--- request
GET /p/env?name=REMOTE_USER&name=HTTP_AUTHORIZATION
--- response_body
REMOTE_USER=alice
HTTP_AUTHORIZATION is not set



=== TEST 26: without that there is nobody
--- request
GET /p/env?name=REMOTE_USER&name=AUTH_TYPE&name=HTTPS
--- response_body
REMOTE_USER is not set
AUTH_TYPE is not set
HTTPS is not set



=== TEST 27: a client that comes through TLS
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1 ssl;
    ssl_certificate $TEST_NGINX_SERVER_CERTIFICATE;
    ssl_certificate_key $TEST_NGINX_SERVER_KEY;
    location /p/ { wasm_cgi program; }
}
--- config
location /p/ { proxy_pass https://127.0.0.1:$TEST_NGINX_PORT_1; }
--- request
GET /p/env?name=HTTPS&name=REQUEST_SCHEME
--- response_body
HTTPS=on
REQUEST_SCHEME=https



=== TEST 28: wasm_env adds variables, with what nginx knows
--- config
location ~ ^/p/(?<deed>\w+)/(\d+) {
    wasm_cgi program;
    wasm_arg $deed;
    wasm_env FIXED "a value; with = and spaces";
    wasm_env NUMBER $2;
    wasm_env MIXED "$request_method of $arg_who$arg_nothing";
    wasm_env EMPTY "";
}
--- request
GET /p/env/42?name=FIXED&name=NUMBER&name=MIXED&name=EMPTY&who=bob
--- response_body
FIXED=a value; with = and spaces
NUMBER=42
MIXED=GET of bob
EMPTY=



=== TEST 29: wasm_env wins over what the request says
--- config
location /p/ {
    wasm_cgi program;
    wasm_env SERVER_NAME other;
    wasm_env HTTP_X_A mine;
    wasm_env REMOTE_ADDR "";
    wasm_env HTTP_NEW $http_x_a;
}
--- more_headers
X-A: theirs
--- request
GET /p/env?name=SERVER_NAME&name=HTTP_X_A&name=REMOTE_ADDR&name=HTTP_NEW
--- response_body
SERVER_NAME=other
HTTP_X_A=mine
REMOTE_ADDR=
HTTP_NEW=theirs



=== TEST 30: no name is there twice
--- config
location /p/ {
    wasm_cgi program;
    wasm_env TWICE first;
    wasm_env REQUEST_METHOD other;
    wasm_env TWICE last;
}
--- request
GET /p/env
--- response_body_like: (?s)REQUEST_METHOD=other\n.*TWICE=last\n
--- response_body_unlike: TWICE=first|REQUEST_METHOD=GET



=== TEST 31: nothing of nginx's own environment is there
--- request
GET /p/env
--- response_body_unlike: (?m)^(LEAKED|PATH|HOME|PWD|NGINX|USER|TEST_\w+)=
--- response_body_like: (?m)^PATH_INFO=/env$



=== TEST 32: arguments: the first is the module's name
--- config
location = /args {
    wasm_cgi program;
    wasm_arg args;
}
--- request
GET /args
--- response_body
0: program
1: args



=== TEST 33: arguments with what nginx knows, in their order, empty ones too
--- config
location = /args {
    wasm_cgi program;
    wasm_arg args;
    wasm_arg "a b";
    wasm_arg --method=$request_method;
    wasm_arg "";
    wasm_arg $arg_x;
    wasm_arg "'quoted' \"twice\"";
}
--- request
GET /args?x=%20y
--- response_body
0: program
1: args
2: a b
3: --method=GET
4: 
5: %20y
6: 'quoted' "twice"



=== TEST 34: a query does not become arguments
--- config
location = /args { wasm_cgi program; wasm_arg args; }
--- request
GET /args?one+two
--- response_body
0: program
1: args



=== TEST 35: a redirect inside of nginx: the URI is the client's, the path that of the program
--- config
location /old { rewrite ^/old(.*)$ /p$1?name=REQUEST_URI&name=PATH_INFO last; }
location /p/ { wasm_cgi program; }
--- request
GET /old/env
--- response_body
REQUEST_URI=/old/env
PATH_INFO=/env



=== TEST 36: any method
--- request
BREW /p/env?name=REQUEST_METHOD
--- response_body
REQUEST_METHOD=BREW



=== TEST 37: over HTTP/2
--- http2
--- more_headers
X-A: one
Cookie: a=1; b=2
--- request
GET /p/env?name=SERVER_PROTOCOL&name=HTTP_X_A&name=HTTP_COOKIE&name=HTTP_HOST&name=REQUEST_METHOD
--- response_body_like eval
qr{^SERVER_PROTOCOL=HTTP/2\.0\nHTTP_X_A=one\nHTTP_COOKIE=a=1; b=2\nHTTP_HOST=(127\.0\.0\.1|localhost)(:\d+)?\nREQUEST_METHOD=GET$}



=== TEST 38: the folder of the server's files
--- config
root /srv/some;
location /p/ { wasm_cgi program; }
--- request
GET /p/env/a?name=DOCUMENT_ROOT&name=PATH_TRANSLATED
--- response_body
DOCUMENT_ROOT=/srv/some
PATH_TRANSLATED=/srv/some/env/a



=== TEST 39: but where that is said, if it is a search of words, and of GET or HEAD
--- config
wasm_query_arguments on;
location = /args { wasm_cgi program; wasm_arg args; }
location = /off { wasm_cgi program; wasm_arg args; wasm_query_arguments off; }
--- request eval
["GET /args?one+two%20words+%2d-x", "GET /args?a=b", "GET /args?", "POST /args?one+two\nx", "GET /args?a++b", "GET /off?one"]
--- response_body eval
["0: program\n1: args\n2: one\n3: two words\n4: --x\n", ("0: program\n1: args\n") x 5]
