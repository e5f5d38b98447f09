# What the pages show is so: nginx accepts each configuration on them, each directive has a section in docs/directives.md
# whose default it accepts at each level that is said, and a row in README.md, and links lead somewhere (tools/pages.py).

use strict;
use warnings;

use File::Basename qw( basename );
use File::Find qw( find );
use File::Path qw( make_path );
use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my @pages = map { substr $_, length "$root/" } glob "$root/*.md $root/docs/*.md $root/t/guests/README.md $root/templates/*/README.md";

# The level of what stands alone on a page, by its directive. All else in such a piece is of the same level.
my %level = (
    wasm       => 'main',
    module     => 'wasm',
    upstream   => 'http',
    log_format => 'http',
    access_log => 'http',
    server     => 'http',
    location   => 'server',
    error_page => 'server',
    error_log => 'http',
    proxy_wasm => 'server',
    proxy_wasm_allow => 'http',
    proxy_wasm_env => 'http',
    proxy_wasm_intercept_errors => 'server',
    proxy_wasm_log_level => 'http',
    proxy_wasm_trace => 'http',
    geo => 'http',
    map => 'http',
);

my $tiny = NginxProcess::TINY_FILTER;

sub slurp {
    my $path = shift;
    open my $in, '<', $path or die "cannot read $path: $!\n";
    local $/;
    return <$in>;
}

# Pieces of configuration in a page, with the line at which each begins.
sub pieces {
    my $text = slurp("$root/$_[0]");
    my @found;
    while ($text =~ /^```nginx\n(.*?)^```$/msg) {
        push @found, [1 + (substr($text, 0, $-[1]) =~ tr/\n//), $1];
    }
    return @found;
}

# The directives that begin at the left, with what each has in its braces.
sub at_top {
    my $text = shift;
    my @found;
    while ($text =~ /\G(?:\s+|#[^\n]*\n)*(\w+)((?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^;{}'"])*)(;|\{)/gc) {
        my ($name, $begin, $end) = ($1, $-[1], $3);
        if ($end eq '{') {
            my $depth = 1;
            while ($depth && $text =~ /\G(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|#[^\n]*|[^{}'"#]+|([{}]))/gc) {
                $depth += $1 eq '{' ? 1 : -1 if defined $1;
            }
        }
        push @found, [$name, substr $text, $begin, pos($text) - $begin];
    }
    return @found;
}

my $nginx = NginxProcess->new('docs');
my $prefix = $nginx->prefix;
make_path("$prefix/filters", "$prefix/granted");
# For the trusted certificates that a page names: those of some authority.
my $has_tls = qx($ENV{TEST_NGINX_BINARY} -V 2>&1) =~ /--with-http_ssl_module/
    && system("openssl req -x509 -newkey rsa:2048 -nodes -keyout '$prefix/key.pem' -out '$prefix/ca.pem' -subj /CN=ca 2>/dev/null") == 0;
my $load = join '', map {"load_module $_;\n"} @{ $nginx->{modules} };
my $temp = join '', map {"${_}_temp_path temp/$_;\n"} qw( client_body proxy fastcgi uwsgi scgi );

# A file for a filter that a page names: our guest of that name, or one that does nothing.
sub filter {
    my $name = basename(shift);
    my ($ours) = grep { -e } map {"$root/build/guests/$_$name"} '', 'rust-';
    # It takes a quarter of a minute to compile, and has a test of its own.
    undef $ours if $name eq 'coraza.wasm';
    $nginx->write("filters/$name", $ours ? slurp($ours) : $tiny);
    return "$prefix/filters/$name";
}

# A program, or a plugin, that a page names: our guest.
sub guest {
    my ($kind, $name) = @_;
    $nginx->write("filters/$name.wasm", slurp("$root/build/guests/" . ($kind eq 'plugins' ? 'rust-extism' : 'rust-program') . '.wasm'));
    return "$prefix/filters/$name.wasm";
}

# The configuration on this machine: other paths, other ports, other sums.
sub here {
    my $text = shift;
    $text =~ s/^(?:load_module|pid) .*\n//mg;
    $text =~ s{(?<=[\s"])(?:/etc/nginx/)?filters/(\w[\w.-]*)}{filter($1)}ge;
    $text =~ s{^( *module \w+ )(\w+\.wasm)(?=[ ;])}{ $1 . filter($2) }mge;
    $text =~ s{sha256=[0-9a-f]{64}}{ 'sha256=' . (split ' ', qx(sha256sum '$prefix/filters/auth.wasm'))[0] }ge;
    $text =~ s{/etc/nginx/auth-ca\.pem}{$prefix/ca.pem}g;
    $text =~ s{/path/to/ngx-wasm/}{$root/}g;
    $text =~ s{/var/lib/geo}{$prefix/granted}g;
    $text =~ s{/etc/nginx/(programs|plugins)/(\w+)\.wasm}{guest($1, $2)}ge;
    $text =~ s{\bwasm_dir +/[^:;]+}{wasm_dir $prefix/granted}g;
    $text =~ s{/var/cache/nginx/wasm}{$prefix/cache}g;
    $text =~ s{/var/log/nginx/}{$prefix/logs/}g;
    $nginx->write($1, '{}') if $text =~ /\b(?:manifest|file)=([\w.]+)/;
    # Nothing listens elsewhere than on the loopback address.
    $text =~ s/^( *)server \{\n(?! *listen)/$1server {\n$1    listen 127.0.0.1:80;\n/mg;
    my %port;
    $text =~ s{\blisten (?:127\.0\.0\.1:)?(\d+)}{ 'listen 127.0.0.1:' . ($port{$1} //= $nginx->port + keys %port) }ge;
    return $text;
}

sub whole {
    my $text = shift;
    # Pages that are about http leave the rest of nginx.conf as it is.
    $text = "events {}\n$text" unless $text =~ /^events\b/m;
    return "${load}pid nginx.pid;\nerror_log stderr;\n" . ($text =~ s/^http \{\n/http {\n$temp/mr);
}

# What stands alone, inside of what it needs.
sub around {
    my ($text, @names) = @_;
    my %part = map { $_ => '' } qw( main wasm http server );
    for my $directive (at_top($text)) {
        my ($name, $content) = @$directive;
        my $level = $level{$name} or return "the test does not know where \"$name\" belongs";
        $part{$level} .= "$content\n";
    }
    my $filters = '';
    for my $name (@names) {
        $part{wasm} .= "module $name @{[ filter(qq($name.wasm)) ]};\n";
        $filters .= "proxy_wasm $name;\n";
    }
    # Those that the piece itself puts somewhere.
    my %known = map { $_ => 1 } qw( off inherit ), @names, $part{wasm} =~ /^module (\w+)/mg;
    for my $name ($part{main} =~ /^wasm\b/m ? () : $text =~ /\bproxy_wasm (\w+)/g) {
        $part{wasm} .= "module $name @{[ filter(qq($name.wasm)) ]};\n" unless $known{$name}++;
    }
    while ($part{main} !~ /^wasm\b/m && $text =~ /\bwasm_(cgi|function) +(\w+)/g) {
        $part{wasm} .= "module $2 @{[ guest($1 eq 'cgi' ? 'programs' : 'plugins', $2) ]};\n" unless $known{$2}++;
    }
    my $wasm = $part{main} =~ /^wasm\b/m ? '' : "wasm {\n$part{wasm}}\n";
    return undef, "events {}\n$wasm$part{main}http {\n$part{http}server {\nlisten 127.0.0.1:@{[ $nginx->port ]};\n$filters$part{server}}\n}\n";
}

sub accepts {
    my ($what, $text) = @_;
    $nginx->write('nginx.conf', whole($text));
    my ($ok, $output) = $nginx->test;
    return ok($ok, $what) || diag("$output\nThe configuration:\n" . $nginx->read('nginx.conf'));
}

my $shown = 0;
for my $page (@pages) {
    for my $piece (pieces($page)) {
        my ($line, $text) = @$piece;
        my $what = "$page:$line: nginx accepts what is shown";
        $shown++;
    SKIP: {
            skip "$what (needs the Lua module)", 1 if $text =~ /_by_lua/ && !$ENV{TEST_WASM_LUA};
            skip "$what (needs TLS)", 1 if $text =~ /wasm_ssl_/ && !$has_tls;
            $text = here($text);
            if ($text =~ /^http\b/m) {
                accepts($what, $text);
                next;
            }
            my %filters = map { $_ => 1 } $text =~ /\bfilter=(\w+)/g;
            my ($mistake, $all) = around($text, sort keys %filters);
            $mistake ? fail("$what: $mistake") : accepts($what, $all);
        }
    }
}
cmp_ok($shown, '>=', 10, 'pages show configurations');

# docs/directives.md: each directive has a section, with its default and its levels.

my %section;
{
    my $text = slurp("$root/docs/directives.md");
    while ($text =~ /^## (\w+)\n\n\| \| \|\n\| --- \| --- \|\n((?:\|.*\n)+)/mg) {
        my ($name, $table) = ($1, $2);
        ($section{$name}{ lc $1 } = $2) =~ s/\\\|/|/g while $table =~ /^\| (Syntax|Default|Context) \| (.*) \|$/mg;
    }
}
my @directives = slurp("$root/ngx_module/src/commands.rs") =~ /\b(?:row|inner|http)\(\s*c"(\w+)"/g;
cmp_ok(scalar @directives, '>', 30, 'the table of directives is there');
is_deeply([grep { !$section{$_} } @directives], [], 'each directive has a section in docs/directives.md');

my %known = map { $_ => 1 } @directives;
is_deeply([sort grep { !$known{$_} } keys %section], [], 'and each section is about a directive');

my %defaults;
for my $name (sort keys %section) {
    my ($default) = ($section{$name}{default} // '') =~ /^`(.*)`/ or next;
    push @{ $defaults{$_} }, $default for map {s/ \(.*\)//r} split /, /, $section{$name}{context};
}
is(join(' ', sort keys %defaults), 'http location metrics server wasm', 'the levels that have defaults');
for my $at (sort keys %defaults) {
    my %part = map { $_ => '' } keys %defaults;
    $part{$at} = join "\n", @{ $defaults{$at} }, '';
    accepts("docs/directives.md: nginx accepts the defaults at the level $at",
        "events {}\nwasm {\n$part{wasm}metrics {\n$part{metrics}}\n}\nhttp {\n$part{http}server {\n"
            . "listen 127.0.0.1:@{[ $nginx->port ]};\n$part{server}location / {\n$part{location}}\n}\n}\n");
}

# README.md: a row for each directive, and for each variable, that says what it is.

{
    my $text = slurp("$root/README.md");
    is_deeply([sort $text =~ m{^\| \[`(\w+)`\]\(docs/directives\.md#\g1\) \| \S.* \|$}mg], [sort keys %known],
        'README.md has a row for each directive');
    my @variables;
    find(sub { push @variables, slurp($_) =~ /\(c"(wasm_\w+)", \w+\)/g if /\.rs$/ }, "$root/ngx_module/src");
    cmp_ok(scalar @variables, '>', 2, 'the table of variables is there');
    is_deeply([sort $text =~ /^\| `\$(\w+)` \| \S.* \|$/mg], [sort @variables], 'and one for each variable');
    is_deeply([grep { index(slurp("$root/docs/status.md"), "\n| `\$$_` |") < 0 } @variables], [], 'as docs/status.md has');
}

# Links, and the contents of the site.

{
    my $said = qx(python3 '$root/tools/pages.py' check 2>&1);
    is($?, 0, 'each link leads somewhere, and each page is in docs/SUMMARY.md') || diag($said);
}

done_testing();
