"""Properties: the bytes of each, in the callbacks where they mean something."""

from cases import scripted

REQUEST = """request|path request|url_path request|host request|scheme request|method request|headers|x-in request|headers|X-In
    request|headers|no request|referer request|useragent request|time request|id request|protocol request|query request|size
    request|total_size request|duration""".split()
RESPONSE = """response|code response|code_details response|flags response|grpc_status response|headers|x-up-kept response|headers|no
    response|size response|total_size response|backend_latency response|trailers|x-up-trailer""".split()
CONNECTION = """source|address source|port destination|address destination|port connection|id connection|mtls
    connection|requested_server_name connection|tls_version connection|termination_details""".split()
CERTIFICATES = (
    """connection|subject_local_certificate connection|subject_peer_certificate connection|dns_san_local_certificate
    connection|dns_san_peer_certificate connection|uri_san_local_certificate connection|uri_san_peer_certificate
    connection|sha256_peer_certificate_digest""".split()
)
UPSTREAM = (
    """upstream|address upstream|port upstream|local_address upstream|tls_version upstream|transport_failure_reason
    upstream|request_attempt_count upstream|num_endpoints""".split()
)
PLUGIN = """plugin_name plugin_root_id plugin_vm_id node cluster_name route_name listener_direction listener_metadata route_metadata
    cluster_metadata upstream_host_metadata xds|cluster_name xds|route_name xds|listener_direction xds|node|id metadata
    filter_state|no metadata|filter_metadata|no""".split()


def all_of(names, when):
    return ";".join(f"@{when} property {name}" for name in names)


def cases():
    families = {
        "request": REQUEST,
        "response": RESPONSE,
        "connection": CONNECTION,
        "upstream": UPSTREAM,
        "plugin": PLUGIN,
    }
    headers = [("x-in", "in"), ("referer", "http://r.example/"), ("user-agent", "client")]
    for family, names in families.items():
        for when in ("request-headers", "response-headers", "log"):
            yield from scripted(
                f"properties: {family} in {when}", all_of(names, when), path="/text?q=1&r=%20", headers=headers
            )
    yield from scripted(
        "properties: request in log, with a body", all_of(REQUEST, "log"), method="POST", pieces=[b"0123456789"]
    )
    yield from scripted("properties: response in log, 404", all_of(RESPONSE, "log"), path="/status/404")
    yield from scripted(
        "properties: response in log, a local response", "answer 403 -1 x-h=1 denied; pause;" + all_of(RESPONSE, "log")
    )
    yield from scripted("properties: response in log, large", all_of(RESPONSE, "log"), path="/large")
    yield from scripted("properties: request without headers", all_of(REQUEST, "request-headers"), protocols=("h1",))
    yield from scripted(
        "properties: connection under TLS", all_of(CONNECTION + CERTIFICATES, "request-headers"), listener="tls"
    )
    yield from scripted(
        "properties: connection with a client's certificate",
        all_of(CONNECTION + CERTIFICATES, "log"),
        listener="tls",
        certified=True,
    )
    yield from scripted(
        "properties: certificates without TLS", all_of(CERTIFICATES, "request-headers"), protocols=("h1",)
    )
    yield from scripted(
        "properties: gRPC",
        all_of(RESPONSE, "log"),
        listener="grpc",
        protocols=("h2",),
        path="/trailers",
        method="POST",
        pieces=[b"body"],
    )
    yield from scripted(
        "properties: upstream without one", all_of(UPSTREAM, "log"), listener="direct", protocols=("h1",)
    )
    yield from scripted(
        "properties: after the path is changed",
        "replace request :path /new?x; property request|path; property request|url_path; "
        "property request|query; @log property request|path",
        protocols=("h1",),
    )
    yield from scripted(
        "properties: after headers are changed",
        "add request x-n 1; property request|headers|x-n; @response-headers add response x-n 2; "
        "@response-headers property response|headers|x-n; @log property response|headers|x-n",
        protocols=("h1",),
    )
    yield from scripted(
        "properties: own ones between callbacks",
        "set-property own|key value; property own|key; @response-headers property own|key; "
        "@log property own|key; @response-headers set-property own|key; @log property own",
        protocols=("h1",),
    )
    yield from scripted(
        "properties: own ones between filters",
        {"a": "set-property shared value", "b": "property shared; property wasm|shared"},
        listener="two",
        protocols=("h1",),
    )
    yield from scripted(
        "properties: NUL at the end of a path",
        "raw get_property hex:706c7567696e5f6e616d6500 out out2; property plugin_name|",
        protocols=("h1",),
    )


CASES = list(cases())
