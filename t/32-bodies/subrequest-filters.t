# Filters of a location that a subrequest is in: they run when the main request has not run them, and what they do is about
# the subrequest.

use TestWasm 'no_plan';
use Upstream;

Upstream->start($ENV{TEST_NGINX_PORT_5});

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module one $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module two $TEST_NGINX_GUESTS/rust-bodies.wasm;
    module headers $TEST_NGINX_GUESTS/rust-headers.wasm;
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: auth_request: a refusal of the filter is one of the service
--- config
location /t { auth_request /auth; return 200 guarded; }
location /t2 { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm one 'request-headers respond 403 no'; return 204; }
--- request
GET /t2
--- error_code: 403
--- response_body_unlike: guarded|GET|no$



=== TEST 2: a refusal in each callback about the response, whose body goes nowhere
--- config
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm one 'response-headers respond 401 closed'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 401
--- response_body_unlike: GET|closed|aaaa



=== TEST 3: a filter that fails is no consent
--- config
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm one 'request-headers trap'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 500
--- response_body_unlike: GET|aaaa
--- error_log
panicked at
auth request unexpected status: 503
--- expects_crit
wasm "one": panicked at
wasm filter "one": failed to call function: proxy_on_request_headers



=== TEST 4: close_stream does not consent, either
--- config
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm one 'request-headers close'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 500
--- response_body_unlike: GET|aaaa



=== TEST 5: a pause holds the subrequest, and with it the request
--- config
location /t { auth_request /auth; return 200 unused; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location /p { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm one 'tick 20; request-headers hold; request-headers at-tick respond 403 no'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /p
--- error_code: 403
--- response_body_unlike: GET



=== TEST 6: the response of the subrequest is held, refused later, and the request goes by that
--- config
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick respond 403 no'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 403
--- response_body_unlike: GET



=== TEST 7: a pause that nobody ends
--- config
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; wasm_pause_timeout 100ms; proxy_wasm one 'request-headers hold'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 500
--- error_log
auth request unexpected status: 504



=== TEST 8: consent after a pause
--- config
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick resume'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- response_body_like: GET /echo



=== TEST 9: the chain that the main request has run does not run again
--- config
proxy_wasm lifecycle;
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- response_body_like: GET /echo
--- grep_error_log eval: qr/on_http_request_headers|on_request_headers|proxy_on_request_headers/
--- grep_error_log_out eval
qr/^\S+\n\z/
--- error_log
delete



=== TEST 10: what a filter writes into headers of a subrequest is not in those of the main request
--- config
location /t { auth_request /auth; proxy_wasm headers 'response.add x-seen "%{x-sub}%{x-client}"'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm headers 'request.add x-sub written;request.replace x-client changed;request.remove x-gone;request.add cookie b=2'; return 204; }
--- more_headers
x-client: own
x-gone: there
Cookie: a=1
--- request
GET /t
--- response_headers
x-seen: "own"



=== TEST 11: SSI: a part with filters of its own; the page's filters see the page only
--- config
ssi on;
proxy_wasm one 'response-body show; response-body append !';
location /inc { proxy_wasm off; proxy_wasm two 'response-headers remove response content-length; response-end append ~; response-body upper'; return 200 included; }
--- request
GET /t.html
--- user_files
>>> t.html
<!--# include virtual="/inc" -->.
--- response_body_like chomp
^INCLUDED~\.
!+$
--- no_error_log
wasm "one": body "included"



=== TEST 12: SSI: a part that is refused is not in the page
--- config
ssi on;
location /inc { proxy_wasm two 'response-body respond 403 refused'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/3/10; }
--- request
GET /t.html
--- user_files
>>> t.html
(<!--# include virtual="/inc" -->)
--- response_body
(refused)



=== TEST 13: SSI: two parts that are held, in the order of the page
--- config
ssi on;
location /one { proxy_wasm one 'tick 60; response-headers hold; response-headers at-tick resume'; return 200 first; }
location /two { proxy_wasm two 'tick 20; response-body hold; response-body at-tick resume'; return 200 second; }
--- request
GET /t.html
--- user_files
>>> t.html
(<!--# include virtual="/one" -->, <!--# include virtual="/two" -->)
--- response_body
(first, second)



=== TEST 13a: SSI: two parts that are held, of which the first goes on before the second
--- config
ssi on;
location /one { proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick resume'; return 200 first; }
location /two { proxy_wasm two 'tick 200; response-body hold; response-body at-tick resume'; return 200 second; }
--- request
GET /t.html
--- user_files
>>> t.html
(<!--# include virtual="/one" -->, <!--# include virtual="/two" -->)
--- response_body
(first, second)



=== TEST 13b: SSI: three parts, of which the last but one goes on first
--- config
ssi on;
location /one { proxy_wasm one 'tick 60; response-headers hold; response-headers at-tick resume'; return 200 first; }
location /two { proxy_wasm two 'tick 20; response-body hold; response-body at-tick resume'; return 200 second; }
location /three { proxy_wasm two 'tick 200; response-headers hold; response-headers at-tick resume'; return 200 third; }
--- request
GET /t.html
--- user_files
>>> t.html
(<!--# include virtual="/one" -->, <!--# include virtual="/two" -->, <!--# include virtual="/three" -->)
--- response_body
(first, second, third)



=== TEST 14: mirror: a filter of the copy sees the body, and changes it for the copy alone
--- config
location /t { mirror /mirror; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /mirror { internal; proxy_wasm two 'request-body upper; request-end show'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 4

body
--- error_log
wasm "two": request-body 4 end



=== TEST 15: mirror: a copy that is refused is not sent, and nobody else sees it
--- config
location /t { mirror /mirror; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /mirror { internal; proxy_wasm two 'request-body respond 403 no'; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/mirrored; }
location /mirrored { return 200; }
--- request
POST /t
body
--- response_body
POST /echo HTTP/1.0
Content-Length: 4

body
--- no_access_log
/mirrored
--- error_log
wasm "two": request-body 4 end



=== TEST 16: contexts of subrequests end
--- config
ssi on;
location /inc { proxy_wasm lifecycle; return 200 included; }
--- request
GET /t.html
--- user_files
>>> t.html
<!--# include virtual="/inc" -->
--- response_body
included
--- error_log
delete
--- no_error_log
[alert]



=== TEST 17: a subrequest of a location whose filters run behind the access phase
--- config
location /t { auth_request /auth; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/echo; }
location = /auth { internal; proxy_wasm_phase access; proxy_wasm one 'request-headers respond 403 no'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 403
--- response_body_unlike: GET



=== TEST 18: Lua gets what the filter of the subrequest answered
--- skip_eval: 3: !$ENV{TEST_WASM_LUA}
--- config
location /t { content_by_lua_block {
    local answer = ngx.location.capture("/sub")
    ngx.say(answer.status, " ", answer.body)
} }
location /sub { proxy_wasm one 'request-headers respond 403 refused'; return 200 secret; }
--- request
GET /t
--- response_body
403 refused



=== TEST 19: a subrequest of Lua, of which the body is changed
--- skip_eval: 3: !$ENV{TEST_WASM_LUA}
--- config
location /t { proxy_wasm two 'response-body append .'; content_by_lua_block {
    ngx.print("a")
    ngx.flush(true)
    local answer = ngx.location.capture("/sub")
    ngx.print("(", answer.status, " ", answer.body, ")")
} }
location /sub { proxy_wasm one 'response-body upper'; return 200 body; }
--- request
GET /t
--- response_body_like chomp
^a\.+\(200 BODY\)\.+$



=== TEST 20: a filter that refuses a subrequest by its body, later, leaves the body to the main request
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t {
    access_by_lua_block {
        ngx.req.read_body()
        ngx.location.capture("/sub", {method = ngx.HTTP_POST, always_forward_body = true})
    }
    rewrite ^ /body break;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5;
}
location /sub { proxy_wasm one 'tick 20; request-body hold; request-body at-tick respond 403 no'; return 200 ok; }
--- request
POST /t
hello
--- response_body chomp
hello
--- error_log
Respond(403, "no")



=== TEST 21: and so does one that waits for too long
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t {
    access_by_lua_block {
        ngx.req.read_body()
        ngx.location.capture("/sub", {method = ngx.HTTP_POST, always_forward_body = true})
    }
    rewrite ^ /body break;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5;
}
location /sub { wasm_pause_timeout 50ms; proxy_wasm one 'request-body hold'; return 200 ok; }
--- request
POST /t
hello
--- response_body chomp
hello
--- error_log
nothing resumed it within 50 ms



=== TEST 22: a filter that holds the response to a mirrored request does not hold the main request, which another one holds
--- config
location /t { mirror /m; proxy_wasm two 'tick 300; response-headers hold; response-headers at-tick resume'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
location /m { internal; proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick resume'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- response_body chomp
aaaaaaaaaa
--- no_error_log
[alert]
[error]



=== TEST 23: the same when nothing resumes it, and when the response comes from nginx
--- config
location /t { mirror /m; proxy_wasm two 'tick 300; response-headers hold; response-headers at-tick resume'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
location /m { internal; wasm_pause_timeout 20ms; proxy_wasm one 'response-headers hold'; return 200 mirrored; }
--- request
GET /t
--- response_body chomp
aaaaaaaaaa
--- no_error_log
[alert]



=== TEST 24: nor does it start the clock for the client, when the main request's upstream takes its time
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t { mirror /m; send_timeout 10s; proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/slow; }
location /m { internal; send_timeout 100ms; proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick resume'; return 200 mirrored; }
location /slow { content_by_lua_block { ngx.sleep(0.4) ngx.print(string.rep("x", 10000000)) } }
--- request
GET /t
--- response_body eval
"x" x 10_000_000
--- no_error_log
timed out
[alert]



=== TEST 25: Lua waits for the filter that holds the response to its subrequest, and gets what that answers
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t {
    access_by_lua_block {
        local answer = ngx.location.capture("/sub")
        if answer.status ~= 200 then ngx.exit(answer.status) end
    }
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10;
}
location /sub { proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick respond 403 no'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 403
--- response_body_unlike: aaaaaaaaaa
--- no_error_log
[alert]



=== TEST 26: and the body that it lets go later
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t { content_by_lua_block {
    local answer = ngx.location.capture("/sub")
    ngx.say(answer.status, " ", answer.body)
} }
location /sub { proxy_wasm one 'tick 20; response-end hold; response-end at-tick append !; response-end at-tick resume'; return 200 body; }
--- request
GET /t
--- response_body
200 body!
--- no_error_log
[alert]



=== TEST 27: two subrequests of Lua, and the one that is let go first does not wait for the other's filter for ever
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t { content_by_lua_block {
    local a, b = ngx.location.capture_multi({{"/a"}, {"/b"}})
    ngx.say(a.body, b.body)
} }
location /a { proxy_wasm one 'tick 300; response-headers hold; response-headers at-tick resume'; return 200 a; }
location /b { proxy_wasm two 'tick 20; response-headers hold; response-headers at-tick resume'; return 200 b; }
--- request
GET /t
--- response_body
ab
--- no_error_log
[alert]



=== TEST 28: the same in the other order
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t { content_by_lua_block {
    local a, b = ngx.location.capture_multi({{"/a"}, {"/b"}})
    ngx.say(a.body, b.body)
} }
location /a { proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick resume'; return 200 a; }
location /b { proxy_wasm two 'tick 300; response-headers hold; response-headers at-tick resume'; return 200 b; }
--- request
GET /t
--- response_body
ab
--- no_error_log
[alert]



=== TEST 29: a filter that closes a response that it holds: the service of auth_request refuses, and the main request has its answer
--- config
location /t { auth_request /auth; error_page 500 = @refused; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
location @refused { return 200 refused; }
location /auth { proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick close'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- response_body chomp
refused
--- error_log
auth request unexpected status: 503
--- no_error_log
[alert]



=== TEST 30: and Lua is not told the status of what the filter closed
--- skip_eval: 4: !$ENV{TEST_WASM_LUA}
--- config
location /t {
    access_by_lua_block {
        local answer = ngx.location.capture("/sub")
        if answer.status ~= 200 then ngx.exit(answer.status) end
    }
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10;
}
location /sub { proxy_wasm one 'tick 20; response-headers hold; response-headers at-tick close'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- request
GET /t
--- error_code: 503
--- response_body_unlike: aaaaaaaaaa
--- no_error_log
[alert]



=== TEST 31: a part of a page that a filter closes is nginx's business no more than one that it answers
--- config
location /t { ssi on; ssi_types *; alias $TEST_NGINX_SERVER_ROOT/html/page; }
location /sub { proxy_wasm one 'tick 20; response-body hold; response-body at-tick close'; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_5/length/1/10; }
--- user_files
>>> page
before <!--#include virtual="/sub" -->, behind
--- request
GET /t
--- response_body
before , behind
--- no_error_log
[alert]
