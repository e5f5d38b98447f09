//! Values of expressions as bytes, in the form that properties have.

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelString, CelTimestamp, CelUInt,
};
use cel::common::value::Val;

use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::Status;

/// Appends `value`: text and bytes as they are, numbers and times in 8 bytes, little endian, booleans in one, maps as
/// pairs, lists as pairs with empty values. A null and a type have no form.
pub(super) fn encode(value: &dyn Val, out: &mut Vec<u8>) -> Result<(), Status> {
    if let Some(text) = value.downcast_ref::<CelString>() {
        out.extend_from_slice(text.inner().as_bytes());
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        out.extend_from_slice(bytes.inner());
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        out.extend(number.inner().to_le_bytes());
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        out.extend(number.inner().to_le_bytes());
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        out.extend(number.inner().to_le_bytes());
    } else if let Some(truth) = value.downcast_ref::<CelBool>() {
        out.push(u8::from(*truth.inner()));
    } else if let Some(duration) = value.downcast_ref::<CelDuration>() {
        out.extend(duration.inner().num_nanoseconds().ok_or(Status::SerializationFailure)?.to_le_bytes());
    } else if let Some(time) = value.downcast_ref::<CelTimestamp>() {
        out.extend(time.inner().timestamp_nanos_opt().ok_or(Status::SerializationFailure)?.to_le_bytes());
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        let mut pairs = Vec::with_capacity(map.inner().len());
        for (key, value) in map.inner() {
            pairs.push((encoded(key.inner())?, encoded(value.as_ref())?));
        }
        // The crate keeps no order.
        pairs.sort();
        encode_pairs(&pairs, out)?;
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        let items: Result<Vec<_>, Status> =
            list.inner().iter().map(|item| Ok((encoded(item.as_ref())?, Vec::new()))).collect();
        encode_pairs(&items?, out)?;
    } else {
        return Err(Status::SerializationFailure);
    }
    Ok(())
}

fn encoded(value: &dyn Val) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes)?;
    Ok(bytes)
}

fn encode_pairs(pairs: &[(Vec<u8>, Vec<u8>)], out: &mut Vec<u8>) -> Result<(), Status> {
    Pairs::encode(pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())), out)
}
