"""Several filters: their order, and what one of them does to the others."""

from cases import scripted

POST = {"method": "POST", "pieces": [b"0123456789"]}
ANSWER = "answer 403 -1 x-h=1 denied"

CASES = [
    *scripted("chains: order", {}, listener="three"),
    *scripted("chains: order with bodies", {}, listener="three", **POST),
    *scripted("chains: order with trailers", {}, listener="grpc two", protocols=("h2",), path="/trailers", **POST),
    *scripted(
        "chains: edits of one are seen by the next",
        {
            "a": "add request x-n a; @response-headers get response x-r",
            "b": "get request x-n; add request x-n b; @response-headers get response x-r;"
            "@response-headers add response x-r b",
            "c": "list 0; @response-headers add response x-r c",
        },
        listener="three",
        expect={"upstream header x-n": ["a", "b"], "response header x-r": ["c", "b"]},
    ),
    *scripted("chains: the first answers", {"a": f"{ANSWER}; pause"}, listener="three"),
    *scripted("chains: the middle one answers", {"b": f"{ANSWER}; pause"}, listener="three"),
    *scripted("chains: the last one answers", {"c": f"{ANSWER}; pause"}, listener="three"),
    *scripted("chains: the middle one answers with a body sent", {"b": f"{ANSWER}; pause"}, listener="three", **POST),
    *scripted(
        "chains: the middle one answers from the response", {"b": f"@response-headers {ANSWER}"}, listener="three"
    ),
    *scripted("chains: the first answers from the response", {"a": f"@response-headers {ANSWER}"}, listener="three"),
    *scripted("chains: the last answers from the response", {"c": f"@response-headers {ANSWER}"}, listener="three"),
    *scripted("chains: the middle one pauses", {"b": "pause; wait; @tick continue 0"}, listener="three"),
    *scripted(
        "chains: the middle one pauses with a body", {"b": "pause; wait; @tick continue 0"}, listener="three", **POST
    ),
    *scripted(
        "chains: the middle one pauses the response",
        {"b": "@response-headers pause; @response-headers wait; @tick continue 1"},
        listener="three",
    ),
    *scripted(
        "chains: the middle one holds the request body",
        {
            "b": "remove request content-length; @request-body-more pause; @request-body-end set-buffer 0 0 4294967295 changed",
            "c": "@request-body collect 0; @log collected 0",
        },
        listener="three",
        **POST,
    ),
    *scripted(
        "chains: the middle one holds the response body",
        {
            "b": "@response-headers remove response content-length; @response-body-more pause; @response-body-end set-buffer 1 0 4294967295 changed",
            "a": "@response-body collect 1; @log collected 1",
        },
        listener="three",
    ),
    *scripted(
        "chains: all change the request body",
        {
            n: f"remove request content-length; @request-body-more pause; @request-body-end set-buffer 0 0 0 {n}"
            for n in "abc"
        },
        listener="three",
        **POST,
        expect={"upstream body": "cba0123456789"},
    ),
    *scripted(
        "chains: all change the response body",
        {
            n: f"@response-headers remove response content-length; @response-body-more pause; @response-body-end set-buffer 1 0 0 {n}"
            for n in "abc"
        },
        listener="three",
    ),
    *scripted(
        "chains: the middle one answers from the body",
        {"b": f"@request-body-more pause; @request-body-end {ANSWER}"},
        races=True,
        listener="three",
        **POST,
    ),
    *scripted("chains: the middle one answers from a tick", {"b": f"pause; wait; @tick {ANSWER}"}, listener="three"),
    *scripted("chains: all pause", {n: "pause; wait; @tick continue 0" for n in "abc"}, listener="three"),
    *scripted(
        "chains: all pause the response",
        {n: "@response-headers pause; @response-headers wait; @tick continue 1" for n in "abc"},
        listener="three",
    ),
    *scripted(
        "chains: the middle one holds headers for the body",
        {"b": "pause; @request-body-more pause; @request-body-end add request x-b 1"},
        listener="held three",
        **POST,
    ),
    *scripted(
        "chains: all hold headers for the body",
        {n: f"pause; @request-body-more pause; @request-body-end add request x-n {n}" for n in "abc"},
        listener="held three",
        **POST,
    ),
    *scripted(
        "chains: all hold response headers for the body",
        {
            n: f"@response-headers pause; @response-body-more pause; @response-body-end add response x-n {n}"
            for n in "abc"
        },
        listener="held three",
    ),
    *scripted("chains: the middle one closes", {"b": "close 0; pause"}, listener="three", protocols=("h1",)),
    *scripted(
        "chains: contexts of the same VM",
        {"a": "effective $root; get request :path", "b": "effective $root; get request :path"},
        listener="two",
        protocols=("h1",),
    ),
]
