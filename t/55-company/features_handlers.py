"""What answers: nginx's handlers, and upstreams."""

from feature import FILES, Feature, PROXY, ZIPPED_WITHOUT

FEATURES = [
    # Handlers.
    Feature("return", 'location /@N@/ { return 200 "GuArDeD-Main returned text\\n"; }', contents=("small",), is_early=True),
    Feature("return-redirect", "location /@N@/ { return 302 /elsewhere; }", contents=("small",), is_early=True),
    Feature("static", "location /@N@/ { alias @WWW@/main/; }", contents=FILES),
    Feature("static-in-pieces", "location /@N@/ { output_buffers 1 4k; sendfile off; alias @WWW@/main/; }", contents=FILES),
    Feature("autoindex", "location /@N@/ { autoindex on; alias @WWW@/main/; }", contents=("small",), path="",
        lines=("directory index of .* is forbidden",)),
    Feature("index", "location /@N@/ { index small; alias @WWW@/main/; }", contents=("small",), path=""),
    Feature("flv", "location /@N@/ { flv; alias @WWW@/main/; }", contents=FILES, arguments="&start=100",
        requests=("get", "head", "range", "since", "get-gzip", "get-1.0", "keep-1.0")),
    Feature("mp4", "location /@N@/ { mp4; alias @WWW@/mp4/; }", contents=("small", "large")),
    Feature("mp4-start", "location /@N@/ { mp4; alias @WWW@/mp4/; }", contents=("small", "large"), arguments="&start=0.25&end=0.7"),
    Feature("random-index", "location /@N@/ { random_index on; alias @WWW@/alone/; }", contents=("small",), path=""),
    Feature("gzip-static", "location /@N@/ { gzip_static always; gunzip on; alias @WWW@/zipped/; }", contents=("small", "large"),
        without=ZIPPED_WITHOUT,
        # Filters see such a body decoded, and it goes on plain (t/32-bodies/decode.t).
        without_requests=("get-gzip",)),
    Feature("empty-gif", "location /@N@/ { empty_gif; }", contents=("small",)),
    # proxy_pass.
    Feature("proxy", PROXY % ""),
    Feature("proxy-unbuffered", PROXY % "proxy_buffering off;"),
    Feature("proxy-request-unbuffered", PROXY % "proxy_request_buffering off;", buffers=False),
    Feature(
        "proxy-both-unbuffered", PROXY % "proxy_request_buffering off; proxy_buffering off;", buffers=False
    ),
    Feature(
        "proxy-keepalive",
        "location /@N@/ { proxy_pass http://company_kept; }",
        http="upstream company_kept { server @HTTP@; keepalive 8; }",
    ),
    Feature("proxy-1.0", PROXY % "proxy_http_version 1.0;"),
    Feature("proxy-small-buffers", PROXY % "proxy_buffer_size 1k; proxy_buffers 4 1k; proxy_busy_buffers_size 2k;"),
    Feature("proxy-variable", "location /@N@/ { proxy_pass http://$company_split$request_uri; }",
        http='split_clients "$case" $company_split { 50% @HTTP@; * company_split; } upstream company_split { server @HTTP@; }'),
    Feature("proxy-force-ranges", PROXY % 'proxy_force_ranges on; proxy_set_header Range "";'),
    Feature("max-ranges", PROXY % 'max_ranges 1; proxy_force_ranges on; proxy_set_header Range "";'),
    Feature("max-ranges-file", "location /@N@/ { max_ranges 0; alias @WWW@/main/; }", contents=FILES),
    Feature("proxy-body-in-file", PROXY % "client_body_in_file_only clean;"),
    Feature("proxy-body-in-single-buffer", PROXY % "client_body_in_single_buffer on;"),
    Feature("proxy-no-body", PROXY % 'proxy_pass_request_body off; proxy_set_header Content-Length "";'),
    Feature(
        "proxy-next-upstream",
        "location /@N@/ { proxy_pass http://company_two; proxy_next_upstream error http_502 non_idempotent; }",
        http="upstream company_two { server @DEAD@ max_fails=0; server @HTTP@ max_fails=0; }",
        lines=(r"connect\(\) failed .* while connecting to upstream",),
    ),
    Feature("fastcgi", "location /@N@/ { include @FASTCGI_PARAMS@; fastcgi_pass @FASTCGI@; }"),
    Feature(
        "fastcgi-unbuffered",
        "location /@N@/ { include @FASTCGI_PARAMS@; fastcgi_pass @FASTCGI@; "
        "fastcgi_request_buffering off; fastcgi_buffering off; }",
        buffers=False,
    ),
    Feature("uwsgi", "location /@N@/ { include @UWSGI_PARAMS@; uwsgi_pass @UWSGI@; }"),
    Feature("scgi", "location /@N@/ { include @SCGI_PARAMS@; scgi_pass @SCGI@; }"),
    Feature(
        "memcached",
        'location /@N@/ { set $memcached_key "$uri?$args"; memcached_pass @MEMCACHED@; default_type text/plain; }',
        contents=("small", "large", "empty", "missing"),
        lines=("was not found by memcached",),
    ),
    Feature("grpc", "location /@N@/ { grpc_pass grpc://@GRPC@; }", contents=("small",), kind="grpc", buffers=False,
        without={name: "trailers follow, so no callback about the body is the last one"
            for name in ("append-response", "held-both-response", "denies-response-end")}
        | {name: "a pause for a body does not hold trailers, and these take the body with them"
            for name in ("denies-later-response-body", "never-resumes-response-body")}),
    Feature("websocket", PROXY.replace("@HTTP@", "@HTTP@/socket?$args") % (
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"),
        contents=("small",), kind="upgrade", tunnel=True),
    Feature("websocket-unbuffered", PROXY.replace("@HTTP@", "@HTTP@/socket?$args") % (
        "proxy_buffering off; proxy_request_buffering off; "
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"),
        contents=("small",), kind="upgrade", tunnel=True),
    # With TLS nginx keeps what it does not have to send at once until there is more.
    Feature("events", PROXY.replace("@HTTP@", "@HTTP@/events?$args") % "", contents=("small",), kind="events",
        protocols=("h1", "h2c")),
    Feature("events-unbuffered", PROXY.replace("@HTTP@", "@HTTP@/events?$args") % "proxy_buffering off;",
        contents=("small",), kind="events"),
]
