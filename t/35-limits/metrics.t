# What 'wasm_metrics' shows beside metrics of guests: labels that no edit of other filters changes, and what is counted of filters,
# calls, reloads, shared memory and threads. In both formats, as their own tools read them.

use strict;
use warnings;

use IPC::Run ();
use JSON::PP;
use MetricsPage;
use NginxProcess;
use RawClient;
use Test::More;

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $guests = "$root/build/guests";
my $nginx  = NginxProcess->new('metrics', workers => 2);

my $pages = 'location = /metrics { wasm_metrics; } location = /status { wasm_status; }';

sub page { return MetricsPage->get($nginx, @_) }

# Two of what a worker has seen itself.
sub await {
    my ($what, $family, $wanted, %labels) = @_;
    my $seen;
    $nginx->wait_for("$what: $family $wanted", sub { ($seen = page()->value($family, %labels) // '') eq $wanted });
    return pass($what);
}

sub reload {
    my @old = $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
    $nginx->wait_for('the new workers', sub { page()->value('wasm_workers') == 2 && page()->value('wasm_leaving_workers') == 0 });
    return;
}

sub same_format {
    my ($what, $page) = @_;
    IPC::Run::run([qw( promtool check metrics )], '<', \$page->{text}, '>&', \my $output);
    is($output, '', "$what: promtool has nothing to say");
    my $open = page(accept => 'application/openmetrics-text;version=1.0.0')->{text};
    my $library = qx($root/tools/install.sh openmetrics);
    chomp $library;
    my $strict = 'import sys; from prometheus_client.openmetrics import parser; '
        . 'print(len(list(parser.text_string_to_metric_families(sys.stdin.read()))))';
    local $ENV{PYTHONPATH} = $library;
    IPC::Run::run(['python3', '-c', $strict], '<', \$open, '>&', \$output);
    like($output, qr/\A\d+\n\z/, "$what: the strict parser of OpenMetrics reads it");
    return;
}

# Filters on all kinds of levels.
my $main = "wasm { module faulty $guests/rust-faulty.wasm; module other $guests/rust-probe.wasm; }";
my $level = <<'CONF';
proxy_wasm faulty 'name server';
location = /exact   { proxy_wasm other; proxy_wasm faulty 'name exact'; return 200 ok; }
location ~ ^/re     { proxy_wasm faulty 'name regex'; return 200 ok; }
location /twin      { proxy_wasm faulty 'name one'; return 200 ok; }
location @named     { proxy_wasm inherit; proxy_wasm faulty 'name named'; return 200 ok; }
location /to-named  { proxy_wasm off; error_page 418 = @named; return 418; }
CONF
my $http = "proxy_wasm faulty 'name http';\n"
    . "server { listen 127.0.0.1:@{[ $nginx->port + 1 ]}; server_name localhost; location /twin { proxy_wasm faulty 'name two'; return 200 ok; } }\n"
    . "server { listen 127.0.0.1:@{[ $nginx->port + 1 ]}; server_name .wide.example other.example; proxy_wasm faulty 'name wide'; return 200 ok; }\n";
$nginx->configure(main => $main, http => $http, server => "$pages\n$level");
$nginx->start or die("nginx does not start: $nginx->{output}");

sub known_as {
    my $page = shift;
    my @labels = map { $_->[0] } $page->samples('wasm_filter_info');
    return [sort map {"$_->{filter}: $_->{server}, $_->{location} #$_->{index}"} @labels];
}

my $known = [
    'faulty: ,  #0',
    'faulty: localhost,  #0',
    'faulty: localhost, /twin #0',
    'faulty: localhost, /twin #1',
    'faulty: localhost, = /exact #1',
    'faulty: localhost, @named #0',
    'faulty: localhost, ~ ^/re #0',
    'faulty: wide.example,  #0',
    'other: localhost, = /exact #0',
];
$nginx->wait_for('both workers', sub { page()->value('wasm_workers') == 2 });
is_deeply(known_as(page()), $known, 'filters are known by server, location and index')
    or diag(explain(known_as(page())));
my ($info) = grep { $_->[0]{location} eq '= /exact' && $_->[0]{filter} eq 'other' } page()->samples('wasm_filter_info');
is($info->[1], 1, 'what is said of a filter has the value 1');
is($info->[0]{$_->[0]}, $_->[1], "it says: $_->[0]") for [module => "$guests/rust-probe.wasm"], [root_id => ''],
    [policy => 'reload closed'], [isolation => 'worker'];
like($info->[0]{place}, qr{^\Q@{[ $nginx->prefix ]}\E/nginx\.conf:\d+$}, 'it says: place');
same_format('filters', page());

# Numbers are those of their place, whatever is put before it.
my %exact = (filter => 'faulty', location => '= /exact');
$nginx->get('/exact') for 1 .. 3;
$nginx->get('/reg') for 1 .. 2;
is(page()->value('wasm_filter_requests_total', %exact, index => 1), 3, 'requests are counted where they were');
$nginx->configure(
    main   => $main,
    http   => "# Some\n# more\n# lines.\n$http",
    server => "location /before { proxy_wasm faulty 'name exact'; return 200 ok; }\n$pages\n$level",
);
reload();
is(page()->value('wasm_filter_requests_total', %exact, index => 1), 3, 'a reload that puts others before it keeps them');
is(page()->value('wasm_filter_requests_total', filter => 'faulty', location => '~ ^/re'), 2, 'also where it is a regular expression');
is(page()->value('wasm_filter_requests_total', filter => 'faulty', location => '/before'), 0, 'one with the same configuration elsewhere is another one');
is(page()->value('wasm_config_generation'), 2, 'the second configuration');
is(page()->value('wasm_config_reloads_total', result => 'applied'), 1, 'which is the first reload');

# Answers, failures, pauses.
my $filters = <<'CONF';
location /answer  { proxy_wasm faulty 'name answer'; return 200 ok; }
location /stopped { proxy_wasm_on_error closed; proxy_wasm faulty 'name stopped'; return 200 ok; }
location /waiting { proxy_wasm_restart_delay 1h 1h after=0; proxy_wasm faulty 'name waiting'; return 200 ok; }
location /short   { proxy_wasm_restart_delay 1ms 1ms after=0; proxy_wasm faulty 'name short'; return 200 ok; }
location /start   { proxy_wasm_restart_delay 1h 1h; proxy_wasm faulty 'name start; @configure start-from:3 false'; return 200 ok; }
location /paused  { wasm_pause_timeout 1h; proxy_wasm faulty 'name paused'; return 200 ok; }
location /timeout { wasm_pause_timeout 1ms; proxy_wasm faulty 'name timeout; park'; return 200 ok; }
location /held    { wasm_pause_timeout 1h; proxy_wasm faulty 'name held; @response-headers park'; return 200 ok; }
CONF
$nginx->configure(main => $main, server => "$pages\n$filters");
reload();
is($nginx->get('/answer', { 'x-faulty' => "respond $_ body" })->{status}, $_, "an answer $_") for 200, 204, 302, 403, 404, 429, 503;
my %answers = map { $_->[0]{class} => $_->[1] } grep { $_->[0]{location} eq '/answer' } page()->samples('wasm_filter_local_answers_total');
is_deeply(\%answers, { '2xx' => 2, '3xx' => 1, '4xx' => 3, '5xx' => 1, other => 0 }, 'answers are counted by their class');

sub down {
    my $location = shift;
    return { map { $_->[0]{why} => $_->[1] } grep { $_->[0]{location} eq $location } page()->samples('wasm_filter_down_workers') };
}
is_deeply(down($_), { stopped => 0, waiting => 0 }, "$_ is not down") for '/stopped', '/waiting';
# Both workers are met by and by.
for my $location ('/stopped', '/waiting') {
    my $why = substr $location, 1;
    $nginx->wait_for("both workers without $location", sub {
        $nginx->get($location, { 'x-faulty' => 'abort' });
        return down($location)->{$why} == 2;
    });
    is_deeply(down($location), { stopped => 0, waiting => 0, $why => 2 }, "$location is down in both workers");
}
$nginx->get('/short', { 'x-faulty' => 'abort' });
$nginx->wait_for('the end of a short wait', sub { down('/short')->{waiting} == 0 });
pass('a filter whose time has come is not down');
is_deeply(down('/start'), { stopped => 0, waiting => 0 }, 'one that has started is not down');
$nginx->wait_for('one that does not start again', sub {
    $nginx->get('/start', { 'x-faulty' => 'abort' });
    return down('/start')->{waiting} > 0;
});
pass('one that does not start again is');
reload();
is_deeply(down('/stopped'), { stopped => 0, waiting => 0 }, 'a reload ends it');

sub paused { return page()->value('wasm_filter_paused_requests', location => shift) }
is(paused('/paused'), 0, 'nobody waits');
my $client = RawClient->new($nginx->port);
$client->send("GET /paused HTTP/1.1\r\nHost: a\r\nX-Faulty: park\r\n\r\n");
await('a paused request is counted', 'wasm_filter_paused_requests', 1, location => '/paused');
$client->close;
await('one whose client has gone is not', 'wasm_filter_paused_requests', 0, location => '/paused');
$client = RawClient->new($nginx->port);
$client->send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
await('a response that is held is counted', 'wasm_filter_paused_requests', 1, location => '/held');
$client->close;
await('until its client has gone', 'wasm_filter_paused_requests', 0, location => '/held');
is($nginx->get('/timeout')->{status}, 504, 'one that nothing resumes');
is(paused('/timeout'), 0, 'does not wait any more');
{
    # In one worker: who parks and who releases meet.
    my @clients = map { RawClient->new($nginx->port)->send("GET /paused HTTP/1.1\r\nHost: a\r\nX-Faulty: park\r\n\r\n") } 1 .. 4;
    await('all are counted', 'wasm_filter_paused_requests', 4, location => '/paused');
    $nginx->wait_for('all of them to be released', sub {
        $nginx->get('/paused', { 'x-faulty' => 'release' });
        return paused('/paused') == 0;
    });
    is($_->response->{status}, 200, 'one that was resumed goes on') for @clients;
}

# Latency, if it is asked for.
is(scalar(page()->samples('wasm_filter_callback_duration_seconds_count')), 0, 'nothing is measured that nobody asks for');
$nginx->configure(
    main   => $main,
    http   => 'wasm_latency on;',
    server => "$pages\nlocation /answer { proxy_wasm faulty 'name answer'; return 200 ok; }",
);
reload();
is(page()->value('wasm_filter_requests_total', location => '/answer'), 7, 'the switch keeps what was counted');
$nginx->get('/answer') for 1 .. 5;
my %of = (location => '/answer', filter => 'faulty', server => 'localhost', index => 0);
await('callbacks are measured', 'wasm_filter_callback_duration_seconds_count', 5, %of, callback => 'request_headers');
my $page = page();
is($page->value('wasm_filter_callback_duration_seconds_bucket', %of, callback => 'request_headers', le => '+Inf'), 5, 'all are in the last bucket');
cmp_ok($page->value('wasm_filter_callback_duration_seconds_sum', %of, callback => 'request_headers'), '>', 0, 'and took their time');
is($page->value('wasm_filter_callback_duration_seconds_count', %of, callback => 'tick'), undef, 'those that have not run are not shown');
cmp_ok($page->value('wasm_filter_callback_duration_seconds_count', %of, callback => 'start'), '>=', 2, 'the starts in both workers are measured, too');
my ($measured) = grep { $_->{location} eq '/answer' } @{ decode_json($nginx->get('/status')->{content})->{filters} };
is($measured->{latency}{request_headers}{count}, 5, 'wasm_status has them, too');
same_format('latency', $page);

# Reloads that nginx refuses, and what are none.
is(page()->value('wasm_config_last_reload_successful'), 1, 'the last reload went well');
my $since = page()->value('wasm_config_last_reload_success_timestamp_seconds');
cmp_ok(abs($since - time), '<', 600, 'some time ago');
my $good = $nginx->read('nginx.conf');
$nginx->write('nginx.conf', $good =~ s/rust-faulty/no-such/r);
my ($ok) = $nginx->test;
ok(!$ok, 'nginx -t refuses the configuration');
is(page()->value('wasm_config_reloads_total', result => 'refused'), 0, 'which is no reload');
my $refused = 0;
# A file that is not there, what the module refuses, what nginx does, and what nginx finds last of all: an address of nobody.
for my $mistake (['rust-faulty' => 'no-such'], ['proxy_wasm faulty' => 'proxy_wasm none'], ['return 200 ok' => 'return 200 ok ok ok'],
    ["listen 127.0.0.1:@{[ $nginx->port ]}" => 'listen 192.0.2.1:80'])
{
    my ($from, $to) = @$mistake;
    $nginx->write('nginx.conf', $good =~ s/\Q$from\E/$to/r);
    $nginx->signal('HUP');
    $refused++;
    $nginx->wait_for("the refusal of '$to'", sub { page()->value('wasm_config_reloads_total', result => 'refused') == $refused });
    is(page()->value('wasm_config_last_reload_successful'), 0, "a reload that is refused is told: $to");
    is(page()->value('wasm_config_last_reload_success_timestamp_seconds'), $since, 'and the configuration stays');
}
cmp_ok(page()->value('wasm_config_last_reload_refused_timestamp_seconds'), '>=', $since, 'it has its time');
my $generation = page()->value('wasm_config_generation');
$nginx->write('nginx.conf', $good);
reload();
is(page()->value('wasm_config_last_reload_successful'), 1, 'the next one goes well');
is(page()->value('wasm_config_generation'), $generation + 1, 'and is the next configuration');
is(page()->value('wasm_config_reloads_total', result => 'refused'), $refused, 'what was refused stays counted');

# A worker that has no descriptor left, as under a flood of connections, sees nothing of others, nor of itself. They are no less there.
{
    my $kept = RawClient->new($nginx->port);
    my $ask = sub {
        $kept->send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        return MetricsPage->of($kept->response->{body});
    };
    is($ask->()->value('wasm_workers'), 2, 'both workers are there');
    my $requests = page()->value('wasm_filter_requests_total', location => '/answer');
    my @workers = $nginx->workers;
    my ($limit) = qx(prlimit --pid $workers[0] --nofile --output=SOFT --noheadings) =~ /(\d+)/;
    system("prlimit --pid $_ --nofile=3:") == 0 or die "prlimit failed\n" for @workers;
    is($ask->()->value('wasm_workers'), 2, 'also for one that cannot look');
    system("prlimit --pid $_ --nofile=$limit:") == 0 or die "prlimit failed\n" for @workers;
    is($ask->()->value('wasm_workers'), 2, 'and after that');
    $nginx->get('/answer') for 1 .. 4;
    is(page()->value('wasm_filter_requests_total', location => '/answer'), $requests + 4, 'and all that they count is');
}

# Modules and their files.
$nginx->write('own.wasm', do { local (@ARGV, $/) = "$guests/rust-headers.wasm"; <> });
$nginx->configure(
    main   => 'wasm { module own own.wasm; }',
    server => "$pages\nlocation /t { proxy_wasm own; return 200 ok; }",
);
reload();
my ($module) = page()->samples('wasm_module_info');
my ($sum) = qx(sha256sum $guests/rust-headers.wasm) =~ /^(\w+)/;
is_deeply([@{ $module->[0] }{qw( module path sha256 )}], ['own', $nginx->prefix . '/own.wasm', $sum], 'a module has its file and sum');
# (WasmEdge's tests share a cache.)
like($module->[0]{source}, Engine::name() eq 'wasmedge' ? qr{^(?:compiler|cache)$} : qr{^compiler$}, 'it was compiled');
cmp_ok(page()->value('wasm_module_load_seconds', module => 'own'), '>', 0, 'which took its time');
is(page()->value('wasm_module_file_changed', module => 'own'), 0, 'its file is the one that was read');
$nginx->write('own.wasm', do { local (@ARGV, $/) = "$guests/rust-probe.wasm"; <> });
is(page()->value('wasm_module_file_changed', module => 'own'), 1, 'until another one takes its place');
reload();
is(page()->value('wasm_module_file_changed', module => 'own'), 0, 'and it is loaded');
unlink $nginx->prefix . '/own.wasm';
is(page()->value('wasm_module_file_changed', module => 'own'), undef, 'of a file that is not there nothing is said');

# Shared memory.
$nginx->configure(
    main   => "wasm { module shared $guests/rust-shared.wasm; shm_kv small 12k eviction=none; shm_kv lru 12k; shm_queue quiet 12k; }",
    server => "$pages\nlocation /t { proxy_wasm shared; return 200 ok; }",
);
reload();
$page = page();
my @zones = map { $_->[0]{zone} } $page->samples('wasm_zone_size_bytes');
is_deeply([sort @zones], [qw( wasm_metrics wasm_shared_data wasm_shared_queues wasm_shm_kv_lru wasm_shm_kv_small wasm_shm_queue_quiet )], 'all zones are shown');
my %used = map { $_ => $page->value('wasm_zone_used_bytes', zone => $_) } @zones;
is($page->value('wasm_zone_evictions_total', zone => 'wasm_shm_kv_small'), undef, 'where nothing makes room nothing says so');
sub shared { return $nginx->get('/t', { 'x-shared' => join '; ', @_ }) }
# Of all queues but this the guest takes what it is told of.
shared('register q', 'register quiet', 'push quiet one', 'push quiet two');
shared(map {"set $_/key$_ @{[ 'x' x 100 ]}"} qw( small lru ));
$page = page();
is($page->value('wasm_shared_queue_messages', vm_id => 'shared', queue => 'quiet'), 2, 'a queue has its messages');
is($page->value('wasm_shared_queue_messages', vm_id => 'shared', queue => 'q'), 0, 'or none');
cmp_ok($page->value('wasm_zone_used_bytes', zone => $_), '>', $used{$_}, "more of $_ is used") for
    qw( wasm_shared_queues wasm_shm_queue_quiet wasm_shm_kv_lru wasm_shm_kv_small );
for my $number (1 .. 60) {
    shared(map {"set $_/key$number @{[ 'x' x 500 ]}"} qw( small lru ));
}
$page = page();
is($page->value('wasm_zone_evictions_total', zone => 'wasm_shm_kv_small'), undef, 'nothing makes room still');
cmp_ok($page->value('wasm_zone_refusals_total', zone => 'wasm_shm_kv_small'), '>', 0, 'so that values find none');
cmp_ok($page->value('wasm_zone_evictions_total', zone => 'wasm_shm_kv_lru'), '>', 0, 'others make room');
is($page->value('wasm_zone_refusals_total', zone => 'wasm_shm_kv_lru'), 0, 'and all find it');
same_format('shared memory', $page);

# Programs and their threads.
if (Engine::can_do('programs')) {
    $nginx->configure(
        main   => "wasm { module program $guests/rust-program.wasm; }",
        http   => "wasm_threads 2 queue=3; wasm_latency on;",
        server => "$pages\nwasm_timeout 1h; wasm_program_timeout 1h; location /p/ { wasm_cgi program; wasm_request_buffering off; if (\$arg_a) { wasm_cgi program; } }",
    );
    reload();
    sub threads {
        my $page = shift;
        return {
            (map { $_->[0]{state} => $_->[1] } $page->samples('wasm_program_threads')),
            map { $_ => $page->value("wasm_program_$_") } qw( threads_limit queued_requests queued_requests_limit ),
        };
    }
    await('each worker has a thread that makes ready what the first request needs', 'wasm_program_threads', 2, state => 'idle');
    is_deeply(threads(page()), { busy => 0, idle => 2, threads_limit => 4, queued_requests => 0, queued_requests_limit => 6 }, 'which counts as idle');
    my @programs = map {
        my $client = RawClient->new($nginx->port)->send("POST /p/upper HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        $client->take(qr/.*?\r\n1\r\nA\r\n/s) // die "the program does not run\n";
        $client
    } 1 .. 2;
    await('threads that run programs are busy', 'wasm_program_threads', 2, state => 'busy');
    $_->send("0\r\n\r\n") for @programs;
    is($_->take(qr/0\r\n\r\n/), "0\r\n\r\n", 'a program ends') for @programs;
    await('and then they are not', 'wasm_program_threads', 0, state => 'busy');
    cmp_ok(page()->value('wasm_program_threads', state => 'idle'), '>=', 1, 'but there');
    my %program = (program => 'program', server => 'localhost', location => '/p/', index => 0);
    await('what programs have taken is measured', 'wasm_program_duration_seconds_count', 2, %program);
    is(page()->value('wasm_program_requests_total', %program), 2, 'a program has its requests');
    is(scalar(grep { ($_->[0]{filter} // '') eq 'program' } page()->samples('wasm_filter_requests_total')), 0, 'which are none of a filter');
    is_deeply(
        [map {"$_->[0]{location} #$_->[0]{index} $_->[0]{directive}"} page()->samples('wasm_program_info')],
        ['/p/ #0 wasm_cgi', '/p/ #1 wasm_cgi'],
        'what an "if" has run is known by the location around it',
    );
    same_format('programs', page());
}

unlike($nginx->log, qr/\[alert\]/, 'nothing is wrong in the log');
$nginx->stop;
done_testing;
