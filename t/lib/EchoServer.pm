package EchoServer;

# An upstream that answers with what it got:
#
#     my $upstream = EchoServer->new($port);                 # on 127.0.0.1, as a process of its own
#     proxy_pass http://127.0.0.1:$port;
#     my @seen = $upstream->seen;                            # the requests that came: 'GET /target 0', the body's length last
#
# The body of its answer is the body of the request. The header x-got-request tells method and target, x-got-host the
# host, x-got-length how many bytes the body had. With `x-answer: TEXT` in the request the body is TEXT instead.
# It reads a request to its end before it answers, and serves one connection at a time; of a request that is cut off before
# its end it tells '(cut off)' in place of the length. It ends with the test file.

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET;

my @children;

sub new {
    my ($class, $port) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1)
        or die "cannot listen on 127.0.0.1:$port: $!\n";
    my $seen = File::Temp->new(UNLINK => 1);
    $seen->autoflush(1);
    my $pid = fork // die "cannot fork: $!\n";
    if ($pid == 0) {
        local $SIG{PIPE} = 'IGNORE';
        while (my $connection = $listener->accept) {
            serve($connection, $seen);
            close $connection;
        }
        require POSIX;
        POSIX::_exit(0);
    }
    push @children, $pid;
    return bless { seen => $seen }, $class;
}

# A request is there once its answer is.
sub seen {
    my $self = shift;
    open my $in, '<', $self->{seen}->filename or die "cannot read what the upstream saw: $!\n";
    chomp(my @seen = <$in>);
    return @seen;
}

sub serve {
    my ($connection, $seen) = @_;
    my $line = <$connection> // return;
    my ($method, $target) = split ' ', $line;
    my %header;
    while (defined(my $field = <$connection>)) {
        $field =~ s/\r?\n\z//;
        last if $field eq '';
        my ($name, $value) = split /:\s*/, $field, 2;
        $header{ lc $name } = $value;
    }
    my $body   = body($connection, \%header);
    my $length = defined $body ? length $body : '(cut off)';
    print {$seen} "$method $target $length\n";
    return unless defined $body;
    $body = $header{'x-answer'} if defined $header{'x-answer'};
    print {$connection} join "\r\n", 'HTTP/1.1 200 OK', 'Connection: close', 'Content-Type: text/plain',
        'Content-Length: ' . length $body, "X-Got-Request: $method $target",
        'X-Got-Host: ' . ($header{host} // ''), "X-Got-Length: $length", '', $body;
    return;
}

sub body {
    my ($connection, $header) = @_;
    if (lc($header->{'transfer-encoding'} // '') ne 'chunked') {
        return bytes($connection, $header->{'content-length'} // 0);
    }
    my $body = '';
    while (defined(my $size = <$connection>)) {
        my $piece = bytes($connection, hex $size) // return;
        <$connection>;
        return $body if $piece eq '';
        $body .= $piece;
    }
    return;
}

sub bytes {
    my ($connection, $count) = @_;
    my $bytes = '';
    while (length $bytes < $count) {
        read($connection, $bytes, $count - length $bytes, length $bytes) or return;
    }
    return $bytes;
}

END {
    local $?;
    for my $pid (@children) {
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }
}

1;
