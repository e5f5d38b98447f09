# Calls of filters that Lua runs: the coroutine of the request waits, and everything else goes on.

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
my $grpc   = Peer->grpc('plain=127.0.0.1');

# Asks the upstream "service" when it has all of a body, and lets the body go on with ">" before it, or with 1 KiB of memory
# if it begins with "!".
my $late = <<'WAT';
(module
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (memory (export "memory") 2)
  (global $stream (mut i32) (i32.const 0))
  (data (i32.const 16) "service")
  (data (i32.const 32) "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\05\00\00\00\0a\00\00\00\01\00\00\00")
  (data (i32.const 60) ":method\00GET\00:path\00/echo\00:authority\00a\00")
  (data (i32.const 120) ">")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
    (global.set $stream (local.get 0))
    (if (call $call (i32.const 16) (i32.const 7) (i32.const 32) (i32.const 65) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 5000) (i32.const 0)) (then (unreachable)))
    (i32.const 1))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $effective (global.get $stream)))
    (drop (call $get (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 4)))
    (drop (call $set (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 120)
      (if (result i32) (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 33)) (then (i32.const 1024)) (else (i32.const 1)))))
    (drop (call $continue (i32.const 0)))))
WAT
my $folder = "$root/build/t/lua-calls-guests";
mkdir $folder;
my $redis = Peer->redis(dir => $folder);
open my $out, '>', "$folder/late.wat" or die "cannot write: $!\n";
print $out $late;
close $out;

my $calls = Calls->new(
    'lua-calls',
    http => <<"CONF",
upstream service { server $target; }
lua_package_path '$root/lua/?.lua;;';
init_worker_by_lua_block {
    wasm = require "resty.proxy-wasm"
    local function load(name, module, conf)
        return assert(wasm.on_configure(assert(wasm.load(name, "$root/build/guests/" .. module .. ".wasm")), conf))
    end
    filter = load("calls", "rust-calls", "log started")
    second = load("second", "rust-calls", "call b $target GET /delay/50/status/202; wait; \@b set request x-b second")
    both   = load("both", "rust-calls", "log both")
    go     = load("go", "go-calls", "none")
    as     = load("as", "assemblyscript-calls", "none")
    redis  = load("redis", "rust-redis", "none")
    tick   = load("tick", "rust-calls", "tick 20; \@tick call a $target GET /body/4; \@tick call b $target GET /status/202; answer-tick 200")
    once   = load("once", "rust-calls", "tick 20; \@tick call a $target GET /body/4; wait-tick")
    probe  = load("probe", "rust-probe", "pause")
    late   = assert(wasm.on_configure(assert(wasm.load("late", "$folder/late.wat")), "none"))
    local plugin = assert(wasm.load("twice", "$root/build/guests/rust-calls.wasm"))
    one = assert(wasm.on_configure(plugin, "call one $target GET /delay/30/status/201; wait; \@one set request x-one 1"))
    two = assert(wasm.on_configure(plugin, "call two $target GET /delay/30/status/202; wait; \@two set request x-two 2"))

    function try(ok, err)
        if not ok then
            ngx.status = 503
            ngx.print(err)
            return ngx.exit(503)
        end
    end
}
CONF
    server => <<"CONF",
# Each phase of a request that can wait.
server_rewrite_by_lua_block { if ngx.var.uri == "/server-rewrite" then try(wasm.on_http_request_headers(filter)) end }
location /server-rewrite { proxy_pass http://$target/echo; }
location /lua {
    access_by_lua_block { try(wasm.on_http_request_headers(filter)) }
    content_by_lua_block { ngx.print("x-came: ", ngx.var.http_x_came) }
}
location /rewrite {
    rewrite_by_lua_block { try(wasm.on_http_request_headers(filter)) }
    proxy_pass http://$target/echo;
}
location /content { content_by_lua_block { try(wasm.on_http_request_headers(filter)) ngx.print("x-came: ", ngx.var.http_x_came) } }
location /body {
    access_by_lua_block {
        try(wasm.on_http_request_headers(filter))
        ngx.req.read_body()
        try(wasm.on_http_request_body(filter, ngx.req.get_body_data()))
    }
    proxy_pass http://$target/echo;
}
location /response {
    access_by_lua_block { try(wasm.on_http_request_headers(filter)) }
    header_filter_by_lua_block {
        local ok, err = wasm.on_http_response_headers(filter)
        ngx.header["x-result"] = tostring(ok) .. " " .. tostring(err)
    }
    content_by_lua_block { ngx.print("ok") }
    log_by_lua_block { ngx.log(ngx.INFO, "logged") }
}
location /two {
    access_by_lua_block {
        try(wasm.on_http_request_headers(filter))
        try(wasm.on_http_request_headers(second))
    }
    content_by_lua_block { ngx.print(ngx.var.http_x_came, " ", ngx.var.http_x_b) }
}
location /twice {
    access_by_lua_block {
        try(wasm.on_http_request_headers(one))
        try(wasm.on_http_request_headers(two))
    }
    content_by_lua_block { ngx.print(ngx.var.http_x_one, " ", ngx.var.http_x_two) }
}
location /threads {
    content_by_lua_block {
        local threads = {}
        for n, ctx in ipairs { filter, second, both } do
            threads[n] = ngx.thread.spawn(wasm.on_http_request_headers, ctx)
        end
        for _, thread in ipairs(threads) do
            ngx.print(select(2, ngx.thread.wait(thread)), " ")
        end
        ngx.print(ngx.var.http_x_came, " ", ngx.var.http_x_b)
    }
}
location /wasm-and-lua {
    proxy_wasm calls;
    access_by_lua_block { try(wasm.on_http_request_headers(second)) }
    content_by_lua_block { ngx.print(ngx.var.http_x_came, " ", ngx.var.http_x_b) }
}
location /redis { access_by_lua_block { try(wasm.on_http_request_headers(redis)) } content_by_lua_block { ngx.print("not answered") } }
location /tick { access_by_lua_block { try(wasm.on_http_request_headers(tick)) } content_by_lua_block { ngx.print("not answered") } }
location /once { access_by_lua_block { try(wasm.on_http_request_headers(once)) } content_by_lua_block { ngx.print("went on") } }
location /go { access_by_lua_block { try(wasm.on_http_request_headers(go)) } content_by_lua_block { ngx.print("not answered") } }
location /as { access_by_lua_block { try(wasm.on_http_request_headers(as)) } content_by_lua_block { ngx.print("not answered") } }
location /timeout {
    wasm_pause_timeout 100ms;
    content_by_lua_block { local ok, err = wasm.on_http_request_headers(filter) ngx.print(ok, ", ", err) }
}
location /probe {
    wasm_pause_timeout 50ms;
    content_by_lua_block { local ok, err = wasm.on_http_request_headers(probe) ngx.print(ok, ", ", err) }
}
location /result { content_by_lua_block { local ok, err = wasm.on_http_request_headers(filter) ngx.print(ok, ", ", err) } }
location /large { content_by_lua_block {
    ngx.req.read_body()
    local ok, changed = wasm.on_http_request_body(filter, ngx.req.get_body_data())
    ngx.print(ok, ", ", changed)
} }
location /late { proxy_wasm_request_body_buffer 1k; content_by_lua_block {
    ngx.req.read_body()
    ngx.print(wasm.on_http_request_body(late, ngx.req.get_body_data()))
    ngx.print(" ", ngx.req.get_body_data())
} }
location /late-pieces { content_by_lua_block {
    for _, piece in ipairs { { "ab", false }, { "cd", false }, { "ef", true } } do
        ngx.print("[", select(2, wasm.on_http_request_body(late, piece[1], piece[2])), "]")
    end
} }
location /plain { return 200 plain; }
CONF
);
my $nginx = $calls->{nginx};
my ($worker) = $nginx->workers;

sub got { my $response = $calls->ask(@_, raw => 1); return "$response->{status} $response->{content}" }

# An answer, and a request that goes on, in each phase.
for my $path (qw( /lua /server-rewrite /rewrite /content )) {
    my $came = $calls->ask("call a $target GET /delay/30/body/3; answer 200", path => $path);
    is_deeply([@{ $came->{a} }{qw( status body )}, $came->{a}{counts}[1]], [200, 'bbb', 3], "$path: the callback answers the request");
    my $response = $calls->ask("call a $target GET /delay/30/status/201; wait; \@a set request x-came yes", path => $path, raw => 1);
    like($response->{content}, $path =~ /rewrite/ ? qr/"x-came", "yes"/ : qr/x-came: yes/, "$path: the callback lets the request go on");
}
my $came = $calls->ask("call a service GET /status/204; answer 418", path => '/lua', raw => 1);
is("$came->{status} $came->{headers}{'content-type'}", '418 application/json', 'status and headers of the answer');
is($calls->ask('call a no_such_upstream GET /; answer 200', path => '/lua')->{a}{status}, 'BadArgument', 'a target that nobody knows');
is(got("call a $target GET /status/200", path => '/lua'), '200 x-came: nil', 'a call that nobody waits for');

# Several.
$came = $calls->ask("call a $target GET /together/20/status/200 times:20; answer 200", path => '/lua');
is_deeply([map { $came->{"a$_"}{status} } 1 .. 20], [(200) x 20], '20 calls of a request are under way at the same time');
$came = $calls->ask(<<"CALLS", path => '/lua');
call a $target GET /status/201
\@a call b $target GET /delay/20/status/202
\@b call c1 $target GET /status/203
\@b call c2 $target GET /delay/20/status/203
\@c2 call d $target GET /status/205
answer 200
CALLS
is_deeply([sort map {"$_->{name} $_->{status}"} @{ $came->{events} }], ['a 201', 'b 202', 'c1 203', 'c2 203', 'd 205'], 'calls from callbacks of calls');

# Failures.
$came = $calls->ask("call a $closed GET /; call b $target GET /cut/headers; call c $target GET /body/5; answer 200", path => '/lua');
is_deeply([map { $came->{$_}{counts} } qw( a b )], [[0, 0, 0], [0, 0, 0]], 'calls that fail have their callback, with nothing');
is($came->{c}{body}, 'bbbbb', 'others are answered');
like($calls->failure($closed), qr/Connection refused/, 'the log says why');
$came = $calls->ask("call a $target GET /silent timeout:100; \@a set request x-came late; wait", path => '/lua', raw => 1);
is($came->{content}, 'x-came: late', 'a call that is not answered in time');
like($calls->failure($target), qr/no answer within 100 ms/, 'the log says so');

# Bodies.
my $response = $calls->ask("\@request-body call a $target GET /delay/30/status/200; \@request-body wait; \@a set request x-came yes", path => '/body', body => 'to the upstream', raw => 1);
my $echo = JSON::PP::decode_json($response->{content});
is($echo->{body}, 'to the upstream', 'a pause in on_http_request_body: the body goes on');
is_deeply([map { $_->[1] } grep { lc $_->[0] eq 'x-came' } @{ $echo->{headers} }], ['yes'], 'with what the callback changed');
is($calls->ask("\@request-body call a $target GET /delay/30/body/4; \@request-body answer 200", path => '/body', body => 'x')->{a}{body}, 'bbbb', 'an answer from there');
is(got("x", path => '/large', body => 'y' x 100_000), '200 true, nil', 'a body that the filter lets pass');
is(got("\@request-headers call a $target GET /status/200; \@request-headers wait; \@request-body call b $target GET /status/201; \@request-body wait; \@b log body came", path => '/body', body => 'x') =~ /^200/, 1, 'pauses in both');

is(got('', path => '/late', body => 'hello'), '200 true>hello >hello', 'the callback of a call changes the body that waits for it');
is(got('', path => '/late', body => '!' . 'x' x 100), '200 nilfailed to run proxy_on_http_request_body !' . 'x' x 100, 'but does not make it too large');
like($calls->log, qr/made a body larger than its buffer may be/, 'as the log says');
is(got('', path => '/late-pieces', body => 'x'), '200 [][][>abcdef]', 'pieces that a filter held are part of what waits');

# Phases that cannot wait. The call is made nevertheless.
$response = $calls->ask("\@response-headers call a $target GET /status/200; \@done wait; \@a log came later", path => '/response', raw => 1);
is("$response->{content} $response->{headers}{'x-result'}", 'ok true nil', 'a call from on_http_response_headers');
$nginx->wait_for('its callback', sub { $calls->log =~ /came later/ });
$response = $calls->ask("\@response-headers call a $target GET /status/200; \@response-headers wait", path => '/response', raw => 1);
is($response->{headers}{'x-result'}, 'nil failed to run proxy_on_http_response_headers', 'a pause there is an error');
like($calls->log, qr/\[crit\] .*wasm plugin "calls" paused a response, for which Lua cannot wait/, 'that the log names');
$response = $calls->ask("\@done call a $target GET /body/2; \@done wait", path => '/response', raw => 1);
$nginx->wait_for('the callback', sub { $calls->log =~ /a response: / });
pass('a call from on_done, which the filter defers until it is answered');

# Several filters in a request.
is(got("call a $target GET /delay/30/status/200; wait; \@a set request x-came first", path => '/two'), '200 first second', 'two plugins, one after the other');
is($nginx->get('/twice')->{content}, '1 2', 'two configurations of one plugin');
is(got("call a $target GET /delay/60/status/200; wait; \@a set request x-came first", path => '/threads'), '200 true true true first second', 'three at once, in light threads');
is(got("call a $target GET /delay/30/status/200; wait; \@a set request x-came conf", path => '/wasm-and-lua'), '200 conf second', 'one of nginx.conf, and one of Lua');
is($calls->ask("call a $target GET /delay/30/body/2; answer 200", path => '/wasm-and-lua')->{a}{body}, 'bb', 'of which the first answers');

# From the root.
$came = $calls->read(JSON::PP::decode_json($nginx->get('/tick')->{content}));
is_deeply([$came->{a}{body}, $came->{b}{status}], ['bbbb', 202], 'calls from a tick, whose callbacks answer a request');
is($nginx->get('/once')->{content}, 'went on', 'and let one go on');

# Other SDKs.
for my $language (qw( go as )) {
    $response = $nginx->get("/$language", { 'x-calls' => "$target GET /status/201;$target POST /body/3;no_such_thing GET /;$target GET /delay/50/status/404" });
    is($response->{content}, "201 status 201\n200 bbb\nrefused\n404 status 404\n", "$language: several calls");
}

# Many requests, none of which can be answered before all of them wait.
my @clients = map {
    my $client = RawClient->new($nginx->port);
    $client->send("GET /lua HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-calls: call a $target GET /together/51/body/6; answer 200\r\n\r\n");
    $client;
} 1 .. 50;
my $before = $peer->stats('plain')->{answers};
$nginx->wait_for('50 calls', sub { ($peer->stats('plain')->{requests} // 0) - $before >= 50 });
is($nginx->get('/plain')->{content}, 'plain', 'while 50 requests wait in one worker, others are served');
is(got("call a $target GET /status/200; wait; \@a set request x-came yes", path => '/lua'), '200 x-came: yes', 'also those that call');
is($peer->stats('plain')->{answers} - $before, 1, 'and nobody has been answered before');
HTTP::Tiny->new->get("http://$target/together/51/body/6");
my @answers = map { $_->response } @clients;
is_deeply([map { $_->{status} } @answers], [(200) x 50], 'then all 50 are');
is((grep { $calls->read(JSON::PP::decode_json($_->{body}))->{a}{body} eq 'bbbbbb' } @answers), 50, 'with what their calls brought');

# What ends a wait badly.
is(got("call a $target GET /delay/300/status/200; wait; \@done wait; \@a log too late", path => '/timeout'), '200 nil, failed to run proxy_on_http_request_headers', 'wasm_pause_timeout is the longest wait');
like($calls->log, qr/\[error\] .*wasm plugin "calls" paused the request, and nothing resumed it within 100 ms \(wasm_pause_timeout\)/, 'the log names it');
$nginx->wait_for('the answer that comes too late', sub { $calls->log =~ /too late/ });
is($nginx->get('/probe')->{content}, 'nil, failed to run proxy_on_http_request_headers', 'also for a filter that has made no call');
is(got("wait; call a $target GET /delay/30/status/200; \@a trap", path => '/result'), '200 nil, failed to run proxy_on_http_call_response', 'a trap in the callback of a call');
like($calls->log, qr/\[crit\] .*proxy_on_http_call_response trapped/, 'is in the log');
is(got("call a $target GET /status/200; wait; \@a set request x-came yes", path => '/lua'), '200 x-came: yes', 'the next request has another VM');

# gRPC.
SKIP: {
    skip('grpcio cannot be had (tools/install.sh grpc)', 4) unless $grpc;
    my $to = '127.0.0.1:' . $grpc->port;
    my $a = $calls->ask("grpc a $to test.Echo Unary body:hello h:x-delay=30; answer 200", path => '/lua')->{a};
    is_deeply([@$a{qw( kind status body )}], ['grpc', 0, 'hello'], 'a gRPC call');
    $came = $calls->ask("stream s $to test.Echo Bidi; send s one; \@s:message#1 send s two end; answer 200", path => '/lua');
    is_deeply([map { $_->{body} } grep { $_->{kind} eq 'message' } @{ $came->{all}{s} }], [qw( one two end )], 'a stream');
    is(got("grpc a $to test.Echo Unary body:x; wait; \@a trap", path => '/result'), '200 nil, failed to run proxy_on_grpc_receive', 'a trap in its callback');
    is(got("grpc a $to test.Echo Unary body:x; wait; \@a set request x-came grpc", path => '/lua'), '200 x-came: grpc', 'and the next request');
}

# Redis.
SKIP: {
    skip('needs redis-server', 1) unless $redis;
    my $to = '127.0.0.1:' . $redis->port;
    $response = $nginx->get('/redis', { 'x-redis' => "init $to - - 1000; call $to SET lua waits; then; call $to GET lua" });
    is($response->{content}, "init 0\n0 +OK\\r\\n\n0 \$5\\r\\nwaits\\r\\n\n", 'commands for Redis');
}

is(($nginx->workers)[0], $worker, 'all of it in one worker');
my @bad = grep {/\[(?:alert|emerg)\]|panicked at (?!calls)|exited on signal|lua entry thread aborted/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');

done_testing();
