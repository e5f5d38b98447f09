# 'wasm_status' and the lines of 'wasm_metrics' about filters: what is counted, over all workers, through reloads and the
# death of a worker.

use strict;
use warnings;

use JSON::PP;
use NginxProcess;
use Test::More;

my $guests = "$ENV{TEST_WASM_ROOT}/build/guests";

my $main = <<"CONF";
wasm {
    module probe     $guests/rust-probe.wasm;
    module lifecycle $guests/rust-lifecycle.wasm;
}
CONF

my $pages = <<'CONF';
location = /status  { wasm_status; }
location = /metrics { wasm_metrics; }
CONF

my $probe = <<'CONF';
location /t {
    proxy_wasm probe;
    return 200 "ok\n";
}
CONF

sub status {
    my $nginx    = shift;
    my $response = $nginx->get('/status');
    die "status: $response->{status} $response->{content}" if $response->{status} != 200;
    return decode_json($response->{content});
}

sub filter {
    my ($nginx, $name) = @_;
    my ($filter) = grep { $_->{name} eq $name } @{ status($nginx)->{filters} };
    return $filter;
}

# What Prometheus would see of one family: value by module.
sub samples {
    my ($nginx, $family) = @_;
    my $text = $nginx->get('/metrics')->{content};
    return { $text =~ /^$family\{filter="([^"]*)",[^}]*\} (\d+)$/mg };
}

sub line_of {
    my ($nginx, $text) = @_;
    my @lines = split /\n/, $nginx->read('nginx.conf');
    my ($line) = grep { index($lines[$_ - 1], $text) >= 0 } 1 .. @lines;
    return $line;
}

my $nginx = NginxProcess->new('status', workers => 2);
$nginx->configure(main => $main, http => 'wasm_timeout 100ms;', server => $pages . $probe);
ok($nginx->start, 'nginx starts') or diag $nginx->{output};
$nginx->wait_for('both workers', sub { (() = $nginx->log =~ /filter\(s\) started/g) == 2 });

# Before any request.
{
    my $response = $nginx->get('/status');
    is($response->{status}, 200, 'status: 200');
    is($response->{headers}{'content-type'},  'application/json', 'it is JSON');
    is($response->{headers}{'cache-control'}, 'no-store',         'which is not to be kept');
    my $status = decode_json($response->{content});
    is($status->{workers},         2,          'two workers');
    is($status->{leaving_workers}, 0,          'none of which leaves');
    is($status->{engine},          Engine::name(), 'the engine');
    like($status->{$_}, qr/^\d+\.\d+\.\d+$/, "version: $_") for qw( version nginx );

    my ($filter, @more) = @{ $status->{filters} };
    is(@more, 0, 'one filter');
    my $line = line_of($nginx, 'proxy_wasm probe;');
    is($filter->{$_->[0]}, $_->[1], "filter: $_->[0]") for
        [name => 'probe'], [module => 'probe'], [place => $nginx->prefix . "/nginx.conf:$line"],
        [policy => 'reload closed'], [isolation => 'worker'], [instances => 2], [requests => 0], [traps => 0],
        [last_error => undef];
    cmp_ok($filter->{calls},  '>=', 2,         'each worker has run the start callbacks');
    cmp_ok($filter->{memory}, '>=', 2 * 65536, 'each instance has memory');

    my %modules = map { $_->{name} => $_ } @{ $status->{modules} };
    is_deeply([sort keys %modules], ['lifecycle', 'probe'], 'all modules are there');
    is($modules{probe}{path},          "$guests/rust-probe.wasm", 'a module has its path');
    is($modules{probe}{instances},     2,                         'a module has what its filters have');
    is($modules{lifecycle}{instances}, 0,                         'one without filters has nothing');
}

# Methods.
{
    my $head = $nginx->request('HEAD', '/status');
    is($head->{status}, 200, 'HEAD: 200');
    is($head->{headers}{'content-type'}, 'application/json', 'HEAD: the headers of GET');
    cmp_ok($head->{headers}{'content-length'}, '>', 100, 'HEAD: the length of the body');
    is($head->{content} // '', '', 'HEAD: no body');
    is($nginx->request('POST', '/status', {}, 'x')->{status}, 405, 'POST: 405');
}

# Counters, over both workers.
my $calls_before = filter($nginx, 'probe')->{calls};
$nginx->get('/t') for 1 .. 10;
my $filter = filter($nginx, 'probe');
is($filter->{requests}, 10, 'requests are counted');
# Context, request and response headers, done, log, delete: the last three come after the response.
$nginx->wait_for('the ends of the requests', sub { $filter = filter($nginx, 'probe'); $filter->{calls} - $calls_before >= 60 });
is($filter->{calls} - $calls_before, 60, 'callbacks are counted');
is($filter->{last_error}, undef, 'nothing went wrong');

my $begin = time;
is($nginx->get('/t', { 'x-probe' => 'abort' })->{status}, 503, 'a trap') for 1 .. 2;
is($nginx->get('/t', { 'x-probe' => 'loop' })->{status},  503, 'a callback that takes too long');
$nginx->get('/t');
$nginx->wait_for('the new instances', sub { $filter = filter($nginx, 'probe'); $filter->{restarts} >= 1 });
is($filter->{traps},           2, 'traps are counted');
is($filter->{timeouts},        1, 'timeouts are counted');
is($filter->{failed_requests}, 3, 'failed requests are counted');
like($filter->{last_error}{text}, qr/proxy_on_request_headers .*wasm_timeout/, 'the last error');
cmp_ok($filter->{last_error}{time}, '>=', $begin - 1,  'when it was: not before');
cmp_ok($filter->{last_error}{time}, '<=', time + 1,    'when it was: not after');

is_deeply(samples($nginx, 'wasm_filter_traps_total'),    { probe => 2 }, 'Prometheus sees traps');
is_deeply(samples($nginx, 'wasm_filter_timeouts_total'), { probe => 1 }, 'and timeouts');
like($nginx->get('/metrics')->{content}, qr/^# TYPE wasm_workers gauge\nwasm_workers 2$/m, 'and workers');

# A worker is killed: what it counted stays, its instances go, and the next worker counts on.
sub counters {
    my $filter = filter($nginx, shift);
    return { map { $_ => $filter->{$_} } qw( requests traps timeouts failed_requests ) };
}
my $before = counters('probe');
{
    my ($victim) = $nginx->workers;
    kill 'KILL', $victim or die "cannot kill $victim: $!";
    $nginx->wait_for('another worker', sub { my @now = $nginx->workers; @now == 2 && !grep { $_ == $victim } @now });
    $nginx->wait_for('its row', sub { status($nginx)->{workers} == 2 });
    is_deeply(counters('probe'), $before, 'counters of a worker that was killed stay');
    cmp_ok(filter($nginx, 'probe')->{instances}, '<=', 2, 'its instance is not counted any more');
    # In a worker that has met a trap the next request brings the new instance.
    my $requests = 0;
    $nginx->wait_for('all instances', sub { $requests++; $nginx->get('/t'); filter($nginx, 'probe')->{instances} == 2 });
    is(counters('probe')->{requests}, $before->{requests} + $requests, 'and counting goes on');
}

# A reload with another filter, some lines further down: the one that is as before keeps its counters.
$before = counters('probe');
my @old = $nginx->workers;
$nginx->configure(
    main   => $main,
    http   => "wasm_timeout 100ms;\n# one line more\n",
    server => "location /l { proxy_wasm lifecycle; proxy_wasm_on_error open; proxy_wasm_isolation request fresh; return 200 l; }\n$pages$probe",
);
$nginx->signal('HUP');
$nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
$nginx->wait_for('the new workers', sub { my $status = status($nginx); $status->{workers} == 2 && !$status->{leaving_workers} });
is_deeply(counters('probe'), $before, 'a reload keeps counters');
is(filter($nginx, 'lifecycle')->{requests}, 0, 'a new filter begins with 0');
$nginx->get('/l') for 1 .. 3;
$filter = filter($nginx, 'lifecycle');
is($filter->{requests},  3,         'and counts');
is($filter->{policy},    'open',    'with its policy');
is($filter->{isolation}, 'request fresh', 'with its isolation');
$nginx->wait_for('instances of requests to end', sub { filter($nginx, 'lifecycle')->{instances} == 0 });

# A reload without the filter, and one with it again.
$nginx->configure(main => $main, server => $pages . 'location /l { proxy_wasm lifecycle; return 200 l; }');
@old = $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
is_deeply([map { $_->{name} } @{ status($nginx)->{filters} }], ['lifecycle'], 'a filter that is gone is not shown');
is(filter($nginx, 'lifecycle')->{requests}, 3, 'what is said about a filter does not make it another one');
$nginx->configure(main => $main, server => $pages . $probe);
@old = $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
is_deeply(counters('probe'), $before, 'one that comes back has its counters');

# The same filter twice is told apart by the order.
$nginx->configure(main => $main, server => "$pages$probe location /u { proxy_wasm probe; return 200 u; }");
@old = $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
$nginx->get('/u') for 1 .. 4;
is_deeply([map { $_->{requests} } @{ status($nginx)->{filters} }], [$before->{requests}, 4], 'two of a kind have their own counters');
my ($module) = grep { $_->{name} eq 'probe' } @{ status($nginx)->{modules} };
is($module->{requests}, $before->{requests} + 4, 'the module has their sum');

# Without filters.
$nginx->configure(server => $pages);
@old = $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
my $status = status($nginx);
is_deeply($status->{filters}, [], 'without filters there are none');
unlike($nginx->get('/metrics')->{content}, qr/wasm_filter/, 'and Prometheus sees none');

unlike($nginx->log, qr/\[(?:alert|emerg)\](?!.*exited on signal 9)/, 'nothing is wrong in the log');
$nginx->stop;

done_testing;
