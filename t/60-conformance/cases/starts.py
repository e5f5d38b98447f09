"""The start of a filter: what it can do in on_configure, without a request."""

from cases import Case, guest
from servers import Listener

STATEMENTS = {
    "configuration": "buffer 7 0 4; buffer 7 2 1000; buffer 6 0 10; buffer-status 7; buffer-status 6; buffer 7 5000 1",
    "no request": """get request :path; get response :status; pairs request; size request; size response; add request x 1;
        replace response x 1; remove request x; set-pairs request x=1; get 1 x; size 3; buffer 0 0 1; buffer 1 0 1; set-buffer 0 0 0 x;
        set-buffer 1 0 0 x; buffer-status 0""",
    "no stream": "continue 0; continue 1; close 0; close 1; end; effective 0; effective $id; effective 77; answer 200 -1 - x",
    "properties": """property plugin_name; property plugin_root_id; property request|path; property source|address; property response|code;
        property connection|id; set-property own value; property own; property node; property listener_direction""",
    "unknown numbers": "get 8 x; buffer 99 0 1; continue 9; log 9 x; level",
}

LISTENERS = {
    f"start {name}": Listener(
        [
            (
                guest("rust-conformance"),
                f"name start {name};" + ";".join(f"@configure {one}" for one in " ".join(text.split()).split(";")),
            )
        ]
    )
    for name, text in STATEMENTS.items()
}
CASES = [Case(f"starts: {name}", f"start {name}", "h1", None) for name in STATEMENTS]
