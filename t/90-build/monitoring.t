# contrib/: rules and their tests, the dashboard, and that both speak of metrics that an nginx has; and a Prometheus that scrapes one,
# and tells of a filter that traps.

use strict;
use warnings;

use File::Path qw( make_path remove_tree );
use HTTP::Tiny;
use IPC::Run ();
use JSON::PP;
use MetricsPage;
use NginxProcess;
use Test::More;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
for my $command (qw( promtool prometheus )) {
    plan(skip_all => "needs $command (on Debian, the package prometheus)") if system("command -v $command >/dev/null") != 0;
}
plan(skip_all => 'the engine runs no programs, and rules are about those, too') unless Engine::can_do('programs');
my $contrib = "$root/contrib";
my $scratch = "$root/build/t/monitoring-files";
remove_tree($scratch);
make_path($scratch);

sub read_file {
    my $path = shift;
    open my $in, '<:raw', $path or die "cannot read $path: $!\n";
    local $/;
    return <$in>;
}

sub write_file {
    my ($path, $content) = @_;
    open my $out, '>:raw', $path or die "cannot write $path: $!\n";
    print $out $content;
    close $out or die "cannot write $path: $!\n";
    return $path;
}

sub promtool {
    my ($name, @arguments) = @_;
    IPC::Run::run(['promtool', @arguments], '>&', \my $output, init => sub { chdir "$contrib/prometheus" or die $! });
    return ok($? == 0, $name) || diag($output);
}

# The rules.
promtool('the rules are ones', 'check', 'rules', 'ngx-wasm.rules.yml');
promtool('each alert fires when it should, and not before', 'test', 'rules', 'ngx-wasm.rules.test.yml');
my $rules = read_file("$contrib/prometheus/ngx-wasm.rules.yml");
my @alerts = $rules =~ /^      - alert: (\w+)$/mg;
cmp_ok(scalar @alerts, '>', 20, 'there are alerts');
my $tests = read_file("$contrib/prometheus/ngx-wasm.rules.test.yml");
for my $alert (split /^(?=      - alert: )/m, $rules) {
    my ($name) = $alert =~ /^      - alert: (\w+)$/m or next;
    my @missing = grep { $alert !~ /^ {8,10}$_: ?\S/m } qw( severity summary description remedy );
    is("@missing", '', "$name has all that whoever is woken up wants to know");
    like($tests, qr/ALERTS\{alertname="$name", alertstate="firing"/, "$name is tested");
}

# The dashboard.
my $dashboard = decode_json(read_file("$contrib/grafana/ngx-wasm.json"));
is(ref $dashboard->{panels}, 'ARRAY', 'the dashboard has panels');
my @panels = map { ($_, @{ $_->{panels} // [] }) } @{ $dashboard->{panels} };
my %times;
$times{ $_->{id} }++ for @panels;
is_deeply([grep { $times{$_} > 1 } keys %times], [], 'each with an id of its own');
my (@exprs, %at);
for my $panel (@panels) {
    my ($place, @more) = grep {defined} @{ $panel->{gridPos} }{qw( x y w h )};
    is(@more, 3, "panel '$panel->{title}' has a place");
    cmp_ok($panel->{gridPos}{x} + $panel->{gridPos}{w}, '<=', 24, 'on the grid');
    ok(!$at{"$panel->{gridPos}{x} $panel->{gridPos}{y}"}++, 'of its own');
    next if $panel->{type} eq 'row';
    my @targets = @{ $panel->{targets} // [] };
    cmp_ok(scalar @targets, '>', 0, "panel '$panel->{title}' shows something");
    my %letters = map { $_->{refId} => 1 } @targets;
    is(scalar keys %letters, scalar @targets, 'each under its letter');
    push @exprs, map { $_->{expr} } @targets;
}
push @exprs, map { $_->{expr} // () } @{ $dashboard->{annotations}{list} };
# As Grafana fills them in; a rule is what promtool parses.
my %variable = (__rate_interval => '5m', __interval => '1m', job => '.*', instance => '.*', filter => '.*');
my %known = map { $_->{name} => 1 } @{ $dashboard->{templating}{list} };
my @parsed = map {
    my $expr = $_;
    for my $name ($expr =~ /\$(\w+)/g) {
        die "no variable $name in: $expr\n" unless exists $variable{$name} && ($known{$name} || index($name, '__') == 0);
    }
    $expr =~ s/\$(\w+)/$variable{$1}/g;
    $expr
} @exprs;
my $file = write_file("$scratch/dashboard.rules.yml", encode_json({ groups => [{
    name => 'dashboard', rules => [map { { record => "dashboard:$_", expr => $parsed[$_] } } 0 .. $#parsed],
}] }));
promtool('each query of the dashboard is one', 'check', 'rules', $file);

# An nginx that has all of it.
my $nginx = NginxProcess->new('monitoring', workers => 1);
my $guests = "$root/build/guests";
my $sink   = $nginx->port + 1;
$nginx->configure(
    main => "wasm { module faulty $guests/rust-faulty.wasm; module program $guests/rust-program.wasm; }",
    http => <<"CONF",
wasm_latency on;
log_format kinds '\$uri \$sent_http_content_type';
access_log logs/kinds.log kinds;
server { listen 127.0.0.1:$sink; return 200; }
CONF
    server => <<"CONF",
location = /metrics { wasm_metrics; }
location /filter    { proxy_wasm faulty 'name filter; \@configure register q'; return 200 ok; }
location /program   { wasm_cgi program; }
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");
$nginx->get('/filter', { 'x-faulty' => "call 127.0.0.1:$sink" });
$nginx->get('/filter', { 'x-faulty' => 'abort' });
$nginx->get('/program/hello');
my $page;
$nginx->wait_for('what was done', sub {
    $page = MetricsPage->get($nginx);
    return $page->samples('wasm_service_calls_total') && $page->samples('wasm_program_duration_seconds_count')
        && $page->samples('wasm_filter_last_error_timestamp_seconds');
});
for my $of ([rules => $rules =~ s/^ *(?:summary|description|remedy):.*?(?=^ *\w+:|^ *- )//msgr], [dashboard => join "\n", @exprs]) {
    my ($name, $text) = @$of;
    my %named = map { $_ => 1 } $text =~ /\b(wasm_[a-z_]+)\b(?!\()/g;
    # What remedies speak of are directives, too.
    delete @named{qw( wasm_metrics wasm_status )};
    my @none = grep { !$page->samples($_) } sort keys %named;
    is("@none", '', "an nginx has all metrics that the $name name");
    cmp_ok(scalar keys %named, '>', 20, 'which are many');
}

# A Prometheus.
my $port = $nginx->port + 2;
write_file("$scratch/prometheus.yml", <<"CONF");
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files:
  - $contrib/prometheus/ngx-wasm.rules.yml
scrape_configs:
  - job_name: nginx
    metrics_path: /metrics
    scrape_timeout: 1s
    static_configs:
      - targets: ["127.0.0.1:@{[ $nginx->port ]}"]
CONF
promtool('the configuration of Prometheus is one', 'check', 'config', "$scratch/prometheus.yml");
my $prometheus = fork // die "cannot fork: $!";
if (!$prometheus) {
    open STDIN,  '<', '/dev/null';
    open STDOUT, '>', "$scratch/prometheus.log";
    open STDERR, '>&', \*STDOUT;
    exec 'prometheus', "--config.file=$scratch/prometheus.yml", "--storage.tsdb.path=$scratch/data",
        "--web.listen-address=127.0.0.1:$port", '--log.level=warn'
        or exit 127;
}

END {
    if ($prometheus) {
        # What ends the test file is its status.
        my $status = $?;
        kill 'KILL', $prometheus;
        waitpid $prometheus, 0;
        $? = $status;
    }
}

sub api {
    my $path     = shift;
    my $response = HTTP::Tiny->new(timeout => 30)->get("http://127.0.0.1:$port/api/v1/$path");
    return $response->{status} == 200 ? decode_json($response->{content})->{data} : {};
}

sub query { return @{ api('query?query=' . shift)->{result} // [] } }

my $target;
$nginx->wait_for('the first scrape', sub {
    ($target) = @{ api('targets')->{activeTargets} // [] };
    return $target && $target->{health} eq 'up';
}) or diag(read_file("$scratch/prometheus.log"));
is($target->{lastError}, '', 'Prometheus reads the page');
$nginx->wait_for('up', sub { my ($up) = query('up'); $up && $up->{value}[1] eq '1' });
pass('the target is up');
like($nginx->read('logs/kinds.log'), qr{^/metrics application/openmetrics-text; version=1\.0\.0; charset=utf-8$}m, 'and is asked for OpenMetrics');
my ($traps) = query('wasm_filter_traps_total');
is($traps->{metric}{location}, '/filter', 'numbers have their labels');
is($traps->{value}[1], 1, 'and their values');

is_deeply([grep { $_->{labels}{alertname} eq 'WasmFilterTraps' } @{ api('alerts')->{alerts} }], [], 'there is no alert');
my $alert;
$nginx->wait_for('the alert', sub {
    # Rates want two samples, and what lies between them.
    $nginx->get('/filter', { 'x-faulty' => 'abort' });
    ($alert) = grep { $_->{labels}{alertname} eq 'WasmFilterTraps' } @{ api('alerts')->{alerts} // [] };
    return $alert && $alert->{state} eq 'firing';
});
is($alert->{state}, 'firing', 'a filter that traps is told of');
is_deeply({ map { $_ => $alert->{labels}{$_} } qw( filter location severity ) }, { filter => 'faulty', location => '/filter', severity => 'warning' }, 'which one it is');
like($alert->{annotations}{summary}, qr/^Callbacks of the filter faulty trap on 127\.0\.0\.1:\d+\.$/, 'what there is to know');

unlike($nginx->log, qr/\[alert\]/, 'nothing is wrong in the log');
$nginx->stop;
done_testing;
