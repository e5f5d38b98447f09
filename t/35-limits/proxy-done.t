# A filter that answers false to proxy_on_done and never calls proxy_done: its contexts do not pile up. Those that have waited
# longest end, and no request notices.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('proxy-done');
$nginx->configure(
    main   => "wasm { module probe $root/build/guests/rust-probe.wasm; }",
    server => "
        location /t { proxy_wasm probe '\@done false; \@log log info ended'; return 200 'ok'; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

use constant MOST => 1024;

my $served = 0;
my $get    = sub { $served++ if $nginx->get('/t')->{content} eq 'ok' };
$get->() for 1 .. MOST;
is $served, MOST, 'as many requests as contexts may wait';
my $ended = sub { scalar(() = $nginx->log =~ /wasm "probe": ended/g) };
is $ended->(), 0, 'none of them has ended';
unlike $nginx->log, qr/wait for proxy_done/, 'and nothing is said';

$get->() for 1 .. 10;
is $served, MOST + 10, 'ten more';
$nginx->wait_for('the ends of ten', sub { $ended->() >= 10 });
is $ended->(), 10, 'as many have ended';
my $said = () = $nginx->log =~ /\[error\] .*wasm "probe": 1024 contexts wait for proxy_done; those that have waited longest are ended/g;
is $said, 1, 'one line says so';
unlike $nginx->log, qr/\[(?:crit|alert|emerg)\]/, 'and nothing is wrong';
$nginx->stop;
done_testing;
