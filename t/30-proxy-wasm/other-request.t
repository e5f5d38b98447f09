# proxy_set_effective_context: a callback of one request works on another one that waits in the same filter.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('other-request');
$nginx->configure(
    main => "
        wasm {
            module probe     $root/build/guests/rust-probe.wasm;
            module lifecycle $root/build/guests/rust-lifecycle.wasm;
        }",
    server => "
        wasm_pause_timeout 1m;
        location /t {
            proxy_wasm probe;
            proxy_wasm lifecycle;
            return 200 \"served [\$http_x_new]\\n\";
        }",
);

sub started {
    my $position = length $nginx->log;
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port, Timeout => 30) or die "connect: $!";
    # The first request of a worker has context 2.
    print $socket "GET /t HTTP/1.0\r\nx-name: the waiting one\r\nx-probe: log info waiting; pause; \@delete log info deleted\r\n\r\n";
    $nginx->wait_for('the pause', sub { substr($nginx->log, $position) =~ /wasm "probe": waiting/ });
    return $socket;
}

sub rest_of {
    my $socket = shift;
    my $answer = '';
    eval {
        local $SIG{ALRM} = sub { die "no answer\n" };
        alarm 20;
        local $/;
        $answer = <$socket> // '';
        alarm 0;
        1;
    } or return $@;
    return $answer;
}

{
    my $waiting = started();
    my $answer  = $nginx->get('/t', { 'x-name' => 'the other', 'x-probe' => 'raw set_effective_context 2; get request x-name; add request x-new added; raw set_effective_context 3; report' });
    is($answer->{content}, "raw set_effective_context 2 -> 0\nget request x-name -> 0 the waiting one\nadd request x-new added -> 0\nraw set_effective_context 3 -> 0\n",
        'headers of the waiting request are read and written');
    $answer = $nginx->get('/t', { 'x-name' => 'the other', 'x-probe' => 'raw set_effective_context 2; raw continue_stream 0' });
    is($answer->{content}, "served []\n", 'the other request goes on as usual');
    my $resumed = rest_of($waiting);
    like($resumed, qr{^HTTP/1\.1 200 .*served \[added\]\n\z}s, 'continue_stream resumes the waiting request');
    $nginx->wait_for('the end of the waiting request', sub { $nginx->log =~ /wasm "probe": deleted/ }) if $resumed =~ /served/;
    $nginx->stop;
}

{
    my $waiting = started();
    $nginx->get('/t', { 'x-probe' => 'raw set_effective_context 2; respond 418 tea' });
    like(rest_of($waiting), qr{^HTTP/1\.1 418 .*tea\z}s, 'a local response answers the waiting request');
    $nginx->stop;
}

{
    my $waiting = started();
    $nginx->get('/t', { 'x-probe' => 'raw set_effective_context 2; raw close_stream 0' });
    unlike(rest_of($waiting), qr{served|no answer}, 'close_stream ends the waiting request');
    $nginx->stop;
}

{
    my $position = length $nginx->log;
    my $waiting  = started();
    close $waiting;
    $nginx->wait_for('the end of the waiting request', sub { substr($nginx->log, $position) =~ /wasm "probe": deleted/ });
    my $answer = $nginx->get('/t', { 'x-name' => 'the other', 'x-probe' => 'raw set_effective_context 2; get request x-name; report' });
    is($answer->{content}, "raw set_effective_context 2 -> 2\nget request x-name -> 0 the other\n", 'a request that has ended is no context any more');
    $nginx->stop;
}

done_testing;
