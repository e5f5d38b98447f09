// With the SDK of Higress, which has the host's functions for servers of upstreams.
module ngx-wasm/t/guests/go/balancer

go 1.24

require github.com/higress-group/proxy-wasm-go-sdk v0.0.0-20250611100342-5654e89a7a80
