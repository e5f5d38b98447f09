# What plugins for Higress see of the servers of an upstream, and which server a request goes to that they choose one for:
# through all balancers of nginx and all modules that pass requests on.

use strict;
use warnings;

use HTTP::Tiny;
use Test::More;

use NginxProcess;
use Peer;

Peer->needs(qw( python3 openssl ));
my $root    = $ENV{TEST_WASM_ROOT};
my $sockets = "$root/build/t/upstream-hosts-sockets";
mkdir $sockets;
unlink glob "$sockets/*";
my %file  = Peer->certificates($sockets);
my $tls   = "cert=$file{server}.crt,key=$file{server}.key";
my $peer  = Peer->fault(
    map({"$_=127.0.0.1"} qw( a b c busy )), map({"$_=127.0.0.1,reset"} qw( r s t )), 'six=::1', 'closed=127.0.0.1,closed', 'gone=127.0.0.1,closed',
    "socket=unix:$sockets/s.sock", "secret=127.0.0.1,$tls", "hidden=127.0.0.1,$tls",
);
my %at = map { $_ => '127.0.0.1:' . $peer->port($_) } qw( a b c busy r s t closed gone secret hidden );
$at{six}    = '[::1]:' . $peer->port('six');
$at{socket} = "$sockets/s.sock";

my $three = "server $at{a}; server $at{b}; server $at{c};";
my %upstream = (
    round    => $three,
    weighted => "server $at{a} weight=5; server $at{b}; server $at{c};",
    least    => "least_conn; $three",
    hashed   => "hash \$arg_key; $three",
    chashed  => "hash \$arg_key consistent; $three",
    address  => "ip_hash; $three",
    chance   => "random; $three",
    chance2  => "random two; $three",
    map({ ("z$_->[0]" => "zone z$_->[0] 64k; $_->[1]") }
        ['round', $three], ['least', "least_conn; $three"], ['chashed', "hash \$arg_key consistent; $three"],
        ['chance', "random two; $three"]),
    kept     => "$three keepalive 8;",
    kchashed => "zone kchashed 64k; hash \$arg_key consistent; $three keepalive 8;",
    reset    => join('', map {"server $_ max_fails=0;"} @at{qw( r s t )}),
    single   => "server $at{b};",
    places   => "server $at{a}; server $at{six}; server unix:$at{socket};",
    states   => "server $at{a} down; server $at{b}; server $at{c} backup;",
    spare    => "server $at{closed} max_fails=0; server $at{b} backup;",
    reserve  => "server $at{a}; server $at{closed} max_fails=0 backup; server $at{b} backup;",
    zreserve => "zone zreserve 64k; server $at{a}; server $at{closed} max_fails=0 backup; server $at{b} backup;",
    retried  => "server $at{a}; server $at{closed} max_fails=0; server $at{b};",
    zretried => "zone zretried 64k; least_conn; server $at{a}; server $at{closed} max_fails=0; server $at{b}; keepalive 2;",
    failing  => "server $at{a}; server $at{gone} max_fails=1 fail_timeout=1h;",
    full     => "server $at{a}; server $at{busy} max_conns=1;",
    many     => 'least_conn;' . join('', map {"server 127.0.1.$_:1 down;"} 1 .. 70) . "server $at{b}; server $at{c};",
    secret   => "server $at{secret}; server $at{hidden};",
    zsecret  => "zone zsecret 128k; server $at{secret}; server $at{hidden}; keepalive 2;",
);
my %option = (
    kept     => 'proxy_http_version 1.1; proxy_set_header Connection "";',
    map({ ($_ => 'proxy_ssl_session_reuse on;') } qw( secret zsecret )),
);
$option{$_} = $option{kept} for qw( kchashed zretried );
my %scheme = (secret => 'https', zsecret => 'https');
my $tail   = 'proxy_wasm balancer; add_header x-upstream $upstream_addr always;';
my $nginx  = NginxProcess->new('upstream-hosts', workers => 1);
my %conf   = (
    main   => "wasm { module balancer $root/build/guests/go-balancer.wasm; }",
    http   => join("\n", map {"upstream $_ { $upstream{$_} }"} sort keys %upstream) . "\nproxy_connect_timeout 20s;",
    server => join("\n",
        map { my $s = $scheme{$_} // 'http'; my $o = $option{$_} // ''; "location /$_/ { $tail $o proxy_pass $s://$_/; }" }
            sort keys %upstream) . <<"CONF",

location /implicit/  { $tail proxy_pass http://$at{c}/; }
location /none       { $tail return 200 "none\\n"; }
location /variable/  { $tail set \$name \$arg_to; proxy_pass http://\$name/echo; }
location /streamed/  { $tail proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://round/; }
location /fastcgi    { $tail fastcgi_pass reset; fastcgi_next_upstream off; }
location /uwsgi      { $tail uwsgi_pass reset; uwsgi_next_upstream off; }
location /scgi       { $tail scgi_pass reset; scgi_next_upstream off; }
location /grpc       { $tail grpc_pass grpc://reset; grpc_next_upstream off; }
location /memcached  { $tail memcached_pass reset; memcached_next_upstream off; set \$memcached_key k; }
location /guarded/   { auth_request /ask; $tail proxy_pass http://round/; }
location = /ask      { internal; proxy_pass http://places/status/204; add_header x-asked \$upstream_addr always; }
location /redirected { $tail error_page 502 = \@other; proxy_pass http://spare/reset/request; }
location \@other      { add_header x-upstream \$upstream_addr always; proxy_pass http://round; }
location /starts     { proxy_wasm balancer '\@start hosts; \@start choose $at{a}'; return 200 "ok\\n"; }
CONF
);
$nginx->configure(%conf);
$nginx->start or die("nginx does not start: $nginx->{output}");

# Path, statements, method and content. The server's address is in {upstream}.
sub ask {
    my ($path, $statements, @rest) = @_;
    my ($method, $content) = @rest ? @rest : ('GET');
    my $response = $nginx->request($method, $path, { 'x-balancer' => $statements }, $content);
    $response->{upstream} = $response->{headers}{'x-upstream'};
    $response->{balanced} = $response->{headers}{'x-balanced'};
    return $response;
}

sub hosts {
    my ($upstream) = @_;
    my $content = ask("/$upstream/", 'hosts; answer')->{content};
    chomp $content;
    return $content;
}

sub listed { return 'hosts: ' . join ' ', map { my ($name, $health) = @$_; qq[$name={"health_status":"$health"}] } @_ }

sub connection { return $_[0]{content} =~ /"connection": ?(\d+)/ ? $1 : "none in $_[0]{content}" }

sub log_has { my ($pattern, $name) = @_; return like($nginx->log, $pattern, $name) }

# What there is.
my @three = map { [$at{$_} => 'Healthy'] } qw( a b c );
is(hosts($_), listed(@three), "hosts of $_")
    for qw( round weighted least hashed chashed address chance chance2 zround zleast zchashed zchance kept kchashed );
is(hosts('single'), listed([$at{b} => 'Healthy']), 'one alone');
is(hosts('implicit'), listed([$at{c} => 'Healthy']), 'an address in proxy_pass');
is(hosts('places'), listed(map { [$at{$_} => 'Healthy'] } qw( a six socket )), 'IPv6, and the path of a socket');
is(hosts('states'), listed([$at{a} => 'Unhealthy'], [$at{b} => 'Healthy'], [$at{c} => 'Degraded']), 'down and backup');
is(ask('/fastcgi', 'hosts; answer')->{content}, listed(map { [$at{$_} => 'Healthy'] } qw( r s t )) . "\n", 'of fastcgi_pass');
like(ask('/none', 'hosts; answer')->{content}, qr/^hosts: .*not found/, 'a location without an upstream has none');
like(ask("/variable/?to=round", 'hosts; answer')->{content}, qr/^hosts: .*not found/, 'nor does one that a variable names');
is(ask('/round/echo', '@response hosts')->{balanced}, listed(@three), 'in the response');

# Choices.
for my $upstream (qw( round weighted least hashed chashed address chance chance2 zround zleast zchashed zchance kept kchashed )) {
    my @asked = map { my $wanted = $at{$_}; map { ask("/$upstream/echo?key=$_", "choose $wanted")->{upstream} } 1 .. 4 } qw( c a b );
    is_deeply(\@asked, [map { ($at{$_}) x 4 } qw( c a b )], "$upstream: the chosen server");
    my %seen = map { (ask("/$upstream/echo?key=$_", '')->{upstream} => 1) } 1 .. 40;
    cmp_ok(scalar keys %seen, '>=', $upstream eq 'address' ? 1 : 2, "$upstream: its own choice without one");
}
is(ask('/single/echo', "choose $at{b}")->{upstream}, $at{b}, 'one alone');
is(ask('/implicit/echo', "choose $at{c}")->{upstream}, $at{c}, 'an address in proxy_pass');
is(ask('/places/echo', "choose $at{six}")->{upstream}, $at{six}, 'IPv6') for 1 .. 3;
is(ask('/places/echo', "choose $at{socket}")->{upstream}, "unix:$at{socket}", 'a socket') for 1 .. 3;
is(ask('/places/echo', "choose unix:$at{socket}")->{upstream}, "unix:$at{socket}", 'in the way of nginx') for 1 .. 3;
is(ask('/many/echo', "choose $at{$_}")->{upstream}, $at{$_}, 'the last of 72') for qw( b c c b );
is(ask('/variable/?to=round', "choose $at{$_}")->{upstream}, $at{$_}, 'an upstream that a variable names') for qw( c a c );
is(ask('/round/echo', "choose $at{c}; choose ; choose $at{a}")->{upstream}, $at{a}, 'the last choice counts');
is(ask("/$_", "choose $at{t}")->{upstream}, $at{t}, $_) for map { ($_) x 3 } qw( fastcgi uwsgi scgi grpc memcached );
is(ask('/round/echo', "choose $at{b}")->{balanced}, 'choose: <nil>', 'it is Ok');

# When there is still time.
is(ask('/round/echo', "\@body choose $at{b}", 'POST', 'x' x 100)->{upstream}, $at{b}, 'in the body') for 1 .. 3;
is(ask('/streamed/echo', "choose $at{c}", 'POST', 'x' x 100_000)->{upstream}, $at{c}, 'a body that is streamed') for 1 .. 3;
is(ask('/round/echo', "\@tick choose $at{b}")->{upstream}, $at{b}, 'while the request waits') for 1 .. 3;
my $late = ask('/round/echo', "choose $at{a}; \@response choose $at{b}; \@done choose $at{c}");
is($late->{upstream}, $at{a}, 'in the response it is too late');
like($late->{balanced}, qr/^choose: <nil> \| choose: error/, 'and the filter is told');
$nginx->wait_for('the end', sub { $nginx->log =~ /balancer: done: choose: error/ });
log_has(qr/\[warn\] .*wasm "balancer": an upstream host is chosen too late: the request has been passed on, or answered/, 'the log says so');
is(ask('/starts', '')->{content}, "ok\n", 'a filter without a request');
log_has(qr/balancer: start: hosts: .*not found/, 'has no hosts');
log_has(qr/balancer: start: choose: error/, 'and no choice');

# What has no effect.
my %asked = map { (ask('/round/echo', 'choose 10.0.0.1:80')->{upstream} => 1) } 1 .. 6;
is_deeply([sort keys %asked], [sort @at{qw( a b c )}], 'an unknown address: the balancer chooses');
log_has(qr/\[warn\] .*wasm: the upstream host "10\.0\.0\.1:80" of a filter is not asked first: "round" has no such server/, 'and the log says so');
is(ask('/states/echo', "choose $at{a}")->{upstream}, $at{b}, 'a server that is down');
log_has(qr/the upstream host "\Q$at{a}\E" of a filter is not asked first: it is down in "states"/, 'it says why');
is(ask('/none', "choose $at{a}")->{content}, "none\n", 'no upstream');
$nginx->wait_for('a line', sub { $nginx->log =~ /\[info\] .*wasm: the upstream host "\Q$at{a}\E" of a filter was not asked: nginx asked no upstream that it knows/ });
is(ask("/variable/?to=$at{b}", "choose $at{a}")->{upstream}, $at{b}, 'an address that a variable names');
is(ask('/round/echo', 'choose ' . 'x' x 600)->{balanced}, 'choose: error occured when override upstream host', 'an endless address');

# The next server.
for my $upstream (qw( retried zretried )) {
    like(ask("/$upstream/echo", "choose $at{closed}")->{upstream}, qr/^\Q$at{closed}\E, (?:\Q$at{a}\E|\Q$at{b}\E)$/, "$upstream: the next after a failure")
        for 1 .. 6;
}
is(ask('/failing/echo', "choose $at{gone}")->{upstream}, "$at{gone}, $at{a}", 'a failure counts');
is(hosts('failing'), listed([$at{a} => 'Healthy'], [$at{gone} => 'Unhealthy']), 'for hosts');
is(ask('/failing/echo', "choose $at{gone}")->{upstream}, $at{a}, 'and for choices');
log_has(qr/is not asked first: it has failed in "failing" \(max_fails\)/, 'it says why');
for my $upstream (qw( reserve zreserve )) {
    is(ask("/$upstream/echo", "choose $at{b}")->{upstream}, $at{b}, "$upstream: a backup") for 1 .. 3;
    is(ask("/$upstream/echo", '')->{upstream}, $at{a}, "$upstream: nobody else gets it") for 1 .. 3;
    is(ask("/$upstream/echo", "choose $at{closed}")->{upstream}, "$at{closed}, $at{a}", "$upstream: after a backup, the first") for 1 .. 3;
}
is(ask('/spare/echo', "choose $at{closed}")->{upstream}, "$at{closed}, $at{b}", 'a backup after the chosen server');

# Connections.
{
    my @numbers = map { connection(ask('/kept/echo', "choose $at{$_}")) } qw( a b a b a b );
    is_deeply([@numbers[2 .. 5]], [@numbers[0, 1, 0, 1]], 'keepalive: each server has its connection');
    my @zoned = map { connection(ask('/kchashed/echo?key=1', "choose $at{$_}")) } qw( c a c a );
    is_deeply([@zoned[2, 3]], [@zoned[0, 1]], 'keepalive, zone and hash');
}
{
    # A response that waits holds the one connection that the server may have.
    my $child = fork() // die "cannot fork: $!\n";
    if ($child == 0) {
        ask('/full/together/2/echo', "choose $at{busy}");
        require POSIX;
        POSIX::_exit(0);
    }
    $peer->wait_for('busy', 'requests', 1);
    is(ask('/full/echo', "choose $at{busy}")->{upstream}, $at{a}, 'max_conns');
    log_has(qr/is not asked first: it has all connections that "full" gives it \(max_conns\)/, 'it says why');
    HTTP::Tiny->new->get("http://$at{busy}/together/2/echo");
    waitpid $child, 0;
    is(ask('/full/echo', "choose $at{busy}")->{upstream}, $at{busy}, 'the connection is counted back');
}
for my $upstream (qw( secret zsecret )) {
    is(ask("/$upstream/echo", "choose $at{$_}")->{upstream}, $at{$_}, "$upstream: TLS, with its session") for map { ($_) x 3 } qw( hidden secret );
}

# Other upstreams of a request.
is(ask('/guarded/echo', "choose $at{c}")->{upstream} =~ s/.*, | : //gr, $at{c}, 'auth_request asks its own') for 1 .. 3;
unlike($nginx->log, qr/has no such server.*places/, 'where nothing was chosen');
my $redirected = ask('/redirected', "choose $at{b}")->{upstream};
like($redirected, qr/^\Q$at{b}\E(?:, \Q$at{closed}\E)? : /, 'error_page goes to another upstream');
my %others = map { (ask('/redirected', "choose $at{b}")->{upstream} =~ s/.* : //r => 1) } 1 .. 6;
is_deeply([sort keys %others], [sort @at{qw( a b c )}], 'whose balancer chooses');

# A reload has everything anew.
my @old = $nginx->workers;
$nginx->configure(%conf, http => $conf{http} =~ s/upstream round \{ /upstream round { server $at{six}; /r);
$nginx->signal('HUP');
$nginx->wait_for('new workers', sub { my @new = $nginx->workers; @new && !grep { kill 0, $_ } @old });
is(hosts('round'), listed([$at{six} => 'Healthy'], @three), 'hosts after a reload');
is(ask('/round/echo', "choose $at{six}")->{upstream}, $at{six}, 'and choices') for 1 .. 3;
is_deeply([map { connection(ask('/kept/echo', "choose $at{a}")) } 1, 2], [(connection(ask('/kept/echo', "choose $at{a}"))) x 2], 'and connections');
unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'nothing worse in the log');
$nginx->stop;

# Two workers: with a zone, each knows what the other has seen.
my $shared = $nginx->port + 1;
my $both   = NginxProcess->new('upstream-hosts-zone', workers => 2);
$both->configure(
    main => $conf{main},
    http => <<"CONF",
upstream shared { zone shared 64k; server $at{a}; server $at{gone} max_fails=1 fail_timeout=1h; }
server {
    # Connections go to both.
    listen 127.0.0.1:$shared reuseport;
    location / { add_header x-worker \$pid always; $tail proxy_pass http://shared; }
}
CONF
);
$both->start or die("nginx does not start: $both->{output}");
my $http = HTTP::Tiny->new(keep_alive => 0, timeout => 30);

# What each worker answers, by its number.
sub of_workers {
    my ($statements, $take) = @_;
    my %answers;
    for (1 .. 1000) {
        my $response = $http->get("http://127.0.0.1:$shared/echo", { headers => { 'x-balancer' => $statements } });
        $answers{ $response->{headers}{'x-worker'} // 'none' }{ $take->($response) } = 1;
        last if keys %answers == 2;
    }
    return [map { sort keys %$_ } values %answers];
}
my $shown = sub { $_[0]{content} =~ s{\n$}{}r };
is_deeply(of_workers('hosts; answer', $shown), [(listed([$at{a} => 'Healthy'], [$at{gone} => 'Healthy'])) x 2], 'two workers');
my $first = $http->get("http://127.0.0.1:$shared/echo", { headers => { 'x-balancer' => "choose $at{gone}" } });
is($first->{headers}{'x-upstream'}, "$at{gone}, $at{a}", 'a failure in one of them') or diag(explain($first));
is_deeply(of_workers('hosts; answer', $shown), [(listed([$at{a} => 'Healthy'], [$at{gone} => 'Unhealthy'])) x 2], 'is known to both');
is_deeply(of_workers("choose $at{gone}", sub { $_[0]{headers}{'x-upstream'} }), [($at{a}) x 2], 'and counts for both');
done_testing();
