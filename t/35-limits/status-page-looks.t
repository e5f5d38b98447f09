# How the page of 'wasm_status html' looks, in Chromium: on narrow and wide windows, light and dark, with all that can be on it. It has
# nothing to complain about, fits its window, and comes again by itself. The pictures stay in build/t/status-page-looks.browser.

use strict;
use warnings;

use Browser;
use Engine ();
use JSON::PP ();
use NginxProcess;
use Test::More;

if (my $why = Browser->missing) { plan skip_all => $why }
plan skip_all => 'pages look the same under valgrind' if $ENV{TEST_WASM_VALGRIND};

my $guests = "$ENV{TEST_WASM_ROOT}/build/guests";
my $nginx  = NginxProcess->new('status-page-looks', workers => 2);
my $long   = 'a_name_without_a_place_to_break_it_' x 3;
my $bad    = '<img/src=x/onerror=alert(1)>';
my $policy = "add_header Content-Security-Policy \"default-src 'none'\" always; default_type text/html;";
my ($program, $program_module) = Engine::can_do('programs')
    ? ('location /p/ { wasm_cgi program; }', "module program $guests/rust-program.wasm;") : ('', '');

$nginx->write('own.wasm', do { local (@ARGV, $/) = "$guests/rust-shared.wasm"; <> });
$nginx->configure(
    main => "wasm {
        module auth $guests/rust-probe.wasm; module rate-limit $guests/rust-probe.wasm; module shared own.wasm; module calls $guests/rust-calls.wasm;
        module '$bad' $guests/rust-headers.wasm; module $long $guests/rust-headers.wasm;
        $program_module shm_queue quiet 12k;
    }",
    http   => 'wasm_timeout 100ms; wasm_latency on;',
    server => "location = /page { wasm_status html; }
        location /auth     { proxy_wasm auth; return 200 ok; }
        location /login    { proxy_wasm rate-limit; proxy_wasm_on_error closed; return 200 ok; }
        location /shared   { proxy_wasm shared; proxy_wasm_isolation request; return 200 ok; }
        location /calls    { proxy_wasm calls; return 200 ok; }
        location '/$bad'   { proxy_wasm '$bad'; return 200 ok; }
        location ~ ^/$long { proxy_wasm $long root_id=$long; return 200 ok; }
        $program
        location = /inline { $policy return 200 '<!DOCTYPE html><style>p{color:red}</style><p>x'; }
        location = /wide   { $policy return 200 '<!DOCTYPE html><meta name=viewport content=\"width=device-width\"><p>$long$long$long'; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# A little of everything.
$nginx->get('/auth') for 1 .. 20;
$nginx->get('/auth', { 'x-probe' => 'loop' });
$nginx->get('/login', { 'x-probe' => 'abort' });
$nginx->get('/shared', { 'x-shared' => "register $bad; register quiet; push quiet one" });
$nginx->get('/calls', { 'x-calls' => 'call a 127.0.0.1:' . ($nginx->port + 1) . ' GET /; answer 200' });
$nginx->get('/p/hello') if $program;
$nginx->write('own.wasm', do { local (@ARGV, $/) = "$guests/rust-headers.wasm"; <> });

my $browser = Browser->new('status-page-looks');
my $url     = 'http://127.0.0.1:' . $nginx->port;
sub scripted { return $browser->evaluate($_[0]) }
my $overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';

# It would see what it is to look for.
isnt(scalar @{ $browser->look("$url/inline", width => 800, height => 600)->{complaints} }, 0, 'the browser complains of a style that the policy forbids');
$browser->look("$url/wide", width => 360, height => 600);
cmp_ok(scripted($overflow), '>', 0, 'a page that is wider than its window is seen');

my %colours;
for my $scheme (qw( light dark )) {
    for my $width (320, 360, 768, 1024, 1280, 1281, 1400, 2560) {
        my $name = "$scheme-$width";
        my $seen = $browser->look("$url/page", width => $width, height => 900, scheme => $scheme, name => $name, whole => 1);
        is_deeply($seen->{complaints}, [], "$name: nothing to complain about");
        is(scripted($overflow), 0, "$name: the page is no wider than its window");
        is(scripted('[...document.querySelectorAll(".scroll")].filter(it => it.scrollWidth > it.clientWidth + 1).length'), 0, "$name: nor is a table wider than its place");
        cmp_ok(-s $seen->{picture}, '>', 10_000, "$name: there is something on it");
        $colours{$scheme} = scripted('getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color');
        is(scripted('[...document.querySelectorAll("td > div, th > div")].filter(it => it.scrollWidth > it.clientWidth + 1).length'), 0, "$name: no text leaves its cell");
    }
}
isnt($colours{light}, $colours{dark}, 'light and dark are two');

# What is there.
$browser->look("$url/page", width => 1400, height => 900);
is(scripted('document.scripts.length + document.images.length + document.links.length'), 0, 'no script, image or link came of what others say');
is(scripted('[...document.querySelectorAll("tbody th")].filter(it => it.innerText.startsWith("<img/src=x")).length'), 3, 'which is shown as it is: a filter, its module, a queue');
is(scripted('document.querySelector("h2 + div tbody tr").className'), 'down', 'what is down comes first');
is(scripted('[...document.querySelectorAll("th")].every(it => it.scope === (it.closest("thead") ? "col" : "row"))'), JSON::PP::true, 'headings say what they are of');
is(scripted('[...document.querySelectorAll(".state")].every(it => it.innerText.trim() !== "")'), JSON::PP::true, 'states are words, not colours alone');
is(scripted('getComputedStyle(document.querySelector("thead")).position'), 'static', 'a wide window has a table');
$browser->look("$url/page", width => 360, height => 800);
is(scripted('getComputedStyle(document.querySelector("thead")).position'), 'absolute', 'a narrow one has cards');
is(scripted('getComputedStyle(document.querySelector("td"), "::before").content'), '"Place"', 'in which each value has its heading');

# By itself.
$browser->look("$url/page", width => 800, height => 800, lives => 1);
my $requests = () = $nginx->read('logs/access.log') =~ m{"GET /page }g;
$browser->wait_for('load');
is_deeply([$browser->complaints], [], 'the page comes again without a complaint');
$nginx->wait_for('the access log', sub { my $now = () = $nginx->read('logs/access.log') =~ m{"GET /page }g; $now > $requests });
pass('and was asked for again');

unlike($nginx->log, qr/\[alert\]/, 'nothing is wrong in the log');
$nginx->stop;
done_testing;
