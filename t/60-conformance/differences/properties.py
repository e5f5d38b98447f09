"""Properties."""

from differences.entry import ANY, PROPERTIES, Difference

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
        "BadArgument or NotFound",
        "the mistake shows where it is made",
        [("statuses: setting what Envoy has*", "*: set-property *", "0", ANY)],
    ),
    Difference(
        PROPERTIES,
        "A path that is a part of others (`request`), and the empty path",
        "SerializationFailure",
        "the nginx variable of that name; NotFound",
        "bare names are nginx variables, as in other modules for nginx",
        [
            ("statuses: properties that are not there*", "a request-headers: property request", "3", ANY),
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
        [("properties: request in response-headers*", "*: property request|*", ANY, ANY)],
    ),
    Difference(
        PROPERTIES,
        "Names of the proxy's own parts (node, cluster, route, listener, metadata)",
        "what xDS says",
        "what nginx's configuration says: host name, location, upstream; empty metadata",
        "nginx has no xDS",
        [
            ("properties: plugin*", f"*: property {name}", ANY, ANY)
            for name in (
                "node",
                "xds|node|id",
                "cluster_name",
                "xds|cluster_name",
                "route_name",
                "xds|route_name",
                "listener_direction",
                "listener_metadata",
                "route_metadata",
                "cluster_metadata",
            )
        ],
    ),
    Difference(
        PROPERTIES,
        "`upstream.num_endpoints`",
        "there",
        "NotFound",
        "nginx does not tell it",
        [("properties: upstream*", "*: property upstream|num_endpoints", ANY, "1")],
    ),
    Difference(
        PROPERTIES,
        "`upstream.local_address` in the log phase",
        "there",
        "NotFound",
        "nginx has closed that connection",
        [("properties: upstream in log*", "*: property upstream|local_address", ANY, "1")],
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
