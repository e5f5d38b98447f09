# A level with filters of its own hides those of the level around it, as everywhere in nginx; 'nginx -t' and the start warn of
# it, once for each such level, unless the level says 'proxy_wasm inherit;' or 'proxy_wasm off;'.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $guests = "$ENV{TEST_WASM_ROOT}/build/guests";
my $main   = "wasm { module auth $guests/rust-headers.wasm; module image $guests/rust-headers.wasm; }";

my $nginx = NginxProcess->new('hidden-chain');
my $conf  = $nginx->prefix . '/nginx.conf';

sub line_of {
    my $text  = shift;
    my @lines = split /\n/, $nginx->read('nginx.conf');
    my ($line) = grep { index($lines[$_ - 1], $text) >= 0 } 1 .. @lines;
    return $line;
}

sub warnings_of {
    my %part = @_;
    $nginx->configure(main => $main, %part);
    my ($ok, $output) = $nginx->test;
    ok($ok, 'nginx -t accepts it') or diag $output;
    return grep { /\[warn\]/ } split /\n/, $output;
}

my $server = <<'CONF';
proxy_wasm auth 'deny / 401';
proxy_wasm auth 'response.add x-second 1';
location /img {
    proxy_wasm image 'response.add x-image 1';
    proxy_wasm image 'response.add x-image 2';
    return 200 img;
}
location / { return 200 ok; }
CONF
my @said = warnings_of(server => $server);
is(@said, 1, 'one warning for a level');
my ($own, $outer) = map { line_of($_) } "'response.add x-image 1'", "'deny / 401'";
like(
    $said[0],
    qr/"proxy_wasm image" in \Q$conf\E:$own hides the filters of the level around it, which begin with "proxy_wasm auth" in \Q$conf\E:$outer: .*"proxy_wasm inherit;".*"proxy_wasm off;"/,
    'it names both places and both ways out'
);

for my $way (qw( inherit off )) {
    (my $said = $server) =~ s/(?=proxy_wasm image 'response.add x-image 1')/proxy_wasm $way;\n/;
    is_deeply([warnings_of(server => $said)], [], "no warning with \"$way\"");
}
is_deeply([warnings_of(server => "proxy_wasm auth; location / { return 200; } location /off { proxy_wasm off; }")],
    [], 'none for levels that inherit, or have no filters');
is_deeply([warnings_of(server => "proxy_wasm auth; location / { if (\$arg_a) { return 200; } limit_except GET { deny all; } }")],
    [], 'none for blocks that nginx makes locations of');
is_deeply([warnings_of(server => "location /a { proxy_wasm auth; } location /b { proxy_wasm image; }")],
    [], 'none for levels side by side');
is_deeply(
    [warnings_of(server => "proxy_wasm auth; location /a { proxy_wasm off; location /a/b { proxy_wasm image; } }")],
    [], 'none inside of a level that has said "off"');

@said = warnings_of(
    http   => "proxy_wasm auth 'log info http';",
    server => "proxy_wasm image 'log info server';\nlocation /a {\nlocation /a/b {\nproxy_wasm auth 'log info nested';\n}\n}",
);
is(@said, 2, 'one for each level that hides something');
my ($http, $of_server, $nested) = map { line_of($_) } "'log info http'", "'log info server'", "'log info nested'";
is(scalar(grep { /:$of_server hides .*:$http:/ } @said), 1, 'the server hides what http has');
is(scalar(grep { /:$nested hides .*:$of_server:/ } @said), 1, 'and the nested location what it would have inherited');

# The start and a reload say it in the error log.
$nginx->configure(main => $main, server => $server);
ok($nginx->start, 'nginx starts') or die($nginx->{output});
is(scalar(() = $nginx->log =~ /\[warn\] .* hides the filters/g), 1, 'the start says it once');
is($nginx->get('/')->{status},        401,      'the outer filters run where nothing hides them');
is($nginx->get('/img/a')->{content}, 'img', 'and do not where something does');
my %old = map { $_ => 1 } $nginx->workers;
$nginx->signal('HUP');
$nginx->wait_for('new workers', sub { my @workers = $nginx->workers; @workers && !grep { $old{$_} } @workers });
is(scalar(() = $nginx->log =~ /\[warn\] .* hides the filters/g), 2, 'and a reload once more');
$nginx->stop;

done_testing;
