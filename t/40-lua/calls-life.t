# What may end while a filter that Lua runs has a call under way: the client, the VM, the plugin, the worker.

use strict;
use warnings;

use HTTP::Tiny;
use IO::Socket::INET;
use Test::More;

use Calls;
use Peer;
use RawClient;

plan(skip_all => 'needs the Lua module') unless $ENV{TEST_WASM_LUA};
Peer->needs('python3');
my $root   = $ENV{TEST_WASM_ROOT};
my $peer   = Peer->fault('plain=127.0.0.1');
my $target = '127.0.0.1:' . $peer->port;
my %part   = (
    http => <<"CONF",
lua_package_path '$root/lua/?.lua;;';
init_by_lua_block {
    wasm = require "resty.proxy-wasm"
    path = "$root/build/guests/rust-calls.wasm"
    calls = assert(wasm.load("calls", path))
    filter = assert(wasm.on_configure(calls, "\@configure call start $target GET /status/203"))
    other = assert(wasm.on_configure(assert(wasm.load("other", path)), "log other"))
    alone = assert(wasm.on_configure(assert(wasm.load("alone", path)), "\@configure call start $target GET /status/203; \@start trap"))
}
proxy_wasm_restart_delay filter=alone 1h 1h after=0;
CONF
    server => <<"CONF",
location /alone { content_by_lua_block { ngx.print(wasm.on_http_request_headers(alone)) } }
location /lua {
    access_by_lua_block { wasm.on_http_request_headers(filter) }
    content_by_lua_block { ngx.print("x-came: ", ngx.var.http_x_came) }
}
location /abort {
    lua_check_client_abort on;
    access_by_lua_block { wasm.on_http_request_headers(filter) }
    content_by_lua_block { ngx.print("x-came: ", ngx.var.http_x_came) }
}
location /other { content_by_lua_block { local ok, err = wasm.on_http_request_headers(other) ngx.print(ok, ", ", err) } }
# A plugin context, and a plugin, of its own.
location /context { content_by_lua_block {
    local ctx = assert(wasm.on_configure(calls, "log own"))
    ngx.print(wasm.on_http_request_headers(ctx))
} }
location /plugin { content_by_lua_block {
    local ctx = assert(wasm.on_configure(assert(wasm.load("own", path)), "log own"))
    ngx.print(wasm.on_http_request_headers(ctx))
} }
location /tick { content_by_lua_block {
    local ctx = assert(wasm.on_configure(calls, "tick 1; \@first-tick log ticks"))
    while not package.loaded.ticked do
        ngx.sleep(0.01)
        local log = io.open(ngx.config.prefix() .. "logs/error.log")
        package.loaded.ticked = log:read("*a"):find(": ticks", 1, true)
        log:close()
    end
    ngx.print("ticked")
} }
# The thread that waits ends before its wait does.
location /killed { content_by_lua_block {
    local thread = ngx.thread.spawn(wasm.on_http_request_headers, filter)
    ngx.thread.kill(thread)
    thread = nil
    collectgarbage()
    collectgarbage()
    ngx.print("killed")
} }
location /exit { content_by_lua_block {
    ngx.thread.spawn(wasm.on_http_request_headers, filter)
    ngx.exit(204)
} }
location /gc { content_by_lua_block { collectgarbage() collectgarbage() ngx.print("collected") } }
CONF
);
my $calls = Calls->new('lua-calls-life', %part);
my $nginx = $calls->{nginx};
my ($worker) = $nginx->workers;

my $held = 0;
sub requests { return $peer->stats('plain')->{requests} // 0 }

# A request whose call has arrived, and is answered when release() says so.
sub hold {
    my ($path, $rest) = @_;
    $held++;
    my $before = requests();
    my $client = RawClient->new($nginx->port);
    my $words  = "call a $target GET /together/2/body/$held; " . ($rest // 'answer 200');
    $client->send("GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-calls: $words\r\n\r\n");
    $nginx->wait_for('the call', sub { requests() > $before });
    return $client;
}
sub release { return HTTP::Tiny->new->get("http://$target/together/2/body/$held") }
sub collect { return is($nginx->get('/gc')->{content}, 'collected', 'Lua collects its garbage') }
sub serves {
    my $when = shift;
    is($calls->ask("call a $target GET /delay/20/status/201; answer 200", path => '/lua')->{a}{status}, 201, "$when: others are served");
    is(($nginx->workers)[0], $worker, 'by the same worker');
    return;
}

# Calls in init_by_lua*, and of the worker that does the same.
$calls->{from} = 0;
serves('after calls in init_by_lua');
my $master = $nginx->pid;
$nginx->wait_for('the answer', sub { $nginx->log =~ /start response: .* 203/ });
is((() = $nginx->log =~ /start response: /g), 1, 'the call of on_configure is made in the worker alone');
like($nginx->{output}, qr/wasm plugin "calls" calls other services in init_by_lua\*, where calls are not made/, 'nginx tells of the other');

# The client leaves.
my $client = hold('/abort');
$client->close;
$nginx->wait_for('the end of the request', sub { $nginx->read('logs/access.log') =~ m{"GET /abort HTTP/1\.1" 499} });
collect();
release();
serves('the client has left, and lua_check_client_abort is on');
$client = hold('/lua');
$client->close;
release();
$nginx->wait_for('the end of the request', sub { (() = $nginx->read('logs/access.log') =~ m{"GET /lua HTTP/1\.1"}g) == 3 });
serves('the client has left, and Lua does not look');

# The coroutine, or the request, ends.
for my $path (qw( /killed /exit )) {
    $client = hold($path);
    like($client->response->{status}, qr/^20[04]$/, "$path: the request ends before the wait of its thread does");
    collect();
    release();
    serves($path);
}

# Whatever Lua refers to no more.
$client = hold('/context');
collect();
release();
my $report = $calls->read(JSON::PP::decode_json($client->response->{body}));
is($report->{a}{status}, 200, 'a plugin context stays while a request waits for it');
$client = hold('/plugin');
collect();
release();
$report = $calls->read(JSON::PP::decode_json($client->response->{body}));
is($report->{a}{status}, 200, 'so does a plugin');
my $from = length $nginx->log;
for my $path (qw( /context /plugin )) {
    # The call is under way still when nobody refers to what made it.
    $client = hold($path, 'log nobody waits');
    is($client->response->{body}, 'true', "$path: a request that does not wait for its call");
    collect();
    release();
}
$nginx->wait_for('the plugins to go', sub { (() = $nginx->log =~ /unloaded wasm plugin "own"/g) >= 2 });
serves('contexts and plugins have gone with calls under way');
is((() = substr($nginx->log, $from) =~ /free plugin context \d/g) >= 2, 1, 'they were freed');

is($nginx->get('/tick')->{content}, 'ticked', 'a plugin context with a timer');
$from = length $nginx->log;
collect();
$nginx->wait_for('the context to go', sub { substr($nginx->log, $from) =~ /free plugin context \d/ });
serves('it has gone');
unlike(substr($nginx->log, $from), qr/proxy_on_tick/, 'and its timer with it');

# The VM traps, in the request of somebody else.
$client = hold('/other', 'wait');
is($nginx->get('/other', { 'x-calls' => 'trap' })->{content}, 'nil, failed to run proxy_on_http_request_headers', 'a request makes the filter trap');
is($client->response->{body} =~ /nil, failed to run proxy_on_http_request_headers/, 1, 'one that waits for the same VM fails');
like($nginx->log, qr/\[crit\] .*wasm plugin "other" was replaced during the request/, 'and the log says why');
release();
$client = hold('/other', 'wait');
$report = $nginx->get('/other', { 'x-calls' => "call b $target GET /status/200; \@b trap; wait" })->{content};
is($report, 'nil, failed to run proxy_on_http_call_response', 'a trap in the callback of a call');
is($client->response->{body} =~ /nil, failed to run proxy_on_http_call_response/, 1, 'is one for all who wait for the VM');
release();
is($calls->ask("call a $target GET /status/204; answer 200", path => '/other')->{a}{status}, 204, 'the next VM calls');
serves('a VM has trapped');

# A call that no request has asked for.
is($nginx->get('/alone')->{content}, 'true', 'a filter that calls when it starts');
$nginx->wait_for('the trap', sub { $nginx->log =~ /"alone": failed to call function: proxy_on_http_call_response trapped/ });
like(
    $nginx->log,
    qr/"alone": failed.*proxy_wasm_on_error: the next call gets a new VM, whose timers, queues and calls of its own wait for \d/,
    'and traps when the answer comes'
);
is($nginx->get('/alone')->{content}, 'true', 'requests have a new VM at once') for 1, 2;
is((() = $nginx->log =~ /"alone": failed to call function/g), 1, 'which does not call yet');

# A reload, and the end.
$client = hold('/lua');
$nginx->signal('HUP');
$nginx->wait_for('a new worker', sub { my @new = $nginx->workers; @new == 1 && $new[0] != $worker });
my $old = $worker;
($worker) = $nginx->workers;
serves('after a reload');
ok(kill(0, $old), 'the old worker waits');
release();
$report = $calls->read(JSON::PP::decode_json($client->response->{body} // '{}'));
is($report->{a}{status}, 200, 'until its call has come, and answers');
$nginx->wait_for('its end', sub { !kill 0, $old });
$client = hold('/lua');
$nginx->signal('QUIT');
$nginx->wait_for('the signal', sub { !IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) });
release();
$report = $calls->read(JSON::PP::decode_json($client->response->{body} // '{}'));
is($report->{a}{status}, 200, 'a worker that is told to go answers before');
$nginx->wait_for('the end', sub { !kill 0, $master });

my @bad = grep {/\[(?:alert|emerg)\]|panicked at (?!calls)|exited on signal|left in connection|semaphore/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');

done_testing();
