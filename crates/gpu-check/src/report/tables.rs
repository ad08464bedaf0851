//! The tables of a report.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::figures::{Column, Results, least, rate, ratio, time};
use super::text;

const EACH: &str = "synchronised";
const ROW: &str = "in a row";
const GRAPH: &str = "graph";

/// The names of a part that begin with one of some words.
fn names(results: &Results, beginnings: &[&str]) -> Vec<String> {
    let begins = |name: &String| beginnings.iter().any(|word| name.split(' ').next() == Some(word));
    results.names("bench").into_iter().filter(begins).collect()
}

/// PyTorch's best in a precision: many runs in a row, or its graph.
fn torch(results: &Results, name: &str, precision: &'static str) -> Option<f64> {
    least([ROW, GRAPH].map(|how| results.ms("bench", name, Column("pytorch", precision, how))))
}

fn wgrad(results: &Results, name: &str, how: &'static str) -> Option<f64> {
    let precision = if name.split(' ').any(|word| word == "f16") { "f16" } else { "f32" };
    results.ms("bench", name, Column("wgrad", precision, how))
}

/// Training steps.
pub fn steps(page: &mut String, results: &Results) {
    let names = names(results, &["step"]);
    if names.is_empty() {
        return;
    }
    page.push_str(
        "
## Training steps

Medians. wgrad and PyTorch measured in turns, A B A B, on one batch that lies on the device as bytes. *In a row*: submitted one
after the other with one wait. Ratios are of f32 against f32, with TF32 off by both of PyTorch's switches.

| step | wgrad, each waited for | wgrad, in a row | PyTorch eager, each | eager, in a row | CUDA graph | wgrad / eager | wgrad / graph |
|---|---|---|---|---|---|---|---|
",
    );
    for name in &names {
        let of = |how| results.ms("bench", name, Column("pytorch", "f32", how));
        let (own, row) = (wgrad(results, name, EACH), wgrad(results, name, ROW));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            name.trim_start_matches("step "),
            time(own),
            time(row),
            time(of(EACH)),
            time(of(ROW)),
            time(of(GRAPH)),
            ratio(row, of(ROW)),
            ratio(row, of(GRAPH)),
        );
    }
    let faster = |precision| names.iter().any(|name| torch(results, name, precision).is_some());
    if faster("tf32") || faster("f16") {
        page.push_str("\nPyTorch's other precisions, for which wgrad has no equal yet, the better of eager and graph:\n\n| step | TF32 | autocast to f16 |\n|---|---|---|\n");
        for name in &names {
            let of = |precision| time(torch(results, name, precision));
            let _ =
                writeln!(page, "| {} | {} | {} |", name.trim_start_matches("step "), of("tf32"), of("f16"));
        }
    }
}

/// Limits, and what a launch costs.
pub fn launches(page: &mut String, results: &Results) {
    let names = names(results, &["limit", "launch"]);
    if names.is_empty() {
        return;
    }
    page.push_str("\n## Limits and launches\n\nA launch in a row of many, and one submitted and waited for alone.\n\n| what | wgrad, in a row | alone | PyTorch eager, in a row | CUDA graph | alone |\n|---|---|---|---|---|---|\n");
    for name in &names {
        let (_, flops, bytes) = results.work(name);
        let of = |how| results.ms("bench", name, Column("pytorch", "f32", how));
        let with_rate = |ms| rate(ms, flops, bytes);
        let _ = writeln!(
            page,
            "| {name} | {} | {} | {} | {} | {} |",
            with_rate(wgrad(results, name, ROW)),
            time(wgrad(results, name, EACH)),
            with_rate(of(ROW)),
            with_rate(of(GRAPH)),
            time(of(EACH)),
        );
    }
}

/// matmul and convolutions.
pub fn products(page: &mut String, results: &Results) {
    compared(
        page,
        results,
        "Products",
        &["matmul", "conv2d"],
        "`conv2d DIRECTION TYPE BATCH IN OUT SIZE`, 3 × 3 with padding 1, in FLOPs of direct sums. wgrad adds products of f16 up in f32, as PyTorch does.",
    );
}

/// All that is no product.
pub fn others(page: &mut String, results: &Results) {
    let words = ["batch_norm", "softmax", "sum", "relu", "gelu", "add", "add_row", "optimizer"];
    compared(
        page,
        results,
        "Norms, reductions, elementwise, optimizers",
        &words,
        "Rates are of the bytes that must be read and written.",
    );
}

fn compared(page: &mut String, results: &Results, title: &str, words: &[&str], note: &str) {
    let names = names(results, words);
    if names.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "\n## {title}\n\nIn a row. {note} PyTorch's is the better of eager and graph.\n\n| what | wgrad | PyTorch, same precision | wgrad / PyTorch | PyTorch, TF32 |\n|---|---|---|---|---|\n"
    );
    for name in &names {
        let (precision, flops, bytes) = results.work(name);
        let precision = if precision == "f16" { "f16" } else { "f32" };
        let (own, torch_same, tf32) =
            (wgrad(results, name, ROW), torch(results, name, precision), torch(results, name, "tf32"));
        let with_rate = |ms| rate(ms, flops, bytes);
        let _ = writeln!(
            page,
            "| {name} | {} | {} | {} | {} |",
            with_rate(own),
            with_rate(torch_same),
            ratio(own, torch_same),
            with_rate(tf32),
        );
    }
}

/// A row for BENCHMARKS.md.
pub fn benchmark(results: &Results, name: &str) -> String {
    let (precision, flops, bytes) = results.work(name);
    let precision = if precision == "f16" { "f16" } else { "f32" };
    let (own, other) = (wgrad(results, name, ROW), torch(results, name, precision));
    format!(
        "| {name} | {} | {} | {} |\n",
        rate(own, flops, bytes),
        rate(other, flops, bytes),
        ratio(own, other)
    )
}

/// From the start of the process.
pub fn first_step(page: &mut String, results: &Results) {
    let of = |model: &Value, who: &str, cache: &str| {
        let wanted = |r: &&Value| r["model"] == *model && r["who"] == who && r["cache"] == cache;
        time(results.part("first-step").find(wanted).and_then(|r| r["ms"].as_f64()))
    };
    let mut models: Vec<&Value> = results.part("first-step").filter_map(|r| r.get("model")).collect();
    models.dedup();
    if models.is_empty() {
        return;
    }
    page.push_str("\n## From the start of the process to the end of the first step\n\n| model | the driver's cache off | on, empty | on, full | PyTorch |\n|---|---|---|---|---|\n");
    for model in models {
        let [off, empty, full] = ["off", "empty", "full"].map(|cache| of(model, "wgrad", cache));
        let _ = writeln!(
            page,
            "| {} | {off} | {empty} | {full} | {} |",
            text(model),
            of(model, "pytorch", "full")
        );
    }
}

/// Folders of WGSL against what is built in.
pub fn variants(page: &mut String, results: &Results) {
    let all: Vec<&Value> = results.part("variants").filter(|r| r.get("folder").is_some()).collect();
    if all.is_empty() {
        return;
    }
    page.push_str("\n## Variants\n\nIn turns, in a row; each was held against the f64 reference first.\n\n| folder | what | built-in | variant | variant / built-in | largest error |\n|---|---|---|---|---|---|\n");
    let mut seen = BTreeSet::new();
    for result in all {
        let folder = text(&result["folder"]);
        if let Some(error) = result["error"].as_str() {
            let _ = writeln!(page, "| {folder} | {error} | | | | |");
            continue;
        }
        let name = text(&result["bench"]);
        if !seen.insert((folder.clone(), name.clone())) {
            continue;
        }
        let of = |who: &str| {
            let wanted = |r: &&Value| {
                r["folder"] == json!(folder)
                    && r["bench"] == json!(name)
                    && r["who"] == who
                    && r["how"] == ROW
            };
            let times = results.part("variants").filter(wanted).filter_map(|r| r["ms"].as_f64()).collect();
            super::figures::median(times)
        };
        let (builtin, variant) = (of("built-in"), of(&folder));
        let error =
            result["error_of_check"].as_f64().map_or_else(|| "–".to_owned(), |error| format!("{error:.1e}"));
        let _ = writeln!(
            page,
            "| {folder} | {name} | {} | {} | {} | {error} |",
            time(builtin),
            time(variant),
            ratio(variant, builtin)
        );
    }
}

/// What the driver's compiler made of each kernel.
pub fn kernels(page: &mut String, results: &Results) {
    let kernels: Vec<&Value> = results.part("kernels").filter(|r| r.get("kernel").is_some()).collect();
    let statistics: BTreeSet<&String> =
        kernels.iter().filter_map(|r| r["statistics"].as_object()).flat_map(|s| s.keys()).collect();
    if kernels.is_empty() {
        return;
    }
    let columns: Vec<&str> = statistics.iter().map(|name| name.as_str()).collect();
    let _ = write!(
        page,
        "\n## Kernels, by the driver's own words\n\n| kernel | launched by | {} |\n|---|---|{}\n",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
    for row in kernels {
        let work: Vec<String> = row["work"].as_array().into_iter().flatten().map(text).collect();
        let cells: Vec<String> = match row["error"].as_str() {
            Some(error) => vec![error.to_owned()],
            None => columns
                .iter()
                .map(|name| row["statistics"].get(*name).map_or_else(String::new, text))
                .collect(),
        };
        let _ = writeln!(page, "| {} | {} | {} |", text(&row["kernel"]), work.join(", "), cells.join(" | "));
    }
}

/// Where a step's time goes.
pub fn profile(page: &mut String, results: &Results) {
    let rows: Vec<&Value> = results.part("profile").filter(|r| r.get("model").is_some()).collect();
    if rows.is_empty() {
        return;
    }
    page.push_str("\n## Where a step's time goes\n\nBy timestamps, which count the draining of what ran before. The ten longest kernels of each model.\n");
    for whole in rows.iter().filter(|r| r.get("launches").is_some()) {
        let _ = write!(
            page,
            "\n{}: {} in {} launches.\n\n| kernel | calls | time | TFLOP/s | GB/s | of the nearer limit |\n|---|---|---|---|---|---|\n",
            text(&whole["model"]),
            time(whole["ms"].as_f64()),
            whole["launches"]
        );
        for row in rows.iter().filter(|r| r["model"] == whole["model"] && r.get("kernel").is_some()).take(10)
        {
            let number = |key: &str| row[key].as_f64();
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {:.0} | {:.0}% |",
                text(&row["kernel"]),
                row["calls"],
                time(number("ms")),
                number("gflop_per_s").map_or_else(|| "–".to_owned(), |g| format!("{:.2}", g / 1e3)),
                number("gb_per_s").unwrap_or_default(),
                100.0 * number("of_limit").unwrap_or_default(),
            );
        }
    }
}
