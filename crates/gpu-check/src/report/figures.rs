//! Finding figures among results.

use serde_json::{Value, json};

/// Who measured, in which precision, and how.
#[derive(Clone, Copy)]
pub struct Column(pub &'static str, pub &'static str, pub &'static str);

/// The results of a run, in their order.
pub struct Results(pub Vec<Value>);

impl Results {
    /// Those of a part.
    pub fn part<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |result| result["part"] == json!(part))
    }

    /// What the first result of `part` that has it says of `key`.
    pub fn find(&self, part: &str, key: &str) -> Option<&Value> {
        self.0.iter().filter(|result| result["part"] == json!(part)).find_map(|result| result.get(key))
    }

    /// The names measured, each once, in their order.
    pub fn names(&self, part: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for result in self.part(part).filter(|result| result.get("ms").is_some()) {
            if let Some(name) = result["bench"].as_str()
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The median milliseconds of a name over all rounds.
    pub fn ms(&self, part: &str, name: &str, Column(who, precision, how): Column) -> Option<f64> {
        let wanted = |r: &&Value| {
            r["bench"] == name && r["who"] == who && r["precision"] == precision && r["how"] == how
        };
        median(self.part(part).filter(wanted).filter_map(|r| r["ms"].as_f64()).collect())
    }

    /// What wgrad says of a name: its precision, and the FLOPs and bytes of a run.
    pub fn work(&self, name: &str) -> (String, f64, f64) {
        let of_wgrad = |r: &&Value| r["bench"] == name && r["who"] == "wgrad" && r.get("flops").is_some();
        let result = self.part("bench").find(of_wgrad);
        let number = |key: &str| result.and_then(|r| r[key].as_f64()).unwrap_or_default();
        let precision = result.and_then(|r| r["precision"].as_str()).unwrap_or("f32").to_owned();
        (precision, number("flops"), number("bytes"))
    }
}

/// The middle value; of an even number of values the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => values.get(half).copied(),
        _ => Some((values[half - 1] + values[half]) / 2.0),
    }
}

/// The smaller of what is there.
pub fn least(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    values.into_iter().flatten().reduce(f64::min)
}

/// Milliseconds, or microseconds where they are few.
pub fn time(ms: Option<f64>) -> String {
    match ms {
        None => "–".to_owned(),
        Some(ms) if ms < 0.1 => format!("{:.1} µs", 1e3 * ms),
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) => format!("{ms:.1} ms"),
    }
}

/// A time with its rate, where its work is known.
pub fn rate(ms: Option<f64>, flops: f64, bytes: f64) -> String {
    let Some(some) = ms else { return time(ms) };
    match () {
        () if flops > 1e6 && flops > bytes => format!("{} ({:.2} TFLOP/s)", time(ms), flops / some / 1e9),
        () if bytes > 1e6 => format!("{} ({:.0} GB/s)", time(ms), bytes / some / 1e6),
        () => time(ms),
    }
}

/// One time over another.
pub fn ratio(a: Option<f64>, b: Option<f64>) -> String {
    a.zip(b).map_or_else(|| "–".to_owned(), |(a, b)| format!("{:.2}", a / b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_rates() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(rate(Some(2.0), 4e12, 0.0), "2.00 ms (2000.00 TFLOP/s)");
        assert_eq!(rate(Some(0.05), 0.0, 1e8), "50.0 µs (2000 GB/s)");
        assert_eq!((rate(None, 1.0, 1.0).as_str(), ratio(Some(3.0), Some(2.0)).as_str()), ("–", "1.50"));
    }
}
