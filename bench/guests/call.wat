;; The least that a filter can do with another service: asks "service" for /call, as often as its configuration has bytes and
;; all at once, and lets the request go on when the last answer comes. An answer that is not 200 is a trap, and so shows.
(module
  (import "env" "proxy_http_call"
    (func $http_call (param $upstream i32) (param $upstream_size i32) (param $headers i32) (param $headers_size i32)
      (param $body i32) (param $body_size i32) (param $trailers i32) (param $trailers_size i32) (param $timeout i32)
      (param $call i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $get_header_map_value (param $map i32) (param $name i32) (param $name_size i32) (param $value i32)
      (param $value_size i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes"
    (func $get_buffer_bytes (param $buffer i32) (param $start i32) (param $size i32) (param $bytes i32)
      (param $bytes_size i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $set_effective_context (param $context i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue_stream (param $stream i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "service")
  ;; 3 pairs, their sizes, names and values.
  (data (i32.const 16)
    "\03\00\00\00"
    "\07\00\00\00\03\00\00\00"
    "\05\00\00\00\05\00\00\00"
    "\0a\00\00\00\07\00\00\00"
    ":method\00GET\00" ":path\00/call\00" ":authority\00service\00")
  (data (i32.const 128) ":status")
  ;; Which context made which call, by the number of the call; calls end soon, so numbers may share a place after a while.
  (global $calls i32 (i32.const 8192))
  ;; How many answers a context waits for, likewise.
  (global $missing i32 (i32.const 32768))
  (global $wanted (mut i32) (i32.const 0))

  (func (export "proxy_abi_version_0_2_1"))

  ;; One answer at a time is looked at: the place for it can always be the same.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))

  (func $place (param $table i32) (param $number i32) (result i32)
    (i32.add (local.get $table) (i32.shl (i32.and (local.get $number) (i32.const 0xfff)) (i32.const 2))))

  (func (export "proxy_on_configure") (param $root i32) (param $size i32) (result i32)
    (global.set $wanted (local.get $size))
    (i32.const 1))

  (func (export "proxy_on_request_headers") (param $context i32) (param $headers i32) (param $end_of_stream i32)
    (result i32)
    (local $count i32)
    (if (i32.eqz (global.get $wanted))
      (then (return (i32.const 0)))) ;; continue
    (loop $more
      (if (call $http_call
            (i32.const 0) (i32.const 7)
            (i32.const 16) (i32.const 71)
            (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0)
            (i32.const 5000)
            (i32.const 256))
        (then (unreachable)))
      (i32.store (call $place (global.get $calls) (i32.load (i32.const 256))) (local.get $context))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $count) (global.get $wanted))))
    (i32.store (call $place (global.get $missing) (local.get $context)) (local.get $count))
    (i32.const 1)) ;; pause

  (func (export "proxy_on_http_call_response") (param $root i32) (param $call i32) (param $headers i32) (param $body i32)
    (param $trailers i32)
    (local $context i32) (local $place i32)
    ;; What an honest filter looks at: the status, and the body.
    (if (call $get_header_map_value
          (i32.const 6) (i32.const 128) (i32.const 7)
          (i32.const 260) (i32.const 264))
      (then (unreachable)))
    (if (i32.ne (i32.load8_u (i32.load (i32.const 260))) (i32.const 50)) ;; "2"
      (then (unreachable)))
    (if (call $get_buffer_bytes (i32.const 4) (i32.const 0) (local.get $body) (i32.const 260) (i32.const 264))
      (then (unreachable)))
    (local.set $context (i32.load (call $place (global.get $calls) (local.get $call))))
    (local.set $place (call $place (global.get $missing) (local.get $context)))
    (i32.store (local.get $place) (i32.sub (i32.load (local.get $place)) (i32.const 1)))
    (if (i32.load (local.get $place))
      (then (return)))
    ;; The client may have left.
    (if (i32.eqz (call $set_effective_context (local.get $context)))
      (then (drop (call $continue_stream (i32.const 0)))))))
