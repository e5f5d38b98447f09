# The list of request headers: after any edits by a filter, the upstream gets exactly the headers that should be there.
#
# nginx keeps headers in parts of 20 lines with pointers into them, so removing one is different at the first, a middle
# and the last place of a part. Requests here have fewer headers than a part, and more than two parts, and edits at all
# of these places; then come many random edits (always the same ones), checked against a model.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $upstream = $ENV{TEST_NGINX_PORT} + 1;

# The filter runs the statements of the header x-probe; the upstream's filter answers with the headers that it got.
my $nginx = NginxProcess->new('request-list');
$nginx->configure(
    main => "wasm { module probe $root/build/guests/rust-probe.wasm; }",
    http => "
        large_client_header_buffers 8 32k;
        server {
            listen 127.0.0.1:$upstream;
            proxy_wasm probe 'pairs request; report';
            location / { return 200; }
        }",
    server => "
        location /t {
            proxy_wasm probe;
            proxy_pass http://127.0.0.1:$upstream;
        }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# Sends header lines in their order, and gives the header lines that the upstream got.
my $connection;

sub through_nginx {
    my @lines = @_;
    $connection //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!";
    print $connection join "\r\n", "GET /t HTTP/1.1", "Host: localhost", @lines, '', '';
    my $head = '';
    while (defined(my $line = <$connection>)) {
        $head .= $line;
        last if $line eq "\r\n";
    }
    my ($length) = $head =~ /^content-length: (\d+)/mi;
    if ($head !~ m{^HTTP/1\.1 200} || !defined $length) {
        undef $connection;
        return ("no answer: $head");
    }
    read($connection, my $body, $length);
    chomp $body;
    $body =~ s/^pairs request -> 0 // or return ("no pairs: $body");
    # What nginx adds for its upstream is of no interest here.
    return grep { !/^(?::authority|:path|:method|:scheme|connection)=/ } split /,/, $body;
}

# The order of different names means nothing; that of one name's values does.
sub by_name {
    my %values;
    for my $line (@_) {
        my ($name, $value) = split /=/, $line, 2;
        push @{ $values{$name} }, $value;
    }
    return join "\n", map { "$_: " . join ' ', @{ $values{$_} } } sort keys %values;
}

# The model: what is left of the headers after the statements.
sub edited {
    my ($headers, $statements) = @_;
    my @headers = @$headers;
    for (@$statements) {
        my ($verb, $name, $value) = @$_;
        @headers = grep { lc($_->[0]) ne lc $name } @headers if $verb ne 'add';
        push @headers, [$name, $value] if $verb ne 'remove';
    }
    return map { lc($_->[0]) . "=$_->[1]" } @headers;
}

# The header x-probe stands at place PLACE of the request, and goes in the last statement.
sub check {
    my ($what, $headers, $statements, $place) = @_;
    my $probe = 'x-probe: ' . join '; ', map({ join ' ', $_->[0], 'request', grep { defined } @$_[1, 2] } @$statements), 'remove request x-probe';
    my @lines = map {"$_->[0]: $_->[1]"} @$headers;
    splice @lines, $place // 0, 0, $probe;
    my $got      = by_name(through_nginx(@lines));
    my $expected = by_name(edited($headers, $statements));
    return 1 if $got eq $expected;
    diag "$what:\n$probe\ngot:\n$got\nexpected:\n$expected";
    return 0;
}

sub numbered { return map { ["x-h$_", "v$_"] } 1 .. $_[0] }
sub removals { return map { ['remove', "x-h$_"] } @_ }

# Host and x-probe take two places of the first part.
my $PART = 20;
for my $count (1, 2, $PART - 3, $PART - 2, $PART - 1, $PART, 2 * $PART - 2, 2 * $PART - 1, 2 * $PART, 3 * $PART + 5) {
    my @headers = numbered($count);
    my ($middle, $last) = (int(($count + 1) / 2), $count);
    my %edits = (
        'nothing'                             => [],
        'the first removed'                   => [removals(1)],
        'a middle one removed'                => [removals($middle)],
        'the last removed'                    => [removals($last)],
        'all removed, forwards'               => [removals(1 .. $count)],
        'all removed, backwards'              => [removals(reverse 1 .. $count)],
        'every second removed'                => [removals(grep { $_ % 2 } 1 .. $count)],
        'all but the last removed'            => [removals(1 .. $count - 1)],
        'all but the first removed'           => [removals(2 .. $count)],
        'one added'                           => [['add', 'x-new', 'n']],
        'the last removed, one added'         => [removals($last), ['add', 'x-new', 'n']],
        'the first removed, one added'        => [removals(1), ['add', 'x-new', 'n']],
        'a middle one removed, 25 added'      => [removals($middle), map { ['add', "x-new$_", $_] } 1 .. 25],
        'all removed, then 45 added'          => [removals(1 .. $count), map { ['add', "x-new$_", $_] } 1 .. 45],
        '25 added, then those removed'        => [(map { ['add', "x-new$_", $_] } 1 .. 25), map { ['remove', "x-new$_"] } 1 .. 25],
        'the first replaced'                  => [['replace', 'x-h1', 'new']],
        'all replaced'                        => [map { ['replace', "x-h$_", "n$_"] } 1 .. $count],
        'all replaced, then removed'          => [(map { ['replace', "x-h$_", "n$_"] } 1 .. $count), removals(1 .. $count)],
        'removed what is not there'           => [['remove', 'x-nobody']],
    );
    my $right = 0;
    $right += check("$count headers, $_", \@headers, $edits{$_}) for sort keys %edits;
    is($right, keys %edits, "$count headers: all edits arrive at the upstream");
}

# Of each part, every place.
{
    my $count = 2 * $PART + 5;
    my $right = grep { check("$count headers, number $_ removed", [numbered($count)], [removals($_)]) } 1 .. $count;
    is($right, $count, "$count headers: each can be removed");
    $right = grep { check("$count headers, number $_ removed and another added", [numbered($count)], [removals($_), ['add', 'x-new', 'n']]) } 1 .. $count;
    is($right, $count, "$count headers: each can be removed, and another added");
    $right = grep { check("$count headers, x-probe at place $_", [numbered($count)], [['add', 'x-new', 'n']], $_) } 0 .. $count;
    is($right, $count + 1, "$count headers: the header that says so may stand at each place");
}

# Several lines of one name.
{
    my @headers = map { ($_, ['x-same', "v$_->[1]"]) } numbered(30);
    ok(check('lines of one name removed',  \@headers, [['remove', 'X-Same']]),                          'all lines of a name are removed');
    ok(check('lines of one name replaced', \@headers, [['replace', 'X-SAME', 'one']]),                  'all lines of a name become one');
    ok(check('a line of the name added',   \@headers, [['add', 'x-same', 'more']]),                     'another line of a name');
    ok(check('all the others removed',     \@headers, [removals(1 .. 30)]),                             'the lines of a name stay in their order');
}

# Anything, many times.
{
    srand 20240229;
    # Names that nginx has a field for are among them.
    my @names = (map({"x-n$_"} 1 .. 12), qw( cookie x-forwarded-for user-agent referer accept-encoding accept-language authorization if-none-match x-real-ip via ));
    my $times = 400;
    my $right = 0;
    for my $time (1 .. $times) {
        my (%known, @headers);
        for (1 .. int rand 70) {
            my $name = $names[rand @names];
            # Nginx itself refuses or drops a second line of most of those that it knows.
            next if $name !~ /^(?:x-n\d+|cookie|x-forwarded-for)$/ && $known{$name}++;
            push @headers, [$name, 'v' . int rand 1000];
        }
        my @statements = map {
            my $name = $names[rand @names];
            my $verb = (qw( add replace remove remove ))[rand 4];
            # nginx has one place for what it knows, so the filter adds to the others only.
            $verb = 'replace' if $verb eq 'add' && $name !~ /^(?:x-n\d+|cookie|x-forwarded-for)$/;
            [$verb, $name, $verb eq 'remove' ? () : 'n' . int rand 1000];
        } 1 .. 1 + rand 40;
        check("random edits number $time", \@headers, \@statements, int rand @headers + 1) ? $right++ : last;
    }
    is($right, $times, "$times times random edits");
}

$nginx->stop;
unlike($nginx->log, qr/\[(?:alert|crit|emerg|error)\]/, 'nothing to complain about in the log');

done_testing;
