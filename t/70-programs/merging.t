# Programs in several places of a configuration: what is inherited, what is replaced, and that places do not mix.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module program $TEST_NGINX_GUESTS/rust-program.wasm;
    module again   $TEST_NGINX_GUESTS/rust-program.wasm;
    module c       $TEST_NGINX_GUESTS/c-program.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: variables are those of the level above, where there are none
--- http_config
wasm_env A http;
wasm_env B http;
--- config
location /none/ { wasm_cgi program; }
location /own/  { wasm_cgi program; wasm_env A own; }
--- request eval
["GET /none/env?name=A&name=B", "GET /own/env?name=A&name=B"]
--- response_body eval
["A=http\nB=http\n", "A=own\nB is not set\n"]



=== TEST 2: and from a server, and from a location around
--- http_config
wasm_env A http;
--- config
wasm_env A server;
location /plain/ { wasm_cgi program; }
location /outer/ {
    wasm_env A outer;
    location /outer/inner/ { wasm_cgi program; }
    location /outer/own/ { wasm_cgi program; wasm_env B own; }
}
--- request eval
["GET /plain/env?name=A&name=B", "GET /outer/inner/env?name=A&name=B", "GET /outer/own/env?name=A&name=B"]
--- response_body eval
["A=server\nB is not set\n", "A=outer\nB is not set\n", "A is not set\nB=own\n"]



=== TEST 3: arguments likewise
--- config
wasm_arg args;
wasm_arg server;
location = /none { wasm_cgi program; }
location = /own  { wasm_cgi program; wasm_arg args; wasm_arg own; }
--- request eval
["GET /none", "GET /own"]
--- response_body eval
["0: program\n1: args\n2: server\n", "0: program\n1: args\n2: own\n"]



=== TEST 4: directories likewise
--- user_files
>>> a/one.txt
one
>>> b/two.txt
two
--- config
wasm_dir $TEST_NGINX_HTML_DIR/a:/a;
location /none/ { wasm_cgi program; }
location /own/  { wasm_cgi program; wasm_dir $TEST_NGINX_HTML_DIR/b:/b; }
--- request eval
["GET /none/files?read=/a/one.txt&read=/b/two.txt", "GET /own/files?read=/a/one.txt&read=/b/two.txt"]
--- response_body_like eval
['^read: one\nread: (not found|no directory)$', '^read: (not found|no directory)\nread: two$']



=== TEST 5: each list is inherited by itself
--- config
wasm_arg args;
wasm_env A server;
location = /t { wasm_cgi program; wasm_env B own; }
--- request
GET /t
--- response_body
0: program
1: args



=== TEST 6: all else is inherited one by one
--- http_config
wasm_output raw;
wasm_pass_authorization on;
--- config
wasm_program_timeout 50s;
location /raw/ { wasm_cgi program; default_type text/x; }
location /cgi/ { wasm_cgi program; wasm_output cgi; }
--- more_headers
Authorization: Basic YTpi
--- request eval
["GET /raw/env?name=HTTP_AUTHORIZATION", "GET /cgi/env?name=HTTP_AUTHORIZATION"]
--- response_body eval
["Content-Type: text/plain\n\nHTTP_AUTHORIZATION=Basic YTpi\n", "HTTP_AUTHORIZATION=Basic YTpi\n"]
--- response_headers eval
["Content-Type: text/x", "Content-Type: text/plain"]



=== TEST 7: the program is not: a location inside has none
--- config
location /p/ {
    wasm_cgi program;
    location /p/inside/ { root $TEST_NGINX_HTML_DIR; }
}
--- request eval
["GET /p/hello", "GET /p/inside/hello"]
--- error_code eval
[200, 404]



=== TEST 8: two servers with the same location
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    server_name one;
    location /p/ { wasm_cgi program; wasm_env WHO one; }
}
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    server_name two;
    location /p/ { wasm_cgi program; wasm_env WHO two; wasm_output raw; }
}
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    server_name three;
    location /p/ { wasm_cgi c; }
}
--- config
location /p/ { proxy_set_header Host $arg_host; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1; }
--- request eval
[map {"GET /p/env?name=WHO&host=$_"} qw( one two three one )]
--- response_body eval
["WHO=one\n", "Content-Type: text/plain\n\nWHO=two\n", "GET /env, length (none)\n", "WHO=one\n"]



=== TEST 9: many locations with one module
--- config eval
CORE::join '', map {"location /p$_/ { wasm_cgi program; wasm_env NUMBER $_; wasm_arg $_; }\n"} 1 .. 50;
--- request eval
[map {"GET /p$_/env?name=NUMBER&name=SCRIPT_NAME"} 1, 25, 50, 1]
--- response_body eval
[map {"NUMBER=$_\nSCRIPT_NAME=/p$_\n"} 1, 25, 50, 1]



=== TEST 10: one file under two names
--- config
location /one/ { wasm_cgi program; }
location /two/ { wasm_cgi again; }
--- request eval
["GET /one/args", "GET /two/args"]
--- response_body eval
["0: program\n", "0: again\n"]



=== TEST 11: each request has a program of its own
--- config
location /p/ { wasm_cgi program; }
--- request eval
[("GET /p/counter") x 5]
--- response_body eval
[("count 1, initialized 0 times, 0 left\n") x 5]



=== TEST 12: a program beside a filter with the same limits' names
--- config
wasm_timeout 5s;
wasm_memory_limit 32m;
location /p/ { proxy_wasm headers 'response.add x-filter yes'; wasm_cgi program; }
location /f/ { proxy_wasm headers 'response.add x-filter yes'; return 200 "filtered\n"; }
--- request eval
["GET /p/hello", "GET /f/"]
--- response_headers eval
[("x-filter: yes") x 2]
--- response_body eval
["hello\n", "filtered\n"]



=== TEST 13: an "if" around other directives does not take the program away, as with nginx's own handlers
--- config
location /u/ {
    wasm_env A outer;
    if ($arg_a) { set $unused 1; }
    wasm_cgi program;
}
--- request eval
["GET /u/env?name=A", "GET /u/env?name=A&a=1"]
--- response_body eval
["A=outer\n", "A=outer\n"]
