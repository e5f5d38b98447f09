# The rule for the static library (see config). cargo itself knows what has changed, so it is asked each time, and the
# library is only touched when it is another one.

case "$ngx_addon_dir" in
    /*) ngx_wasm_src=$ngx_addon_dir ;;
    *)  ngx_wasm_src=`pwd`/$ngx_addon_dir ;;
esac

ngx_wasm_target=${CARGO_TARGET_DIR:-$ngx_wasm_dir/target}
mkdir -p $ngx_wasm_dir
ngx_wasm_bits=`$ngx_wasm_src/tools/nginx-bits.sh . $ngx_wasm_dir/bits` || exit 1

cat << END                                               > $ngx_wasm_dir/exports
{
    global:
        ngx_modules; ngx_module_names; ngx_module_order;
        ngx_http_wasm_*; ngx_wasm_*;
    local: *;
};
END

cat << END                                                    >> $NGX_MAKEFILE

.PHONY:	ngx_wasm_cargo

ngx_wasm_cargo:

$ngx_wasm_lib:	ngx_wasm_cargo
	cd $ngx_wasm_src && \\
	NGINX_SOURCE_DIR=`pwd` NGINX_BUILD_DIR=`dirname $ngx_wasm_dir` \\
	CARGO_TARGET_DIR=$ngx_wasm_target MAKEFLAGS= \\
	BINDGEN_EXTRA_CLANG_ARGS="$ngx_wasm_bits" \\
	cargo build --release --locked -p ngx_http_wasm_module --lib \\
		--no-default-features --features ${NGX_WASM_FEATURES:-wasmtime,pulley,wasmedge,cel,signatures}
	cmp -s $ngx_wasm_target/release/libngx_http_wasm_module.a \$@ \\
	|| cp $ngx_wasm_target/release/libngx_http_wasm_module.a \$@
	nm -g --defined-only \$@ 2>/dev/null \\
	| sed -n 's/.* [A-Z] \\(ngx_http_wasm_[a-z0-9_]*\\)\$\$/-Wl,-u,\\1/p' \\
	| sort -u > $ngx_wasm_dir/link
	test -s $ngx_wasm_dir/link || { echo "the library exports nothing"; exit 1; }

END
