# proxy_wasm_on_error: a filter that traps, or takes too long, in each of its callbacks, under each policy and in the modes
# of isolation (where each request has an instance, others lose none): what the client got, what the log said, what the next requests got, and what those got that had nothing to
# do with it: the filters beside it, the same module elsewhere.

use strict;
use warnings;

use NginxProcess;
use Test::More;
use Upstream;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $port  = $ENV{TEST_NGINX_PORT};
my $nginx = NginxProcess->new('on-error');
Upstream->start($port + 1);

# What a request has in x-faulty, and the callback that fails of it. `after`: only once the client has its response; `told`:
# the filter has changed the response before; `unseen`: the filter before it has looked at the response's headers already;
# `root`: the callback is not about the request, which is one of
# those that find the instance gone.
my @faults = (
    { name => 'headers',       says => 'abort', callback => 'request_headers' },
    { name => 'panic',         says => 'trap', callback => 'request_headers', log => qr/\[error\] .*panicked at/ },
    { name => 'loop',          says => 'loop', callback => 'request_headers', reason => 'still running after 100 ms (wasm_timeout)' },
    { name => 'recursion',     says => 'recurse', callback => 'request_headers', reason => 'out of bounds memory access' },
    { name => 'body',          says => '@request-body abort', callback => 'request_body' },
    { name => 'body-loop',     says => '@request-body loop', callback => 'request_body', reason => 'still running after 100 ms (wasm_timeout)' },
    { name => 'answer',        says => '@response-headers abort', callback => 'response_headers', told => 1 },
    { name => 'answer-body',   says => '@response-body abort', callback => 'response_body', told => 1, unseen => 1 },
    { name => 'call-response', says => "call 127.0.0.1:@{[ $port + 1 ]} /count; pause; \@call-response abort", callback => 'http_call_response', root => 1 },
    { name => 'done',          says => '@done abort', callback => 'done', after => 1 },
    { name => 'log',           says => '@log abort', callback => 'log', after => 1 },
    { name => 'log-loop',      says => '@log loop', callback => 'log', after => 1, reason => 'still running after 100 ms (wasm_timeout)' },
    { name => 'delete',        says => '@delete abort', callback => 'delete', after => 1 },
);
my %policy = (closed => 'closed', open => 'open', reload => 'reload', 'reload-open' => 'reload open');
my %isolation = (worker => 'worker', request => 'request', fresh => 'request fresh');
my @modes     = qw( worker request fresh );

my $places = '';
for my $mode (@modes) {
    for my $policy (sort keys %policy) {
        for my $fault (@faults) {
            $places .= <<"CONF";
location = /$mode/$policy/$fault->{name} {
    proxy_wasm_isolation filter=faulty $isolation{$mode};
    proxy_wasm_on_error filter=faulty $policy{$policy};
    proxy_wasm before 'response.add x-before yes';
    proxy_wasm faulty 'name $mode-$policy-$fault->{name}; \@response-headers tell';
    proxy_wasm behind 'response.add x-behind yes';
    proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/body;
}
CONF
        }
    }
    $places .= "location = /$mode/neighbour { proxy_wasm_isolation $isolation{$mode}; proxy_wasm faulty 'name $mode; \@response-headers tell'; proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/body; }\n";
}
$nginx->configure(
    main => "wasm {
        module faulty $root/build/guests/rust-faulty.wasm;
        module before $root/build/guests/rust-headers.wasm;
        module behind $root/build/guests/rust-headers.wasm;
    }",
    http   => "wasm_timeout 100ms;",
    server => $places,
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

sub ask {
    my ($path, $says) = @_;
    return $nginx->request('POST', $path, { defined $says ? ('x-faulty' => $says) : () }, 'hello');
}

# What makes a response right: nothing of it is lost, and the filters beside the one that fails were there.
sub is_right {
    my ($response, $what) = @_;
    return is_deeply(
        [@$response{qw( status content )}, @{ $response->{headers} }{qw( x-before x-behind )}], [200, 'hello', 'yes', 'yes'], $what,
    );
}

for my $mode (@modes) {
    for my $policy (sort keys %policy) {
        my $neighbours = 0;
        for my $fault (@faults) {
            my $name   = "$mode-$policy-$fault->{name}";
            my $path   = $name =~ s{^([a-z]+)-(\Q$policy\E)-}{/$1/$2/}r;
            my $header = "x-$name";
            subtest "$mode, $policy: $fault->{name}" => sub {
                my $from = length $nginx->log;
                is_right(my $before = ask($path), 'before: served');
                like($before->{headers}{$header}, qr/^start \d+ stream 1$/, 'and the filter was there');

                # The failure.
                my $first = ask($path, $fault->{says});
                my $line  = qr/^.*\[crit\] .*wasm filter "faulty": failed to call function: proxy_on_$fault->{callback} trapped in context \d+: .*$/m;
                $nginx->wait_for('the line about it', sub { substr($nginx->log, $from) =~ $line });
                if ($fault->{after}) {
                    is_right($first, 'the request has its response');
                    ok($first->{headers}{$header}, 'with what the filter did to it');
                } elsif ($policy eq 'open' || $policy eq 'reload-open' && $fault->{root}) {
                    is_right($first, 'the request goes on without the filter');
                    is(defined $first->{headers}{$header}, defined $fault->{told}, 'which has done what it had done');
                } else {
                    is($first->{status}, 503, 'the request fails');
                    unlike($first->{content}, qr/hello/, 'and shows nothing of the response');
                    is($first->{headers}{'x-before'}, 'yes', 'the filter before it sees that') if !$fault->{unseen};
                }
                my $log = substr $nginx->log, $from;
                is(() = $log =~ /failed to call function/g, 1, 'one line says so');
                like($log, qr/failed to call function.*\Q$fault->{reason}\E/, 'with the reason') if $fault->{reason};
                my $fate = $fault->{root} ? '' : $policy eq 'open' ? 'this request goes on without the filter, ' : 'this request fails, ';
                my $rest = $mode ne 'worker' ? 'others have other instances'
                    : $policy eq 'closed' ? 'until the configuration is loaded again requests fail'
                    : $policy eq 'open'   ? 'until the configuration is loaded again requests go on without it'
                    :                       'the next one gets a new instance';
                like($log, qr/failed to call function.*proxy_wasm_on_error: $fate$rest/, 'and what follows');
                like($log, qr/failed to call function.*, client: 127\.0\.0\.1, .*request: "POST \Q$path\E HTTP/, 'and the request') if !$fault->{root};
                like($log, $fault->{log}, 'and what the guest said') if $fault->{log};

                # Others.
                my $neighbour = ask("/$mode/neighbour");
                is($neighbour->{status}, 200, 'the same module serves elsewhere');
                $neighbours++;
                like($neighbour->{headers}{"x-$mode"}, qr/ stream $neighbours$/, 'in the instance that it had') if $mode eq 'worker' && $policy eq 'closed';

                # The next requests.
                for my $n (1, 2) {
                    my $next = ask($path);
                    if ($mode eq 'worker' && $policy eq 'closed') {
                        is($next->{status}, 503, "next request $n fails");
                    } elsif ($mode eq 'worker' && $policy eq 'open') {
                        is_right($next, "next request $n is served");
                        is($next->{headers}{$header}, undef, 'without the filter');
                    } else {
                        is_right($next, "next request $n is served");
                        my $stream = $mode eq 'worker' ? $n : 1;
                        like($next->{headers}{$header}, qr/^start \d+ stream $stream$/, 'by a new instance');
                        # What is made of the image has not started again.
                        my $is_same = $next->{headers}{$header} eq $before->{headers}{$header};
                        is($is_same, $mode eq 'request' && Engine::can_do('put back'), 'which it is, and has started if there is no image of it');
                    }
                }
                is(() = substr($nginx->log, $from) =~ /failed to call function/g, 1, 'there was one failure');
            };
        }
    }
}

# `closed` and `open` hold until the configuration is loaded again.
is(ask('/worker/closed/headers')->{status}, 503, 'closed is closed');
is(ask('/worker/open/headers')->{headers}{'x-worker-open-headers'}, undef, 'open is open');
is(($nginx->workers)[0], $worker, 'the worker is the one that it was');
$nginx->signal('HUP');
$nginx->wait_for('the new worker', sub { my @workers = $nginx->workers; @workers == 1 && $workers[0] != $worker });
$nginx->wait_for('the end of the old one', sub { !kill 0, $worker });
for my $policy (qw( closed open )) {
    is_right(my $response = ask("/worker/$policy/headers"), "$policy: served after a reload");
    like($response->{headers}{"x-worker-$policy-headers"}, qr/ stream 1$/, 'by the filter');
}

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
