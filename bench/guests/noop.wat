;; A filter that looks at headers and does nothing.
(module
  (memory (export "memory") 1)

  (func (export "proxy_abi_version_0_2_1"))

  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))

  (func (export "proxy_on_request_headers") (param $context i32) (param $headers i32) (param $end_of_stream i32)
    (result i32)
    (i32.const 0)) ;; continue

  (func (export "proxy_on_response_headers") (param $context i32) (param $headers i32) (param $end_of_stream i32)
    (result i32)
    (i32.const 0)))
