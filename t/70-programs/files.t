# Files that a program has: those of the directories that wasm_dir grants, for reading unless it says more, and nothing outside of
# them.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF') unless $block->main_config;
wasm { module program $TEST_NGINX_GUESTS/rust-program.wasm; }
CONF
});

run_tests();

__DATA__

=== TEST 1: as granted, and nothing else
--- user_files
>>> data/hello.txt
hello, file
>>> data/sub/deep.txt
deep
>>> secret.txt
secret
--- init
my $data = Test::Nginx::Util::html_dir() . '/data';
symlink '../secret.txt', "$data/link-up"       or die "link-up: $!";
symlink '/etc/passwd',   "$data/link-absolute" or die "link-absolute: $!";
symlink 'hello.txt',     "$data/link-inside"   or die "link-inside: $!";
--- config
location /p/ { wasm_cgi program; wasm_dir $TEST_NGINX_HTML_DIR/data:/data; }
--- request
GET /p/files?read=/data/hello.txt&read=/data/sub/deep.txt&read=/data/link-inside&list=/data&stat=/data/sub&read=/data/none&read=/data/../secret.txt&read=/data/link-up&read=/data/link-absolute&read=/etc/passwd&list=/&read=hello.txt&create=/data/new&create=/data/hello.txt&remove=/data/hello.txt
--- response_body_like
^read: hello, file
read: deep
read: hello, file
list: hello\.txt link-absolute link-inside link-up sub
stat: a folder
read: not found
read: (refused|not found|no directory)
read: refused
read: refused
read: (not found|no directory)
list: (not found|no directory|refused)
read: (not found|no directory)
create: refused
create: refused
remove: refused$
--- response_body_unlike: secret|root:



=== TEST 2: without a directory there is no file
--- config
location /p/ { wasm_cgi program; }
--- request
GET /p/files?read=/etc/passwd&list=/&list=.&create=/tmp/x
--- response_body_like
^read: (not found|no directory)
list: (not found|no directory)
list: (not found|no directory)
create: (not found|no directory)$



=== TEST 3: a directory for writing
--- config
location /p/ { wasm_cgi program; wasm_dir $TEST_NGINX_HTML_DIR:/rw:rw; }
--- request eval
["GET /p/files?create=/rw/new&read=/rw/new", "GET /p/files?read=/rw/new&remove=/rw/new&read=/rw/new"]
--- response_body eval
["create: done\nread: created\n", "read: created\nremove: done\nread: not found\n"]



=== TEST 4: a relative path is below the folder of nginx.conf
--- config
location /p/ { wasm_cgi program; wasm_dir ../html:/data; }
--- user_files
>>> here.txt
from html
--- request
GET /p/files?read=/data/here.txt
--- response_body
read: from html



=== TEST 5: without a name of its own it has that of the host
--- config
location /p/ { wasm_cgi program; wasm_dir $TEST_NGINX_HTML_DIR; }
--- user_files
>>> here.txt
from html
--- request eval
"GET /p/files?read=$ENV{TEST_NGINX_HTML_DIR}/here.txt"
--- response_body
read: from html



=== TEST 6: several directories, and one inside of another
--- user_files
>>> a/one.txt
one
>>> b/two.txt
two
>>> c/three.txt
three
--- config
location /p/ {
    wasm_cgi program;
    wasm_dir $TEST_NGINX_HTML_DIR/a:/a;
    wasm_dir $TEST_NGINX_HTML_DIR/b:/a/b;
    wasm_dir $TEST_NGINX_HTML_DIR/c:/;
}
--- request
GET /p/files?read=/a/one.txt&read=/a/b/two.txt&read=/three.txt&create=/a/b/x
--- response_body
read: one
read: two
read: three
create: refused



=== TEST 7: a directory that is changed while nginx runs
--- config
location /p/ { wasm_cgi program; wasm_dir $TEST_NGINX_HTML_DIR:/data; }
location /w/ { wasm_cgi program; wasm_dir $TEST_NGINX_HTML_DIR:/rw:rw; }
--- request eval
["GET /p/files?read=/data/later.txt", "POST /w/write?path=/rw/later.txt\nlater", "GET /p/files?read=/data/later.txt"]
--- error_code eval
[200, 201, 200]
--- response_body eval
["read: not found\n", "5 bytes\n", "read: later\n"]
