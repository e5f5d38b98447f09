# nginx's own build of the module: ./configure --add-dynamic-module, and --add-module where nginx's C source is there.
#
# To stay quick this starts from the dependencies that cargo has compiled for 'make build', and removes its copy in the
# end.

use strict;
use warnings;

use File::Path qw( make_path remove_tree );
use NginxProcess;
use Test::More;

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $source = $ENV{TEST_WASM_NGINX_SOURCE};
my $area   = "$root/build/t/configure";
my $target = "$area/target";
my $ours   = $ENV{TEST_WASM_MODULE};

sub slurp {
    my $path = shift;
    open my $in, '<', $path or die "cannot read $path: $!\n";
    local $/;
    return <$in>;
}

# Runs a shell command in a folder; its output goes to a log, which is shown on failure.
sub run_ok {
    my ($what, $folder, $command) = @_;
    (my $log = "$area/$what.log") =~ s/ /-/g;
    my $status = system "cd '$folder' && ( $command ) >'$log' 2>&1 </dev/null";
    ok($status == 0, $what) and return 1;
    my @lines = split /\n/, slurp($log);
    diag join "\n", splice @lines, @lines > 40 ? -40 : 0;
    return 0;
}

# What a shared object or program offers to others.
sub exports {
    my $file = shift;
    return map { /^\S+ [A-Z] (\S+)$/ ? $1 : () } qx(nm -D --defined-only '$file');
}

# The first module of a table in a generated C file that comes after ours and is nginx's.
sub first_after {
    my ($file, $table) = @_;
    my ($names) = slurp($file) =~ /\Q$table\E\[\] = \{(.*?)NULL/s or return '';
    my @names = $names =~ /"(\w+)"/g;
    shift @names while @names && $names[0] ne 'ngx_http_wasm_module';
    my ($next) = grep { !/^ngx_(http_)?wasm_module$/ } @names;
    return $next // '';
}

# Whether files of one folder can be linked to from another.
sub links_across {
    my ($from, $to) = @_;
    open my $file, '>', "$from/tried" or die "cannot write $from/tried: $!\n";
    close $file;
    my $links = link "$from/tried", "$to/tried";
    unlink "$from/tried", "$to/tried";
    return $links;
}

plan skip_all => 'nginx builds the module without AddressSanitizer' if $ENV{TEST_WASM_NGINX} eq 'asan';
make_path($area);

# As the tree under test was configured (the words are quoted for the shell already), but in a folder of its own.
my ($arguments) = slurp("$ENV{TEST_WASM_NGINX_OBJS}/ngx_auto_config.h") =~ /^#define NGX_CONFIGURE "(.*)"$/m;
die "no NGX_CONFIGURE in $ENV{TEST_WASM_NGINX_OBJS}/ngx_auto_config.h\n" unless defined $arguments;
$arguments =~ s/\\(["\\])/$1/g;
$arguments =~ s/(^|\s)--(?:builddir|add-module|add-dynamic-module)=\S+//g;

# A new lock file means other dependencies: start again from what 'make build' has.
if (!-d $target || -M "$root/Cargo.lock" < (-M "$area/seeded" // 0)) {
    my $compiled = ($ENV{CARGO_TARGET_DIR} || "$root/target") . '/release';
    remove_tree($target);
    make_path("$target/release");
    # The dependencies are gigabytes: links are enough, for what nobody compiles again. Our own crates, which are
    # compiled here, are left out. Where target/ is mounted (tools/roots), files of it are not linked elsewhere.
    make_path("$target/release/deps");
    system("find '$compiled/deps' -type f ! -name '*ngx*' -exec "
            . (links_across($compiled, $area) ? 'ln' : 'cp -a')
            . " -t '$target/release/deps' {} +") == 0
        or die "cannot link $compiled/deps\n";
    for my $part (qw( build .fingerprint )) {
        system('cp', '-a', "$compiled/$part", "$target/release/") == 0 or die "cannot copy $compiled/$part\n";
    }
    open my $stamp, '>', "$area/seeded" or die "cannot write $area/seeded: $!\n";
    close $stamp;
}

my $tiny = NginxProcess::TINY_FILTER;

sub works {
    my ($what, %options) = @_;
    subtest "$what works in nginx" => sub {
        my $nginx = NginxProcess->new("configure-$what", %options);
        $nginx->write('tiny.wat', $tiny);
        $nginx->configure(
            main   => 'wasm { module tiny tiny.wat; }',
            server => 'location / { proxy_wasm tiny; return 200 "through\n"; }',
        );
        my ($ok, $output) = $nginx->test;
        ok($ok, 'nginx -t') or diag $output;
        ok($nginx->start, 'nginx starts') or return diag $nginx->{output};
        my $response = $nginx->get('/');
        is($response->{status}, 200, 'status');
        is($response->{content}, "through\n", 'body');
        $nginx->stop;
        unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'clean error log');
    };
    return;
}

sub copy_source {
    my $copy = shift;
    remove_tree($copy);
    system('cp', '-r', $source, $copy) == 0 or die "cannot copy $source\n";
    remove_tree("$copy/objs");
    return $copy;
}

sub configure_ok {
    my ($what, $tree, $argument) = @_;
    my $configure = -x "$tree/configure" ? './configure' : 'auto/configure';
    return run_ok($what, $tree, "CARGO_TARGET_DIR='$target' $configure $arguments $argument");
}

my @lua_functions = grep { /^ngx_http_wasm_/ && $_ ne 'ngx_http_wasm_module' } exports($ours);

SKIP: {
    my $tree = copy_source("$area/dynamic");
    configure_ok('configure with --add-dynamic-module', $tree, "--add-dynamic-module='$root'") or skip 'not configured', 1;
    run_ok('make modules', $tree, 'make -f objs/Makefile modules') or skip 'not built', 1;

    my $module  = "$tree/objs/ngx_http_wasm_module.so";
    my @exports = exports($module);
    my %exported = map { $_ => 1 } @exports;
    for my $symbol (qw( ngx_modules ngx_module_names ngx_module_order ngx_http_wasm_module ngx_wasm_module ),
        @lua_functions)
    {
        ok($exported{$symbol}, "the module exports $symbol");
    }
    is_deeply([grep { !/^ngx_/ } @exports], [], 'it exports nothing else');
    my $needed = qx(nm -D --undefined-only '$module');
    like($needed, qr/ ngx_http_core_module$/m, 'it needs symbols of nginx');
    unlike($needed, qr/ (?:ngx_http_ssl_module|SSL_\w+)$/m, 'none of them is of TLS, which another nginx may lack');
    is(first_after("$tree/objs/ngx_http_wasm_module_modules.c", 'ngx_module_order'),
        'ngx_http_copy_filter_module', 'it asks for its place next to the copy filter');

    my @before = grep { $_ ne $ours } split ' ', $ENV{TEST_NGINX_LOAD_MODULES};
    works('dynamic', modules => [@before, $module]);
}

SKIP: {
    skip 'the installed nginx comes without its C source, so there is no --add-module', 1
        unless -f "$source/src/core/nginx.c";
    my $tree = copy_source("$area/static");
    configure_ok('configure with --add-module', $tree, "--add-module='$root'") or skip 'not configured', 1;
    run_ok('make nginx', $tree, 'make -j2 -f objs/Makefile binary') or skip 'not built', 1;

    my $binary = "$tree/objs/nginx";
    my %exported = map { $_ => 1 } exports($binary);
    ok($exported{$_}, "nginx exports $_") for @lua_functions;
    is(first_after("$tree/objs/ngx_modules.c", 'ngx_module_names'),
        'ngx_http_copy_filter_module', 'the module is next to the copy filter');
    works('static', binary => $binary, modules => []);
}

remove_tree($target, "$area/dynamic", "$area/static") if Test::More->builder->is_passing;
done_testing;
