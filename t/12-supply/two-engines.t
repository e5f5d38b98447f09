# Machine code and bytecode of the same module in one folder (cache_dir): neither is ever taken for the other. And an nginx has one engine
# until it is restarted.

use strict;
use warnings;

use File::Temp ();
use NginxProcess;
use Test::More;

$ENV{VALGRIND_NO_CACHE} = 1;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
# Not in the checkout, whose folders may belong to anybody.
my $scratch = File::Temp->newdir('wasm-cache-XXXXXX', TMPDIR => 1);
my $nginx   = NginxProcess->new('two-engines');

sub configure {
    my $engine = shift;
    $nginx->configure(
        main   => "wasm { module filter $root/build/guests/rust-headers.wasm; cache_dir $scratch/cache; }",
        http   => "wasm_vm $engine;",
        server => 'location / { proxy_wasm filter "response.add x-filter 1"; return 200 ok; } location /status { wasm_status; }',
    );
}

for (['wasmtime', 'compiled'], ['pulley', 'compiled'], ['wasmtime', 'taken from the compile cache'], ['pulley', 'taken from the compile cache']) {
    my ($engine, $from) = @$_;
    configure($engine);
    my $begin = length $nginx->log;
    $nginx->start or die($nginx->{output});
    like(substr($nginx->log, $begin), qr/module "filter" \(\S+\): $from/, "$engine: $from");
    is($nginx->get('/')->{headers}{'x-filter'}, 1, "$engine: the filter works");
    like($nginx->get('/status')->{content}, qr/"engine": ?"$engine"/, "$engine: the status says what it is");
    $nginx->stop;
}
is(scalar(my @files = glob "$scratch/cache/*.code"), 2, 'a file for each');

configure('wasmtime');
$nginx->start or die($nginx->{output});
configure('pulley');
$nginx->signal('HUP');
$nginx->wait_for('the refusal', sub {
    $nginx->log =~ /\[emerg\] .*this nginx runs with the engine "wasmtime": stop and start it to have "pulley" \(wasm_vm\), a reload is not enough/;
});
is($nginx->get('/')->{headers}{'x-filter'}, 1, 'a reload that changes the engine is refused, and nginx goes on');
$nginx->stop;

done_testing();
