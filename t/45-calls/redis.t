# Commands for Redis servers, by the functions of Higress.

use strict;
use warnings;

use Test::More;

use NginxProcess;
use Peer;

Peer->needs('python3');
my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('calls-redis');
for my $folder (qw( open closed )) {
    mkdir $nginx->prefix . "/$folder";
}
my $redis = Peer->redis(dir => $nginx->prefix . '/open') or plan(skip_all => 'needs redis-server');
my $closed = Peer->redis(dir => $nginx->prefix . '/closed', password => 'secret');
my $peer   = Peer->fault('plain=127.0.0.1', 'closed=127.0.0.1,closed', 'silent=127.0.0.1,silent', 'reset=127.0.0.1,reset');
my ($to, $locked) = map { '127.0.0.1:' . $_->port } $redis, $closed;
my $socket = 'unix:' . $nginx->prefix . '/open/redis.sock';
my $port   = $redis->port;

$nginx->configure(
    main   => "wasm { module redis $root/build/guests/rust-redis.wasm; }",
    http   => <<"CONF",
large_client_header_buffers 4 32k;
upstream block { server $to; }
upstream "outbound|6379||redis.static" { server $to; }
upstream other.static { server $to; }
CONF
    server => <<'CONF',
location /    { proxy_wasm redis; return 500; }
location /few { wasm_max_calls 2; proxy_wasm redis; return 500; }
location /tls { wasm_call_ssl on; proxy_wasm redis; return 500; }
location /small { wasm_call_response_buffer 1k; proxy_wasm redis; return 500; }
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub ask {
    my ($commands, $path) = @_;
    my $response = $nginx->get($path // '/', { 'x-redis' => $commands });
    chomp(my @lines = split /^/, $response->{content});
    return $response->{status} == 200 ? \@lines : ["HTTP $response->{status}"];
}

# A failure: its callback has a status that is not 0.
sub fails {
    my ($commands, $cause, $name, $path) = @_;
    my $from  = length $nginx->log;
    my $lines = ask($commands, $path);
    like($lines->[-1], qr/^[1-9]\d* /, "$name: the callback has a status") or diag("@$lines");
    my @causes = substr($nginx->log, $from) =~ /\[error\] .*wasm filter "redis": call \d+ to "[^"]*" failed: (.*)/g;
    is(scalar @causes, 1, "$name: one line in the log");
    like($causes[0] // '', $cause, "$name: it says why");
}

is_deeply(ask("init $to - - 1000; call $to PING"), ['init 0', '0 +PONG\r\n'], 'a command and its reply');
is_deeply(ask("call $to PING"), ['0 +PONG\r\n'], 'init is for all requests');
is_deeply(ask("init block - - 1000; call block PING", '/tls'), ['init 0', '0 +PONG\r\n'], 'wasm_call_ssl is not for Redis');
is_deeply(ask("call $to SET key some%20value; call $to GET key; call $to STRLEN key; call $to GET none"),
    ['0 +OK\r\n', '0 $10\r\nsome value\r\n', '0 :10\r\n', '0 $-1\r\n'], 'commands keep their order');
is_deeply(ask("call $to SET bytes %00%ff%0d%0a; call $to GET bytes"), ['0 +OK\r\n', '0 $4\r\n\x00\xff\r\n\r\n'], 'bytes are bytes');
like(ask("call $to NONE")->[0], qr/^0 -ERR unknown command/, 'an error of Redis is a reply');
is_deeply(ask("call $to DEL list; call $to RPUSH list a bb ccc; call $to LRANGE list 0 -1"),
    ['0 :0\r\n', '0 :3\r\n', '0 *3\r\n$1\r\na\r\n$2\r\nbb\r\n$3\r\nccc\r\n'], 'a list');
is_deeply(ask("call $to EVAL return%20{1,{2,{3,'x'}},'y'} 0"), ['0 *3\r\n:1\r\n*2\r\n:2\r\n*2\r\n:3\r\n$1\r\nx\r\n$1\r\ny\r\n'], 'lists in lists');
is_deeply(ask("raw $to *1%0d%0a\$4%0d%0aPING%0d%0a"), ['0 +PONG\r\n'], 'a command as it goes over the wire');
is_deeply([map { @{ ask("raw $to $_") } } 'PING%0d%0a', '*1%0d%0a', '*2%0d%0a$4%0d%0aPING%0d%0a$1%0d%0a', '*1%0d%0a$4%0d%0aPING%0d%0a' x 2],
    [('refused 2') x 4], 'one command and no more, in the form with lengths');
is(length ask("call $to SETRANGE large 99999 x; call $to GET large")->[1], 4 * 99_999 + length('0 $100000\r\n') + length('x\r\n'), 'a large reply');
is_deeply(ask(join ';', map {"call $to INCR count"} 1 .. 50), [map {"0 :$_\\r\\n"} 1 .. 50], 'fifty at once');
is_deeply(ask("call $to GET count; then; call $to SET count 7; then; call $to GET count"), ['0 $2\r\n50\r\n', '0 +OK\r\n', '0 $1\r\n7\r\n'], 'one after the other');

# Targets.
is_deeply(ask("init $_ - - 1000; call $_ GET count"), ['init 0', '0 $1\r\n7\r\n'], "'$_'")
    for 'block', $socket, "localhost:$port", 'outbound|6379||redis.static', 'outbound|6379||other.static', "outbound|$port||127.0.0.1";
is(ask('init no_such_upstream - - 1000')->[0], 'init 2', 'an unknown target is BadArgument');
is(ask('call never.asked:1 PING')->[0], 'refused 2', 'so is one without init');

# User, password, database.
like(ask("init $locked - - 1000; call $locked GET a")->[1], qr/NOAUTH/, 'without a password the server refuses');
is(ask("init $locked - secret 1000; call $locked PING")->[1], '0 +PONG\r\n', 'with the password it answers');
is(ask("init $locked default secret 1000; call $locked PING")->[1], '0 +PONG\r\n', 'with a user too');
fails("init $locked - wrong 1000; call $locked PING", qr/WRONGPASS|password|auth/i, 'a wrong password');
is_deeply(ask("init $to?db=3 - - 1000; call $to?db=3 SET in three; then; call $to GET in"), ['init 0', '0 +OK\r\n', '0 $5\r\nthree\r\n'],
    'a database of its own, for all calls of that service');
like($redis->redis_command('INFO', 'keyspace'), qr/^db3:keys=1\b/m, 'which is that one');
is(ask("init $to - - 1000; call $to GET in")->[1], '0 $-1\r\n', 'until it is set up anew');

# Failures.
my $gone = '127.0.0.1:' . $peer->port('closed');
fails("init $gone - - 1000; call $gone PING", qr/refused/i, 'nobody listens');
$gone = '127.0.0.1:' . $peer->port('reset');
fails("init $gone - - 1000; call $gone PING", qr/reset|closed/i, 'a reset');
$gone = '127.0.0.1:' . $peer->port('silent');
fails("init $gone - - 200; call $gone PING", qr/200 ms/, 'no reply');
$gone = '127.0.0.1:' . $peer->port;
fails("init $gone - - 1000; call $gone PING", qr/./, 'not Redis');
fails("call $to GET large", qr/wasm_call_response_buffer/, 'a reply that is too large', '/small') if ask("init $to - - 1000", '/small');
my $lines = ask("init $to - - 1000; call $to PING; call $to PING; call $to PING", '/few');
is_deeply([sort @$lines], ['0 +PONG\r\n', '0 +PONG\r\n', 'init 0', 'refused 10'], 'wasm_max_calls');
is_deeply(ask("call $to BLPOP nothing 0.2; call $to PING"), ['0 *-1\r\n', '0 +PONG\r\n'], 'a command that blocks');

# A server that restarts: connections that were kept have ended.
$redis->redis_command('CLIENT', 'KILL', 'TYPE', 'normal');
is_deeply(ask("call $to PING"), ['0 +PONG\r\n'], 'after the server has closed our connections');
my ($clients) = $redis->redis_command('INFO', 'clients') =~ /connected_clients:(\d+)/;
cmp_ok($clients, '<', 10, 'connections are kept, and not many');

my @bad = grep {/\[(?:alert|emerg|crit)\]|panicked|exited on signal/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');
done_testing();
