# Requests that others' failures find in the middle: paused on the instance that traps, on the way in or out, with bodies
# half sent. Under each policy of proxy_wasm_on_error they end as it says, whole or not at all, and none waits in vain.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;
use Upstream;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $port  = $ENV{TEST_NGINX_PORT};
my $nginx = NginxProcess->new('on-error-paused');
Upstream->start($port + 1);

my $large = join '', map { chr(ord('a') + $_ % 26) x 1000 } 0 .. 99;
# More than all buffers between hold.
my $huge = join '', map { chr(ord('a') + $_ % 26) x 1_000_000 } 0 .. 63;

# Each in an instance of its own: `says`, with MARK for what shows that the filter is there; the request's body, of which
# the first part goes before the failure; the path at the upstream. `own`: the request itself makes the filter trap;
# `begun`: a part of the response has gone; `out`: filters before this one have not seen the response's headers, or see no others.
my @cases = (
    { name => 'in',       what => 'paused on the way in, with its body here', says => 'MARK; pause', body => 'hello', clients => 3 },
    { name => 'in-body',  what => 'paused in its body', says => '@request-body pause; @request-body MARK', body => $large, first => 60_000 },
    { name => 'out',   out => 1,    what => 'paused on the way out', says => '@response-headers MARK; @response-headers pause', body => $large },
    { name => 'out-body', out => 1, what => 'paused in the body of the response, before anything has gone',
        says => '@response-body MARK; @response-body pause', body => $large },
    { name => 'upload',   what => 'with a body on its way in', says => '@request-body MARK', body => $large, first => 60_000 },
    { name => 'download', what => 'with a body on its way out', says => '@response-body MARK', body => '',
        path => '/length/64/1000000', comes => $huge, begun => 1 },
    { name => 'own-in',   what => 'that holds a part of its body and fails in the next', own => 1,
        says => '@request-body nth:1 pause; @request-body nth:1 MARK; @request-body from:2 abort', body => $large, first => 60_000 },
    { name => 'own-out',  out => 1, what => 'that holds a part of its response and fails in the next', own => 1, body => '',
        path => '/length/100/1000', comes => $large, says => 'MARK; @response-body nth:1 pause; @response-body from:2 abort' },
    { name => 'own-late', what => 'that fails in its response once a part has gone', own => 1, body => '', begun => 1,
        path => '/length/64/1000000', comes => $huge, says => 'MARK; @response-body from:20 abort' },
);

my %policy = (closed => 'closed', open => 'open', reload => 'reload', 'reload-open' => 'reload open');
my $places = '';
for my $policy (sort keys %policy) {
    for my $case (@cases) {
        $places .= <<"CONF";
location /$policy/$case->{name}/ {
    proxy_wasm_on_error filter=faulty $policy{$policy};
    proxy_wasm before 'response.add x-before yes';
    proxy_wasm faulty 'name $policy-$case->{name}; \@response-headers tell';
    proxy_wasm behind 'response.add x-behind yes';
    proxy_pass http://127.0.0.1:@{[ $port + 1 ]}/;
}
CONF
    }
}
$nginx->configure(
    main => "wasm {
        module faulty $root/build/guests/rust-faulty.wasm;
        module before $root/build/guests/rust-headers.wasm;
        module behind $root/build/guests/rust-headers.wasm;
    }",
    http   => 'wasm_pause_timeout 10m;',
    server => "proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0; client_max_body_size 0;\n$places",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
my ($worker) = $nginx->workers;

my $marks = 0;

# A client that has sent the first part, once the filter has logged that it is there.
sub waiting {
    my ($policy, $case) = @_;
    my $mark   = 'mark ' . ++$marks . '.';
    my $client = RawClient->new($port);
    my $says   = $case->{says} =~ s/MARK/log info $mark/gr;
    my $path   = "/$policy/$case->{name}" . ($case->{path} // '/body');
    $client->send(
        "POST $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: @{[ length $case->{body} ]}\r\nx-faulty: $says\r\n\r\n",
        substr $case->{body}, 0, $case->{first} // length $case->{body},
    );
    $nginx->wait_for("'$mark'", sub { index($nginx->log, $mark) >= 0 });
    return $client;
}

for my $policy (sort keys %policy) {
    for my $case (@cases) {
        # Another's failure costs a request the filter, its own failure may cost more.
        my $passes = $policy eq 'open' || $policy eq 'reload-open' && !$case->{own};
        subtest "$policy: a request $case->{what}" => sub {
            my @clients = map { waiting($policy, $case) } 1 .. $case->{clients} // 1;
            if (!$case->{own}) {
                my $other = $nginx->request('POST', "/$policy/$case->{name}/body", { 'x-faulty' => 'abort' }, 'other');
                is($other->{status}, $policy eq 'open' ? 200 : 503, 'another request makes the filter trap');
            }
            for my $client (@clients) {
                $client->send(substr $case->{body}, $case->{first}) if $case->{first};
                my $response = $client->response // { status => 'the end of the connection', headers => {}, body => '' };
                my $comes    = $case->{comes} // $case->{body};
                if ($passes) {
                    is($response->{status}, 200, 'served');
                    ok(!$response->{cut}, 'whole');
                    is(length $response->{body}, length $comes, 'all of it');
                    ok($response->{body} eq $comes, 'and right');
                    is($response->{headers}{'x-behind'}, 'yes', 'with the filter behind the failed one');
                } elsif ($case->{begun}) {
                    is($response->{status}, 200, 'its head had gone');
                    ok($response->{cut}, 'the connection ends before the end of the response');
                    ok(index($comes, $response->{body}) == 0, 'what came is right');
                } else {
                    is($response->{status}, 503, 'fails');
                    unlike($response->{body}, qr/aaaa|hello/, 'with nothing of the response');
                }
                is($response->{headers}{'x-before'}, 'yes', 'with the filter before the failed one') if $passes || !$case->{out};
                ok($client->at_end, 'and that is all') if !$response->{cut};
            }
            my $next = $nginx->request('POST', "/$policy/$case->{name}/body", {}, 'next');
            is($next->{status}, $policy eq 'closed' ? 503 : 200, 'the next request');
            is($next->{content}, 'next', 'whole') if $policy ne 'closed';
            is(defined $next->{headers}{"x-$policy-$case->{name}"}, $policy =~ /reload/, 'with the filter, where it is loaded again');
        };
    }
}

is(($nginx->workers)[0], $worker, 'the worker is the one that it was');
my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
