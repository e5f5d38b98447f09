package Frames;

# A client over HTTP/2, without TLS, that sends just the frames that a test says, for one request:
#
#     my $client = Frames->new($port);
#     $client->request('/path', 'content-length' => 3);    # POST, with these headers; the body follows
#     $client->data('a');
#     $client->data('bc', 1);                              # ends the stream
#     $client->ping;                                       # the server has taken all before that
#     my $response = $client->response;                    # {status}, {body}
#
# A response that is reset has {reset}, the code. Nothing here minds the windows: bodies are smaller than they are at first. Waits
# end after 30 s, which only a failure reaches.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;

my ($DATA, $HEADERS, $RST_STREAM, $SETTINGS, $PING, $GOAWAY, $CONTINUATION) = (0, 1, 3, 4, 6, 7, 9);
my ($END_STREAM, $ACK, $END_HEADERS) = (1, 1, 4);
# The statuses that have numbers of their own in HPACK's static table.
my %STATUS = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400, 13 => 404, 14 => 500);

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "cannot connect: $!\n";
    binmode $socket;
    $socket->autoflush(1);
    $SIG{PIPE} = 'IGNORE';
    my $self = bless { socket => $socket, read => '', pings => 0, response => { body => '' } }, $class;
    print $socket "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    return $self->send($SETTINGS, 0, 0, '');
}

sub send {
    my ($self, $type, $flags, $stream, $content) = @_;
    my $size = pack 'N', length $content;
    print { $self->{socket} } substr($size, 1), pack('CCN', $type, $flags, $stream), $content;
    return $self;
}

# A header in HPACK: a literal that is not indexed, its name too.
sub literal {
    my ($name, $value) = @_;
    return pack 'CC/a*C/a*', 0, $name, $value;
}

sub request {
    my ($self, $path, %headers) = @_;
    my %all  = (':method' => 'POST', ':scheme' => 'http', ':path' => $path, ':authority' => 'a');
    my $head = join '', map({ literal($_, $all{$_}) } sort keys %all), map { literal($_, $headers{$_}) } sort keys %headers;
    return $self->send($HEADERS, $END_HEADERS, 1, $head);
}

sub data {
    my ($self, $content, $ends) = @_;
    return $self->send($DATA, $ends ? $END_STREAM : 0, 1, $content);
}

sub ping {
    my $self  = shift;
    my $pings = $self->{pings} + 1;
    $self->send($PING, 0, 0, 'question');
    while ($self->{pings} < $pings) {
        $self->frame or die "the server has closed before it answered a PING\n";
    }
    return $self;
}

sub response {
    my $self = shift;
    my $response = $self->{response};
    while (!$response->{ends} && !defined $response->{reset}) {
        $self->frame or last;
    }
    return $response;
}

sub frame {
    my $self = shift;
    my $head = $self->bytes(9) // return 0;
    my ($high, $low, $type, $flags, $stream) = unpack 'CnCCN', $head;
    my $content = $self->bytes(($high << 16) + $low) // return 0;
    my $response = $self->{response};
    if ($type == $SETTINGS && !($flags & $ACK)) {
        $self->send($SETTINGS, $ACK, 0, '');
    } elsif ($type == $PING && $flags & $ACK) {
        $self->{pings}++;
    } elsif ($type == $HEADERS) {
        die "more headers for a response\n" if defined $response->{status};
        die "not one frame of headers\n" unless $flags & $END_HEADERS;
        $response->{status} = status($content);
    } elsif ($type == $DATA) {
        $response->{body} .= $content;
    } elsif ($type == $RST_STREAM) {
        $response->{reset} = unpack 'N', $content;
    } elsif ($type == $GOAWAY) {
        die 'the server gives the connection up: ' . unpack('x4N', $content) . "\n" if unpack 'x4N', $content;
    }
    $response->{ends} = 1 if ($type == $DATA || $type == $HEADERS) && $flags & $END_STREAM;
    return 1;
}

# nginx sends the status first: its number, or the number of its name and three digits as they are.
sub status {
    my $content = shift;
    # A change of the dynamic table's size may come before it.
    $content =~ s/\A[\x20-\x3f]//;
    my $number = unpack 'C', $content;
    return $STATUS{ $number & 0x7f } if $number & 0x80;
    return $content =~ /\A.\x03(\d{3})/s ? $1 : die "cannot read the status\n";
}

sub bytes {
    my ($self, $size) = @_;
    while (length $self->{read} < $size) {
        die "nothing to read for 30 s\n" unless IO::Select->new($self->{socket})->can_read(30);
        sysread $self->{socket}, $self->{read}, 65536, length $self->{read} or return;
    }
    return substr $self->{read}, 0, $size, '';
}

1;
