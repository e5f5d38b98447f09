"""Not there yet."""

from differences.entry import ANY, LATER, Difference

DIFFERENCES = [
    Difference(
        LATER,
        "`proxy_get_status`",
        "Ok",
        "Unimplemented",
        "comes with calls out",
        [("statuses: *", "*: raw get_status *", ANY, "12")],
    ),
]
