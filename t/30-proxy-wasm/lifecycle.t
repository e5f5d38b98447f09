# The order of callbacks with their arguments, from start-up to the end of a request. Internal redirects and subrequests are
# in redirects.t.
#
# What the guest 'lifecycle' logs is compared as a whole; blocks about requests look at lines with a client.

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

=== TEST 1: start-up: root context, on_vm_start, on_configure, with the sizes of the configurations
--- main_config
wasm { module lifecycle $TEST_NGINX_GUESTS/rust-lifecycle.wasm 'vm'; }
--- config
location /t {
    proxy_wasm lifecycle 'plugin';
    return 200 "ok\n";
}
--- request
GET /t
--- grep_error_log eval
qr/"lifecycle": \K(?:on_context_create|on_vm_start|on_configure) 1\b[^,\n]*/
--- grep_error_log_out eval
"on_context_create 1 parent 0\non_vm_start 1 size 2\non_configure 1 size 6 config=plugin\n"



=== TEST 2: a request: create, request headers, response headers, done, log, delete
--- config
location /t {
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- grep_error_log_out eval
main::whole(2)



=== TEST 3: a response without a body ends with its headers
--- config
location /t {
    proxy_wasm lifecycle;
    return 204;
}
--- request
GET /t
--- error_code: 204
--- grep_error_log_out eval
main::whole(2, 'true')



=== TEST 4: HEAD: the response ends with its headers
--- config
location /t {
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
HEAD /t
--- grep_error_log_out eval
main::whole(2, 'true')



=== TEST 5: a request with a body does not end with its headers
--- config
location /t {
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
POST /t
hello
--- grep_error_log_out
on_context_create 2 parent 1
on_request_headers 2 n N eos false
on_request_body 2 size 5 eos true
on_response_headers 2 n N eos false
on_response_body 2 size 3 eos true
on_done 2
on_log 2
on_delete 2



=== TEST 6: the number of headers is that of the pairs
--- config
location /t {
    proxy_wasm lifecycle;
    proxy_wasm probe 'pairs request; report';
    return 200 "ok\n";
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\nx-one: 1\r\nx-one: 2\r\nConnection: close\r\n\r\n"
--- response_body
pairs request -> 0 :authority=a,:path=/t,:method=GET,:scheme=http,x-one=1,x-one=2,connection=close
--- error_log
on_request_headers 2 n 7 eos true



=== TEST 7: two filters: each callback in the order of the chain, those of the response in reverse
--- config
location /t {
    proxy_wasm lifecycle;
    proxy_wasm lifecycle_two;
    return 200 "ok\n";
}
--- request
GET /t
--- grep_error_log eval
qr/"lifecycle\w*": on_\w+(?=.*, client:)/
--- grep_error_log_out
"lifecycle": on_context_create
"lifecycle_two": on_context_create
"lifecycle": on_request_headers
"lifecycle_two": on_request_headers
"lifecycle_two": on_response_headers
"lifecycle": on_response_headers
"lifecycle_two": on_response_body
"lifecycle": on_response_body
"lifecycle": on_done
"lifecycle": on_log
"lifecycle": on_delete
"lifecycle_two": on_done
"lifecycle_two": on_log
"lifecycle_two": on_delete



=== TEST 8: each request of a connection has a context of its own
--- config
location /t {
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- raw_request eval
("GET /t HTTP/1.1\r\nHost: a\r\n\r\n" x 2) . "GET /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
--- ignore_response
--- error_log
on_delete 4
--- grep_error_log_out eval
main::whole(2) . main::whole(3) . main::whole(4)



=== TEST 9: two filters of one module are two VMs: each counts for itself
--- config
location /t {
    proxy_wasm lifecycle one;
    proxy_wasm lifecycle two;
    return 200 "ok\n";
}
--- request
GET /t
--- grep_error_log eval
qr/on_context_create \d+ parent \d+(?=.*, client:)/
--- grep_error_log_out
on_context_create 2 parent 1
on_context_create 2 parent 1



=== TEST 10: on_done that answers false puts off on_log and on_delete
--- config
location /t {
    proxy_wasm probe '@done false; @log log info too early; @delete log info too early';
    proxy_wasm lifecycle;
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
ok
--- error_log
wasm "lifecycle": on_delete 2
--- no_error_log
too early



=== TEST 11: proxy_done for such a context, from another callback, ends it: on_log and on_delete come
--- config
location /t {
    proxy_wasm probe;
    return 200 "ok\n";
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\nx-probe: \@done false; \@log log info logged; \@delete log info deleted\r\n\r\n"
. "GET /t HTTP/1.1\r\nHost: a\r\nx-probe: raw set_effective_context 2; raw done; \@log log info the second\r\nConnection: close\r\n\r\n"
--- ignore_response
--- error_log
probe: raw set_effective_context 2 -> 0
probe: raw done -> 0
wasm "probe": logged
wasm "probe": deleted
wasm "probe": the second



=== TEST 12: proxy_done without a context that waits for it
--- config
location /t {
    proxy_wasm probe 'raw done; report; @done raw done';
    return 200 "ok\n";
}
--- request
GET /t
--- response_body
raw done -> 1
--- error_log
probe: raw done -> 1



=== TEST 13: a request that is refused before it reaches a location has no contexts
--- config
proxy_wasm lifecycle;
--- raw_request eval
"GET /t HTTP/1.1\r\nbad header line\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"
--- error_code: 400
--- error_log
client sent
--- grep_error_log_out eval
''
