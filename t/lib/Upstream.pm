package Upstream;

# An upstream in a process of its own, for tests about bodies: it says what came over the wire, byte for byte, and answers
# in ways that nginx itself does not.
#
#     use Upstream;
#     my $upstream = Upstream->start($ENV{TEST_NGINX_PORT_5});      # ended with the test file
#
# It serves one connection after the other in a process for each, and closes after each response. Paths:
#
#     /echo               the body: request line, the header lines about the body's length, an empty line, the body
#     /body               the body alone
#     /count              how many bytes it has
#     /length/N/SIZE      N times SIZE bytes (letters a to z, one for each part), with content-length
#     /chunked/N/SIZE     the same in chunks
#     /trailers/NAME=VALUE/NAME=VALUE...   "body" in chunks, with trailers behind it
#     /close/N/SIZE       the same as chunked, but the end is that of the connection
#     /short/N            content-length 10, but only N bytes: 4, or fewer
#     /early/STATUS       a response before the body of the request has been read
#     /status/STATUS      no body
#     /swallow            reads a body in chunks of any size, and answers how many bytes it had

use strict;
use warnings;

use IO::Socket::INET;

my @children;

# With a function, that serves each connection instead (Coded.pm).
sub start {
    my ($class, $port, $serve) = @_;
    $serve //= \&serve;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1)
        or die "cannot listen on $port: $!\n";
    my $child = fork() // die "cannot fork: $!\n";
    if ($child == 0) {
        $SIG{CHLD} = 'IGNORE';
        $SIG{TERM} = 'DEFAULT';
        while (1) {
            my $client = $listener->accept or next;
            my $server = fork() // next;
            if ($server == 0) {
                close $listener;
                alarm 120;
                $serve->($client);
                close $client;
                # Not exit: the END blocks belong to the test.
                require POSIX;
                POSIX::_exit(0);
            }
            close $client;
        }
    }
    close $listener;
    push @children, $child;
    return bless { port => $port }, $class;
}

END {
    local $?;
    kill 'TERM', @children if @children;
    waitpid $_, 0 for @children;
}

sub serve {
    my $client = shift;
    binmode $client;
    $client->autoflush(1);
    $SIG{PIPE} = 'IGNORE';
    my $head = '';
    while ($head !~ /\r\n\r\n/) {
        sysread($client, $head, 1, length $head) or return;
    }
    my ($path) = $head =~ /^\S+ (\S+)/;
    if ($path =~ m{^/early/(\d+)}) {
        print $client "HTTP/1.1 $1 Early\r\nConnection: close\r\nContent-Length: 6\r\n\r\nearly\n";
        shutdown $client, 1;
        1 while sysread $client, my $rest, 65536;
        return;
    }
    if ($path eq '/swallow') {
        my $count = swallow($client);
        print $client answer('Content-Length: ' . length $count), $count;
        return;
    }
    my $body = read_body($client, $head);
    my (undef, $kind, @words) = split m{/}, $path;
    my @parts = ();
    if ($kind =~ /^(?:length|chunked|close)$/) {
        my ($count, $size) = @words;
        @parts = map { chr(ord('a') + $_ % 26) x $size } 0 .. $count - 1;
    }
    if ($kind eq 'length') {
        print $client answer('Content-Length: ' . length(join '', @parts)), @parts;
    } elsif ($kind eq 'close') {
        print $client answer(), @parts;
    } elsif ($kind eq 'chunked' || $kind eq 'trailers') {
        my @trailers = $kind eq 'trailers' ? map {s/=/: /r} @words : ();
        @parts = ('bo', 'dy') if $kind eq 'trailers';
        print $client answer('Transfer-Encoding: chunked', @trailers ? 'Trailer: x-first' : ());
        print $client sprintf("%x\r\n%s\r\n", length $_, $_) for @parts;
        print $client "0\r\n", (map {"$_\r\n"} @trailers), "\r\n";
    } elsif ($kind eq 'body' || $kind eq 'count') {
        $body = length $body if $kind eq 'count';
        print $client answer('Content-Length: ' . length $body), $body;
    } elsif ($kind eq 'short') {
        print $client answer('Content-Length: 10'), substr 'four', 0, $words[0] // 4;
    } elsif ($kind eq 'status') {
        print $client "HTTP/1.1 $words[0] Status\r\nConnection: close\r\n\r\n";
    } else {
        my ($line) = split /\r\n/, $head;
        my @about = sort grep {/^(?:content-length|transfer-encoding|x-[^:]*):/i} split /\r\n/, $head;
        my $text = join("\n", $line, @about, '', $body) . "\n";
        print $client answer('Content-Type: text/plain', 'Content-Length: ' . length $text), $text;
    }
    return;
}

sub answer { return join "\r\n", 'HTTP/1.1 200 OK', 'Connection: close', @_, '', '' }

sub read_body {
    my ($client, $head) = @_;
    if ($head =~ /^content-length: *(\d+)/im) {
        return read_exactly($client, $1);
    }
    return '' unless $head =~ /^transfer-encoding: *chunked/im;
    my $body = '';
    while (1) {
        my $line = read_line($client) // return $body;
        my $size = hex $line;
        $body .= read_exactly($client, $size);
        read_line($client);
        return $body if $size == 0;
    }
}

sub swallow {
    my $client = shift;
    my $count  = 0;
    local $/ = "\r\n";
    while (defined(my $line = <$client>)) {
        my $size = hex($line =~ s/\r\n//r);
        read $client, my $chunk, $size + 2;
        return $count if $size == 0;
        $count += length($chunk) - 2;
    }
    return "broken off after $count";
}

sub read_line {
    my $client = shift;
    my $line   = '';
    while ($line !~ /\r\n$/) {
        sysread($client, $line, 1, length $line) or return;
    }
    return $line =~ s/\r\n//r;
}

sub read_exactly {
    my ($client, $size) = @_;
    my $bytes = '';
    while (length $bytes < $size) {
        sysread($client, $bytes, $size - length $bytes, length $bytes) or last;
    }
    return $bytes;
}

1;
