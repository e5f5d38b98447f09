# What filters for the library of Apache APISIX rely on: they call in a request callback, answer Continue, and refuse in the
# callback of the call; and their answers without a body get nginx's pages.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;
use RawClient;

plan(skip_all => 'needs the Lua module') unless $ENV{TEST_WASM_LUA};
Peer->needs('python3');
my $root   = $ENV{TEST_WASM_ROOT};
my $peer   = Peer->fault('plain=127.0.0.1', 'closed=127.0.0.1,closed');
my $target = '127.0.0.1:' . $peer->port;
my $closed = '127.0.0.1:' . $peer->port('closed');
my $folder = "$root/build/t/lua-peers-guests";
mkdir $folder;

# As forward-auth of APISIX does it: a call without `:method`, and Continue; a callback that refuses, without a body, unless the
# status is 2xx. The paths of the requests that it sees are those of the calls. A body is shown to it in the same way.
my $forward = <<'WAT';
(module
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (global $stream (mut i32) (i32.const 0))
  (data (i32.const 16) "service")
  (data (i32.const 32) ":path")
  (data (i32.const 48) ":status")
  (func (export "proxy_abi_version_0_2_0"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func $ask (param i32)
    (global.set $stream (local.get 0))
    (drop (call $value (i32.const 0) (i32.const 32) (i32.const 5) (i32.const 0) (i32.const 4)))
    ;; One header: its name, and the value that has just come.
    (i32.store (i32.const 1024) (i32.const 1))
    (i32.store (i32.const 1028) (i32.const 5))
    (i32.store (i32.const 1032) (i32.load (i32.const 4)))
    (memory.copy (i32.const 1036) (i32.const 32) (i32.const 5))
    (i32.store8 (i32.const 1041) (i32.const 0))
    (memory.copy (i32.const 1042) (i32.load (i32.const 0)) (i32.load (i32.const 4)))
    (i32.store8 (i32.add (i32.const 1042) (i32.load (i32.const 4))) (i32.const 0))
    (if (call $call (i32.const 16) (i32.const 7) (i32.const 1024) (i32.add (i32.const 19) (i32.load (i32.const 4)))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 5000) (i32.const 8)) (then (unreachable))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $ask (local.get 0))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (call $ask (local.get 0))
    (i32.const 0))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (local $first i32)
    (if (local.get 2) (then
      (drop (call $value (i32.const 6) (i32.const 48) (i32.const 7) (i32.const 0) (i32.const 4)))
      (local.set $first (i32.load8_u (i32.load (i32.const 0))))))
    (if (i32.ne (local.get $first) (i32.const 50)) (then
      (drop (call $effective (global.get $stream)))
      (drop (call $answer (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const -1)))))))
WAT
open my $out, '>', "$folder/forward.wat" or die "cannot write: $!\n";
print $out $forward;
close $out;

my $calls = Calls->new(
    'lua-peers',
    http => <<"CONF",
upstream service { server $target; }
lua_package_path '$root/lua/?.lua;;';
init_worker_by_lua_block {
    wasm = require "resty.proxy-wasm"
    forward = assert(wasm.on_configure(assert(wasm.load("forward", "$folder/forward.wat")), "none"))
    filter  = assert(wasm.on_configure(assert(wasm.load("calls", "$root/build/guests/rust-calls.wasm")), "log started"))
    probe   = assert(wasm.on_configure(assert(wasm.load("probe", "$root/build/guests/rust-probe.wasm")), "level"))
    function run(ctx)
        local ok, err = wasm.on_http_request_headers(ctx)
        if not ok then
            ngx.print("error: ", err)
            return ngx.exit(200)
        end
    end
    function guard()
        if ngx.req.get_method() ~= "POST" then
            return run(forward)
        end
        ngx.req.read_body()
        ngx.ctx.ok = assert(wasm.on_http_request_body(forward, ngx.req.get_body_data(), ngx.var.arg_end == "1"))
    end
}
CONF
    server => <<"CONF",
location /status { access_by_lua_block { guard() } content_by_lua_block { ngx.print("let through") } }
location /delay { rewrite_by_lua_block { guard() } content_by_lua_block { ngx.print("let through") } }
location /cut { access_by_lua_block { guard() } content_by_lua_block { ngx.print("let through") } }
location /together { error_page 403 /denied.html; access_by_lua_block { guard() } content_by_lua_block { ngx.print("let through") } }
location = /denied.html { return 200 "the page of nginx.conf"; }
location /calls { access_by_lua_block { run(filter) } content_by_lua_block { ngx.print("x-came: ", ngx.var.http_x_came) } }
location /short {
    wasm_pause_timeout 100ms;
    content_by_lua_block { local ok, err = wasm.on_http_request_headers(filter) ngx.print(ok, ", ", err) }
}
location /probe { error_page 404 /denied.html; access_by_lua_block { run(probe) } content_by_lua_block { ngx.print("let through") } }
CONF
);
my $nginx = $calls->{nginx};

sub got { my $response = $nginx->get(@_); return "$response->{status} $response->{content}" }

# A filter that has called is waited for.
is(got('/status/200'), '200 let through', 'allowed by the service');
like(got('/status/403'), qr/^403 /, 'refused by it: nothing goes through');
like(got('/delay/50/status/401'), qr/^403 /, 'however long that takes');
is(got('/delay/50/status/204'), '200 let through', 'and what is allowed then goes on');
like(got('/cut/headers'), qr/^403 /, 'without an answer of the service');
for my $end (0, 1) {
    is($nginx->request('POST', "/delay/30/status/403?end=$end", {}, 'body')->{status}, 403, "also in on_http_request_body, end $end");
    is($nginx->request('POST', "/delay/30/status/200?end=$end", {}, 'body')->{content}, 'let through', 'and what is allowed goes on');
}

# One call after the other, and several at once.
sub came { return $calls->ask($_[0], path => $_[1] // '/calls', raw => 1)->{content} }
is(came("call a $target GET /delay/30/status/200; \@a set request x-came yes"), 'x-came: yes', 'the callback has run');
is(came("call a $target GET /status/200; \@a call b $target GET /delay/30/status/200; \@b set request x-came second"), 'x-came: second', 'a call that a callback makes is waited for');
is(came("call a $target GET /status/200; call b $target GET /delay/60/status/200; \@b set request x-came both"), 'x-came: both', 'the last of several');
is(came("call a $target GET /status/200; \@a resume; call b $target GET /delay/60/status/200; \@b set request x-came both"), 'x-came: both', 'also when one resumes what does not pause');
is(came("call a $closed GET /; \@a set request x-came failed"), 'x-came: failed', 'a call that fails');
is(came("call a $target GET /a%20b; \@a set request x-came unsendable"), 'x-came: unsendable', 'or cannot be sent');
is(came("call a no_such_upstream GET /"), 'x-came: nil', 'nobody is waited for when no call was made');
is(came("call a $target GET /status/200; \@a trap"), 'error: failed to run proxy_on_http_call_response', 'a callback that traps fails the request');
is(came("call a $target GET /silent timeout:5000; \@done wait", '/short'), 'nil, failed to run proxy_on_http_request_headers', 'wasm_pause_timeout bounds the wait');
like($calls->log, qr/\[error\] .*wasm plugin "calls" has called, and its calls have not ended within 100 ms \(wasm_pause_timeout\)/, 'as the log says');
my $grpc = Peer->grpc('plain=127.0.0.1');
SKIP: {
    skip('grpcio cannot be had (tools/install.sh grpc)', 2) unless $grpc;
    my $to = '127.0.0.1:' . $grpc->port;
    is(came("grpc a $to test.Echo Unary body:x h:x-delay=30; \@a set request x-came grpc"), 'x-came: grpc', 'a gRPC call is waited for');
    is(came("stream s $to test.Echo Bidi; send s one; \@s:message set request x-came early; \@done cancel s"), 'x-came: nil', 'a stream, which has no end, is not');
}

# Answers without a body.
my $response = $nginx->get('/status/403');
like($response->{content}, qr/<title>403 Forbidden<\/title>.*nginx/s, "an answer without a body gets nginx's page");
is($response->{headers}{'content-type'}, 'text/html', 'as what it is');
is(got('/together/1/status/403'), '403 the page of nginx.conf', 'or that of error_page');
for (['respond 404', '404 the page of nginx.conf'], ['respond 404 own', '404 own'], ['respond 200', '200 '], ['respond 204', '204 ']) {
    $response = $nginx->get('/probe', { 'x-probe' => $_->[0] });
    is("$response->{status} " . ($response->{content} // ''), $_->[1], $_->[0]);
    is($response->{headers}{'x-probe-local'}, 1, 'with the headers of the answer');
}
$response = RawClient->new($nginx->port)
    ->send("GET /probe HTTP/1.1\r\nHost: a\r\nx-probe: answer 302 -1 location=http://other.example/\r\n\r\n")->response;
is("$response->{status} $response->{headers}{location}", '302 http://other.example/', 'a redirect');

my @bad = grep {/\[(?:alert|emerg)\]|panicked at (?!calls)|exited on signal|lua entry thread aborted/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');
done_testing();
