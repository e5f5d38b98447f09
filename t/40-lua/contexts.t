# Two configurations of one plugin in one request, which share a VM: what one of them decides, and the body that it sees, are its
# own.

use strict;
use warnings;

use Test::More;

use Calls;
use Peer;

plan(skip_all => 'needs the Lua module') unless $ENV{TEST_WASM_LUA};
Peer->needs('python3');
my $root   = $ENV{TEST_WASM_ROOT};
my $peer   = Peer->fault('plain=127.0.0.1');
my $target = '127.0.0.1:' . $peer->port;

my $calls = Calls->new(
    'lua-contexts',
    http => <<"CONF",
lua_package_path '$root/lua/?.lua;;';
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local calls = assert(wasm.load("calls", "$root/build/guests/rust-calls.wasm"))
    one = assert(wasm.on_configure(calls, "log started"))
    two = assert(wasm.on_configure(calls, "log started"))
    local bodies = assert(wasm.load("bodies", "$root/build/guests/rust-bodies.wasm"))
    waits = assert(wasm.on_configure(bodies, "tick 20; request-end hold; request-end at-tick append it; request-end at-tick resume"))
    guard = assert(wasm.on_configure(bodies, "request-end respond-if evil 403 no"))
    headers, body = wasm.on_http_request_headers, wasm.on_http_request_body
    function run(ctx, script)
        ngx.req.set_header("x-calls", script)
        assert(headers(ctx))
    end
    function see(ctx)
        local ok, now = body(ctx, ngx.req.get_body_data())
        return ok and (now or "as it was") or "error: " .. now
    end
}
CONF
    server => <<"CONF",
location /after {
    access_by_lua_block {
        run(one, "call a $target GET /status/200; \@a resume; call b $target GET /delay/60/status/200; wait")
        run(two, "call c $target GET /delay/300/status/200; answer 403")
    }
    content_by_lua_block { ngx.print("let through") }
}
location /together {
    access_by_lua_block {
        local first = ngx.thread.spawn(run, one, "call a $target GET /status/200; wait")
        run(two, "call c $target GET /delay/300/status/200; answer 403")
    }
    content_by_lua_block { ngx.print("let through") }
}
location /bodies {
    access_by_lua_block {
        ngx.req.read_body()
        local first = ngx.thread.spawn(body, waits, "a good one")
        see(guard)
        local _, ok, now = ngx.thread.wait(first)
        ngx.ctx.first = now
    }
    content_by_lua_block { ngx.print("let through, and ", ngx.ctx.first) }
}
location /given-up {
    wasm_pause_timeout 300ms;
    access_by_lua_block {
        local wait = ngx.thread.spawn(run, one, "call a $target GET /delay/60/status/200")
        ngx.thread.kill(wait)
        ngx.req.set_header("x-calls", "wait-tick")
        local ok, err = headers(one)
        if not ok then
            ngx.print(err)
            return ngx.exit(200)
        end
    }
    content_by_lua_block { ngx.print("let through") }
}
CONF
);
my $nginx = $calls->{nginx};
sub status { return $nginx->get($_[0])->{status} }

is(status('/after'),    403, 'a filter that waits does not go on when another one of its plugin is called back');
is(status('/together'), 403, 'nor when both wait');
my $response = $nginx->request('POST', '/bodies', {}, 'as good');
is("$response->{status} $response->{content}", '200 let through, and a good oneit', 'a body that waits is its own filter\'s');
$response = $nginx->request('POST', '/bodies', {}, 'evil');
is("$response->{status} $response->{content}", '403 no', 'and another one of its plugin sees its own');

is($nginx->get('/given-up')->{content}, 'failed to run proxy_on_http_request_headers', 'what a wait was for is over when Lua gives it up');
like($nginx->log, qr/"calls" paused the request, and nothing resumed it within 300 ms/, 'and a pause after it is one');

my @bad = grep {/\[(?:alert|emerg)\]|panicked at|exited on signal/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');
done_testing();
