# Threads that programs run on: as many as wasm_threads says, others wait for one, and beyond the queue the answer is 503.

use strict;
use warnings;

use LoadClient;
use NginxProcess;
use RawClient;
use Test::More;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $main = "wasm { module program $root/build/guests/rust-program.wasm; }";
my $places = '
    wasm_timeout 60m;
    wasm_program_timeout 60m;
    location /p/   { wasm_cgi program; wasm_request_buffering off; }
    location /plain { return 200 plain; }
    location /sorry { return 200 "sorry\n"; }';

# A program that has a thread, and keeps it until its body ends.
sub keep_thread {
    my $nginx  = shift;
    my $client = RawClient->new($nginx->port)->send("POST /p/upper HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    $client->take(qr/.*?\r\n1\r\nA\r\n/s) // die "the program does not run\n";
    return $client;
}

sub let_go {
    my $client = shift;
    $client->send("0\r\n\r\n");
    return is($client->take(qr/0\r\n\r\n/), "0\r\n\r\n", 'one that had a thread ends well');
}

# Requests that are sent after others are looked at after them: these two have gone through nginx's loop.
sub all_seen {
    my $nginx = shift;
    $nginx->get('/plain') for 1 .. 2;
    return;
}

sub bad {
    my $nginx = shift;
    return grep {/\[(?:crit|alert|emerg)\]|bug in the module/} split /\n/, $nginx->log;
}

# Two threads, room for three.
{
    my $nginx = NginxProcess->new('program-threads');
    $nginx->configure(main => $main, http => 'wasm_threads 2 queue=3;', server => $places);
    $nginx->start or die("nginx does not start: $nginx->{output}");

    my @running = map { keep_thread($nginx) } 1 .. 2;
    my @waiting = map { RawClient->new($nginx->port)->send("GET /p/env?name=HTTP_X_A HTTP/1.1\r\nHost: a\r\nX-A: $_\r\n\r\n") } 1 .. 3;
    all_seen($nginx);
    my $position = length $nginx->log;
    is($nginx->get('/p/hello')->{status}, 503, 'no thread, and a full queue: 503') for 1 .. 3;
    $nginx->wait_for('the log', sub { substr($nginx->log, $position) =~ /\[(?:error|warn)\] .*wasm program "program".*(?:wasm_threads|queue|thread)/ });
    pass('the log says so');
    is($nginx->get('/plain')->{content}, 'plain', 'what is no program is served');

    let_go(shift @running);
    my @answers = map { $_->response->{body} } @waiting;
    is_deeply(\@answers, [map {"HTTP_X_A=$_\n"} 1 .. 3], 'those that waited are served with one thread, each its own');
    is($nginx->get('/p/hello')->{content}, "hello\n", 'and there is room again');
    let_go(shift @running);
    $nginx->stop;
    is_deeply([bad($nginx)], [], 'nothing bad is in the error log');
}

# The order of the queue.
{
    my $nginx = NginxProcess->new('program-threads');
    $nginx->configure(main => $main, http => "wasm_threads 1 queue=100;\nerror_page 503 /sorry;", server => $places);
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my $running = keep_thread($nginx);
    my @clients;
    for my $number (1 .. 20) {
        push @clients, RawClient->new($nginx->port)->send("GET /p/hello?$number HTTP/1.1\r\nHost: a\r\n\r\n");
        all_seen($nginx);
    }
    let_go($running);
    is_deeply([map { $_->response->{body} } @clients], [("hello\n") x 20], 'twenty that waited for one thread are all served');
    $nginx->stop;
    my @served = $nginx->read('logs/access.log') =~ m{"GET /p/hello\?(\d+) HTTP/1\.1" 200 }g;
    is_deeply(\@served, [1 .. 20], 'in the order in which they came');
}

# One endless program does not keep others from running.
{
    my $nginx = NginxProcess->new('program-threads');
    $nginx->configure(main => $main, http => "wasm_threads 2 queue=100;\nerror_page 503 /sorry;", server => $places);
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my $endless = RawClient->new($nginx->port)->send("GET /p/loop-late HTTP/1.1\r\nHost: a\r\n\r\n");
    $endless->take(qr/.*?\r\n\r\n/s);
    my @bodies = map { $nginx->get('/p/hello')->{content} } 1 .. 50;
    is_deeply(\@bodies, [("hello\n") x 50], 'fifty programs run beside one that never ends');
    my $other = keep_thread($nginx);
    all_seen($nginx);
    my @waiting = map { RawClient->new($nginx->port)->send("GET /p/hello HTTP/1.1\r\nHost: a\r\n\r\n") } 1 .. 100;
    all_seen($nginx);
    is($nginx->get('/p/hello')->{content}, "sorry\n", '503 has its page');
    $endless->close;
    is_deeply([map { $_->response->{body} } @waiting], [("hello\n") x 100], 'its client leaves: its thread serves the others');
    let_go($other);
    $nginx->stop;
    is_deeply([bad($nginx)], [], 'nothing bad is in the error log');
}

# A thousand at once, in one worker and in two.
for my $workers (1, 2) {
    my $nginx = NginxProcess->new('program-threads', workers => $workers, connections => 2500);
    $nginx->configure(main => $main, http => 'wasm_threads 16 queue=2000;', server => $places);
    $nginx->start or die("nginx does not start: $nginx->{output}");
    my @before = sort $nginx->workers;
    my (%wrong, $answered);
    my @kinds = (
        [sub { "GET /p/env?name=HTTP_X_N HTTP/1.1\r\nHost: a\r\nX-N: $_[0]\r\nConnection: close\r\n\r\n" }, sub {"HTTP_X_N=$_[0]\n"}],
        [sub { "POST /p/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n" . sprintf '%01000d', $_[0] }, sub { sprintf '%01000d', $_[0] }],
        [sub {"GET /p/large?n=20000&piece=1000 HTTP/1.0\r\n\r\n"}, sub { join '', map { $_ x 1000 } 'a' .. 't' }],
        [sub {"GET /p/drip?n=2&ms=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"}, sub {"line 1\nline 2\n"}],
        [sub {"GET /p/trap HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"}, sub {undef}],
    );
    LoadClient::run($nginx->port, 1000,
        within  => 300,
        request => sub { $_[0] < 3000 ? $kinds[$_[0] % @kinds][0]->($_[0]) : undef },
        answer  => sub {
            my ($number, $bytes) = @_;
            $answered++;
            my $wanted = $kinds[$number % @kinds][1]->($number);
            my ($head, $body) = split /\r\n\r\n/, $bytes, 2;
            $body //= '';
            $body =~ s/([0-9a-f]+)\r\n(.*?)\r\n(?=[0-9a-f]+\r\n)/$2/sgi, $body =~ s/0\r\n\r\n\z// if $head =~ /chunked/i;
            my $is_right = defined $wanted ? $head =~ m{^HTTP/1\.1 200 } && $body eq $wanted : $head =~ m{^HTTP/1\.1 502 };
            $wrong{ substr $bytes, 0, 200 }++ unless $is_right;
        },
    );
    is($answered, 3000, "$workers: a thousand connections at once, 3000 requests are answered");
    is_deeply(\%wrong, {}, "$workers: each with its own answer");
    SKIP: {
        skip 'needs /proc', 1 unless -r '/proc/self/status';
        my @most = map { my @tasks = glob "/proc/$_/task/*"; scalar @tasks } @before;
        is(scalar(grep { $_ > 16 + 3 } @most), 0, "$workers: there are no more threads than was said, and few of nginx's own");
    }
    is_deeply([sort $nginx->workers], \@before, "$workers: the workers are the same");
    $nginx->stop;
    is_deeply([bad($nginx)], [], "$workers: nothing bad is in the error log");
}

done_testing;
