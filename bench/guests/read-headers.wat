;; Reads all headers of a request at once, and sets one, "x-hello: world".
(module
  (import "env" "proxy_get_header_map_pairs"
    (func $get_header_map_pairs (param $map i32) (param $address i32) (param $size i32) (result i32)))
  (import "env" "proxy_replace_header_map_value"
    (func $replace_header_map_value (param $map i32) (param $name i32) (param $name_size i32)
      (param $value i32) (param $value_size i32) (result i32)))

  (memory (export "memory") 2)
  (data (i32.const 0) "x-hello")
  (data (i32.const 16) "world")

  (func (export "proxy_abi_version_0_2_1"))

  ;; The same place for each request: what was there is not needed any more.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))

  (func (export "proxy_on_request_headers") (param $context i32) (param $headers i32) (param $end_of_stream i32)
    (result i32)
    (drop
      (call $get_header_map_pairs
        (i32.const 0) ;; request headers
        (i32.const 32) (i32.const 36)))
    (drop
      (call $replace_header_map_value
        (i32.const 0)
        (i32.const 0) (i32.const 7)
        (i32.const 16) (i32.const 5)))
    (i32.const 0))) ;; continue
