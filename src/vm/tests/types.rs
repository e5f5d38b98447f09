//! What types look like, and what there is without options.

use crate::vm::{ExternType, FuncType, InstanceLimits, ValType};

#[test]
fn types_are_shown_as_in_the_specification() {
    let ty = FuncType { params: vec![ValType::I32, ValType::I64, ValType::Other], results: vec![ValType::F64] };
    assert_eq!(ExternType::Func(ty).to_string(), "func (i32, i64, ref) -> (f64)");
    assert_eq!(FuncType { params: vec![], results: vec![] }.to_string(), "() -> ()");
    assert_eq!(ExternType::Memory.to_string(), "memory");
    assert_eq!(ExternType::Other("tag").to_string(), "tag");
}

#[test]
fn a_guest_has_128_mib_unless_told_otherwise() {
    assert_eq!(InstanceLimits::default(), InstanceLimits { memory: 128 * 1024 * 1024, pooled: false });
}
