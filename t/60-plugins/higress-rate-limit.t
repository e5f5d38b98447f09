# A published plugin as it is: Higress' limit of requests for each value of a header, counted in Redis, for all workers.

use strict;
use warnings;

use HTTP::Tiny;
use NginxProcess;
use Peer;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('higress-rate-limit', workers => 2);
my $redis = Peer->redis(dir => $nginx->prefix, password => 'secret') or plan(skip_all => 'needs redis-server');
my $port  = $nginx->port + 1;

sub rules {
    my ($name, $redis_conf) = @_;
    return qq({"rule_name": "$name", "enable_on_path_prefix": ["/"], "redis": $redis_conf, "rejected_code": 429,)
        . ' "rejected_msg": "slow down", "limit_combinations": [{"name": "key", "query_limits": {"per_hour": 5},'
        . ' "match": [{"source": "header", "name": "x-key", "value": "*"}]}]}';
}
my $static = rules('static', '{"service_name": "redis.static", "service_port": 6379, "password": "secret", "timeout": 2000}');
my $direct = rules('direct', qq({"service_name": "127.0.0.1", "service_port": @{[ $redis->port ]}, "password": "secret", "timeout": 2000}));
my $gone   = rules('gone', '{"service_name": "gone.static", "service_port": 6379, "timeout": 500}');
$nginx->configure(
    main => "wasm { module limit $root/build/guests/higress-rate-limit.wasm; }",
    # The names of clusters as Higress writes them. With reuseport, connections go to the workers at random.
    http => <<"CONF",
upstream "outbound|6379||redis.static" { server 127.0.0.1:@{[ $redis->port ]}; }
upstream gone.static { server unix:@{[ $nginx->prefix ]}/none.sock; }
server {
listen 127.0.0.1:$port reuseport;
location /static { proxy_wasm limit '$static'; return 200 "ok\\n"; }
location /direct { proxy_wasm limit '$direct'; return 200 "ok\\n"; }
location /gone   { proxy_wasm limit '$gone'; return 200 "ok\\n"; }
}
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub statuses {
    my ($path, $key, $count) = @_;
    return [map { HTTP::Tiny->new->post("http://127.0.0.1:$port$path", {
        headers => { 'x-key' => $key, 'content-type' => 'application/json' }, content => '{"model": "m"}'
    })->{status} } 1 .. $count];
}

is_deeply(statuses('/static', 'one', 8), [(200) x 5, (429) x 3], 'five requests pass, and then no more');
is_deeply(statuses('/static', 'two', 6), [(200) x 5, 429], 'for each value of the header');
my $refused = HTTP::Tiny->new->get("http://127.0.0.1:$port/static", { headers => { 'x-key' => 'one' } });
like($refused->{content}, qr/slow down/, 'with the configured text');
my %busy;
for (my $number = 1; keys %busy < 2 && $number < 500; $number++) {
    is_deeply(statuses('/static', "key$number", 1), [200], 'another value passes');
    %busy = map { $_ => 1 } $nginx->log =~ /\[info\] (\d+)#\d+: \*\d+ client/g;
}
is_deeply(statuses('/static', 'one', 20), [(429) x 20], 'both workers count as one');
is_deeply(statuses('/direct', 'one', 6), [(200) x 5, 429], 'a cluster whose name has host and port');
my @keys = grep {/x-key=one/} split /\r\n/, $redis->redis_command('KEYS', '*');
is(scalar @keys, 2, 'the counts are in Redis') or diag($redis->redis_command('KEYS', '*'));
is_deeply(statuses('/gone', 'one', 7), [(200) x 7], 'without Redis it lets requests pass');
like($nginx->log, qr/\[error\] .*wasm filter "limit": call \d+ to "outbound\|6379\|\|gone\.static" failed: /, 'and the log says why');
# The plugin itself says in a message of level critical that it cannot reach Redis.
my @bad = grep {/\[(?:alert|emerg)\]|panicked|exited on signal/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');

done_testing();
