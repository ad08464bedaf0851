//! The report as text, and what is wrong with it.

use std::fmt::Write as _;

use crate::compile::{Family, Row};
use crate::launches::Launched;
use crate::peak::{self, Slice};

/// Least share of multiply-adds in the hottest block of a tile kernel, and least subgroups per SIMD, both on navi21.
const LEAST_SHARE: f64 = 0.9;
const LEAST_SUBGROUPS: u64 = 8;

/// Least predicted share of peak of the large product, with nothing overlapped.
const LEAST_PEAK: f64 = 0.6;

const LARGE: &str = "matmul 4096";
const LARGE_SIZE: usize = 4096;

/// The line that names the driver.
pub fn driver_line(report: &str) -> Option<&str> {
    report.lines().find(|line| line.starts_with("Driver: "))
}

/// What must not be: a kernel that spills, on any GPU, and a tile kernel on navi21 that breaks a promise.
pub fn problems(modules: &[Launched], family: &Family) -> Vec<String> {
    let mut problems: Vec<String> = family.rows.iter().flat_map(|row| spills(family.name, row)).collect();
    if family.name == "navi21" {
        problems.extend(modules.iter().zip(&family.rows).flat_map(|(module, row)| promises(module, row)));
    }
    problems
}

fn spills(family: &str, row: &Row) -> Vec<String> {
    let spilling =
        ["Spilled VGPRs", "Spilled SGPRs", "Scratch size"].into_iter().filter(|name| row.statistic(name) > 0);
    spilling.map(|name| format!("{} on {family}: {name} {}", row.name, row.statistic(name))).collect()
}

fn promises(module: &Launched, row: &Row) -> Vec<String> {
    let Some(slice) = Slice::new(module, row) else { return Vec::new() };
    let mut broken = Vec::new();
    let share = row.counted.hot_block.share();
    if share < LEAST_SHARE {
        broken.push(format!("{}: {:.1}% multiply-adds in the hottest block", row.name, 100.0 * share));
    }
    if row.statistic("Subgroups per SIMD") < LEAST_SUBGROUPS {
        broken.push(format!("{}: {} subgroups per SIMD", row.name, row.statistic("Subgroups per SIMD")));
    }
    if slice.lds_read / slice.multiply_adds > peak::LDS_BYTES / peak::LANES {
        broken.push(format!("{}: more workgroup memory read than a clock delivers", row.name));
    }
    if module.work.contains(&LARGE) && large_bounds(&slice)[0] < LEAST_PEAK {
        broken.push(format!("{}: predicted below {LEAST_PEAK} of peak", row.name));
    }
    broken
}

/// The bounds of a square product without splits, with the last round of workgroups.
fn large_bounds(slice: &Slice) -> [f64; 2] {
    slice.bounds().map(|bound| bound * peak::balance(workgroups(slice)))
}

fn workgroups(slice: &Slice) -> usize {
    slice.tile.iter().map(|edge| LARGE_SIZE.div_ceil(*edge)).product()
}

/// The whole report.
pub fn markdown(modules: &[Launched], families: &[Family]) -> String {
    let mut text = String::from(INTRODUCTION);
    let driver = families.first().map_or("", |family| &family.driver);
    let _ = writeln!(text, "\nDriver: RADV, {driver}");
    if let Some(navi21) = families.iter().find(|family| family.name == "navi21") {
        hot_loops(&mut text, modules, navi21);
        if let Some((module, row)) = modules.iter().zip(&navi21.rows).find(|(m, _)| m.work.contains(&LARGE)) {
            prediction(&mut text, module, row);
        }
    }
    for family in families {
        table(&mut text, family);
    }
    variants(&mut text, modules);
    text
}

const INTRODUCTION: &str = "\
# What AMD's compiler makes of the kernels

Written by `ci/gpu-report`, which `ci/run` calls with `--check`. No GPU is used: Mesa's RADV has a null device that compiles
for a GPU which is not there. The modules are those of one training step of the cifar10 CNN (batch 64, SGD with momentum),
one of an MLP 784-256-128-10 (batch 64, Adam), one 4096³ product, and that product and the CNN's second convolution of f16, in
the `gpu` family, written to SPIR-V as wgpu writes trusted modules. `ci/gpu-report --dump DIR` leaves them and their assembly in DIR.
";

fn hot_loops(text: &mut String, modules: &[Launched], family: &Family) {
    text.push_str(
        "
## Hot loops on navi21

Every product runs `gemm_tile.wgsl`; its loop over k is the hottest block. Promised, and checked by `ci/run`: at least 90% of
that block's vector instructions multiply and add, at least 8 subgroups per SIMD, at most 2 bytes of workgroup memory read
for each multiply-add (a compute unit of 64 lanes reads 128 bytes a clock). *Loop* counts all that a slice of 16 k costs: the
loads with their index arithmetic, and both ways of loading where k ends within a slice. *Peak* is the share of the peak rate
of multiply-adds predicted from the loop, with nothing overlapped and with everything (see below).

| kernel | tile | multiply-adds, block | loop | subgroups per SIMD | LDS bytes each | loaded bytes each | peak |
|---|---|---|---|---|---|---|---|
",
    );
    for (module, row) in modules.iter().zip(&family.rows) {
        let Some(slice) = Slice::new(module, row) else { continue };
        let [none, all] = slice.bounds();
        let _ = writeln!(
            text,
            "| {} | {}×{} | {:.1}% | {:.1}% | {} | {:.2} | {:.3} | {:.0}–{:.0}% |",
            row.name,
            slice.tile[0],
            slice.tile[1],
            100.0 * row.counted.hot_block.share(),
            100.0 * slice.issue(),
            row.statistic("Subgroups per SIMD"),
            slice.lds_read / slice.multiply_adds,
            slice.loaded / slice.multiply_adds,
            100.0 * none,
            100.0 * all,
        );
    }
}

fn prediction(text: &mut String, module: &Launched, row: &Row) {
    let Some(slice) = Slice::new(module, row) else { return };
    let [m, n] = slice.tile;
    let threads = m * n / 64;
    let [vector, lds, cache] = slice.clocks();
    let [none, all] = slice.bounds();
    let workgroups = workgroups(&slice);
    let [low, high] = large_bounds(&slice);
    let registers = row.statistic("VGPRs");
    let by_registers = 4 * (peak::REGISTERS / (registers * row.subgroup_size / 32));
    let resident = (by_registers * row.subgroup_size / threads as u64)
        .min(peak::LDS_SIZE / row.statistic("LDS size").max(1));
    // A workgroup alone on four SIMDs of 32 lanes.
    let alone = slice.vector * threads as f64 / 128.0;
    let rate = peak::UNITS as f64 * peak::LANES * peak::CLOCK;
    let seconds = 4096f64.powi(3) / rate;
    let traffic = slice.loaded / slice.multiply_adds * 4096f64.powi(3);
    let _ = write!(
        text,
        "
## Predicted share of peak: matmul 4096 on navi21

A Radeon RX 6900 XT: 80 compute units (CU) of 64 lanes at 2.25 GHz, {:.1} T multiply-adds a second. For each slice of 16 k, 64
invocations of `{}` ({m}×{n} outputs a workgroup of {threads}) cost their CU:

- issue: {:.0} vector instructions for {:.0} multiply-adds, {vector:.0} clocks against {:.0};
- workgroup memory: {:.0} bytes read and {:.0} written by each at 128 bytes a clock, {lds:.0} clocks;
- vector cache: {:.0} bytes by each at 64 bytes a clock, {cache:.0} clocks.

If all three overlap, the longest counts: {:.0}% of peak. If nothing overlaps, their sum: {:.0}%. {workgroups} workgroups over
80 CUs fill the last round to {:.1}%. **Predicted: {:.0}% to {:.0}% of peak**, {:.1} to {:.1} TFLOP/s.

Why the memory behind the CU does not bind: all loads together are {:.1} GB, {:.0} GB/s at peak rate, which the L2 cache (some
4 TB/s) delivers; workgroups that run at the same time share rows and columns, so that only a few hundred MB of it come from
memory (512 GB/s). Why latency does not: {registers} registers leave room for {} subgroups of {} on a pair of CUs, {resident} workgroups with their
{} bytes of workgroup memory; while one waits some 600 clocks for its loads and its barrier, the others have {:.0} clocks of
vector instructions. (The driver's *subgroups per SIMD* counts 32 lanes as one.) Not in the model: bank conflicts of registers
and of workgroup memory, the instruction cache, and clocks below 2.25 GHz.
",
        rate / 1e12,
        row.name,
        slice.vector,
        slice.multiply_adds,
        slice.multiply_adds,
        slice.lds_read,
        slice.lds_written,
        slice.loaded,
        100.0 * all,
        100.0 * none,
        100.0 * peak::balance(workgroups),
        100.0 * low,
        100.0 * high,
        low * 2.0 * rate / 1e12,
        high * 2.0 * rate / 1e12,
        traffic / 1e9,
        traffic / seconds / 1e9,
        by_registers,
        row.subgroup_size,
        row.statistic("LDS size"),
        alone * (resident.saturating_sub(1)) as f64,
    );
}

fn table(text: &mut String, family: &Family) {
    let _ = write!(
        text,
        "
## {}

| kernel | VGPRs | SGPRs | spilled | scratch | LDS | subgroups per SIMD | instructions | multiply-adds, hottest block |
|---|---|---|---|---|---|---|---|---|
",
        family.name
    );
    for row in &family.rows {
        let block = row.counted.hot_block;
        // A handful of multiply-adds is no hot loop.
        let share =
            if block.multiply_add < 16 { "–".to_owned() } else { format!("{:.1}%", 100.0 * block.share()) };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {share} |",
            row.name,
            row.statistic("VGPRs"),
            row.statistic("SGPRs"),
            row.statistic("Spilled VGPRs") + row.statistic("Spilled SGPRs"),
            row.statistic("Scratch size"),
            row.statistic("LDS size"),
            row.statistic("Subgroups per SIMD"),
            row.statistic("Instructions"),
        );
    }
}

fn variants(text: &mut String, modules: &[Launched]) {
    text.push_str("\n## Modules\n\nWhat launches each, and the constants that the host chose.\n\n");
    for module in modules {
        let constants: Vec<String> =
            module.constants().iter().map(|(name, value)| format!("{name} {value}")).collect();
        let of = if constants.is_empty() { String::new() } else { format!(": {}", constants.join(", ")) };
        let _ = writeln!(text, "- {} ({}){of}", module.name, module.work.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::Counted;

    fn tile_module() -> Launched {
        let source = "const TILE_M = 128u;\nconst TILE_N = 128u;\nconst TILE_K = 16u;\n";
        Launched {
            name: "tile".to_owned(),
            entry: "main".to_owned(),
            source: source.to_owned(),
            work: vec![LARGE],
        }
    }

    /// A loop of this many multiply-adds and other vector instructions.
    fn row(multiply_adds: usize, others: usize, statistics: &[(&str, u64)]) -> Row {
        let mut assembly = String::from("BB0:\n");
        assembly += &"\tv_fmac_f32_e32 v0, v1, v2\n".repeat(multiply_adds);
        assembly += &"\tv_add_u32_e32 v0, v1, v2\n".repeat(others);
        assembly += "\ts_cbranch_scc1 BB0\n";
        let statistics = statistics.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        Row { name: "tile".to_owned(), statistics, subgroup_size: 64, counted: Counted::new(&assembly) }
    }

    fn problems_of(row: Row) -> Vec<String> {
        let family = Family { name: "navi21", driver: String::new(), rows: vec![row] };
        problems(&[tile_module()], &family)
    }

    const GOOD: (&str, u64) = ("Subgroups per SIMD", 10);

    #[test]
    fn a_kernel_within_its_promises_has_no_problem() {
        assert_eq!(problems_of(row(64, 2, &[GOOD, ("Spilled VGPRs", 0)])), Vec::<String>::new());
    }

    #[test]
    fn a_spill_or_scratch_is_a_problem() {
        for name in ["Spilled VGPRs", "Spilled SGPRs", "Scratch size"] {
            assert_eq!(problems_of(row(64, 2, &[GOOD, (name, 4)])), [format!("tile on navi21: {name} 4")]);
        }
    }

    #[test]
    fn a_diluted_loop_and_an_empty_simd_are_problems() {
        let diluted = problems_of(row(64, 8, &[GOOD]));
        assert!(diluted.len() == 1 && diluted[0].contains("88.9% multiply-adds"), "{diluted:?}");
        let empty = problems_of(row(64, 2, &[("Subgroups per SIMD", 7)]));
        assert_eq!(empty, ["tile: 7 subgroups per SIMD"]);
    }

    #[test]
    fn the_driver_line_is_found() {
        assert_eq!(driver_line("# x\nDriver: RADV, Mesa 1\n"), Some("Driver: RADV, Mesa 1"));
    }
}
