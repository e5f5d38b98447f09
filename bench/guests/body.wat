;; Puts other bytes in the place of a response's body, as many as there were.
(module
  (import "env" "proxy_set_buffer_bytes"
    (func $set_buffer_bytes (param $buffer i32) (param $start i32) (param $size i32)
      (param $bytes i32) (param $bytes_size i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "HELLO WORLD\n")

  (func (export "proxy_abi_version_0_2_1"))

  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))

  (func (export "proxy_on_response_body") (param $context i32) (param $size i32) (param $end_of_stream i32)
    (result i32)
    ;; The end may come by itself, with nothing in it.
    (if (local.get $size)
      (then
        (drop
          (call $set_buffer_bytes
            (i32.const 1) ;; the response's body
            (i32.const 0) (local.get $size)
            (i32.const 0) (i32.const 12)))))
    (i32.const 0))) ;; continue
