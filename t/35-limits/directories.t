# Directories that a filter gets through WASI: none but those that proxy_wasm_allow grants, for reading unless it says more, and
# nothing outside of them. What Rust's and Go's own libraries make of that.

use TestWasm 'no_plan';

use File::Temp ();
use POSIX ();

my $folder = File::Temp->newdir;
$ENV{TEST_NGINX_DATA} = "$folder";

sub file ($$) {
    my ($name, $text) = @_;
    open my $out, '>', "$folder/$name" or die "$name: $!";
    print $out $text;
    close $out or die "$name: $!";
}

mkdir "$folder/$_" or die "$_: $!" for qw( data data/sub data/many other );
chmod 0755, "$folder";
file 'secret.txt',        "secret\n";
file 'data/hello.txt',    "hello, file\n";
file 'data/sub/deep.txt', "deep\n";
file 'data/large',        'x' x 300_000;
file "data/many/$_", '' for 1 .. 700;
my %links = (
    inside => 'hello.txt', folder => 'sub', outside => '../secret.txt', absolute => "$folder/secret.txt",
    up => '..', loop => 'link-loop', passwd => '/etc/passwd',
);
symlink $links{$_}, "$folder/data/link-$_" or die "$_: $!" for keys %links;
POSIX::mkfifo("$folder/data/fifo", 0666) or die "fifo: $!";

# Each block begins with an empty folder to write to.
add_block_preprocessor(sub {
    my $block = shift;
    system('rm', '-rf', "$folder/writable") == 0 or die 'rm';
    mkdir "$folder/writable" or die "writable: $!";
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm {
    module rust $TEST_NGINX_GUESTS/rust-files.wasm;
    module go   $TEST_NGINX_GUESTS/go-files.wasm;
}
CONF
    $block->set_value(config => <<'CONF') unless $block->config;
location /rust {
    proxy_wasm_allow dir=$TEST_NGINX_DATA/data:/data dir=$TEST_NGINX_DATA/writable:/w:rw;
    proxy_wasm rust;
    return 200 "not reached\n";
}
location /go {
    proxy_wasm_allow dir=$TEST_NGINX_DATA/data:/data dir=$TEST_NGINX_DATA/writable:/w:rw;
    proxy_wasm go;
    return 200 "not reached\n";
}
CONF
    return unless $block->name =~ /both:/;
    $block->set_value(request => ['GET /rust', 'GET /go']);
    for my $section (qw( response_body response_body_like response_body_unlike )) {
        my $lines = $block->$section;
        $block->set_value($section => [$lines, $lines]) if defined $lines;
    }
});

run_tests();

__DATA__

=== TEST 1: both: files are read, as a whole and from a place on
--- more_headers
x-files: read /data/hello.txt; read /data/sub/deep.txt; size /data/large; stat /data/hello.txt; stat /data/sub; read /data/link-inside; read /data/link-folder/deep.txt; read /data/sub/../hello.txt; target /data/link-inside
--- response_body
read: hello, file
read: deep
size: 300000
stat: file 12 true
stat: directory
read: hello, file
read: deep
read: hello, file
target: hello.txt



=== TEST 2: a place in a file, Rust
--- request
GET /rust
--- more_headers
x-files: from 7 /data/hello.txt; from 100 /data/hello.txt
--- response_body
from: 7 12 file
from: 100 100 



=== TEST 3: a place in a file, Go
--- request
GET /go
--- more_headers
x-files: from 7 /data/hello.txt
--- response_body
from: 7 file file



=== TEST 4: both: folders are listed, those of many entries too
--- more_headers
x-files: list /data; list /data/sub; count /data/many; list /w
--- response_body
list: fifo hello.txt large link-absolute link-folder link-inside link-loop link-outside link-passwd link-up many/ sub/
list: deep.txt
count: 700
list: 



=== TEST 5: both: nothing leads out of a folder
--- more_headers
x-files: read /data/../secret.txt; read /data/sub/../../secret.txt; read /data/link-outside; read /data/link-absolute; read /data/link-passwd; read /data/link-up/secret.txt; list /data/link-up; stat /data/link-absolute; read /data/link-loop; target /data/link-passwd
--- response_body_unlike: secret|root:
--- response_body_like
^read: error \d+ \N*
read: error \d+ \N*
read: error 63 \N*
read: error 63 \N*
read: error 63 \N*
read: error 63 \N*
list: error 63 \N*
stat: error 63 \N*
read: error 32 \N*
target: error 63 \N*$



=== TEST 6: both: a folder that is not granted is not there
--- more_headers
x-files: read /etc/passwd; list /; list /other; write /new x
--- response_body_like
^read: error \N*
list: error \N*
list: error \N*
write: error \N*$
--- response_body_unlike: root:



=== TEST 7: both: a folder that is not granted for writing is for reading
--- more_headers
x-files: write /data/new x; write /data/hello.txt x; append /data/hello.txt x; mkdir /data/new; remove /data/hello.txt; rename /data/hello.txt /data/new; rename /data/hello.txt /w/new; rename /w/x /data/x; read /data/hello.txt
--- response_body_like
^write: error 69 \N*
write: error 69 \N*
append: error 69 \N*
mkdir: error 69 \N*
remove: error 69 \N*
rename: error 69 \N*
rename: error 69 \N*
rename: error 69 \N*
read: hello, file$



=== TEST 8: both: files and folders are made, changed and removed where that is granted
--- more_headers
x-files: mkdir /w/sub; write /w/sub/a one; append /w/sub/a +two; read /w/sub/a; rename /w/sub/a /w/b; read /w/b; write /w/b 1; read /w/b; list /w; rmdir /w/sub; remove /w/b; list /w; remove /w/b
--- response_body_like
^mkdir: done
write: done
append: done
read: one\+two
rename: done
read: one\+two
write: done
read: 1
list: b sub/
rmdir: done
remove: done
list: 
remove: error 44 \N*$



=== TEST 9: more of what Rust's library does with a file that it may change
--- request
GET /rust
--- more_headers
x-files: new /w/a; new /w/a; write /w/a 12345; cut /w/a 2; read /w/a; cut /w/a 4; size /w/a; update /w/a; update /data/hello.txt; rmdir /w/a; remove /w; sync /w/a
--- response_body_like
^new: done
new: error 20 \N*
write: done
cut: done
read: 12
cut: done
size: 4
update: done
update: error 69 \N*
rmdir: error 54 \N*
remove: error \N*
sync: error 58 \N*$



=== TEST 10: both: nothing outside can be written, and no links are made
--- more_headers
x-files: write /w/../data/new x; write /w/../../new x; write /w/a 1; rename /w/a /w/../data/a; link /w/a /w/b; link /data/hello.txt /w/b; list /w
--- response_body_like
^write: error \d+ \N*
write: error \d+ \N*
write: done
rename: error \d+ \N*
link: error \d+ \N*
link: error \d+ \N*
list: a$



=== TEST 11: what Go makes of a symbolic link that it wants to make
--- request
GET /go
--- more_headers
x-files: symlink /etc/passwd /w/passwd; list /w
--- response_body_like
^symlink: error 76 \N*
list: $



=== TEST 12: both: what is neither a file nor a folder does not block the worker
--- more_headers
x-files: read /data/fifo; stat /data/fifo; read /data/hello.txt
--- response_body_like
^read: error 2 \N*
stat: \N*
read: hello, file$



=== TEST 13: the files that a filter has open are bounded, and closed again
--- request eval
["GET /rust", "GET /rust"]
--- more_headers
x-files: hold 100 /data/hello.txt; hold 64 /data/hello.txt; read /data/hello.txt
--- response_body eval
["hold: 64 error Some(33)\nhold: 64\nread: hello, file\n", "hold: 64 error Some(33)\nhold: 64\nread: hello, file\n"]



=== TEST 14: both: without proxy_wasm_allow there is no file
--- config
location /rust {
    proxy_wasm rust;
    return 200 "not reached\n";
}
location /go {
    proxy_wasm go;
    return 200 "not reached\n";
}
--- more_headers
x-files: read /data/hello.txt; read /etc/passwd; list /; list .
--- response_body_like
^read: error \N*
read: error \N*
list: error \N*
list: error \N*$
--- response_body_unlike: root:



=== TEST 15: both: a filter reads a file when it starts
--- config
location /rust {
    proxy_wasm_allow dir=$TEST_NGINX_DATA/data;
    proxy_wasm rust 'read $TEST_NGINX_DATA/data/hello.txt';
    return 200 "not reached\n";
}
location /go {
    proxy_wasm_allow dir=$TEST_NGINX_DATA/data;
    proxy_wasm go 'read $TEST_NGINX_DATA/data/hello.txt';
    return 200 "not reached\n";
}
--- response_body
read: hello, file



=== TEST 16: a folder that is not there keeps nginx from starting
--- config
location /rust {
    proxy_wasm_allow dir=$TEST_NGINX_DATA/gone:/data;
    proxy_wasm rust;
}
--- must_die
--- error_log eval
[qr{\[emerg\] .*filter "rust" does not start: cannot open the directory "\S+/gone": No such file .* \(proxy_wasm_allow\) in .*nginx\.conf:\d+}]



=== TEST 17: a file is no folder
--- config
location /rust {
    proxy_wasm_allow dir=$TEST_NGINX_DATA/secret.txt:/data;
    proxy_wasm rust;
}
--- must_die
--- error_log eval
[qr{\[emerg\] .*cannot open the directory "\S+/secret\.txt": Not a directory}]



=== TEST 18: a relative path is below the folder of nginx.conf
--- config
location /rust {
    proxy_wasm_allow dir=../html:/data;
    proxy_wasm rust;
    return 200;
}
--- user_files
>>> here.txt
from html
--- request
GET /rust
--- more_headers
x-files: read /data/here.txt
--- response_body
read: from html



=== TEST 19: one folder inside of another: the longer name counts, with its own rights
--- config
location /rust {
    proxy_wasm_allow dir=$TEST_NGINX_DATA/data:/ dir=$TEST_NGINX_DATA/writable:/sub:rw;
    proxy_wasm rust;
    return 200;
}
--- request
GET /rust
--- more_headers
x-files: read /hello.txt; write /sub/a b; read /sub/a; write /a b
--- response_body_like
^read: hello, file
write: done
read: b
write: error 69 \N*$
