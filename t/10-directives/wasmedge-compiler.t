# wasm_vm wasmedge: the process that compiles ends with the one that wanted it, also when that is killed.

use strict;
use warnings;

use NginxProcess;
use Test::More;

plan skip_all => 'needs wasmedge' unless `/sbin/ldconfig -p` =~ m{libwasmedge\.so\.0};

my $nginx = NginxProcess->new('wasmedge-compiler');
$nginx->configure(
    # It takes LLVM a minute or more.
    main   => "wasm { module m $ENV{TEST_WASM_ROOT}/build/guests/go-headers.wasm; }",
    http   => 'wasm_vm wasmedge;',
    server => 'location / { proxy_wasm m; return 200 "ok\n"; }',
);

my $command = $nginx->command('-t');
my $parent  = fork // die "cannot fork: $!\n";
if ($parent == 0) {
    open STDERR, '>', '/dev/null';
    exec split ' ', $command;
    exit 1;
}

# The engine compiles something small for itself first.
my $compiler;
$nginx->wait_for('the compiler', sub {
    ($compiler) = map {/(\d+) +(\d+)/ && $2 > 1 ? $1 : ()} qx(ps -o pid=,etimes= --ppid $parent);
    return $compiler;
});
kill 'KILL', $parent;
waitpid $parent, 0;
$nginx->wait_for('the end of the compiler', sub { qx(ps -o stat= -p $compiler) =~ /^(?:Z.*)?$/ });
pass('it ends with it');

done_testing;
