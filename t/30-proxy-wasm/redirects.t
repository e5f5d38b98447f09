# Everything by which nginx moves a request to another place, or makes requests within a request: contexts are neither lost
# nor doubled, and callbacks come in order.

use TestWasm 'no_plan';

our $InRequest = qr/"lifecycle\w*": \K\w+ \d+(?: parent \d+| (?:n|size) \d+ eos \w+)?(?=.*, client:)/;

# What is seen of a request with one filter that passes through.
sub whole {
    my ($id, $eos) = @_;
    my $response = $eos ? "on_response_headers $id n N eos $eos\n" : "on_response_headers $id n N eos false\nBODY $id\n";
    return "on_context_create $id parent 1\non_request_headers $id n N eos true\n"
        . "${response}on_done $id\non_log $id\non_delete $id\n";
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module lifecycle_two $TEST_NGINX_GUESTS/rust-lifecycle.wasm;
    module probe     $TEST_NGINX_GUESTS/rust-probe.wasm;
}
CONF
    $block->set_value(grep_error_log => $::InRequest)
        if defined $block->grep_error_log_out && !$block->grep_error_log;
    # The last line of the log phase.
    $block->set_value(error_log => ['on_delete']) unless $block->error_log;
});

# The number of headers depends on the client of the test, and that of the body's pieces on the handler.
{
    no warnings 'redefine';
    my $check = \&Test::Nginx::Socket::check_error_log;
    *Test::Nginx::Socket::check_error_log = sub ($$$$) {
        my $wanted = $_[0]->grep_error_log_out;
        if (defined $wanted && !ref $wanted) {
            my $pattern = quotemeta $wanted;
            $pattern =~ s/\bN\b/\\d+/g;
            $pattern =~ s/BODY\\ (\d+)/(?:on_response_body $1 size \\d+ eos false\n)*on_response_body $1 size \\d+ eos true/g;
            $_[0]->set_value(grep_error_log_out => qr/\A$pattern\z/);
        }
        goto &$check;
    };
}

run_tests();

__DATA__

=== TEST 1: rewrite last within the same filters: the request headers are seen once
--- config
proxy_wasm lifecycle;
location /t {
    rewrite ^ /u last;
}
location /u {
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- grep_error_log_out eval
main::whole(2)



=== TEST 2: rewrite last to a location with other filters: those begin anew, and all end
--- config
location /t {
    proxy_wasm lifecycle;
    rewrite ^ /u last;
}
location /u {
    proxy_wasm lifecycle_two;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
"lifecycle_two": on_delete 2
--- grep_error_log eval
qr/"lifecycle\w*": on_\w+(?=.*, client:)/
--- grep_error_log_out
"lifecycle": on_context_create
"lifecycle": on_request_headers
"lifecycle_two": on_context_create
"lifecycle_two": on_request_headers
"lifecycle_two": on_response_headers
"lifecycle_two": on_response_body
"lifecycle": on_done
"lifecycle": on_log
"lifecycle": on_delete
"lifecycle_two": on_done
"lifecycle_two": on_log
"lifecycle_two": on_delete



=== TEST 3: rewrite last to a location without filters
--- config
location /t {
    proxy_wasm lifecycle;
    rewrite ^ /u last;
}
location /u {
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- grep_error_log_out
on_context_create 2 parent 1
on_request_headers 2 n N eos true
on_done 2
on_log 2
on_delete 2



=== TEST 4: rewrite back to the first location
--- config
location /t {
    proxy_wasm lifecycle;
    rewrite ^/t$ /u last;
    return 200 "ok\n";
}
location /u {
    proxy_wasm lifecycle_two;
    rewrite ^ /t/again last;
}
--- request
GET /t
--- response_body
ok
--- error_log
"lifecycle": on_delete 3
--- grep_error_log eval
qr/"lifecycle\w*": on_(?:context_create|request_headers|response_headers|done|delete) \d(?=.*, client:)/
--- grep_error_log_out
"lifecycle": on_context_create 2
"lifecycle": on_request_headers 2
"lifecycle_two": on_context_create 2
"lifecycle_two": on_request_headers 2
"lifecycle": on_context_create 3
"lifecycle": on_request_headers 3
"lifecycle": on_response_headers 3
"lifecycle": on_done 2
"lifecycle": on_delete 2
"lifecycle_two": on_done 2
"lifecycle_two": on_delete 2
"lifecycle": on_done 3
"lifecycle": on_delete 3



=== TEST 5: error_page within the same filters
--- config
proxy_wasm lifecycle;
location /t {
    error_page 404 /u;
    return 404;
}
location /u {
    return 200 "ok\n";
}
--- request
GET /t
--- error_code: 404
--- response_body
ok
--- grep_error_log_out eval
main::whole(2)



=== TEST 6: error_page of a static file that is missing, to a named location with other filters
--- config
location /t {
    proxy_wasm lifecycle;
    error_page 404 = @u;
    try_files /nothing =404;
}
location @u {
    proxy_wasm lifecycle_two;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
"lifecycle_two": on_delete 2
--- grep_error_log eval
qr/"lifecycle\w*": on_\w+(?=.*, client:)/
--- grep_error_log_out
"lifecycle": on_context_create
"lifecycle": on_request_headers
"lifecycle_two": on_context_create
"lifecycle_two": on_request_headers
"lifecycle_two": on_response_headers
"lifecycle_two": on_response_body
"lifecycle": on_done
"lifecycle": on_log
"lifecycle": on_delete
"lifecycle_two": on_done
"lifecycle_two": on_log
"lifecycle_two": on_delete



=== TEST 7: try_files to another location
--- config
proxy_wasm lifecycle;
location /t {
    try_files /nothing /u;
}
location /u {
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- grep_error_log_out eval
main::whole(2)



=== TEST 8: the index of a folder
--- config
proxy_wasm lifecycle;
--- user_files
>>> folder/index.html
index
--- request
GET /folder/
--- response_body
index
--- grep_error_log_out eval
main::whole(2)



=== TEST 9: X-Accel-Redirect of an upstream
--- config
location /t {
    proxy_wasm lifecycle;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /up {
    add_header X-Accel-Redirect /internal;
    return 200 "up\n";
}
location /internal {
    internal;
    proxy_wasm lifecycle_two;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
"lifecycle_two": on_delete 2
--- grep_error_log eval
qr/"lifecycle\w*": on_\w+(?=.*, client:)/
--- grep_error_log_out
"lifecycle": on_context_create
"lifecycle": on_request_headers
"lifecycle_two": on_context_create
"lifecycle_two": on_request_headers
"lifecycle_two": on_response_headers
"lifecycle_two": on_response_body
"lifecycle": on_done
"lifecycle": on_log
"lifecycle": on_delete
"lifecycle_two": on_done
"lifecycle_two": on_log
"lifecycle_two": on_delete



=== TEST 10: proxy_intercept_errors
--- config
proxy_wasm lifecycle;
location /t {
    proxy_intercept_errors on;
    error_page 404 /u;
    proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/up;
}
location /u {
    return 200 "ok\n";
}
location /up {
    proxy_wasm off;
    return 404;
}
--- request
GET /t
--- error_code: 404
--- response_body
ok
--- grep_error_log_out eval
main::whole(2)



=== TEST 11: a subrequest of auth_request belongs to its main request
--- config
proxy_wasm lifecycle;
location /t {
    auth_request /auth;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;
}
location /auth {
    return 204;
}
--- http_config
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 "ok\n"; } }
--- request
GET /t
--- response_body
ok
--- grep_error_log_out eval
main::whole(2)



=== TEST 12: auth_request refuses
--- config
proxy_wasm lifecycle;
location /t {
    auth_request /auth;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;
}
location /auth {
    return 403;
}
--- request
GET /t
--- error_code: 403
--- grep_error_log_out eval
main::whole(2)



=== TEST 13: subrequests of mirror
--- config
proxy_wasm lifecycle;
location /t {
    mirror /mirror;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;
}
location /mirror {
    internal;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/mirrored;
}
--- http_config
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; location / { return 200 "ok\n"; } }
--- request
GET /t
--- response_body
ok
--- grep_error_log_out eval
main::whole(2)



=== TEST 14: subrequests of addition
--- config
proxy_wasm lifecycle;
location /t {
    default_type text/html;
    add_before_body /before;
    add_after_body /after;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1/;
}
location /before { return 200 "before\n"; }
location /after { return 200 "after\n"; }
--- http_config
server { listen 127.0.0.1:$TEST_NGINX_PORT_1; default_type text/html; location / { return 200 "ok\n"; } }
--- request
GET /t
--- response_body
before
ok
after
--- grep_error_log_out eval
main::whole(2)



=== TEST 15: subrequests of SSI
--- config
proxy_wasm lifecycle;
ssi on;
location /part { return 200 "part"; }
--- user_files
>>> t.html
(<!--# include virtual="/part" -->)
--- request
GET /t.html
--- response_body
(part)
--- grep_error_log_out eval
main::whole(2)



=== TEST 16: a filter only at the location of a subrequest runs for that, and its context ends
--- config
location /t {
    proxy_wasm lifecycle_two;
    auth_request /auth;
    try_files /t.txt =404;
}
location /auth {
    proxy_wasm lifecycle;
    return 204;
}
--- user_files
>>> t.txt
ok
--- request
GET /t
--- response_body
ok
--- error_log
"lifecycle_two": on_delete 2
--- grep_error_log eval
qr/"lifecycle": on_\w+(?=.*, client:)/
--- grep_error_log_out eval
qr/^"lifecycle": on_context_create\n"lifecycle": on_request_headers\n(?:"lifecycle": on_\w+\n)*"lifecycle": on_delete\n\z/
