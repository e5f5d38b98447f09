# 'file=PATH' in 'proxy_wasm' and 'module': a configuration of any bytes and of any size up to a bound, read by the master and
# checked by 'nginx -t', read again at a reload and only then, and a part of what a filter is known by.

use strict;
use warnings;

use JSON::PP;
use NginxProcess;
use POSIX ();
use Test::More;

my $guests = "$ENV{TEST_WASM_ROOT}/build/guests";
my $main   = <<"CONF";
wasm {
    module probe   $guests/rust-probe.wasm file=conf.d/vm;
    module headers $guests/rust-headers.wasm;
    module sized   sized.wat;
}
CONF
my $pages = "location = /status { wasm_status; }\n";

my $nginx  = NginxProcess->new('configuration-file');
my $prefix = $nginx->prefix;
my $conf   = "$prefix/nginx.conf";
mkdir "$prefix/conf.d" or die "cannot make a folder: $!";

# A filter that starts when its configuration has so many bytes.
sub sized {
    my $size = shift;
    $nginx->write('sized.wat', <<"WAT");
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.eq (local.get 1) (i32.const $size))))
WAT
    return;
}

sub line_of {
    my $text  = shift;
    my @lines = split /\n/, $nginx->read('nginx.conf');
    my ($line) = grep { index($lines[$_ - 1], $text) >= 0 } 1 .. @lines;
    return $line;
}

sub filters {
    return @{ decode_json($nginx->get('/status')->{content})->{filters} };
}

sub reload {
    my @old = $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('the workers before to go', sub { !grep { kill 0, $_ } @old });
    return;
}

my $limit = 16 << 20;
sized($limit);
$nginx->write('conf.d/vm', 'of the VM');

# What nginx refuses.
{
    my %wrong = (
        gone      => [sub { },                                                                     'No such file or directory'],
        folder    => [sub { mkdir $_[0] or die "cannot make $_[0]: $!" },                          'it is a directory'],
        pipe      => [sub { POSIX::mkfifo($_[0], 0600) or die "cannot make $_[0]: $!" },           'it is not a regular file'],
        loop      => [sub { symlink 'loop', $_[0] or die "cannot make $_[0]: $!" },                'Too many levels of symbolic links'],
        'too-big' => [sub { $nginx->write('conf.d/too-big', 'x' x ($limit + 1)) }, 'it is larger than 16 MiB, .*'],
    );
    for my $name (sort keys %wrong) {
        my ($make, $reason) = @{ $wrong{$name} };
        $make->("$prefix/conf.d/$name");
        $nginx->configure(main => $main, server => "location / {\n    proxy_wasm headers file=conf.d/$name;\n}");
        my ($ok, $output) = $nginx->test;
        my $line = line_of("file=conf.d/$name");
        ok(!$ok, "$name: nginx -t fails");
        like(
            $output,
            qr/\[emerg\] .*filter "headers": cannot read its configuration from "\Q$prefix\E\/conf\.d\/$name": $reason.* in \Q$conf\E:$line$/m,
            'and names file, reason, and place'
        );

        $nginx->configure(main => "wasm {\n    module sized sized.wat file=conf.d/$name;\n}");
        ($ok, $output) = $nginx->test;
        $line = line_of("file=conf.d/$name");
        ok(!$ok, "$name, of a module: nginx -t fails");
        like(
            $output,
            qr/\[emerg\] .*module "sized": cannot read its configuration from "\Q$prefix\E\/conf\.d\/$name": $reason.* in \Q$conf\E:$line$/m,
            'and names file, reason, and place'
        );
    }
    # A module itself.
    for my $name (qw( folder pipe loop )) {
        $nginx->configure(main => "wasm {\n    module sized conf.d/$name;\n}");
        my ($ok, $output) = $nginx->test;
        ok(!$ok, "$name, as a module: nginx -t fails");
        like($output, qr/\[emerg\] .*module "sized" \(\Q$prefix\E\/conf\.d\/$name\): cannot read it: $wrong{$name}[1].* in \Q$conf\E:\d+$/m,
            'and names file, reason, and place');
    }
    $nginx->configure(main => $main, server => 'location / { proxy_wasm headers file=/dev/zero; }');
    my ($ok, $output) = $nginx->test;
    ok(!$ok, 'a device: nginx -t fails');
    like($output, qr/"\/dev\/zero": it is not a regular file/, 'and says why');
    $nginx->write('conf.d/wrong', 'sing a song');
    $nginx->configure(main => $main, server => 'location / { proxy_wasm headers file=conf.d/wrong; }');
    ($ok, $output) = $nginx->test;
    ok(!$ok, 'a configuration that the filter refuses: nginx -t fails');
    like($output, qr/filter "headers" does not start: proxy_on_configure returned false/, 'and says why');
}

# The largest, and an empty one.
for my $size (0, 4096, 100_000, $limit) {
    sized($size);
    $nginx->write('conf.d/sized', 'x' x $size);
    $nginx->configure(main => $main, server => 'location / { proxy_wasm sized file=conf.d/sized; }');
    my ($ok, $output) = $nginx->test;
    ok($ok, "$size bytes") or diag $output;
}

# Any bytes; a name with a blank and in quotes; the VM configuration; one that begins with "file=".
my $wild = "config; vm-config; report; \0\x01\xff;\"';\${}\\;{\n";
$nginx->write('conf.d/any bytes', $wild);
$nginx->write('conf.d/literal', 'file=x; config; report');
# Large, and with a statement at its end.
my $large = sub { return "\n" x 300_000 . "response.add x-version $_[0]\n" };
$nginx->write('conf.d/large', $large->('one'));
my $server = <<"CONF";
$pages
location /any     { proxy_wasm probe 'file=conf.d/any bytes'; return 200; }
location /literal { proxy_wasm probe file=$prefix/conf.d/literal; return 200; }
location /large   { proxy_wasm headers file=conf.d/large; return 200 ok; }
location /here    { proxy_wasm headers; return 200; }
CONF
$nginx->configure(main => $main, server => $server);
ok($nginx->start, 'nginx starts') or die($nginx->{output});
my ($any, $literal) = map { (split /\n/, $nginx->get($_)->{content})[0] } '/any', '/literal';
is($any, 'config -> 0 config; vm-config; report; \x00\x01\xff;"\';${}\x5c;{\x0a', 'any bytes');
like($nginx->get('/any')->{content}, qr/^vm-config -> 0 of the VM$/m, 'the VM configuration');
is($literal, 'file=x -> unknown statement', 'in a file, a configuration may begin with "file="');
my $version = sub { return $nginx->get('/large')->{headers}{'x-version'} // 'none' };
is($version->(), 'one', 'a large one');

my ($shown) = grep { ($_->{file} // '') =~ /large/ } filters();
is($shown->{file},     "$prefix/conf.d/large", 'wasm_status names the file');
is($shown->{requests}, 1,                      'and counts');
is((filters())[-1]{file}, undef, 'a configuration in nginx.conf has none');

# What the file has now is of no interest before a reload.
$nginx->write('conf.d/large', 'sing a song');
{
    my %old = map { $_ => 1 } $nginx->workers;
    kill 'KILL', keys %old;
    $nginx->wait_for('another worker', sub { my @now = $nginx->workers; @now && !grep { $old{$_} } @now });
    is($version->(), 'one', 'a worker that comes later has what the master has read');
}
{
    my @workers = $nginx->workers;
    my $size    = length $nginx->log;
    $nginx->signal('HUP');
    $nginx->wait_for('the refusal', sub { substr($nginx->log, $size) =~ /\[emerg\] .*filter "headers" does not start/ });
    is_deeply([$nginx->workers], \@workers, 'a reload with a configuration that the filter refuses fails');
    is($version->(), 'one', 'and the old one serves on');
}
my ($before) = grep { ($_->{file} // '') =~ /large/ } filters();
$nginx->write('conf.d/large', $large->('one'));
reload();
is((grep { ($_->{file} // '') =~ /large/ } filters())[0]{requests}, $before->{requests}, 'the same content: the filter is the same one');
$nginx->write('conf.d/large', $large->('two'));
reload();
is((grep { ($_->{file} // '') =~ /large/ } filters())[0]{requests}, 0, 'another content: it is another one');
is($version->(), 'two', 'which a reload brings');
my $count = sub { return { map { ($_->{file} // '') => $_->{requests} } filters() }->{"$prefix/conf.d/any bytes"} };
cmp_ok($count->(), '>', 0, 'a filter has requests');
$nginx->write('conf.d/vm', 'of another VM');
reload();
is($count->(), 0, 'another VM configuration makes it another filter');
like($nginx->get('/any')->{content}, qr/^vm-config -> 0 of another VM$/m, 'which has that');

# The command "nginx -s" reads nginx.conf too, and does not need the file.
unlink "$prefix/conf.d/large";
{
    my $pid = $nginx->pid;
    my ($command) = $nginx->command('-s', 'stop');
    is(system("$command >/dev/null 2>&1"), 0, '"nginx -s stop" works without the file');
    $nginx->wait_for('the end', sub { !kill 0, $pid });
}

unlike($nginx->log, qr/\[alert\](?!.*exited on signal 9)/, 'nothing is wrong in the log');

done_testing;
