# `wasm { cache_dir PATH; }`: the next start compiles nothing; and nothing is taken from the folder that others could have put
# there.

use strict;
use warnings;

use File::Copy qw( copy );
use File::Temp ();
use NginxProcess;
use Test::More;

# What is compiled is looked at here (tools/valgrind-nginx.sh).
$ENV{VALGRIND_NO_CACHE} = 1;

# Not in the checkout, whose folders may belong to anybody.
my $scratch = File::Temp->newdir('wasm-cache-XXXXXX', TMPDIR => 1);
my $dir     = "$scratch/cache";
my $nginx   = NginxProcess->new('compile-cache');
$Engine::shares_cache = 0;
my $is_root = $> == 0;
my $nobody  = getpwnam('nobody') // 65534;

# A filter that sets the response header 'x-NAME' to a digit.
sub module {
    my ($name, $digit) = @_;
    my $size = 2 + length $name;
    return <<"WAT";
(module
  (import "env" "proxy_replace_header_map_value" (func \$replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-$name$digit")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call \$replace (i32.const 2) (i32.const 0) (i32.const $size) (i32.const $size) (i32.const 1))))
WAT
}

sub configure {
    my $folder = shift;
    $nginx->configure(
        main   => "wasm {\n    module a a.wat;\n    module b b.wat;\n    cache_dir $folder;\n}",
        server => "location / { proxy_wasm a; proxy_wasm b; return 200 ok; }",
    );
}

# Starts nginx, or reloads it: how it came by the modules.
sub came {
    my $from = shift;
    my %came = substr($nginx->log, $from) =~ /\[notice\] .*wasm: module "(\w)" \(\S+\): (compiled|taken from the compile cache|unchanged)/g;
    return join ' ', map {"$_ $came{$_}"} sort keys %came;
}
sub start {
    my $from = length $nginx->log;
    $nginx->start or die($nginx->{output});
    my $headers = $nginx->get('/')->{headers};
    is(join(' ', map { $headers->{"x-$_"} // 'none' } qw( a b )), '1 2', 'the filters work');
    return came($from);
}
sub restart { $nginx->stop; return start() }
sub warnings {
    my $from = shift;
    return grep {/\[(?:warn|alert|emerg)\]/} split /\n/, substr $nginx->log, $from;
}
sub files { my @files = sort glob "$dir/*.code"; return @files }

$nginx->write('a.wat', module('a', 1));
$nginx->write('b.wat', module('b', 2));
configure($dir);
my $compiled = 'a compiled b compiled';
my $taken    = 'a taken from the compile cache b taken from the compile cache';

is(start(), $compiled, 'the first start compiles');
is((stat $dir)[2] & 07777, 0700, 'the folder is made, for nobody else');
is(scalar files(), 2, 'with a file for each module');
is_deeply([map { sprintf '%04o', (stat $_)[2] & 07777 } files(), "$dir/key"], [('0600') x 3], 'that nobody else can read');
is(restart(), $taken, 'the second start does not');

# nginx -t fills the cache, too.
unlink files();
my ($ok, $output) = $nginx->test;
ok($ok, 'nginx -t') or diag $output;
unlike($output, qr/\[(?:notice|warn)\]/, 'which says nothing about it');
is(restart(), $taken, 'compiles for the start after it');

# Files that are not as they were written: each is told, not used, and replaced.
my ($file) = grep { came_from_a($_) } files();
sub came_from_a {
    my $name = shift;
    my $away = "$scratch/away";
    rename $name, $away or die "$name: $!";
    my $is = restart() =~ /a compiled/;
    rename $away, $name or die "$name: $!";
    return $is;
}
sub bytes {
    my ($name, $change) = @_;
    open my $in, '<:raw', $name or die "$name: $!";
    my $bytes = do { local $/; <$in> };
    $bytes = $change->($bytes);
    open my $out, '>:raw', $name or die "$name: $!";
    print $out $bytes;
    close $out or die "$name: $!";
}
sub flip {
    my ($at, $bytes) = @_;
    substr($bytes, $at, 1) ^= "\x01";
    return $bytes;
}
my $other_nginx = File::Temp->newdir('wasm-cache-XXXXXX', TMPDIR => 1);
for my $case (
    ['one bit of the code is changed',     qr/keyed sum is wrong/, sub { bytes($file, sub { flip(-9, @_) }) }],
    ['one bit of the sum is changed',      qr/keyed sum is wrong/, sub { bytes($file, sub { flip(90, @_) }) }],
    ['another format',                     qr/its format is 0, not 1/, sub { bytes($file, sub { flip(8, @_) }) }],
    ['another engine',                     qr/of another engine/,  sub { bytes($file, sub { flip(12, @_) }) }],
    ['cut',                                qr/damaged/,            sub { bytes($file, sub { substr $_[0], 0, length($_[0]) / 2 }) }],
    ['empty',                              qr/damaged/,            sub { bytes($file, sub {''}) }],
    ['something else',                     qr/damaged/,            sub { bytes($file, sub { 'x' x 9000 }) }],
    ['the code of the other module',       qr/of another module/,  sub { my ($b) = grep { $_ ne $file } files(); copy($b, $file) }],
    ['others can write it',                qr/its mode is 0666/,   sub { chmod 0666, $file }],
    ['others can read it',                 qr/its mode is 0640/,   sub { chmod 0640, $file }],
    ['a symbolic link',                    qr/symbolic link/,      sub { rename $file, "$scratch/x"; symlink "$scratch/x", $file }],
    ['another name of a file',             qr/2 names/,            sub { unlink "$scratch/x"; link $file, "$scratch/x" }],
    ['a pipe',                             qr/not a plain file/,   sub { unlink $file; system 'mkfifo', '-m', '600', $file }],
    ['right, but made with another key',   qr/keyed sum is wrong/, sub {
        my $planted = NginxProcess->new('compile-cache-other', port => $nginx->port + 1);
        $planted->write('a.wat', module('a', 1));
        $planted->configure(main => "wasm { module a a.wat; cache_dir $other_nginx/cache; }");
        ($planted->test)[0] or die 'nginx -t';
        my ($name) = $file =~ m{([^/]+)\z};
        copy("$other_nginx/cache/$name", $file) or die "the other nginx has no $name";
    }],
    $is_root ? ['of another user', qr/belongs to user $nobody/, sub { chown $nobody, -1, $file }] : (),
) {
    my ($what, $why, $spoil) = @$case;
    $spoil->();
    $nginx->stop;
    my $from = length $nginx->log;
    is(start(), 'a compiled b taken from the compile cache', "$what: compiled");
    my @warnings = warnings($from);
    is(scalar @warnings, 1, "$what: one warning") or diag explain \@warnings;
    like($warnings[0], qr/\[warn\] .*compile cache: "\Q$file\E" is not used, and replaced: .*$why/, "$what: it says why");
    my ($ok, $output) = $nginx->test;
    ok($ok, "$what: the file is replaced") or diag $output;
    unlike($output, qr/\[warn\]/, "$what: by a right one");
}
is(restart(), $taken, 'in the end, all files are right again');

# The key.
for my $case (
    ['others can read the key', qr/its mode is 0644/, sub { chmod 0644, "$dir/key" }],
    ['the key is too short',    qr/its length is wrong/, sub { bytes("$dir/key", sub {'short'}) }],
) {
    my ($what, $why, $spoil) = @$case;
    $spoil->();
    $nginx->stop;
    my $from = length $nginx->log;
    is(start(), $compiled, "$what: all is compiled");
    my @warnings = warnings($from);
    is(scalar @warnings, 3, "$what: that is told, of the key and of each file") or diag explain \@warnings;
    like($warnings[0], qr{"\Q$dir\E/key" is replaced, .*: $why}, "$what: it says why");
    is(restart(), $taken, "$what: another key is there");
}


# Other options of the engine, other code.
my $count = files();
$nginx->configure(
    main   => "wasm { module a a.wat; module b b.wat; cache_dir $dir; }",
    server => "location / { proxy_wasm a; proxy_wasm b; wasm_fuel filter=a 1000000; return 200 ok; }",
);
is(restart(), 'a compiled b taken from the compile cache', 'an engine with other options has other code');
is(scalar files(), $count + 1, 'in another file');
is(restart(), $taken, 'which the next start takes');
$nginx->configure(
    main   => "wasm { module a a.wat; module b b.wat; cache_dir $dir; optimize off; }",
    server => "location / { proxy_wasm a; proxy_wasm b; return 200 ok; }",
);
is(restart(), $compiled, 'and so has one that does not optimize');
is(scalar files(), $count + 3, 'in files of their own');
is(restart(), $taken, 'which the next start takes');
configure($dir);
is(restart(), $taken, 'the code without these options is still there');

# The folder: refused by nginx -t.
sub refused {
    my ($folder, $message, $what) = @_;
    configure($folder);
    my ($ok, $output) = $nginx->test;
    ok(!$ok, "$what is refused");
    my @lines  = split /\n/, $nginx->read('nginx.conf');
    my ($line) = grep { $lines[$_ - 1] =~ /cache_dir/ } 1 .. @lines;
    like($output, qr/\[emerg\] .*cannot use the "cache_dir": $message.* in \S+nginx\.conf:$line$/m, "$what: the message says why and where");
}
mkdir "$scratch/open";
for my $mode (0777, 0770, 01777) {
    chmod $mode, "$scratch/open";
    refused("$scratch/open", sprintf('"%s/open" has mode %04o; .*chmod go-w', $scratch, $mode & 0777), sprintf('a folder with mode %04o', $mode));
}
chmod 0777, "$scratch/open";
mkdir "$scratch/open/inner", 0700;
refused("$scratch/open/inner", qr/"\Q$scratch\E\/open" has mode 0777/, 'a folder that others can exchange');
chmod 0755, "$scratch/open";
configure("$scratch/open/inner");
ok(($nginx->test)[0], 'a folder that others can look at is not');
if ($is_root) {
    chown $nobody, -1, "$scratch/open/inner";
    refused("$scratch/open/inner", qr/"\Q$scratch\E\/open\/inner" belongs to user $nobody; .*chown/, "somebody else's folder");
    chown 0, -1, "$scratch/open/inner";
    chown $nobody, -1, "$scratch/open";
    refused("$scratch/open/inner", qr/"\Q$scratch\E\/open" belongs to user $nobody/, "one in somebody else's folder");
}

# One that is of no use: a warning, and nginx does without.
sub does_without {
    my ($folder, $message, $what, $test) = @_;
    configure($folder);
    my ($ok, $output) = ($test // sub { $nginx->test })->();
    ok($ok, "$what: nginx goes on") or diag $output;
    my @warnings = grep {/\[(?:warn|error|crit|alert|emerg)\]/} split /\n/, $output;
    is(scalar @warnings, 1, "$what: with one warning") or diag explain \@warnings;
    like($warnings[0], qr/\[warn\] .*compile cache: $message/, "$what: that says why");
}
my $none = 'none, modules are compiled each time:';
does_without("$scratch/none/cache", qr/$none "\Q$scratch\E\/none\/cache": No such file or directory/, 'in a folder that is not there');
ok(!-e "$scratch/none", 'nothing is made for it');
configure("$scratch/none/cache");
is(restart(), $compiled, 'nginx starts without it');
is(scalar(grep {/compile cache: \Q$none\E/} warnings(0)), 1, 'and says so in the log');

# nginx -t in a name space with a file system of its own, with these options.
sub test_on {
    my ($options, @before) = @_;
    my $script = join ' && ', "mount -t tmpfs -o $options none $scratch/small", @before, $nginx->command('-t');
    my $output = qx(unshare -m sh -c '$script' 2>&1);
    return ($? == 0, $output);
}
mkdir "$scratch/small";
SKIP: {
    skip 'mounts are for root', 1 if !$is_root || system("unshare -m mount -t tmpfs none $scratch/small 2>/dev/null") != 0;
    does_without("$scratch/small/cache", qr/$none "\Q$scratch\E\/small\/cache": Read-only file system/,
        'a file system that is only read', sub { test_on('ro') });
    does_without("$scratch/small/cache", qr/$none "\Q$scratch\E\/small\/cache": No space left on device/,
        'a file system without room for the folder', sub { test_on('nr_inodes=1') });
    does_without("$scratch/small/cache", qr/$none "\Q$scratch\E\/small\/cache\/key": No space left on device/,
        'a file system without room for the key', sub { test_on('nr_inodes=2') });
    configure("$scratch/small/cache");
    my ($ok, $output) = test_on('size=16k,mode=755');
    ok($ok, 'a file system without room for code: nginx goes on') or diag $output;
    my @warnings = $output =~ /\[warn\] .*compile cache: cannot write "\S+\.code": No space left on device/g;
    is(scalar @warnings, 2, 'with a warning for each module') or diag $output;
    # A cache that was filled before its file system was made one that is only read.
    ($ok, $output) = test_on('mode=755', $nginx->command('-t') . ' 2>/dev/null', "mount -o remount,ro $scratch/small");
    ok($ok, 'a cache that is only read is used') or diag $output;
    unlike($output, qr/\[warn\]/, 'without a warning');
}

# Somebody else looks at the configuration, who may not read the folder of the nginx that runs.
SKIP: {
    skip 'only root can be somebody else', 1 if !$is_root;
    my $looks = File::Temp->newdir('wasm-looks-XXXXXX', TMPDIR => 1);
    chmod 0755, $looks, $scratch;
    mkdir "$looks/own", 0755;
    mkdir "$looks/others", 0755;
    chown $nobody, -1, "$looks/own";
    chown 1, -1, "$looks/others";
    open my $out, '>', "$looks/a.wat" or die "a.wat: $!";
    print $out module('a', 1);
    close $out;
    my $look = sub {
        my $folder = shift;
        my $load = join '', map {"load_module $_;"} @{ $nginx->{modules} };
        my $conf = "$looks/nginx.conf";
        open my $out, '>', $conf or die "$conf: $!";
        print $out "$load error_log stderr; pid $looks/own/pid; events {} wasm { module a $looks/a.wat; cache_dir $folder; }";
        close $out;
        my $nginx = "$nginx->{binary} -t -p $looks/own -c $conf -e stderr";
        my $output = qx(setpriv --reuid=$nobody --regid=$nobody --clear-groups $nginx 2>&1);
        return ($? == 0, $output);
    };
    for my $case (
        ['a folder that cannot be read', $dir,           qr/none, .*Permission denied/],
        ["a third one's folder",         "$looks/others", qr/none, .*"\Q$looks\E\/others" belongs to user 1;/],
        ['a folder that is not there',   "$looks/own/new", undef],
        ['one in a folder of root',      "$looks/new",     undef],
        ['the own folder',               "$looks/own",     undef],
    ) {
        my ($what, $folder, $warning) = @$case;
        my ($ok, $output) = $look->($folder);
        ok($ok, "$what: somebody else's nginx -t passes") or diag $output;
        my @warnings = grep {/compile cache/} split /\n/, $output;
        is(scalar @warnings, defined $warning ? 1 : 0, "$what: warnings") or diag $output;
        like($warnings[0], $warning, "$what: it says why") if defined $warning;
        ok(!-e $folder, "$what: it is not made") if $folder =~ /new\z/;
    }
    my @strange = grep { (stat)[4] != 0 } glob "$dir/*";
    is("@strange", '', 'nobody else has written into the folder of root');
    ok(-f "$looks/own/key", 'but into the own one');
    my ($ok, $output) = $look->("$looks/own/pid");
    ok(!$ok, 'what is no folder is a mistake for everybody') or diag $output;
    chmod 0777, "$looks/own";
    ($ok, $output) = $look->("$looks/own");
    ok(!$ok, 'and so is what anybody can write') or diag $output;
    like($output, qr/cannot use the "cache_dir": .* has mode 0777/, 'which is told');
}
refused($nginx->write('plain', ''), qr/".*plain" is not a folder/, 'a file');

# Relative to the prefix, as other folders that nginx writes.
configure('logs/cache');
(undef, $output) = $nginx->test;
like($output, qr{successful|"[^"]*" (?:belongs to|has mode)}, 'a relative path is there or refused');
if ($output =~ /successful/) { ok(-d $nginx->prefix . '/logs/cache', 'it is below the prefix') }

# What a configuration has that is served already.
configure($dir);
$nginx->stop;
is(start(), $taken, 'nginx starts from the cache');
sub reload {
    my $from = length $nginx->log;
    my %old  = map { $_ => 1 } $nginx->workers;
    $nginx->signal('HUP');
    $nginx->wait_for('new workers', sub { my @workers = $nginx->workers; @workers && !grep { $old{$_} } @workers });
    return came($from);
}
is(reload(), 'a unchanged b unchanged', 'a reload needs neither compiler nor cache');
$nginx->write('a.wat', module('a', 7));
is(reload(), 'a compiled b unchanged', 'but for what has changed');
is($nginx->get('/')->{headers}{'x-a'}, 7, 'which is what is served then');
is(reload(), 'a unchanged b unchanged', 'and the next one needs nothing');
$nginx->write('a.wat', module('a', 1));
is(reload(), 'a taken from the compile cache b unchanged', 'what was there once, the cache still has');
is($nginx->get('/')->{headers}{'x-a'}, 1, 'and it is served');

# Without a cache.
$nginx->configure(
    main   => "wasm { module a a.wat; module b b.wat; module c a.wat; }",
    server => "location / { proxy_wasm a; proxy_wasm b; return 200 ok; }",
);
is(reload(), 'a unchanged b unchanged c unchanged', 'none of it depends on cache_dir; one file is compiled once');
$nginx->stop;
is(start(), 'a compiled b compiled c unchanged', 'but the next start does');
for my $round (1 .. 3) {
    is(reload(), 'a unchanged b unchanged c unchanged', "reload $round");
}
$nginx->configure(server => 'location / { return 200 ok; }');
reload();
$nginx->configure(
    main   => "wasm { module a a.wat; module b b.wat; }",
    server => "location / { proxy_wasm a; proxy_wasm b; return 200 ok; }",
);
is(reload(), $compiled, 'what no configuration has any more is not kept');

$nginx->stop;
my @bad = grep {/\[(?:alert|emerg)\](?!.*"cache_dir")/} split /\n/, $nginx->log;
is("@bad", '', 'nothing bad is in the error log');

done_testing();
