"""What decides whether a request goes on, and subrequests."""

from feature import (
    AFTERWARDS,
    BODILESS,
    CACHE,
    FILES,
    Feature,
    GUARD_OF_UPSTREAM,
    PROXY,
    SECURE,
    SECURE_LINK,
    SSI_WITHOUT,
    around,
    before,
    between,
)

FEATURES = [
    # Access.
    Feature("allow", PROXY % "allow 127.0.0.1; deny all;"),
    Feature("deny", PROXY % "deny all;", refuses=True, lines=("access forbidden by rule",)),
    Feature("deny-file", "location /@N@/ { deny all; alias @WWW@/main/; }", contents=FILES, refuses=True,
        lines=("access forbidden by rule",)),
    Feature("auth-basic", PROXY % 'auth_basic "company"; auth_basic_user_file @WWW@/users;', needs_headers=True),
    Feature("auth-basic-refuses", PROXY % 'auth_basic "company"; auth_basic_user_file @WWW@/nobody;', refuses=True,
        lines=("was not found in",)),
    Feature("satisfy-any", PROXY % 'satisfy any; deny all; auth_basic "company"; auth_basic_user_file @WWW@/users;',
        needs_headers=True),
    Feature("satisfy-any-refuses",
        PROXY % 'satisfy any; deny all; auth_basic "company"; auth_basic_user_file @WWW@/nobody;', refuses=True,
        lines=("was not found in", "access forbidden by rule")),
    Feature("limit-except", PROXY % "limit_except GET { deny all; }", refuses=True, lines=("access forbidden by rule",)),
    Feature(
        "limit-req",
        PROXY % "limit_req zone=company_once burst=5 nodelay;",
        http="limit_req_zone $case zone=company_once:1m rate=1r/m;",
    ),
    Feature(
        "limit-req-refuses",
        PROXY % "limit_req zone=company_refuses;",
        http="limit_req_zone $case zone=company_refuses:1m rate=1r/m;",
        prime=1,
        refuses=True,
        lines=("limiting requests",),
    ),
    Feature(
        "limit-req-delays",
        PROXY % "limit_req zone=company_delays burst=5;",
        http="limit_req_zone $case zone=company_delays:1m rate=20r/s;",
        prime=1,
        lines=("delaying request",),
    ),
    Feature("limit-conn", PROXY % "limit_conn company_conn 2;", http="limit_conn_zone $case zone=company_conn:1m;"),
    Feature(
        "limit-conn-refuses",
        "location /@N@/ { limit_conn company_conn_refuses 1; proxy_pass http://@HTTP@/gathered?$args; }",
        http="limit_conn_zone $case zone=company_conn_refuses:1m;",
        company="ahead",
        refuses=True,
        lines=("limiting connections by zone",),
    ),
    Feature("secure-link", "location /@N@/ { %s proxy_pass http://@HTTP@; }" % SECURE, arguments=f"&sum={SECURE_LINK}"),
    Feature("secure-link-refuses", "location /@N@/ { %s proxy_pass http://@HTTP@; }" % SECURE, arguments="&sum=none",
        is_early=True, refuses=True),
    Feature(
        "auth-request",
        "location /@N@/ { auth_request /@N@.guard; proxy_pass http://@HTTP@; }" + GUARD_OF_UPSTREAM % "",
        settings_without={"access": "the subrequest comes before the filters of the main request, so it is theirs too"},
    ),
    Feature(
        "auth-request-guarded",
        "location /@N@/ { auth_request /@N@.guard; proxy_pass http://@HTTP@; }" + GUARD_OF_UPSTREAM % "proxy_wasm off;",
    ),
    Feature(
        "auth-request-guarded-local",
        "location /@N@/ { auth_request /@N@.guard; alias @WWW@/main/; }"
        " location = /@N@.guard { proxy_wasm off; return 204; }",
        contents=FILES,
    ),
    Feature(
        "auth-request-guarding",
        "location /@N@/ { proxy_wasm off; auth_request /@N@.guard; proxy_pass http://@HTTP@; }" + GUARD_OF_UPSTREAM % "",
        role="guard",
        lines=("auth request unexpected status: 50[34]",),
    ),
    Feature(
        "auth-request-guarding-return",
        "location /@N@/ { proxy_wasm off; auth_request /@N@.guard; alias @WWW@/main/; }"
        " location = /@N@.guard { return 204; }",
        role="guard",
        is_early=True,
        lines=("auth request unexpected status: 50[34]",),
        contents=FILES,
    ),
    Feature(
        "auth-request-cached",
        "location /@N@/ { proxy_wasm off; auth_request /@N@.guard; proxy_pass http://@HTTP@; }"
        + GUARD_OF_UPSTREAM % (CACHE + " proxy_cache_valid 204 1h;"),
        role="guard",
        prime=1,
        lines=("auth request unexpected status: 50[34]",),
    ),
    Feature(
        "auth-request-refuses",
        "location /@N@/ { auth_request /@N@.guard; proxy_pass http://@HTTP@; }"
        + (GUARD_OF_UPSTREAM % "proxy_wasm off;").replace("allowed", "forbidden"),
        refuses=True,
    ),
    # Subrequests.
    Feature(
        "mirror",
        "location /@N@/ { mirror /@N@.mirror; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_pass http://@HTTP@/mirrored?case=$case; }",
    ),
    Feature(
        "mirror-off",
        "location /@N@/ { mirror /@N@.mirror; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_wasm off; proxy_pass http://@HTTP@/mirrored?case=$case; }",
    ),
    Feature(
        "mirror-no-body",
        "location /@N@/ { mirror /@N@.mirror; mirror_request_body off; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_pass_request_body off; proxy_set_header Content-Length '';"
        " proxy_pass http://@HTTP@/mirrored?case=$case; }",
    ),
    Feature(
        "mirror-no-body-only",
        "location /@N@/ { proxy_wasm off; mirror /@N@.mirror; mirror_request_body off; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_pass_request_body off; proxy_set_header Content-Length '';"
        " proxy_pass http://@HTTP@/mirrored?case=$case; }",
        role="background",
    ),
    Feature(
        "post-action",
        "location /@N@/ { post_action /@N@.after; proxy_pass http://@HTTP@; }" + AFTERWARDS % "proxy_wasm off;",
    ),
    Feature(
        "post-action-both",
        "location /@N@/ { post_action /@N@.after; proxy_pass http://@HTTP@; }" + AFTERWARDS % "",
    ),
    Feature(
        "post-action-only",
        "location /@N@/ { proxy_wasm off; post_action /@N@.after; proxy_pass http://@HTTP@; }" + AFTERWARDS % "",
        role="background",
        without={
            f"closes-{place}": "it closes the connection, on which the response has gone by then"
            for place in ("request-headers", "request-body")
        },
        # nginx has closed the file of a larger body by then.
        without_requests=("*-60000", "post-5000000"),
    ),
    Feature(
        "mirror-only",
        "location /@N@/ { proxy_wasm off; mirror /@N@.mirror; proxy_pass http://@HTTP@; }"
        " location = /@N@.mirror { internal; proxy_pass http://@HTTP@/mirrored?case=$case; }",
        role="background",
    ),
    Feature(
        "ssi",
        "location /@N@/ { ssi on; ssi_types *; proxy_pass http://@HTTP@/page?part=/@N@.part&$args; }"
        " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
        contents=("small", "large", "chunked"),
        shape=around(b"(GuArDeD-Part[^\n]*\n)+"),
        without=SSI_WITHOUT,
    ),
    Feature(
        "ssi-part",
        "location /@N@/ { proxy_wasm off; ssi on; ssi_types *; proxy_pass http://@HTTP@/page?part=/@N@.part&$args; }"
        " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
        role="part",
        requests=BODILESS,
        contents=("small", "large", "chunked"),
    ),
    Feature(
        "ssi-page",
        "location /@N@/ { ssi on; ssi_types *; proxy_pass http://@HTTP@/page?part=/@N@.part&$args; }"
        " location = /@N@.part { proxy_wasm off; proxy_pass http://@HTTP@/part?case=$case; }",
        contents=("small", "large", "chunked"),
        shape=around(b"(GuArDeD-Part[^\n]*\n)+"),
        without=SSI_WITHOUT,
    ),
    Feature(
        "ssi-wait",
        "location /@N@/ { ssi on; ssi_types *; proxy_pass http://@HTTP@/page?how=wait&part=/@N@.part&$args; }"
        " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
        contents=("small", "large", "chunked"),
        shape=around(b"(GuArDeD-Part[^\n]*\n)+"),
        without=SSI_WITHOUT,
    ),
    *(
        Feature(
            f"ssi-part-{how}",
            "location /@N@/ { proxy_wasm off; ssi on; ssi_types *; "
            f"proxy_pass http://@HTTP@/page?how={how}&part=/@N@.part&$args; }}"
            " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
            role="part",
            requests=BODILESS,
            contents=("small", "large", "chunked"),
        )
        for how in ("wait", "set", "stub")
    ),
    Feature(
        "addition",
        "location /@N@/ { add_before_body /@N@.before; add_after_body /@N@.after; addition_types *; proxy_pass http://@HTTP@; }"
        ' location = /@N@.before { return 200 "before\\n"; } location = /@N@.after { return 200 "after\\n"; }',
        shape=between(b"before\n", b"after\n"),
    ),
    Feature(
        "addition-part",
        "location /@N@/ { proxy_wasm off; add_after_body /@N@.part; addition_types *; proxy_pass http://@HTTP@; }"
        " location = /@N@.part { proxy_pass http://@HTTP@/part?case=$case; }",
        role="part",
        requests=BODILESS,
    ),
    Feature(
        "slice",
        "location /@N@/ { slice 16k; proxy_set_header Range $slice_range; proxy_pass http://@HTTP@; }",
        slices=True,
        contents=("small", "large"),
        requests=("get", "head", "range", "range-late", "get-gzip", "get-1.0", "keep-1.0"),
    ),
    Feature(
        "slice-cached",
        "location /@N@/ { slice 16k; proxy_set_header Range $slice_range; " + CACHE +
        " proxy_cache_valid 206 1h; proxy_pass http://@HTTP@; }",
        slices=True,
        contents=("small", "large"),
        requests=("get", "head", "range", "range-late", "get-gzip", "get-1.0", "keep-1.0"),
        again=True,
    ),
]
