package Peer;

# What filters call in the tests: services in processes of their own, which end with the test file.
#
#     my $peer = Peer->fault('plain=127.0.0.1', 'six=::1', "socket=unix:$path", 'tls=127.0.0.1,cert=a.crt,key=a.key');
#     my $port = $peer->port('plain');
#     my $stats = $peer->stats('plain');                   # {connections}, {open}, {requests}, {answers}, {left} ...
#     $peer->wait_for('plain', 'open', 0);                 # until that counter has that value
#
#     my $http2 = Peer->http2('plain=127.0.0.1', ...);     # undef where the Python library h2 cannot be had; the same functions
#     my $flood = Peer->flood('ping=127.0.0.1,kind=ping', ...);
#     my $grpc  = Peer->grpc('plain=127.0.0.1', ...);      # undef where grpcio cannot be had; port() and stats() as above
#     my $redis = Peer->redis(dir => $path);               # undef where there is no redis-server; port()
#
# What the services do is in peers/fault.py, peers/http2_fault.py, peers/flood.py and peers/grpc_service.py. Certificates for tests:
#
#     my %file = Peer->certificates($folder);              # ca, server, ... => path without .crt and .key

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IPC::Open2 ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw( sleep time );

my @children;

sub root { return $ENV{TEST_WASM_ROOT} // die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n" }

# What a test file needs, else it is skipped: python3, openssl, redis-server.
sub needs {
    my ($class, @commands) = @_;
    require Test::More;
    for my $command (@commands) {
        Test::More::plan(skip_all => "needs $command") if system("command -v $command >/dev/null") != 0;
    }
    return;
}

sub fault {
    my ($class, @listeners) = @_;
    return $class->python({}, 'fault.py', @listeners);
}

sub flood {
    my ($class, @listeners) = @_;
    return $class->python({}, 'flood.py', @listeners);
}

# undef where the library cannot be had.
sub http2 {
    my ($class, @listeners) = @_;
    my $script = root() . '/tools/install.sh h2';
    chomp(my $folder = qx($script));
    return if $? != 0;
    return $class->python({ PYTHONPATH => $folder }, 'http2_fault.py', @listeners);
}

sub grpc {
    my ($class, @listeners) = @_;
    my $script = root() . '/tools/install.sh grpc';
    chomp(my $folder = qx($script));
    return if $? != 0;
    return $class->python({ PYTHONPATH => $folder, GRPC_VERBOSITY => 'NONE' }, 'grpc_service.py', @listeners);
}

sub python {
    my ($class, $environment, $script, @listeners) = @_;
    local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
    local @ENV{ keys %$environment } = values %$environment;
    my $pid = IPC::Open2::open2(my $out, my $in, 'python3', root() . "/t/lib/peers/$script", @listeners);
    push @children, $pid;
    my $self = bless { pid => $pid, in => $in, out => $out, script => $script }, $class;
    $in->autoflush(1);
    $self->{ports} = $self->read;
    return $self;
}

sub read {
    my $self = shift;
    my $out  = $self->{out};
    die "$self->{script} says nothing for a minute\n" unless IO::Select->new($out)->can_read(60);
    my $line = <$out> // die "$self->{script} has ended\n";
    return JSON::PP::decode_json($line);
}

sub port {
    my ($self, $listener) = @_;
    return $self->{ports}{ $listener // 'plain' } // die "$self->{script} has no listener '$listener'\n";
}

sub stats {
    my ($self, $listener) = @_;
    print { $self->{in} } "stats\n";
    my $stats = $self->read;
    return $listener ? $stats->{$listener} : $stats;
}

sub wait_for {
    my ($self, $listener, $counter, $value) = @_;
    my $end = time + 30;
    while (1) {
        my $stats = $self->stats($listener);
        return if ($stats->{$counter} // 0) == $value;
        if (time > $end) {
            require Data::Dumper;
            die "waited in vain for $counter of $listener to be $value: " . Data::Dumper::Dumper($stats);
        }
        sleep 0.02;
    }
}

# A redis-server on a free port, and on a socket in its folder. Options: dir, password.
sub redis {
    my ($class, %option) = @_;
    return if system('command -v redis-server >/dev/null') != 0;
    my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no free port: $!\n";
    my $port  = $probe->sockport;
    close $probe;
    my @command = (
        'redis-server', '--port', $port, '--bind', '127.0.0.1', '--dir', $option{dir}, '--save', '', '--appendonly', 'no',
        '--unixsocket', "$option{dir}/redis.sock", '--unixsocketperm', '777', '--logfile', "$option{dir}/redis.log",
        defined $option{password} ? ('--requirepass', $option{password}) : (),
    );
    my $pid = fork // die "cannot fork: $!\n";
    if ($pid == 0) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        exec @command or POSIX::_exit(1);
    }
    push @children, $pid;
    my $self = bless { pid => $pid, script => 'redis-server', ports => { plain => $port }, %option }, $class;
    my $end = time + 30;
    until ((eval { $self->redis_command('PING') } // '') =~ /PONG/) {
        die "redis-server does not start\n" if time > $end || waitpid($pid, POSIX::WNOHANG()) != 0;
        sleep 0.02;
    }
    return $self;
}

# The answer to one command, in Redis' own format.
sub redis_command {
    my ($self, @words) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->port) or die "cannot connect: $!\n";
    for my $command (defined $self->{password} ? ['AUTH', $self->{password}] : (), \@words) {
        print $socket '*' . @$command . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @$command;
    }
    shutdown $socket, 1;
    local $/;
    my $answer = <$socket> // '';
    $answer =~ s/^\+OK\r\n// if defined $self->{password};
    return $answer;
}

sub stop {
    my $self = shift;
    @children = grep { $_ != $self->{pid} } @children;
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

# Certificates, each NAME.crt and NAME.key in the folder: ca (an authority), server (for localhost, service.test, 127.0.0.1
# and ::1), chained (the same, by an authority between it and ca), other (for other.test), expired, self (signed by itself), client, and stranger (an authority that
# nobody trusts).
sub certificates {
    my ($class, $folder) = @_;
    require File::Path;
    File::Path::make_path($folder);
    my $run = sub {
        my $output = qx(cd $folder && @_ 2>&1);
        die "@_:\n$output" if $?;
    };
    my $key       = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
    $run->("openssl req -x509 $key -keyout $_.key -out $_.crt -subj /CN=$_ -days 9") for qw( ca stranger );
    my %names = (
        server  => 'DNS:localhost,DNS:service.test,DNS:v4.test,IP:127.0.0.1,IP:::1',
        other   => 'DNS:other.test',
        expired => 'DNS:localhost,DNS:service.test,IP:127.0.0.1',
        client  => 'DNS:client.test',
    );
    my $has_times = `openssl x509 -help 2>&1` =~ /-not_after/;
    for my $name (sort keys %names) {
        open my $out, '>', "$folder/$name.cnf" or die "$name.cnf: $!";
        print $out "subjectAltName=$names{$name}\nbasicConstraints=CA:FALSE\n";
        close $out;
        # OpenSSL 3.4 has words for times in the past, and does not take a negative number of days any more.
        my $time = $name ne 'expired' ? '-days 9' : $has_times ? '-not_before 20200101000000Z -not_after 20200102000000Z' : '-days -1';
        $run->("openssl req $key -keyout $name.key -out $name.csr -subj /CN=$name");
        $run->("openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt $time -extfile $name.cnf");
    }
    # Signed by an authority that ca has signed, which comes with it.
    for my $name (qw( middle chained )) {
        my ($authority, $lines) = $name eq 'middle' ? ('ca', "basicConstraints=CA:TRUE\n") : ('middle', "subjectAltName=DNS:localhost\n");
        open my $out, '>', "$folder/$name.cnf" or die "$name.cnf: $!";
        print $out $lines;
        close $out;
        $run->("openssl req $key -keyout $name.key -out $name.csr -subj /CN=$name");
        $run->("openssl x509 -req -in $name.csr -CA $authority.crt -CAkey $authority.key -CAcreateserial -out $name.crt -days 9 -extfile $name.cnf");
    }
    $run->('cat middle.crt >>chained.crt');
    $run->("openssl req -x509 $key -keyout self.key -out self.crt -subj /CN=self -days 9 -addext subjectAltName=DNS:localhost,DNS:service.test,IP:127.0.0.1");
    chmod 0644, glob "$folder/*";
    return map { $_ => "$folder/$_" } qw( ca stranger self chained ), keys %names;
}

END {
    local $?;
    for my $pid (@children) {
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }
}

1;
