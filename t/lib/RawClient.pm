package RawClient;

# A client that sends and reads just what a test says, and sees how the connection ends:
#
#     my $client = RawClient->new($nginx->port);
#     $client->send("GET /t HTTP/1.1\r\nHost: a\r\n\r\n");
#     my $response = $client->response;         # {status}, {headers} (names in lower case), {body}, {trailers}
#     ok($client->at_end);                      # the server has closed
#
# A response that ends before it is complete has {cut}. Waits end after 30 s, which only a failure reaches.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "cannot connect: $!\n";
    binmode $socket;
    $socket->autoflush(1);
    $SIG{PIPE} = 'IGNORE';
    return bless { socket => $socket, read => '', end => 0 }, $class;
}

sub send {
    my ($self, @parts) = @_;
    print { $self->{socket} } @parts;
    return $self;
}

sub close { return close $_[0]{socket} }

# Reads once; false at the end.
sub more {
    my $self = shift;
    return 0 if $self->{end};
    die "nothing to read for 30 s, after: $self->{read}\n" unless IO::Select->new($self->{socket})->can_read(30);
    my $count = sysread $self->{socket}, $self->{read}, 65536, length $self->{read};
    $self->{end} = 1 unless $count;
    return $count;
}

sub at_end {
    my $self = shift;
    1 while $self->more;
    return $self->{read} eq '';
}

# Takes what matches from the front of what has been read.
sub take {
    my ($self, $pattern) = @_;
    while (1) {
        return $1 if $self->{read} =~ s/\A($pattern)//;
        $self->more or return;
    }
}

sub take_bytes {
    my ($self, $count) = @_;
    while (length $self->{read} < $count) {
        $self->more or return;
    }
    return substr $self->{read}, 0, $count, '';
}

sub lines {
    my $head = shift;
    my %lines;
    for my $line (split /\r\n/, $head) {
        my ($name, $value) = $line =~ /^([^:]+): *(.*)$/ or next;
        $name = lc $name;
        $lines{$name} = defined $lines{$name} ? "$lines{$name}, $value" : $value;
    }
    return \%lines;
}

# The next response; undef when the connection ends before it. no_body: the request was HEAD.
sub response {
    my ($self, %option) = @_;
    my $head = $self->take(qr/.*?\r\n\r\n/s) // return;
    my ($status) = $head =~ m{^HTTP/1\.[01] (\d+)} or die "not a response: $head\n";
    return $self->response(%option) if $status == 100;
    my %response = (status => $status, headers => lines($head), body => '', trailers => {});
    return \%response if $option{no_body} || $status == 204 || $status == 304;
    if (($response{headers}{'transfer-encoding'} // '') eq 'chunked') {
        while (1) {
            my $size = $self->take(qr/[0-9a-f]+\r\n/i);
            if (!defined $size) { $response{cut} = 1; last }
            $size = hex($size =~ s/\r\n//r);
            if ($size == 0) {
                my $trailers = $self->take(qr/(?:[^\r\n]+\r\n)*\r\n/);
                $response{trailers} = lines($trailers // '');
                last;
            }
            my $bytes = $self->take_bytes($size + 2);
            if (!defined $bytes) { $response{cut} = 1; $response{body} .= $self->{read}; last }
            $response{body} .= substr $bytes, 0, $size;
        }
    } elsif (defined(my $length = $response{headers}{'content-length'})) {
        my $bytes = $self->take_bytes($length);
        if (defined $bytes) { $response{body} = $bytes } else { $response{cut} = 1; $response{body} = $self->{read} }
    } else {
        1 while $self->more;
        $response{body} = $self->{read};
        $self->{read} = '';
    }
    return \%response;
}

1;
