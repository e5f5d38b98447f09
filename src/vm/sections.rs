//! Sections of modules: what engines do to a module before they compile it, they write with this.

use std::ops::Range;

use wasmparser::{Parser, Payload};

/// The module with another section, of this number and content, in the place of the one that lies there; an empty place puts one in.
pub(super) fn replace(module: &[u8], place: Range<usize>, number: u8, content: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(module.len() + content.len() + 16);
    replaced.extend_from_slice(&module[..place.start]);
    replaced.push(number);
    write_number(&mut replaced, content.len() as u64);
    replaced.extend_from_slice(content);
    replaced.extend_from_slice(&module[place.end..]);
    replaced
}

/// Appends an unsigned number as WebAssembly writes it.
pub(super) fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Bytes of the functions of a module; 0 if it cannot be read so far.
#[cfg_attr(not(feature = "wasmedge"), allow(dead_code))]
pub(super) fn code_size(module: &[u8]) -> usize {
    let code = |payload| match payload {
        Ok(Payload::CodeSectionStart { size, .. }) => Some(size as usize),
        _ => None,
    };
    Parser::new(0).parse_all(module).find_map(code).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_seven_bits_in_a_byte() {
        let written = |number| {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            bytes
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(0x7f), [0x7f]);
        assert_eq!(written(0x80), [0x80, 1]);
        assert_eq!(written(624_485), [0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn a_section_takes_the_place_of_another_or_is_put_in() {
        let module = wat::parse_str("(module (table 1 funcref) (memory 1))").unwrap();
        // Behind the head of the module: number 4, its size, one table of functions from 1 on.
        assert_eq!(module[8..14], [4, 4, 1, 0x70, 0, 1]);
        let replaced = replace(&module, 8..14, 4, &[1, 0x70, 1, 1, 9]);
        assert_eq!(replaced[8..15], [4, 5, 1, 0x70, 1, 1, 9]);
        assert_eq!(replaced[15..], module[14..]);
        assert_eq!(replace(&replaced, 8..15, 4, &[1, 0x70, 0, 1]), module);
        assert_eq!(replace(&module, 8..8, 0, b"\x01a")[8..12], [0, 2, 1, b'a']);
    }

    #[test]
    fn the_size_of_code_is_that_of_its_section() {
        let module =
            wat::parse_str("(module (memory 1) (func) (func (drop (i32.const 1))) (data (i32.const 0) \"abc\"))")
                .unwrap();
        // A size, no locals and an end; the same with two instructions.
        assert_eq!(code_size(&module), 3 + 6);
        assert_eq!(code_size(&wat::parse_str("(module (memory 1))").unwrap()), 0);
        assert_eq!(code_size(b"\0asm"), 0);
    }
}
