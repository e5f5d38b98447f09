"""Pauses, and what ends them."""

from cases import scripted

POST = {"method": "POST", "pieces": [b"0123456789"]}

CASES = [
    *scripted("waiting: request headers, resumed by a tick", "pause; wait; @tick continue 0", expect={"status": 200}),
    *scripted(
        "waiting: request headers with a body",
        "pause; wait; @tick continue 0",
        **POST,
        expect={"upstream body": "0123456789"}
    ),
    *scripted(
        "waiting: request headers with a large body",
        "pause; wait; @tick continue 0",
        method="POST",
        pieces=[b"x" * 500000],
    ),
    *scripted(
        "waiting: request changed by the tick",
        "pause; wait; @tick add request x-tick 1; @tick replace request :path /ticked; @tick continue 0",
        expect={"upstream header x-tick": ["1"]},
    ),
    *scripted("waiting: continue, and then pause", "continue 0; pause", expect={"status": 200}),
    *scripted("waiting: action 2, which goes on", "action 2", protocols=("h1",)),
    *scripted(
        "waiting: action 2 with a body, which goes on whole",
        "action 2; @request-body collect 0; @request-body-end collected 0",
        **POST,
        expect={"upstream body": "0123456789"}
    ),
    *scripted("waiting: action 2 of response headers", "@response-headers action 2", path="/text", expect={"status": 200}),
    *scripted("waiting: unknown action 7", "action 7; wait; @tick continue 0", protocols=("h1",)),
    *scripted("waiting: action -1", "action -1; wait; @tick continue 0", protocols=("h1",)),
    *scripted(
        "waiting: response headers, resumed by a tick",
        "@response-headers pause; @response-headers wait; @tick continue 1",
        expect={"status": 200},
    ),
    *scripted(
        "waiting: large response", "@response-headers pause; @response-headers wait; @tick continue 1", path="/large"
    ),
    *scripted(
        "waiting: response changed by the tick",
        "@response-headers pause; @response-headers wait; @tick add response x-tick 1; "
        "@tick replace response :status 299; @tick continue 1",
        expect={"response header x-tick": ["1"]},
    ),
    # Not the same for response headers: Envoy waits for ever.
    *scripted("waiting: resumed twice", "pause; wait; @tick continue 0; @tick continue 0"),
    *scripted(
        "waiting: held headers, resumed by a tick",
        "pause; @request-body pause; @request-body-end wait; @tick continue 0",
        listener="held",
        **POST
    ),
    *scripted(
        "waiting: held response headers, resumed by a tick",
        "@response-headers pause; @response-body pause; " "@response-body-end wait; @tick continue 1",
        listener="held",
    ),
    *scripted(
        "waiting: on a direct answer",
        "pause; wait; @tick continue 0; @response-headers add response x-r 1",
        listener="direct",
    ),
    *scripted(
        "waiting: response of a direct answer",
        "@response-headers pause; @response-headers wait; @tick continue 1",
        listener="direct",
    ),
    *scripted("waiting: close in request headers", "close 0; pause"),
    *scripted("waiting: close in response headers", "@response-headers close 1"),
    *scripted("waiting: close by a tick", "pause; wait; @tick close 0"),
    *scripted("waiting: close in the response body", "@response-body-first close 1", path="/text"),
    *scripted("waiting: done later", "@done false; @done wait; @tick get request :path; @tick end; @tick end"),
    *scripted(
        "waiting: response trailers, resumed by a tick",
        "@response-trailers pause; @response-trailers wait; @tick continue 1",
        listener="grpc",
        protocols=("h2",),
        path="/trailers",
        **POST
    ),
]
