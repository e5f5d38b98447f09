module ngx-wasm/t/guests/go/cgi

go 1.24
