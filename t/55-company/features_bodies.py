"""What changes bodies, keeps them, or leads elsewhere."""

from feature import (
    ARRIVED,
    BODILESS,
    CACHE,
    FILES,
    Feature,
    GATHERING,
    INTERCEPTS,
    PROXY,
    SHOWS_PAGE,
    SPOILS_FORM,
    THE_PAGE,
    ZIPPED_WITHOUT,
    before,
)

FEATURES = [
    # Bodies.
    Feature("sub-filter", PROXY % "sub_filter_types *; sub_filter_once off; sub_filter ': ' ' - ';"),
    Feature("gzip", PROXY % "gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0; gzip_proxied any;"),
    Feature("gunzip", "location /@N@/ { gunzip on; proxy_pass http://@HTTP@/zipped?$args; }", without=ZIPPED_WITHOUT,
        contents=("small", "large", "chunked", "missing"),
        # Filters see such a body decoded, and it goes on plain (t/32-bodies/decode.t).
        without_requests=("get-gzip",)),
    Feature("sub-filter-gzip", PROXY % ("sub_filter_types *; sub_filter_once off; sub_filter ': ' ' - '; "
        "gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0; gzip_proxied any;")),
    Feature("charset-converts", PROXY % "charset utf-8; source_charset company; charset_types *;",
        # No letter that a filter would change.
        http="charset_map company utf-8 { 3A E284A2; }"),
    *(
        Feature(f"decode-{name}", "location /@N@/ { proxy_wasm_decode on; %s }" % conf,
            contents=("small", "large", "chunked", "missing"),
            # Nothing says that what comes without a filter is compressed.
            without_requests=("get-0.9",), **others)
        for name, conf, others in (
            ("gzip", "proxy_pass http://@HTTP@/zipped?$args;", {}),
            ("deflate", "proxy_pass http://@HTTP@/deflated?$args;", {}),
            ("unbuffered", "proxy_buffering off; proxy_pass http://@HTTP@/zipped?$args;", {}),
            ("cached", CACHE + "proxy_pass http://@HTTP@/zipped?$args;", {"prime": 1, "again": True}),
            ("encodes", "gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0; gzip_proxied any; "
                "proxy_pass http://@HTTP@/zipped?$args;", {}),
        )
    ),
    Feature("decode-file", "location /@N@/ { proxy_wasm_decode on; gzip_static always; alias @WWW@/zipped/; }",
        contents=("small", "large"), without_requests=("get-0.9",)),
    Feature("image-test", "location /@N@/ { image_filter test; alias @WWW@/image/; }", contents=("small", "large"),
        needs=("ngx_http_image_filter_module",), without=SPOILS_FORM, requests=BODILESS, converts=True),
    Feature("image-size", "location /@N@/ { image_filter size; alias @WWW@/image/; }", contents=("small", "large"),
        needs=("ngx_http_image_filter_module",),
        without=SPOILS_FORM | {"adds-response-header": "nginx removes all headers of the image"}, requests=BODILESS, converts=True),
    Feature("xslt", "location /@N@/ { xslt_types *; xslt_stylesheet @WWW@/xml.xslt; alias @WWW@/xml/; }",
        contents=("small", "large"), needs=("ngx_http_xslt_filter_module",), without=SPOILS_FORM, requests=BODILESS, converts=True, lines=("libxml2 error", r"xmlParseChunk\(\) failed")),
    Feature("charset", PROXY % "charset utf-8; charset_types *;"),
    Feature("headers", PROXY % "add_header X-Added yes always; expires 1h; proxy_hide_header Set-Cookie;"),
    Feature("etag-conditions", PROXY % "etag on; if_modified_since before;"),
    Feature("limit-rate", PROXY % "limit_rate 50m;"),
    Feature("postpone-output", PROXY % "postpone_output 0; proxy_buffering off;"),
    Feature("chunked-off", PROXY % "chunked_transfer_encoding off;"),
    Feature("directio", "location /@N@/ { directio 512; alias @WWW@/main/; }", contents=FILES),
    Feature("aio-threads", "location /@N@/ { aio threads; sendfile on; alias @WWW@/main/; }", contents=FILES),
    # WebDAV and caches.
    Feature(
        "dav",
        "location /@N@/ { dav_methods PUT; create_full_put_path on; root @TEMP@/dav; }",
        contents=("small",),
        requests=("put-3000",),
        path="{case}",
        again=True,
    ),
    Feature("cache-miss", PROXY % CACHE, again=True),
    Feature("cache-hit", PROXY % CACHE, prime=1, again=True),
    Feature("cache-own-hit", PROXY % CACHE, prime=1, prime_same=True, again=True),
    Feature(
        "cache-stale",
        "location /@N@/ { " + CACHE + " proxy_cache_use_stale updating; proxy_cache_background_update on;"
        " proxy_pass http://@HTTP@/stale?$args; }",
        prime=1,
        again=True,
        requests=BODILESS,
    ),
    Feature("cache-lock", PROXY % (CACHE + "proxy_cache_lock on;"), again=True),
    # The filter waits for what somebody else has asked for, or somebody else waits for what the filter gets.
    Feature("cache-lock-waits", GATHERING % (CACHE, ARRIVED), company="ahead", again=True),
    Feature("cache-lock-holds", GATHERING % (CACHE, ARRIVED), company="behind", again=True),
    Feature("cache-revalidate", "location /@N@/ { " + CACHE +
        " proxy_cache_revalidate on; proxy_pass http://@HTTP@/stale?$args; }", prime=1, again=True, requests=BODILESS),
    Feature(
        "store",
        "location /@N@/ { root @TEMP@/store; error_page 404 = @@N@; log_not_found off; }"
        " location @@N@ { internal; proxy_store @TEMP@/store/@N@/$arg_content-$case; proxy_pass http://@HTTP@; }",
        requests=("get", "get-1.0", "get-gzip"),
        contents=("small", "large", "chunked", "long-chunked"),
        path="{content}-{case}",
        again=True,
    ),
    # Internal redirects.
    Feature("rewrite-last",
        "location /@N@/ { rewrite ^ /@N@.there/x last; } location /@N@.there/ { proxy_pass http://@HTTP@; }"),
    Feature("rewrite-break", PROXY % "rewrite ^ /other/$arg_content break;"),
    Feature("rewrite-target",
        "location /@N@/ { proxy_wasm off; rewrite ^ /@N@.there/x last; } location /@N@.there/ { proxy_pass http://@HTTP@; }"),
    Feature("try-files", "location /@N@/ { root @WWW@/none; try_files $uri @@N@; } location @@N@ { proxy_pass http://@HTTP@; }"),
    Feature(
        "try-files-target",
        "location /@N@/ { proxy_wasm off; root @WWW@/none; try_files $uri @@N@; } location @@N@ { proxy_pass http://@HTTP@; }",
    ),
    Feature(
        "error-page",
        "location /@N@/ { error_page 404 502 = /@N@.page; proxy_intercept_errors on; proxy_pass http://@HTTP@/fails?case=$case; }"
        " location = /@N@.page { internal; proxy_pass http://@HTTP@/target?$args; }",
        contents=("small", "large", "chunked"),
    ),
    Feature(
        "error-page-target",
        "location /@N@/ { proxy_wasm off; error_page 502 = /@N@.page; proxy_intercept_errors on; "
        "proxy_pass http://@HTTP@/fails?case=$case; }"
        " location = /@N@.page { internal; proxy_pass http://@HTTP@/target?$args; }",
        role="target",
        contents=("small", "large", "chunked"),
    ),
    *(
        Feature(
            f"error-page-named{name}",
            "location /@N@/ { %s error_page 502 = @@N@; proxy_intercept_errors on; "
            "proxy_pass http://@HTTP@/fails?case=$case; }" % off +
            " location @@N@ { rewrite ^ /target break; proxy_pass http://@HTTP@; }",
            role=role,
            contents=("small", "large", "chunked"),
        )
        for name, off, role in (("", "", "main"), ("-target", "proxy_wasm off;", "target"))
    ),
    *(
        Feature(
            f"error-page-recursive{name}",
            "location /@N@/ { %s error_page 502 = /@N@.first; proxy_intercept_errors on; recursive_error_pages on; "
            "proxy_pass http://@HTTP@/fails?case=$case; }"
            " location = /@N@.first { internal; %s error_page 404 = /@N@.page; recursive_error_pages on; return 404; }"
            % (off, off) + " location = /@N@.page { internal; proxy_pass http://@HTTP@/target?$args; }",
            role=role,
            contents=("small", "large", "chunked"),
        )
        for name, off, role in (("", "", "main"), ("-target", "proxy_wasm off;", "target"))
    ),
    # A page for what the filter answers.
    *(
        Feature(f"intercept{name}", "location /@N@/ { %s %s; proxy_pass http://@HTTP@; } %s" % (INTERCEPTS, to, page), page=THE_PAGE)
        for name, to, page in (
            ("", "/@N@.page", "location = /@N@.page { internal; proxy_wasm off; %s }" % SHOWS_PAGE),
            ("-inherits", "/@N@.page", "location = /@N@.page { internal; %s }" % SHOWS_PAGE),
            ("-named", "@@N@", "location @@N@ { proxy_wasm off; %s }" % SHOWS_PAGE),
        )
    ),
    Feature(
        "x-accel",
        "location /@N@/ { proxy_pass http://@HTTP@/redirected?to=/@N@.file/$arg_content&case=$case; }"
        " location /@N@.file/ { internal; alias @WWW@/main/; }",
        contents=("small", "large"),
    ),
    Feature(
        "x-accel-target",
        "location /@N@/ { proxy_wasm off; proxy_pass http://@HTTP@/redirected?to=/@N@.file/$arg_content&case=$case; }"
        " location /@N@.file/ { internal; alias @WWW@/main/; }",
        role="target",
        contents=("small", "large"),
    ),
    Feature(
        "x-accel-left",
        "location /@N@/ { proxy_pass http://@HTTP@/redirected?to=/@N@.file/$arg_content&case=$case; }"
        " location /@N@.file/ { internal; proxy_wasm off; alias @WWW@/main/; }",
        role="left",
        contents=("small", "large"),
    ),
    Feature("if", PROXY % "if ($arg_case) { add_header X-If yes; }"),
    Feature("realip-location", PROXY % (
        "set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; add_header X-Peer $remote_addr;"
        "proxy_set_header X-Peer $remote_addr;")),
    Feature("realip-server", PROXY % "add_header X-Peer $remote_addr; proxy_set_header X-Peer $remote_addr;",
        server="set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"),
]
