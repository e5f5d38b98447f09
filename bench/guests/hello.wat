;; Answers each request itself: 200, "hello world".
(module
  (import "env" "proxy_send_local_response"
    (func $send_local_response (param $status i32) (param $details i32) (param $details_size i32)
      (param $body i32) (param $body_size i32) (param $headers i32) (param $headers_size i32) (param $grpc_status i32)
      (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "hello world")

  (func (export "proxy_abi_version_0_2_1"))

  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))

  (func (export "proxy_on_request_headers") (param $context i32) (param $headers i32) (param $end_of_stream i32)
    (result i32)
    (drop
      (call $send_local_response
        (i32.const 200)
        (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 11)
        (i32.const 0) (i32.const 0)
        (i32.const -1)))
    (i32.const 1))) ;; pause: the answer has taken the request's place
