# The example foreign_call_on_tick of the Go SDK: the host's function `compress`, called in ticks.

use strict;
use warnings;

use Compress::Zlib ();
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('examples-go-foreign');
my $text  = 'a text to compress, a text to compress';

$nginx->configure(
    main   => "wasm { module foreign $root/build/guests/go-example-foreign_call_on_tick.wasm; }",
    server => "location / { proxy_wasm foreign '$text'; return 200 ok; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
$nginx->wait_for('three calls', sub { grep { /^call 3:/ } $nginx->said('foreign') });

my @results = map { /^call \d+: compressed to ([0-9a-f]+)$/ ? $1 : () } $nginx->said('foreign');
cmp_ok(scalar @results, '>=', 3, 'each call has a result') or diag($nginx->log);
is_deeply([grep { $_ ne $results[0] } @results], [], 'which is always the same');
is(Compress::Zlib::uncompress(pack 'H*', $results[0] // ''), $text, 'and is the text, in the format of zlib');
is($nginx->get('/')->{content}, 'ok', 'requests pass');

done_testing();
