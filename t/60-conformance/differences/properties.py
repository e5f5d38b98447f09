"""Properties."""

from differences.entry import PROPERTIES, Difference, Like, rules

# Numbers of 8 bytes, as the trace shows them.
ZERO, ONE = (rf"\x0{n}" + r"\x00" * 7 for n in (0, 1))

DIFFERENCES = [
    Difference(
        PROPERTIES,
        "Own properties of several segments",
        "set, but not found",
        "found, by all filters of the request",
        "what was set can be read",
        [
            ("properties: own ones between callbacks*", "a re*: property own|key", "1", "0 value"),
            ("properties: own ones between callbacks*", "a log: property own|key", "1", "0"),
        ],
    ),
    Difference(
        PROPERTIES,
        "Setting a property that the server has",
        "Ok, and no effect",
        "BadArgument",
        "the mistake shows where it is made",
        [("statuses: setting what Envoy has*", "*: set-property *", "0", "2")],
    ),
    Difference(
        PROPERTIES,
        "A path that is a part of others (`request`), and the empty path",
        "SerializationFailure",
        "the nginx variable of that name; NotFound",
        "bare names are nginx variables, as in other modules for nginx",
        [
            ("statuses: properties that are not there*", "a request-headers: property request", "3", "0 GET /text HTTP/1.1"),
            ("statuses: properties that are not there*", "a request-headers: raw get_property 0 0 out out2", "3", "1"),
        ],
    ),
    Difference(
        PROPERTIES,
        "`plugin_vm_id`",
        "`vm_id` of the configuration",
        "the name of the module",
        "that is what chooses a VM here",
        [("properties: plugin*", "*: property plugin_vm_id", "0 one", "0 rust-conformance")],
    ),
    Difference(
        PROPERTIES,
        "Those of request headers in the response's callbacks",
        "NotFound until the end",
        "there",
        "as request headers are",
        [
            *[
                ("properties: request in response-headers*", f"*: property request|{name}", "1", f"0 {value}")
                for name, value in {
                    "path": "/text?q=1&r=%20",
                    "url_path": "/text",
                    "query": "q=1&r=%20",
                    "host": "test.example",
                    "scheme": "http",
                    "method": "GET",
                    "headers|[Xx]-[Ii]n": "in",
                    "referer": "http://r.example/",
                    "useragent": "client",
                    # Those two are masked (comparison.py).
                    "id": "an id",
                }.items()
            ],
            ("properties: request in response-headers*", "*: property request|total_size", f"0 {ZERO}", "0 a size"),
        ],
    ),
    Difference(
        PROPERTIES,
        "Names of the proxy's own parts (node, cluster, route, listener, metadata)",
        "below `xds` what xDS says; alone, as older versions had them, NotFound",
        "both, what nginx's configuration says: host name, location, upstream; empty metadata",
        "nginx has no xDS",
        [
            *rules(
                "properties: plugin in *",
                {
                    # The name of the machine, nginx and its version.
                    "*: property node": ("1", Like(r"0 \\x0a.*2\\x05nginx:.*")),
                    "*: property xds|node|id": ("0", Like(r"0 [\w.-]+")),
                    "*: property route_name": ("1", "0 /"),
                    "*: property xds|route_name": ("0", "0 /"),
                    "*: property listener_direction": ("1", f"0 {ONE}"),
                    **{f"*: property {name}_metadata": ("1", "0") for name in ("listener", "route", "cluster")},
                },
            ),
            *[
                rule
                for when in ("request-headers", "response-headers", "log")
                for rule in rules(
                    f"properties: plugin in {when}*",
                    {
                        "*: property cluster_name": ("1", "0 127.0.0.1"),
                        "*: property xds|cluster_name": ("0 h1", "0 127.0.0.1"),
                    },
                )
            ],
        ],
    ),
    Difference(
        PROPERTIES,
        "`upstream.num_endpoints`",
        "there",
        "NotFound",
        "nginx does not tell it",
        [("properties: upstream*", "*: property upstream|num_endpoints", f"0 {ONE}", "1")],
    ),
    Difference(
        PROPERTIES,
        "`upstream.local_address` in the log phase",
        "there",
        "NotFound",
        "nginx has closed that connection",
        [("properties: upstream in log*", "*: property upstream|local_address", "0 127.0.0.1 and a port", "1")],
    ),
    Difference(
        PROPERTIES,
        "`connection.subject_peer_certificate` of a client without certificate",
        "empty",
        "NotFound",
        "a filter can tell none from an empty one",
        [("properties: connection under TLS*", "*: property connection|subject_peer_certificate", "0", "1")],
    ),
]
