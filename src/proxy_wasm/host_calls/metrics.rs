//! Counters, gauges and histograms.

use super::{Denied, Failure, HostCall, Row, Run, args};
use crate::proxy_wasm::types::Status;
use crate::shared::{DefineError, MetricError, MetricType, Metrics};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_define_metric", types: &[("iiii", "i")], when_denied: Denied::Fails, run: Run::Status(define) },
    Row {
        name: "proxy_increment_metric",
        types: &[("iI", "i")],
        when_denied: Denied::NotFound,
        run: Run::Status(increment),
    },
    Row { name: "proxy_record_metric", types: &[("iI", "i")], when_denied: Denied::NotFound, run: Run::Status(record) },
    Row { name: "proxy_get_metric", types: &[("ii", "i")], when_denied: Denied::NotFound, run: Run::Status(get) },
];

impl From<MetricError> for Failure {
    fn from(err: MetricError) -> Self {
        Failure::Status(match err {
            MetricError::Unknown => Status::NotFound,
            MetricError::WrongType => Status::BadArgument,
        })
    }
}

/// A metric for which there is no room is one that keeps nothing: SDKs end a filter that cannot define its metrics, and a
/// number that is missing is the smaller evil.
fn define(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [kind, name, name_len, id_at] = args(raw);
    let kind = MetricType::numbered(kind).ok_or(Status::BadArgument)?;
    let memory = call.caller.memory();
    memory.check(id_at, 4)?;
    let name = memory.read(name, name_len)?;
    let metrics = &call.host.stores().ok_or(Status::Unimplemented)?.metrics;
    let shown = || String::from_utf8_lossy(&name[..name.len().min(100)]).into_owned();
    let (id, complaint) = match metrics.define(kind, name) {
        Ok(id) => (Ok(id), None),
        Err(DefineError::Conflict) => (
            Err(Status::BadArgument),
            Some(format!("the metric \"{}\" has no name, or another type where it was defined first", shown())),
        ),
        Err(DefineError::NameTooLong) => (
            Ok(Metrics::dropped(kind)),
            Some(format!(
                "the name of the metric \"{}...\" has {} bytes, more than {}, so its values are lost; enlarge \
                 \"max_metric_name_length\" in \"wasm {{ metrics {{ }} }}\"",
                shown(),
                name.len(),
                metrics.max_name()
            )),
        ),
        Err(DefineError::Full) => (
            Ok(Metrics::dropped(kind)),
            Some(format!(
                "no room for the metric \"{}\", so its values are lost; enlarge \"slab_size\" in \"wasm {{ metrics {{ }} }}\"",
                shown()
            )),
        ),
    };
    if let Some(complaint) = complaint {
        call.warn_rarely("metrics", &complaint);
    }
    Ok(call.put_u32(id_at, id?)?)
}

fn increment(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id] = args(raw);
    let by = raw.get(1).copied().unwrap_or_default() as i64;
    Ok(call.host.stores().ok_or(Status::Unimplemented)?.metrics.increment(id, by)?)
}

fn record(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id] = args(raw);
    let value = raw.get(1).copied().unwrap_or_default();
    Ok(call.host.stores().ok_or(Status::Unimplemented)?.metrics.record(id, value)?)
}

fn get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Failure> {
    let [id, value_at] = args(raw);
    let value = call.host.stores().ok_or(Status::Unimplemented)?.metrics.get(id);
    call.memory().check(value_at, 8)?;
    Ok(call.put_u64(value_at, value?)?)
}
