package NginxProcess;

# An nginx of our own for test files that need more than requests and responses ('nginx -t', reload, workers):
#
#     use Test::More;
#     use NginxProcess;
#
#     my $nginx = NginxProcess->new('reload');               # prefix: build/t/reload
#     $nginx->write('tiny.wat', '(module ...)');             # a file in the prefix
#     $nginx->configure(
#         main   => "wasm { module tiny tiny.wat; }",        # all three may be left out
#         http   => "",
#         server => "location / { proxy_wasm tiny; return 200 ok; }",
#     );
#     my ($ok, $output) = $nginx->test;                      # nginx -t
#     $nginx->start;                                         # with a master and one worker, listening on $nginx->port
#     my $response = $nginx->get('/', { 'x-header' => 1 });  # as HTTP::Tiny gives it: {status}, {headers}, {content}
#     $nginx->configure(...);
#     $nginx->signal('HUP');
#     $nginx->wait_for('the reload', sub { $nginx->log =~ /reconfiguring/ });
#     my @said = $nginx->said('tiny');                       # what filters of the module 'tiny' logged
#     $nginx->stop;                                          # also done at the end of the test file
#
# Nothing here depends on time: wait_for() waits for what is meant to happen, and dies when it does not in 120 s.

use strict;
use warnings;

use Engine ();
use File::Path qw( make_path remove_tree );
use HTTP::Tiny;
use Time::HiRes qw( sleep time );

my @running;

# A filter that does nothing, for what is about configurations.
use constant TINY_FILTER => <<'WAT';
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_log") (param i32)))
WAT

# Options: binary, modules (a list of .so paths, in load order), port, workers, connections (of a worker), user (of workers,
# when root starts nginx).
sub new {
    my ($class, $name, %options) = @_;
    my $root = $ENV{TEST_WASM_ROOT} or die "TEST_WASM_ROOT is not set; run the tests with t/run or 'make test'\n";
    my $self = bless {
        name    => $name,
        prefix  => "$root/build/t/$name",
        binary  => $ENV{TEST_NGINX_BINARY},
        modules => [split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // ''],
        port    => $ENV{TEST_NGINX_PORT},
        workers => 1,
        connections => 256,
        user    => 'root',
        %options,
    }, $class;
    remove_tree($self->{prefix});
    make_path("$self->{prefix}/temp", "$self->{prefix}/logs");
    return $self;
}

# Of nginx: 1022001 is 1.22.1.
sub version {
    my $self = shift;
    return $self->{version} //= do {
        my $shown = qx($self->{binary} -v 2>&1);
        $shown =~ m{/(\d+)\.(\d+)\.(\d+)} ? ($1 * 1000 + $2) * 1000 + $3 : 0;
    };
}

sub prefix { return $_[0]{prefix} }
sub port   { return $_[0]{port} }

sub write {
    my ($self, $file, $content) = @_;
    my $path = "$self->{prefix}/$file";
    open my $out, '>', $path or die "cannot write $path: $!\n";
    binmode $out;
    print $out $content;
    close $out or die "cannot write $path: $!\n";
    return $path;
}

sub read {
    my ($self, $file) = @_;
    open my $in, '<', "$self->{prefix}/$file" or return '';
    binmode $in;
    local $/;
    return <$in> // '';
}

sub log { return Engine::without_what_it_says($_[0]->read('logs/error.log')) }

# What the filters of this module logged at level info, oldest first, without what nginx adds about a request. The master
# starts filters too, to see whether they start: with PID only what this process logged.
sub said {
    my ($self, $module, $pid) = @_;
    $pid //= qr/\d+/;
    my @said = $self->log =~ /\[info\] $pid#\d+: (?:\*\d+ )?wasm "$module": (.*?)(?:(?: while [^,\n]*)?, client: .*)?$/mg;
    return @said;
}

sub configure {
    my ($self, %part) = @_;
    $part{$_} //= '' for qw( main http server );
    my $load = join '', map {"load_module $_;\n"} @{ $self->{modules} };
    my $user = $> == 0 ? "user $self->{user};\n" : "";
    my $temp = join '', map {"    ${_}_temp_path temp/$_;\n"} qw( client_body proxy fastcgi uwsgi scgi );
    # As before 1.29.7, where the test does not say it.
    $temp .= "    proxy_http_version 1.0;\n" if $self->version >= 1_029_007 && $part{http} !~ /proxy_http_version/;
    return $self->write('nginx.conf', Engine::choose(<<"CONF"));
$load${user}worker_processes $self->{workers};
pid nginx.pid;
error_log logs/error.log info;
events { worker_connections $self->{connections}; }
$part{main}
http {
    access_log logs/access.log;
    default_type text/plain;
$temp
$part{http}
    server {
        listen 127.0.0.1:$self->{port};
        server_name localhost;
$part{server}
    }
}
CONF
}

sub command {
    my ($self, @arguments) = @_;
    my $prefix = $self->{prefix};
    # nginx puts the default error log where it was configured to unless told otherwise.
    return join ' ', $self->{binary}, '-p', "$prefix/", '-c', "$prefix/nginx.conf", '-e', 'stderr', @arguments;
}

# nginx -t: whether it accepted the configuration, and what it said.
sub test {
    my $self   = shift;
    my $output = qx(@{[ $self->command('-t') ]} 2>&1);
    return ($? == 0, Engine::without_what_it_says($output));
}

# Returns true when nginx has started, with its workers; what it said otherwise is in $self->{output}.
sub start {
    my $self = shift;
    $self->{output} = qx(@{[ $self->command ]} 2>&1 </dev/null);
    return 0 if $? != 0;
    push @running, $self;
    $self->wait_for('nginx.pid', sub { $self->pid });
    # Their titles are the last thing that workers set before they serve.
    $self->wait_for('the workers', sub { $self->workers >= $self->{workers} });
    return 1;
}

sub pid {
    my $self = shift;
    my ($pid) = $self->read('nginx.pid') =~ /^(\d+)/;
    return $pid;
}

# The processes of the workers that have not been told to go.
sub workers {
    my $self = shift;
    my $master = $self->pid or return;
    my @children = qx(ps -o pid=,args= --ppid $master);
    if ($ENV{TEST_WASM_VALGRIND}) {
        # nginx cannot change its title there.
        my %ends = map { $_ => 1 } $self->log =~ /\] (\d+)#\d+: gracefully shutting down/g;
        return grep { !$ends{$_} } map { /(\d+)/ } @children;
    }
    return map { /^\s*(\d+) .*worker process\s*$/ && !/shutting down/ ? $1 : () } @children;
}

sub signal {
    my ($self, $signal) = @_;
    my $pid = $self->pid or die "$self->{name}: nginx is not running\n";
    kill $signal, $pid or die "$self->{name}: cannot send $signal to $pid: $!\n";
    return;
}

sub stop {
    my $self = shift;
    @running = grep { $_ != $self } @running;
    my $pid = $self->pid or return;
    kill 'TERM', $pid;
    $self->wait_for('nginx to stop', sub { !kill 0, $pid });
    return;
}

sub request {
    my ($self, $method, $path, $headers, $content) = @_;
    my %options = (headers => $headers // {});
    $options{content} = $content if defined $content;
    return HTTP::Tiny->new(timeout => 30)->request($method, "http://127.0.0.1:$self->{port}$path", \%options);
}

sub get {
    my ($self, $path, $headers) = @_;
    return $self->request('GET', $path, $headers);
}

sub wait_for {
    my ($self, $what, $condition) = @_;
    my $end = time + 120;
    until ($condition->()) {
        die "$self->{name}: waited in vain for $what; the end of the error log:\n" . substr($self->log, -20_000) if time > $end;
        sleep 0.02;
    }
    return;
}

END {
    local $?;
    for my $nginx (@running) {
        my $pid = $nginx->pid;
        kill 'TERM', $pid if $pid;
    }
}

1;
