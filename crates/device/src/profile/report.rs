//! A profile as a table for people.

use std::fmt::Write as _;

use super::{Profile, Roofline, Timing};

impl Profile {
    /// A table of kernels, the longest first: calls, milliseconds of all calls, share of the whole time, operations
    /// and bytes a second, and the share of the nearer of the adapter's two limits.
    pub fn table(&self, roofline: &Roofline) -> String {
        let kernels = self.kernels();
        let width = kernels.iter().map(|kernel| kernel.name.len()).max().unwrap_or(0).max("kernel".len());
        let whole = self.total().as_secs_f64().max(1e-9);
        // Writing to a String cannot fail.
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:width$} {:>7} {:>10} {:>6} {:>8} {:>7} {:>8}",
            "kernel", "calls", "total ms", "share", "GFLOP/s", "GB/s", "of limit"
        );
        for kernel in &kernels {
            let flops = kernel.flops_per_second();
            let bytes = kernel.bytes_per_second();
            let _ = writeln!(
                text,
                "{:width$} {:>7} {:>10.2} {:>5.1}% {:>8} {:>7.2} {:>7.0}%",
                kernel.name,
                kernel.calls,
                1e3 * kernel.total.as_secs_f64(),
                100.0 * kernel.total.as_secs_f64() / whole,
                flops.map_or_else(|| "–".to_owned(), |flops| format!("{:.1}", flops / 1e9)),
                bytes / 1e9,
                100.0 * roofline.share(flops, bytes),
            );
        }
        let host = kernels.iter().map(|kernel| kernel.host).sum::<std::time::Duration>();
        let clock = match self.timing {
            Timing::Timestamps => "timestamps of the device",
            Timing::Host => "the host's clock, submissions included",
        };
        let _ = writeln!(
            text,
            "{:.2} ms in {} launches on {}, by {clock}; recording them took {:.2} ms",
            1e3 * whole,
            self.launches.len(),
            self.adapter,
            1e3 * host.as_secs_f64(),
        );
        let _ = write!(
            text,
            "limits measured: {:.1} GFLOP/s, {:.1} GB/s",
            roofline.flops_per_second / 1e9,
            roofline.bytes_per_second / 1e9
        );
        if self.omitted > 0 {
            let _ = write!(text, "\n{} later launches are not in the profile", self.omitted);
        }
        text
    }
}
