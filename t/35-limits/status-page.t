# 'wasm_status html': a page that says to people what the JSON says to programs. All of it is read as HTML, strictly (StatusPage.pm);
# how it looks is for status-page-looks.t.

use strict;
use utf8;
use warnings;

use Engine ();
use IO::Socket::INET;
use JSON::PP;
use NginxProcess;
use StatusPage;
use Test::More;

binmode $_, ':utf8' for map { Test::More->builder->$_ } qw( output failure_output todo_output );

my $guests = "$ENV{TEST_WASM_ROOT}/build/guests";
my $pages  = 'location = /page { wasm_status html; } location = /status { wasm_status json; } location = /plain { wasm_status; }';
my $nginx  = NginxProcess->new('status-page', workers => 2);

sub page { return StatusPage->get($nginx) }

sub status { return decode_json($nginx->get('/status')->{content}) }

sub reload {
    my @old = $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
    $nginx->wait_for('the new workers', sub { my $status = status(); $status->{workers} == 2 && !$status->{leaving_workers} });
    return;
}

# Of which the page says that it happened just now, or some seconds ago.
my $just = qr/(?:just now|\d+ s ago)/;

$nginx->configure(
    main => "wasm { module steady $guests/rust-headers.wasm; module shaky $guests/rust-probe.wasm; module fallen $guests/rust-probe.wasm; }",
    http => 'wasm_timeout 100ms;',
    server => "$pages
        location /steady { proxy_wasm steady; return 200 ok; }
        location /shaky  { proxy_wasm shaky; proxy_wasm_isolation request; proxy_wasm_on_error open; return 200 ok; }
        location ~ ^/fallen\$ { proxy_wasm fallen; proxy_wasm_on_error closed; return 200 ok; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");
$nginx->wait_for('both workers', sub { status()->{workers} == 2 });

# What HTTP says of it.
{
    my $response = $nginx->get('/page');
    my %wanted   = (
        'content-type'           => 'text/html; charset=utf-8',
        'cache-control'          => 'no-store',
        'x-content-type-options' => 'nosniff',
        'referrer-policy'        => 'no-referrer',
    );
    is($response->{status}, 200, 'the page is there');
    is($response->{headers}{$_}, $wanted{$_}, "its $_") for sort keys %wanted;
    like($response->{headers}{'content-security-policy'}, qr/^default-src 'none'; style-src 'sha256-[\w+\/]{43}='; [^*]*$/, 'its policy allows its style alone');
    like($response->{content}, qr/<meta http-equiv="refresh" content="5">/, 'it comes again by itself');
    unlike($response->{content}, qr/<script|javascript:|<[^>]* on\w+=|<[^>]* (?:src|href|style)=/, 'there is no script on it, and nothing to fetch');
    my $head = $nginx->request('HEAD', '/page');
    is($head->{status}, 200, 'HEAD: 200');
    is($head->{headers}{$_}, $wanted{$_}, "HEAD: $_") for sort keys %wanted;
    cmp_ok($head->{headers}{'content-length'}, '>', 5000, 'HEAD: the length of the page');
    is($head->{content} // '', '', 'HEAD: no page');
    is($nginx->request($_, '/page', {}, 'x')->{status}, 405, "$_: 405") for qw( POST PUT DELETE );
    is($nginx->get('/plain')->{headers}{'content-type'}, 'application/json', 'without a word it is JSON');
    is($nginx->get('/status')->{headers}{'content-type'}, 'application/json', 'and so it is with "json"');
}

# All is well.
{
    my ($page, $status) = (page(), status());
    is($page->{title}, 'ngx-wasm', 'all is well: the title has nothing to say');
    is_deeply($page->{notices}, ['All 3 are up.'], 'nor has the top');
    is_deeply([@{ $page->{facts} }{qw( Module nginx Engine Workers Latency )}], [@$status{qw( version nginx engine )}, 2, 'wasm_latency off'], 'versions and workers');
    like($page->{facts}{Configuration}, qr/^no\. 1 loaded $just$/, 'the configuration');
    is_deeply([map { $_->{State} } $page->rows('Filters')], [('up') x 3], 'filters are up');
    my $row = $page->row('Filters', 'steady');
    my ($json) = grep { $_->{name} eq 'steady' } @{ $status->{filters} };
    is($row->{Filter}, 'steady on error: reload closed isolation: worker', 'a filter has its name and what is said of it');
    is($row->{Place}, "localhost /steady #0 $json->{place}", 'and its place');
    like($row->{Memory}, qr/^[\d.]+ [KM]iB of 128 MiB average of 2 instances, [\d.]+ [KM]iB$/, 'its memory, and what it may have');
    is_deeply([@$row{qw( Requests Failed), 'Last error' }], [0, 0, 'none'], 'and what has become of it');
    ok(!exists $row->{Latency}, 'without wasm_latency there is none');
}

# Requests, and failures.
$nginx->get('/steady') for 1 .. 4;
is($nginx->get('/shaky', { 'x-probe' => 'abort' })->{status}, 200, 'a filter traps, and the request goes on') for 1 .. 2;
is($nginx->get('/shaky', { 'x-probe' => 'loop' })->{status}, 200, 'a filter that takes too long');
{
    my $page = page();
    is($page->row('Filters', 'steady')->{Requests}, 4, 'requests are counted');
    is($page->{title}, '1 failing - ngx-wasm', 'the title tells what fails');
    is_deeply($page->{notices}, ['Of 3 filters and programs: 1 failing.'], 'so does the top');
    my ($row) = $page->rows('Filters');
    like($row->{Filter}, qr/^shaky on error: open isolation: request$/, 'a filter that fails comes first');
    is($row->{State}, 'failing', 'and is said to be failing');
    is($row->{Failed}, '0 3 went on without it, 2 traps, 1 time-out', 'with what happened');
    like($row->{'Last error'}, qr/^$just .*proxy_on_request_headers .*wasm_timeout/, 'and the last error with its age');
    my ($json) = grep { $_->{name} eq 'shaky' } @{ status()->{filters} };
    is($row->{'Last error'} =~ s/^$just //r, $json->{last_error}{text}, 'which is that of the JSON');
}

# One that is down, in one worker and then in both.
$nginx->wait_for('a trap in both workers', sub {
    $nginx->get('/fallen', { 'x-probe' => 'abort' });
    my $page = page();
    my ($row) = $page->rows('Filters');
    if ($row->{State} =~ /^partly/) {
        is($row->{State}, 'partly down in 1 of 2 workers until a reload', 'down in one worker') unless our $seen++;
        is_deeply($page->{notices}, ['Of 3 filters and programs: 1 down in some workers, 1 failing.'], 'which is told') if $seen == 1;
    }
    return $row->{State} eq 'down in 2 of 2 workers until a reload';
});
{
    my $page = page();
    is_deeply([map { $_->{about} =~ /^(\w+)/ } $page->rows('Filters')], [qw( fallen shaky steady )], 'what is down comes before what fails');
    is($page->{title}, '1 down - ngx-wasm', 'the title tells it');
    my $row = $page->row('Filters', 'fallen');
    is($row->{Memory}, 'no instance limit 128 MiB', 'it has no memory any more');
    like($row->{Place}, qr/^localhost ~ \^\/fallen\$ #0 /, 'and the place where it is declared');
    like($row->{'Last error'}, qr/^$just .*trapped/, 'and its error');
    my $module = $page->row('Modules', 'fallen');
    my ($json) = grep { $_->{name} eq 'fallen' } @{ status()->{modules} };
    is_deeply([@$module{qw( File SHA-256 Requests )}], ["$guests/rust-probe.wasm", @$json{qw( sha256 requests )}], 'its module has the sum of its file');
    like($module->{'Compiled code'}, qr/^(?:(?:compiled|from the cache) took [\d.]+ (?:s|ms|µs)|already in memory)$/, 'and where its code comes from');
}

# A reload is over the same counters, and begins with instances.
my $config = $nginx->read('nginx.conf');
$nginx->write('nginx.conf', $config =~ s/module steady/modul steady/r);
$nginx->signal('HUP');
$nginx->wait_for('the refusal', sub { page()->{facts}{'Refused reloads'} =~ /^1/ });
like(page()->{notices}[1], qr/^The last reload was refused $just : nginx goes on with the configuration before\. The error log says why\.$/, 'a reload that was refused stands on top');
like(page()->{facts}{'Refused reloads'}, qr/^1 last $just$/, 'and is counted');
$nginx->write('nginx.conf', $config);
reload();
{
    my $page = page();
    like($page->{facts}{Configuration}, qr/^no\. 2 loaded $just$/, 'a reload is the next configuration');
    is(scalar @{ $page->{notices} }, 1, 'and what was refused before is over');
    is($page->row('Filters', 'fallen')->{State}, 'failing', 'a filter that was down is not any more, and its error is a late one');
    is($page->row('Filters', 'steady')->{Requests}, 4, 'counters go on');
}

# What others say. The guest has functions whose names are markup; names of modules, locations, queues and services are, too.
my $bad = '<img/src=x/onerror=alert(1)>';
$nginx->write('hostile.wat', <<'WAT');
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  ;; Called through a table: compilers do not put it into the other one.
  (table 1 funcref) (elem (i32.const 0) $"</td><script>alert('1')</script>")
  (func $"</td><script>alert('1')</script>" unreachable)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call_indirect (i32.const 0)) i32.const 0))
WAT
$nginx->write('own.wasm', do { local (@ARGV, $/) = "$guests/rust-shared.wasm"; <> });
$nginx->configure(
    main   => "wasm { module '$bad' hostile.wat; module '\"&amp;' own.wasm; module calls $guests/rust-calls.wasm; shm_queue quiet 12k; }",
    http   => 'wasm_latency on;',
    server => "$pages
        location '/$bad' { proxy_wasm '$bad' root_id=$bad; return 200 ok; }
        location /shared { proxy_wasm '\"&amp;'; return 200 ok; }
        location /calls  { proxy_wasm calls; return 200 ok; }",
);
reload();
is($nginx->get('/%3Cimg/src=x/onerror=alert(1)%3E')->{status}, 503, 'a hostile filter traps');
$nginx->get('/shared', { 'x-shared' => "register $bad; register quiet; push quiet one" });
my $closed = do { IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport };
$nginx->get('/calls', { 'x-calls' => "call a 127.0.0.1:$closed GET /; call b $bad GET /; answer 200" });
{
    my $page = page();
    my $row  = $page->row('Filters', $bad);
    is($row->{Filter}, "$bad root id $bad on error: reload closed isolation: worker", 'markup in a name is text, and in a root id');
    like($row->{Place}, qr{^localhost /\Q$bad\E #0 /}, 'in a location');
    like($row->{'Last error'}, qr/script>alert\('1'\)/, 'and in the name of a function of a guest');
    is($page->row('Filters', '"&amp;')->{Requests}, 1, 'a reference in a name is text');
    is($page->row('Shared queues', $bad)->{Messages}, 0, 'markup in the name of a queue is text');
    is($page->row('Shared queues', 'quiet')->{Messages}, 1, 'and queues have their messages');
    is($page->row('Calls to other services', "127.0.0.1:$closed")->{Failed}, 1, 'calls are counted');
    like($page->row('Shared memory', 'wasm_metrics')->{Used}, qr/^[\d.]+ KiB of [\d.]+ KiB$/, 'zones are there');
    is($page->{facts}{Latency}, 'wasm_latency on', 'callbacks are measured');
    like($page->row('Filters', '"&amp;')->{Latency}, qr/^[\d.]+ (?:ns|µs|ms|s) 99% ≤ [\d.]+ (?:µs|ms|s) \w+: [\d.]+ (?:ns|µs|ms|s)$/, 'and shown');
    is($page->row('Modules', '"&amp;')->{File}, $nginx->prefix . '/own.wasm', 'a module has its file');
}

# The file of a module is another one by now.
$nginx->write('own.wasm', do { local (@ARGV, $/) = "$guests/rust-headers.wasm"; <> });
is(page()->{notices}[1], 'On disk 1 module is newer than what runs: a reload loads what is there.', 'a module that is newer on disk stands on top');
is(page()->row('Modules', '"&amp;')->{File}, $nginx->prefix . '/own.wasm the file on disk is newer', 'and is told in its row');
unlink $nginx->prefix . '/own.wasm';
is(scalar @{ page()->{notices} }, 1, 'of a file that is not there it is not said');
is(page()->row('Modules', '"&amp;')->{File}, $nginx->prefix . '/own.wasm workers cannot see the file', 'but that nobody can see it');

# Filters that Lua runs.
SKIP: {
    skip('needs lua', 4) unless $ENV{TEST_WASM_LUA};
    $nginx->configure(
        http   => "lua_package_path '$ENV{TEST_WASM_ROOT}/lua/?.lua;;';",
        server => "$pages
            location /lua {
                access_by_lua_block {
                    local wasm = require 'resty.proxy-wasm'
                    local plugin = assert(wasm.load('$bad', '$guests/rust-probe.wasm'))
                    wasm.on_http_request_headers(assert(wasm.on_configure(plugin, ngx.var.arg_what)))
                }
                content_by_lua_block { ngx.say('ok') }
            }",
    );
    reload();
    is_deeply([page()->rows('Filters')], [], 'without filters there are none');
    is_deeply(page()->{notes}{Filters}, ['None. The directive proxy_wasm adds one.'], 'and the page says how there would be');
    $nginx->get('/lua?what=level');
    is_deeply([@{ page()->row('Filters', $bad) }{qw( Place State Requests )}], ['Lua', 'up', 1], 'a filter that Lua runs');
    $nginx->get('/lua?what=abort');
    is(page()->row('Filters', $bad)->{State}, 'failing', 'and that fails');
}

# Programs and functions.
SKIP: {
    skip('needs programs', 6) unless Engine::can_do('programs');
    $nginx->configure(
        main   => "wasm { module program $guests/rust-program.wasm; module plugin $guests/rust-extism.wasm; }",
        http   => 'wasm_threads 2 queue=3;',
        server => "$pages
            location /p/      { wasm_cgi program; }
            location = /f/echo { wasm_function plugin echo; }",
    );
    reload();
    is(page()->{notices}[0], 'All 2 are up.', 'programs are up');
    is($nginx->get('/p/hello')->{status}, 200, 'a program answers') for 1 .. 2;
    is($nginx->get('/p/trap')->{status}, 502, 'and traps');
    $nginx->wait_for('threads to have nothing to do', sub { page()->{facts}{'Program threads'} =~ /^0 busy/ });
    my $page = page();
    my ($row, $function) = $page->rows('Programs and functions');
    is_deeply([@$row{qw( Program State Requests Failed Latency )}], ['program wasm_cgi', 'failing', 3, '1 1 trap', 'not measured'], 'its row says so');
    like($row->{'Last error'}, qr/^$just \S/, 'with the last error');
    is_deeply([@$function{qw( Program State Requests )}], ['plugin wasm_function', 'up', 0], 'and so does that of a function');
    like($page->{facts}{'Program threads'}, qr/^0 busy of \d \(at most 4\), 0 queued \(at most 6\)$/, 'threads');
}

# Many.
$nginx->configure(
    main   => "wasm { module steady $guests/rust-headers.wasm; module shaky $guests/rust-probe.wasm; }",
    server => "$pages location = /last { proxy_wasm shaky; return 200 ok; } " . join ' ', map {"location /$_ { proxy_wasm steady 'response.add x-n $_'; return 200 ok; }"} 1 .. 400,
);
reload();
is($nginx->get('/last', { 'x-probe' => 'abort' })->{status}, 503, 'one of many filters traps');
{
    my $page = page();
    my ($first, @others) = $page->rows('Filters');
    is($first->{about}, 'shaky on error: reload closed isolation: worker', 'and comes first');
    is(scalar @others, 400, 'all others are there');
    is_deeply($page->{notices}, ['Of 401 filters and programs: 1 failing.'], 'and counted');
}

unlike($nginx->log, qr/\[(?:alert)\]/, 'nothing is wrong in the log');
$nginx->stop;
done_testing;
