# A directory that root may enter and the worker's user may not: nginx -t, which root runs, likes it; the worker says what is
# wrong, its requests fail, and other filters are served. What the worker's user may read is read. And the kernel tells this user
# which pages were written to, for instances to be put back.

use strict;
use warnings;

use File::Temp ();
use JSON::PP;
use NginxProcess;
use Test::More;

plan(skip_all => 'needs root, who starts workers of another user') if $> != 0;
my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $folder = File::Temp->newdir;
chmod 0755, "$folder";
for my $name (qw( closed open )) {
    mkdir "$folder/$name" or die "$name: $!";
    open my $out, '>', "$folder/$name/file" or die "$name: $!";
    print $out "$name\n";
    close $out or die "$name: $!";
}
chmod 0700, "$folder/closed";
open my $out, '>', "$folder/open/secret" or die "secret: $!";
close $out;
chmod 0600, "$folder/open/secret";

my $group = getgrgid((getpwnam 'nobody')[3]);
my $nginx = NginxProcess->new('worker-user', user => "nobody $group");
$nginx->configure(
    main   => "wasm { module files $root/build/guests/rust-files.wasm; module headers $root/build/guests/rust-headers.wasm; }",
    server => "
        location /closed { proxy_wasm_allow dir=$folder/closed:/data; proxy_wasm files; return 200; }
        location /own    { proxy_wasm_isolation request; proxy_wasm headers; return 200; }
        location /status { wasm_status; }
        location /open   { proxy_wasm_allow dir=$folder/open:/data;   proxy_wasm files; return 200; }",
);
my ($ok, $output) = $nginx->test;
ok $ok, 'the master may enter both' or diag $output;
$nginx->start or die("nginx does not start: $nginx->{output}");

is $nginx->get('/closed', { 'x-files' => 'read /data/file' })->{status}, 503, 'a filter without its directory';
is $nginx->get('/open',   { 'x-files' => 'read /data/file; read /data/secret' })->{content},
    "read: open\nread: error 2 Permission denied (os error 2)\n", 'a filter with its own, as far as the user may read it';
like $nginx->log, qr{\[crit\] .*wasm filter "files" does not start in this worker, .*: cannot open the directory "\Q$folder\E/closed": Permission denied .*\(proxy_wasm_allow\) in \S+nginx\.conf:\d+},
    'the log names the directory and the directive';

if (Engine::can_do('put back')) {
    is $nginx->get('/own')->{status}, 200, 'a request with an instance of its own' for 1 .. 3;
    my $filter;
    $nginx->wait_for('the end of all three', sub {
        ($filter) = grep { $_->{name} eq 'headers' } @{ decode_json($nginx->get('/status')->{content})->{filters} };
        return $filter->{put_back} + $filter->{not_put_back} == 3;
    });
    # Where the kernel is asked in the slow way, the first one is not.
    cmp_ok $filter->{put_back}, '>=', 2, 'it is put back for the next';
    unlike $nginx->log, qr/starts for each request/, 'and nothing keeps it from that';
}
$nginx->stop;
done_testing;
