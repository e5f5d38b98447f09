# What Lua loads comes from the same places: memory at a reload, the compile cache at a start. Workers, which guests run in, compile
# what they load themselves, and leave the cache alone.

use strict;
use warnings;

use File::Temp ();
use NginxProcess;
use Test::More;

# What is compiled is looked at here (tools/valgrind-nginx.sh).
$ENV{VALGRIND_NO_CACHE} = 1;

plan(skip_all => 'needs the Lua module') unless $ENV{TEST_WASM_LUA};
my $root    = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $scratch = File::Temp->newdir('wasm-cache-XXXXXX', TMPDIR => 1);
my $nginx   = NginxProcess->new('supply-lua');
$nginx->configure(
    main => "wasm { cache_dir $scratch/cache; }",
    http => <<"CONF",
lua_package_path '$root/lua/?.lua;;';
init_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    local plugin = assert(wasm.load("early", "$root/build/guests/rust-headers.wasm"))
    filter = assert(wasm.on_configure(plugin, "request.add x-seen init"))
}
CONF
    server => <<"CONF",
location / {
    rewrite_by_lua_block { assert(require "resty.proxy-wasm".on_http_request_headers(filter)) }
    content_by_lua_block { ngx.say("seen: ", ngx.var.http_x_seen) }
}
location /late {
    content_by_lua_block { ngx.say(require "resty.proxy-wasm".load("late", "$root/build/guests/rust-probe.wasm") and "loaded") }
}
CONF
);

# What nginx says of a plugin while it starts is on its error output, later in the log.
sub came {
    my ($name, $text) = @_;
    my ($came) = $text =~ /\[notice\] .*wasm: plugin "$name": (compiled|taken from the compile cache|unchanged)/;
    return $came // 'nothing';
}
sub start {
    $nginx->start or die($nginx->{output});
    is($nginx->get('/')->{content}, "seen: init\n", 'the filter works');
    return came('early', $nginx->{output});
}

is(start(), 'compiled', 'the first start compiles');
my @files = glob "$scratch/cache/*.code";
is(scalar @files, 1, 'and keeps the code');
my $from = length $nginx->log;
is($nginx->get('/late')->{content}, "loaded\n", 'a worker loads something');
is(came('late', substr $nginx->log, $from), 'compiled', 'it compiles that');
is_deeply([glob "$scratch/cache/*.code"], \@files, 'and writes nothing to the folder');

my ($worker) = $nginx->workers;
$from = length $nginx->log;
$nginx->signal('HUP');
$nginx->wait_for('another worker', sub { my @workers = $nginx->workers; @workers && $workers[0] != $worker });
is(came('early', substr $nginx->log, $from), 'unchanged', 'a reload compiles nothing');
is($nginx->get('/')->{content}, "seen: init\n", 'and the filter works');

$nginx->stop;
is(start(), 'taken from the compile cache', 'nor does the next start');

done_testing();
