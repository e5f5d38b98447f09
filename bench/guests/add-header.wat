;; The least that a filter can do: adds one header to the response, "x-hello: world".
(module
  (import "env" "proxy_add_header_map_value"
    (func $add_header_map_value (param $map i32) (param $name i32) (param $name_size i32)
      (param $value i32) (param $value_size i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "x-hello")
  (data (i32.const 16) "world")

  (func (export "proxy_abi_version_0_2_1"))

  ;; Nothing is ever allocated in this guest, but a filter has to have an allocator.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))

  (func (export "proxy_on_response_headers") (param $context i32) (param $headers i32) (param $end_of_stream i32)
    (result i32)
    (drop
      (call $add_header_map_value
        (i32.const 2) ;; response headers
        (i32.const 0) (i32.const 7)
        (i32.const 16) (i32.const 5)))
    (i32.const 0))) ;; continue
