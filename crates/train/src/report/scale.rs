//! Axes: where values lie, and which of them are written beside.

/// An axis from its lowest to its highest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Scale {
    /// Holds all finite values of `values`; 0 to 1 where there are none. Where they are positive and span more than two orders
    /// of magnitude, and `may_be_log`, the axis is logarithmic.
    pub(super) fn over(values: impl Iterator<Item = f64>, may_be_log: bool) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let range = finite.fold(None, |range: Option<(f64, f64)>, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = range.unwrap_or((0.0, 1.0));
        if may_be_log && low > 0.0 && high / low > 100.0 {
            return Self { low, high, is_log: true };
        }
        if high > low {
            return Self { low, high, is_log: false };
        }
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        Self { low: low - room, high: high + room, is_log: false }
    }

    /// With so much room at both ends, as a share of the axis; on a linear axis that has no negative values not below 0.
    pub(super) fn padded(self, share: f64) -> Self {
        if self.is_log {
            let factor = (self.high / self.low).powf(share);
            return Self { low: self.low / factor, high: self.high * factor, is_log: true };
        }
        let room = (self.high - self.low) * share;
        let low = if self.low >= 0.0 { (self.low - room).max(0.0) } else { self.low - room };
        Self { low, high: self.high + room, is_log: false }
    }

    pub(super) fn is_log(self) -> bool {
        self.is_log
    }

    /// Where a value lies between the ends, 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        if self.is_log {
            return (value / self.low).ln() / (self.high / self.low).ln();
        }
        (value - self.low) / (self.high - self.low)
    }

    /// Some three to seven values on the axis, with the words for them; whole ones where `is_whole`.
    pub(super) fn ticks(self, is_whole: bool) -> Vec<(f64, String)> {
        if self.is_log {
            return self.decades();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough).max(if is_whole { 1.0 } else { f64::MIN_POSITIVE });
        let first = (self.low / step - 1e-9).ceil();
        let count = ((self.high / step + 1e-9).floor() - first).clamp(0.0, 20.0) as usize;
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        (0..=count)
            .map(|i| {
                // -0 would be written with its sign.
                let value = (first + i as f64) * step + 0.0;
                (value, tick(value, decimals))
            })
            .collect()
    }

    fn decades(self) -> Vec<(f64, String)> {
        let between = |value: &f64| *value >= self.low * 0.999 && *value <= self.high * 1.001;
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades < 3.0 { &[1.0, 3.0] } else { &[1.0] };
        let every = (decades / 6.0).ceil().max(1.0) as usize;
        let exponents = (self.low.log10().floor() as i32..=self.high.log10().ceil() as i32).step_by(every);
        let values = exponents.flat_map(|exponent| steps.iter().map(move |n| n * 10_f64.powi(exponent)));
        values.filter(between).map(|value| (value, short(value))).collect()
    }
}

/// A figure without zeros at its end.
fn short(value: f64) -> String {
    let text = figure(value);
    if !text.contains('.') || text.contains('e') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn tick(value: f64, decimals: usize) -> String {
    let size = value.abs();
    if size >= 10_000.0 {
        let (unit, sign) = if size >= 1e6 { (1e6, "M") } else { (1e3, "k") };
        let text = format!("{:.2}", value / unit);
        return format!("{}{sign}", text.trim_end_matches('0').trim_end_matches('.'));
    }
    if size > 0.0 && size < 1e-3 {
        return figure(value);
    }
    format!("{value:.decimals$}")
}

/// A number with four digits, or three and an exponent where it is very large or small.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "undefined".to_owned()
    } else if value.fract() == 0.0 && size < 1e6 {
        format!("{value:.0}")
    } else if !value.is_finite() || (1e-3..1e6).contains(&size) {
        let digits = 3 - (size.log10().floor() as i32).clamp(-3, 3);
        format!("{value:.0$}", digits as usize)
    } else {
        let text = format!("{value:.2e}");
        let (number, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let number =
            if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
        format!("{number}e{exponent}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scale: Scale, is_whole: bool) -> Vec<String> {
        scale.ticks(is_whole).into_iter().map(|(_, words)| words).collect()
    }

    #[test]
    fn ticks_are_round_and_within() {
        let over = |values: &[f64], log| Scale::over(values.iter().copied(), log);
        assert_eq!(words(over(&[0.0, 1.0], false), false), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(words(over(&[1.0, 3.0], false), true), ["1", "2", "3"]);
        assert_eq!(words(over(&[0.0, 23_450.0], false), true), ["0", "5000", "10k", "15k", "20k"]);
        assert_eq!(words(over(&[-1.0, 1.0], false), false), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(words(over(&[0.001, 10.0], true), false), ["0.001", "0.01", "0.1", "1", "10"]);
        // One value, or none, has an axis too.
        assert!(words(over(&[3.0], false), false).contains(&"3.0".to_owned()));
        assert!(!words(over(&[f64::NAN, f64::INFINITY], false), false).is_empty());
        assert!(!words(over(&[1e300, -1e300], false), false).is_empty());
    }

    #[test]
    fn figures() {
        for (value, words) in [
            (0.0, "0"),
            (12.0, "12"),
            (0.98765, "0.9877"),
            (12.3456, "12.35"),
            (1234.56, "1235"),
            (1.5e-5, "1.5e-5"),
            (2e9, "2e9"),
            (f64::NAN, "undefined"),
            (f64::INFINITY, "inf"),
            (-0.5, "-0.5000"),
        ] {
            assert_eq!(figure(value), words);
        }
    }
}
