# wasm_snapshot, and instances that are put back to what they were when they started, or behind a function of the module. Programs
# cannot tell them from new ones, but for what that function has done.

use strict;
use warnings;

use LoadClient;
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('program-snapshot', connections => 600);
my $dir   = $nginx->prefix;
$nginx->write('small.txt', "small\n");
$nginx->configure(
    main => "wasm {
        module program $root/build/guests/rust-program.wasm;
        module go      $root/build/guests/go-cgi.wasm;
        module c       $root/build/guests/c-program.wasm;
    }",
    http   => 'wasm_threads 2 queue=600;',
    server => "
        wasm_timeout 10s;
        location /off/      { wasm_cgi program; wasm_snapshot off; }
        location /on/       { wasm_cgi program; wasm_snapshot on; wasm_arg hello; wasm_env WHERE on; wasm_dir $dir:/data; wasm_request_buffering off; }
        location /prepared/ { wasm_cgi program; wasm_snapshot prepare; wasm_env WHERE prepared; }
        location /default/  { wasm_cgi program; }
        location /small/    { wasm_cgi program; wasm_snapshot on; wasm_memory_limit 16m; }
        location /brief/    { wasm_cgi program; wasm_snapshot on; wasm_timeout 100ms; }
        location /go/       { wasm_cgi go; wasm_snapshot on; }
        location /c/        { wasm_cgi c; wasm_snapshot on; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

sub get { return $nginx->get($_[0])->{content} }

# The state that a program begins with.
is(get("/$_/counter"), "count 1, initialized 0 times, 0 left\n", "$_: each request has a new program") for (qw( off default )) x 3;
is(get('/on/counter'), "count 101, initialized 1 times, 0 left\n", 'on: each begins behind wizer-initialize') for 1 .. 10;
is(get('/prepared/counter'), "count 201, initialized 1 times, 0 left\n", 'each begins behind the function that is named') for 1 .. 10;

# What is of a request is of that request.
is($nginx->get("/on/env?name=WHERE&name=HTTP_X_N", { 'X-N' => $_ })->{content}, "WHERE=on\nHTTP_X_N=$_\n", 'the environment is that of the request') for 1 .. 3;
is(get('/prepared/env?name=WHERE&name=HTTP_X_N'), "WHERE=prepared\nHTTP_X_N is not set\n", 'and of the location');
is(get('/on/args'), "0: program\n1: hello\n", 'the arguments too');
is(get('/on/files?read=/data/small.txt'), "read: small\n", 'files are opened') for 1 .. 3;
is($nginx->request('POST', '/on/count', {}, 'x' x $_)->{content} =~ s/,.*//sr, "$_ bytes", "a body of $_ bytes") for 5, 100_000, 0, 5;
is(length get('/on/large?n=300000'), 300_000, 'a large answer') for 1 .. 3;

# Randomness and time are not those of the snapshot.
{
    my %random = map { (get('/on/random') =~ /^([0-9a-f]{16})\n\z/ ? $1 : fail('random numbers')) => 1 } 1 .. 10;
    is(scalar keys %random, 10, 'random numbers are new ones in each request');
    my @times = map { get('/on/time') } 1 .. 3;
    like($_, qr/^\d+\.\d{9} true\n\z/, 'the clocks go on') for @times;
    cmp_ok($times[-1] =~ s/ .*//sr, '>=', $times[0] =~ s/ .*//sr, 'and do not go back');
    cmp_ok(abs(time - ($times[-1] =~ /^(\d+)/ ? $1 : 0)), '<', 100, 'it is now');
}

# Programs that end in other ways leave nothing behind.
my %ends = (
    trap => 502, panic => 502, 'exit?code=3' => 502, recurse => 502, close => 502, 'broken-header' => 502, 'exit-late?code=1' => undef, 'trap-late' => undef,
    stderr => 200, 'big-header?n=1000' => 200, 'never-read' => 200,
);
for my $path (sort keys %ends) {
    my $status = $nginx->get("/on/$path")->{status};
    # Behind the headers the client sees that the answer is cut.
    is($status, $ends{$path}, "$path: ends as it does without a snapshot") if defined $ends{$path};
    is(get('/on/counter'), "count 101, initialized 1 times, 0 left\n", "$path: the next program begins as each");
}
is($nginx->get('/brief/loop')->{status}, 504, 'a program that never ends');
is(get('/brief/counter'), "count 101, initialized 1 times, 0 left\n", 'the next begins as each');
for my $time (1 .. 3) {
    like(get('/small/grow'), qr/^no more memory after 1[0-5] MiB\n/, 'a program that takes all memory');
    is(get('/small/counter'), "count 101, initialized 1 times, 0 left\n", 'the next begins as each');
}

# Programs without such a function: they begin as they would.
is($nginx->request('POST', '/c/a', {}, 'body')->{content}, "POST /a, length 4\nbody", 'C') for 1 .. 3;
is(get("/go/query?n=$_"), qq("n=$_" ""\n), 'Go') for 1 .. 3;
is($nginx->get('/go/panic')->{status}, 502, 'Go: a panic');
is(get('/go/query?n=1'), qq("n=1" ""\n), 'Go: and on');

# Many at once.
{
    my (%wrong, $answered);
    LoadClient::run($nginx->port, 200,
        within  => 120,
        request => sub { $_[0] < 2000 ? sprintf("GET /%s/counter HTTP/1.0\r\n\r\n", $_[0] % 3 ? 'on' : 'prepared') : undef },
        answer  => sub {
            my ($number, $bytes) = @_;
            $answered++;
            my $count = $number % 3 ? 101 : 201;
            $wrong{$bytes}++ unless $bytes =~ m{^HTTP/1\.1 200 .*\r\n\r\ncount $count, initialized 1 times, 0 left\n\z}s;
        },
    );
    is($answered, 2000, 'many at once are all answered');
    is_deeply(\%wrong, {}, 'each by a program that begins as each');
}
is_deeply([$nginx->workers], [$worker], 'the worker is the same');
$nginx->stop;
is_deeply([grep {/\[(?:crit|alert|emerg)\]|bug in the module/} split /\n/, $nginx->log], [], 'nothing bad is in the error log');

# Functions behind which no snapshot can be taken.
my %mistake = (
    'fail-to-prepare' => qr/trap|unreachable/,
    'draw-seed'       => qr/random/,
    'no-such'         => qr/"no-such"/,
);
my $mistaken = NginxProcess->new('program-snapshot-mistakes');
{
    $mistaken->configure(
        main   => "wasm { module program $root/build/guests/rust-program.wasm; }",
        server => 'location /p/ { wasm_cgi program; wasm_snapshot draw-seed random; }',
    );
    my ($ok, $output) = $mistaken->test;
    ok($ok, 'random numbers, where that is allowed') or diag $output;
}
for my $function (sort keys %mistake) {
    $mistaken->configure(
        main   => "wasm { module program $root/build/guests/rust-program.wasm; }",
        server => "location /p/ { wasm_cgi program; wasm_snapshot $function; }",
    );
    my ($ok, $output) = $mistaken->test;
    ok(!$ok, "$function: nginx does not start");
    like($output, qr/\[emerg\] .*"program".*$mistake{$function}/, "$function: it says why");
}

done_testing;
