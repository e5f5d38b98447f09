# A worker whose user may start no thread: a timer of the kernel is the clock of deadlines then, with one line of the log that says so.
# And a process whose stack is too small for guests: nginx does not start.

use strict;
use warnings;

use Engine;
use NginxProcess;
use Test::More;

$ENV{VALGRIND_NO_CACHE} = 1;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $main = "wasm { module faulty $root/build/guests/rust-faulty.wasm; }";

# Lua asks for a clock before each callback.
my $has_lua  = ($ENV{TEST_NGINX_LOAD_MODULES} // '') =~ /http_lua/;
my $lua      = <<"CONF";
lua_package_path '$root/lua/?.lua;;';
init_worker_by_lua_block {
    local wasm = require "resty.proxy-wasm"
    filter = assert(wasm.on_configure(assert(wasm.load("lua", "$root/build/guests/rust-faulty.wasm")), "name lua"))
}
CONF
my $location = <<'CONF';
location /lua {
    access_by_lua_block {
        if not require "resty.proxy-wasm".on_http_request_headers(filter) then ngx.exit(503) end
    }
    content_by_lua_block { ngx.say("ok") }
}
CONF

SKIP: {
    skip 'needs root, who starts workers of another user', 1 if $> != 0;
    # It counts for users who have no rights beyond their own: root still makes the worker.
    my $binary = "prlimit --nproc=1 $ENV{TEST_NGINX_BINARY}";
    my $group  = getgrgid((getpwnam 'nobody')[3]);
    my $nginx  = NginxProcess->new('no-thread', binary => $binary, user => "nobody $group");
    $nginx->configure(
        main   => $main,
        http   => 'wasm_timeout 50ms;' . ($has_lua ? $lua : ''),
        server => <<'CONF'
location /worker { proxy_wasm faulty 'name worker'; return 200 ok; }
location /own    { proxy_wasm_isolation request; proxy_wasm faulty 'name own'; return 200 ok; }
location /fuel   { wasm_fuel 10000000; proxy_wasm faulty 'name fuel'; return 200 ok; }
CONF
            . ($has_lua ? $location : ''),
    );
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my $works = Engine::can_do('no thread');
    for my $round (1, 2) {
        for my $path (qw( /worker /own /fuel ), $has_lua ? '/lua' : ()) {
            is($nginx->get($path, { 'x-faulty' => 'loop' })->{status}, 503, "$path: a loop ends");
            is($nginx->get($path)->{status}, $works ? 200 : 503, "$path: and the next request has its answer");
        }
    }
    like($nginx->log, qr/does not start .*: no thread can be started, which WasmEdge wants .*LimitNPROC=/, 'an engine that needs threads says so') if !$works;
    my @told = $nginx->log =~ /\[warn\] .*wasm: no thread for the clock of deadlines: (.*)/g;
    is(scalar @told, 1, 'one line says what is missing');
    like($told[0], qr/^Resource temporarily unavailable .*; a timer of the kernel interrupts this worker every 10 ms instead .*LimitNPROC=/, 'and why, and what allows it');
    my ($before) = $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('a new worker', sub { !kill(0, $before) && $nginx->workers == 1 });
    is($nginx->get('/worker', { 'x-faulty' => 'loop' })->{status}, 503, 'behind a reload, too, a loop ends');
    $nginx->stop;
    unlike($nginx->log, qr/exited on signal/, 'no worker is lost');
}

{
    my $nginx = NginxProcess->new('small-stack', binary => "prlimit --stack=524288 $ENV{TEST_NGINX_BINARY}");
    $nginx->configure(main => $main, server => 'location / { proxy_wasm faulty; return 200 ok; }');
    my ($ok, $output) = $nginx->test;
    ok(!$ok, 'a stack of 512 KiB is refused');
    like($output, qr/\[emerg\] .*wasm_vm \w+: the stack of this process is limited to 512 KiB, .*: allow 1024 KiB or more \(LimitSTACK=.*\) in \S+nginx\.conf:\d+$/m,
        'with what to allow');

    $nginx = NginxProcess->new('large-stack', binary => "prlimit --stack=1048576 $ENV{TEST_NGINX_BINARY}");
    $nginx->write('recurses.wat', <<'WAT');
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  ;; A sum would become a loop in some compilers.
  (func $recurse (param i32) (result i32) (i32.sub (local.get 0) (call $recurse (i32.add (local.get 0) (i32.const 1)))))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $recurse (local.get 0))))
WAT
    $nginx->configure(
        main   => 'wasm { module recurses recurses.wat; }',
        server => 'location /recurse { proxy_wasm recurses; return 200 ok; } location / { return 200 ok; }',
    );
    $nginx->start or die("nginx does not start: $nginx->{output}");
    is($nginx->get('/recurse')->{status}, 503, 'with 1 MiB, recursion without end is a trap') for 1, 2;
    is($nginx->get('/')->{status}, 200, 'and the worker goes on');
    like($nginx->log, qr/call stack exhausted/, 'of which the log tells');
    unlike($nginx->log, qr/exited on signal/, 'as the same process');
}

done_testing();
