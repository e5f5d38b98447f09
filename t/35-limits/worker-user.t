# A directory that root may enter and the worker's user may not: nginx -t, which root runs, likes it; the worker says what is
# wrong, its requests fail, and other filters are served. What the worker's user may read is read.

use strict;
use warnings;

use File::Temp ();
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
    main   => "wasm { module files $root/build/guests/rust-files.wasm; }",
    server => "
        location /closed { proxy_wasm_allow dir=$folder/closed:/data; proxy_wasm files; return 200; }
        location /open   { proxy_wasm_allow dir=$folder/open:/data;   proxy_wasm files; return 200; }",
);
my ($ok, $output) = $nginx->test;
ok $ok, 'the master may enter both' or diag $output;
$nginx->start or BAIL_OUT("nginx does not start: $nginx->{output}");

is $nginx->get('/closed', { 'x-files' => 'read /data/file' })->{status}, 503, 'a filter without its directory';
is $nginx->get('/open',   { 'x-files' => 'read /data/file; read /data/secret' })->{content},
    "read: open\nread: error 2 Permission denied (os error 2)\n", 'a filter with its own, as far as the user may read it';
like $nginx->log, qr{\[crit\] .*wasm filter "files" does not start in this worker, .*: cannot open the directory "\Q$folder\E/closed": Permission denied .*\(proxy_wasm_allow\) in \S+nginx\.conf:\d+},
    'the log names the directory and the directive';
$nginx->stop;
done_testing;
