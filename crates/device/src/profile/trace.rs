//! A profile in the trace event format that Perfetto and Chrome's `about:tracing` open.

use serde_json::{Value, json};

use super::{LaunchProfile, Profile};

impl Profile {
    /// The trace as JSON: a complete event (`"ph": "X"`) a launch, on one track of the adapter, with its bytes, FLOPs
    /// and rates as arguments. Times are in microseconds from the first launch.
    pub fn trace(&self) -> String {
        let name = |what: &str, name: &str| json!({ "name": what, "ph": "M", "pid": 1, "tid": 1, "ts": 0, "args": { "name": name } });
        let mut events = vec![name("process_name", &self.adapter), name("thread_name", "launches")];
        events.extend(self.launches.iter().map(event));
        let trace = json!({
            "displayTimeUnit": "ms",
            "otherData": { "adapter": self.adapter, "timing": format!("{:?}", self.timing) },
            "traceEvents": events,
        });
        trace.to_string()
    }
}

fn event(launch: &LaunchProfile) -> Value {
    let seconds = launch.duration.as_secs_f64().max(1e-9);
    let bytes = launch.bytes_read + launch.bytes_written;
    let mut args = json!({
        "workgroups": launch.grid,
        "bytes read": launch.bytes_read,
        "bytes written": launch.bytes_written,
        "GB/s": bytes as f64 / seconds / 1e9,
        "recording in µs": 1e6 * launch.host.as_secs_f64(),
    });
    if let Some(flops) = launch.flops {
        args["FLOPs"] = json!(flops);
        args["GFLOP/s"] = json!(flops as f64 / seconds / 1e9);
    }
    json!({
        "name": launch.name,
        "cat": if launch.grid == [0; 3] { "copy" } else { "kernel" },
        "ph": "X",
        "ts": 1e6 * launch.start.as_secs_f64(),
        "dur": 1e6 * launch.duration.as_secs_f64(),
        "pid": 1,
        "tid": 1,
        "args": args,
    })
}
