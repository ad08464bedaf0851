//! The results of a run as Markdown: docs/gpu-measured.md, and rows for BENCHMARKS.md.

mod figures;
mod tables;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::error::io;
use crate::records;
use crate::{Error, Result};

use figures::Results;

/// Where the report goes if nothing else is said.
const PAGE: &str = "docs/gpu-measured.md";

#[derive(Args)]
pub struct Options {
    /// What a run wrote
    out: PathBuf,
    /// The report; a rehearsal, whose times mean nothing, needs one named
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let results = Results(records::read(&options.out)?);
    let output = match (&options.output, rehearsal(&results)) {
        (Some(output), _) => output.clone(),
        (None, None) => PathBuf::from(PAGE),
        (None, Some(why)) => {
            return Err(Error::Refused(format!(
                "{why}: it is no measurement; --output FILE writes it elsewhere"
            )));
        }
    };
    std::fs::write(&output, markdown(&results)).map_err(io(&output))?;
    println!("{}", benchmarks(&results));
    eprintln!("gpu-check: wrote {}", output.display());
    Ok(ExitCode::SUCCESS)
}

/// Why a run is a rehearsal, if it is one.
fn rehearsal(results: &Results) -> Option<String> {
    let adapter = results.find("environment", "adapter");
    let Some(adapter) = adapter else { return Some("the run found no adapter".to_owned()) };
    if adapter["type"] == json!("Cpu") {
        return Some(format!("the run was a rehearsal on {}", text(&adapter["name"])));
    }
    let short = results.part("run").any(|result| result["short"] == json!(true));
    short.then(|| "the run was a rehearsal with the smallest sizes".to_owned())
}

/// A value as text, without a string's quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The whole page.
fn markdown(results: &Results) -> String {
    let mut page = String::from(
        "# Measured on a GPU\n\nWritten by `ci/gpu report` from what `DIR/run OUT` of `ci/gpu pack DIR` found.\n",
    );
    if let Some(why) = rehearsal(results) {
        let _ = writeln!(page, "\n**Not a measurement**: {why}.");
    }
    head(&mut page, results);
    parts(&mut page, results);
    tests(&mut page, results);
    tables::steps(&mut page, results);
    tables::launches(&mut page, results);
    tables::products(&mut page, results);
    tables::others(&mut page, results);
    tables::first_step(&mut page, results);
    tables::variants(&mut page, results);
    tables::kernels(&mut page, results);
    tables::profile(&mut page, results);
    page
}

/// Card, driver, date, commit, clocks.
fn head(page: &mut String, results: &Results) {
    page.push_str("\n| | |\n|---|---|\n");
    let mut line = |name: &str, value: String| {
        if !value.trim().is_empty() {
            let _ = writeln!(page, "| {name} | {value} |");
        }
    };
    if let Some(adapter) = results.find("environment", "adapter") {
        line("card", text(&adapter["name"]));
        let driver = [&adapter["driver"], &adapter["driver_info"]].map(text).join(" ");
        line("driver", format!("{driver}, by {}", text(&adapter["backend"])));
        line("subgroups", format!("{} to {}", adapter["subgroup"][0], adapter["subgroup"][1]));
    }
    let run = results.part("run").next().cloned().unwrap_or_default();
    line("date", run["date"].as_str().unwrap_or_default().to_owned());
    line("commit", run["packed"]["commit"].as_str().unwrap_or_default().to_owned());
    if let Some(system) = results.part("environment").find(|r| r.get("processor").is_some()) {
        line(
            "system",
            format!("{}, {} × {}", text(&system["system"]), system["processors"], text(&system["processor"])),
        );
    }
    if let Some(clocks) = results.find("bench", "clocks") {
        let of = |name: &str| format!("{}–{}, median {}", clocks[name][0], clocks[name][2], clocks[name][1]);
        line("clocks while measured", format!("{} MHz, memory {} MHz", of("sm_mhz"), of("memory_mhz")));
        line("power and temperature", format!("{} W, {} °C", of("watts"), of("celsius")));
    } else if results.find("environment", "adapter").is_some() {
        line("clocks while measured", "not told by any tool there".to_owned());
    }
    match (results.find("bench", "pytorch"), results.find("bench", "without_pytorch")) {
        (Some(torch), _) => {
            line(
                "PyTorch",
                format!(
                    "{}, CUDA {}, {}",
                    text(&torch["torch"]),
                    text(&torch["cuda"]),
                    text(&torch["device"])
                ),
            );
        }
        (None, Some(why)) => line("PyTorch", format!("none: {}", text(why))),
        (None, None) => {}
    }
    if let Some(matrices) = results.find("environment", "cooperative_matrices") {
        let all: Vec<String> = matrices
            .as_array()
            .into_iter()
            .flatten()
            .map(|m| format!("{}×{}×{} {} → {}", m["m"], m["n"], m["k"], text(&m["ab"]), text(&m["c"])))
            .collect();
        line("cooperative matrices", if all.is_empty() { "none".to_owned() } else { all.join(", ") });
    }
}

/// How each part ended.
fn parts(page: &mut String, results: &Results) {
    page.push_str("\n| part | ended | seconds |\n|---|---|---|\n");
    for result in &results.0 {
        let Some(end) = result.get("end") else { continue };
        let message = end["message"].as_str().filter(|message| !message.is_empty());
        let ended =
            message.map_or_else(|| text(&end["status"]), |m| format!("{}: {m}", text(&end["status"])));
        let seconds = end["seconds"].as_f64().unwrap_or_default();
        let _ = writeln!(page, "| {} | {ended} | {seconds:.0} |", text(&result["part"]));
    }
}

/// Failing tests, and the failing rows of the table of ops.
fn tests(page: &mut String, results: &Results) {
    let tests: Vec<&Value> = results.part("tests").filter(|r| r.get("test").is_some()).collect();
    if tests.is_empty() {
        return;
    }
    let passed = tests.iter().filter(|test| test["status"] == json!("passed")).count();
    let _ = writeln!(page, "\n## Tests\n\n{passed} of {} passed.", tests.len());
    for test in tests.iter().filter(|test| test["status"] != json!("passed")) {
        let _ = writeln!(
            page,
            "- {}: `{}`: {}",
            text(&test["status"]),
            text(&test["test"]),
            text(&test["message"])
        );
    }
    let rows: Vec<&Value> = results.part("tests").filter_map(|result| result.get("row")).collect();
    if !rows.is_empty() {
        let _ = writeln!(
            page,
            "\nRows of the table of ops that failed, with the worst error and the tolerance:\n"
        );
        for row in rows {
            let _ = writeln!(page, "- {}", text(row));
        }
    }
}

/// Rows for BENCHMARKS.md.
fn benchmarks(results: &Results) -> String {
    let adapter = results.find("environment", "adapter").cloned().unwrap_or_default();
    let run = results.part("run").next().cloned().unwrap_or_default();
    let mut rows = format!(
        "| {}, {}, {} | wgrad | PyTorch | wgrad / PyTorch |\n|---|---|---|---|\n",
        text(&adapter["name"]),
        text(&run["date"]),
        text(&run["packed"]["commit"])
    );
    for name in
        results.names("bench").iter().filter(|name| name.starts_with("step") || name.starts_with("matmul"))
    {
        rows += &tables::benchmark(results, name);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(bench: &str, who: &str, precision: &str, how: &str, ms: f64) -> Value {
        json!({"part": "bench", "bench": bench, "who": who, "precision": precision, "how": how, "ms": ms, "flops": 2e9, "bytes": 0.0})
    }

    fn results(kind: &str) -> Results {
        let bench = |who, precision, how, ms| figure("matmul f32 1000", who, precision, how, ms);
        Results(vec![
            json!({"part": "run", "date": "2026-01-02", "packed": {"commit": "abc"}, "short": false}),
            json!({"part": "environment", "adapter": {"name": "Card 9", "type": kind, "driver": "Drv", "driver_info": "1.2", "backend": "vulkan", "subgroup": [32, 32]}}),
            json!({"part": "tests", "test": "a::b", "status": "failed", "message": "it broke"}),
            json!({"part": "tests", "test": "a::c", "status": "passed", "message": ""}),
            json!({"part": "tests", "row": "exp [[3]] (gpu): error 1e-2 (rtol 1e-4, atol 1e-5)"}),
            json!({"part": "tests", "end": {"status": "failed", "message": "1 passed, 1 failed", "seconds": 3.0}}),
            bench("wgrad", "f32", "in a row", 4.0),
            bench("wgrad", "f32", "in a row", 2.0),
            bench("pytorch", "f32", "in a row", 1.5),
            bench("pytorch", "tf32", "in a row", 0.5),
            bench("pytorch", "f32", "graph", 1.0),
        ])
    }

    #[test]
    fn a_page_tells_what_ran_where_and_what_failed() {
        let page = markdown(&results("DiscreteGpu"));
        for part in
            ["Card 9", "Drv 1.2", "2026-01-02", "abc", "1 of 2 passed", "`a::b`: it broke", "error 1e-2"]
        {
            assert!(page.contains(part), "no {part:?} in {page}");
        }
        assert!(!page.contains("Not a measurement"));
    }

    #[test]
    fn like_precision_is_compared_with_like() {
        // Two rounds of 4 and 2 ms are 3; PyTorch's best f32 is 1 ms, whatever TF32 takes.
        let rows = benchmarks(&results("DiscreteGpu"));
        assert!(
            rows.contains("| matmul f32 1000 | 3.00 ms (0.67 TFLOP/s) | 1.00 ms (2.00 TFLOP/s) | 3.00 |"),
            "{rows}"
        );
    }

    #[test]
    fn a_rehearsal_is_no_measurement() {
        assert!(rehearsal(&results("DiscreteGpu")).is_none());
        assert!(rehearsal(&results("Cpu")).is_some_and(|why| why.contains("Card 9")));
        assert!(markdown(&results("Cpu")).contains("**Not a measurement**"));
        assert!(rehearsal(&Results(Vec::new())).is_some());
    }
}
