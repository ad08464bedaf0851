//! Plots as SVG: panels side by side, each with lines over one axis.

use std::path::Path;

use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

/// One line of a panel.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// How a panel's axes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Both evenly.
    Linear,
    /// Both by factors.
    Log,
}

/// One set of axes.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Above it.
    pub title: String,
    /// Below it.
    pub x: String,
    /// Beside it.
    pub y: String,
    /// Of both axes.
    pub scale: Scale,
    /// The lines.
    pub series: Vec<Series>,
}

/// Why a plot could not be drawn.
pub type Error = Box<dyn std::error::Error>;

const PANEL: (u32, u32) = (520, 380);

/// Colours that stay apart for people who see red and green alike.
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 86, 86),
];

/// Draws the panels from left to right.
///
/// # Errors
/// A panel without points, or a file that cannot be written.
pub fn draw(path: &Path, panels: &[Panel]) -> Result<(), Error> {
    let root = SVGBackend::new(path, (PANEL.0 * panels.len() as u32, PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((1, panels.len())).iter().zip(panels) {
        let (x, y) = (range(panel, |point| point.0)?, range(panel, |point| point.1)?);
        let mut chart = ChartBuilder::on(area);
        chart.caption(&panel.title, ("sans-serif", 17)).margin(12);
        chart.x_label_area_size(42).y_label_area_size(62);
        match panel.scale {
            Scale::Linear => lines(chart.build_cartesian_2d(x.0..x.1, padded(y))?, panel)?,
            Scale::Log => {
                let axis = |(low, high): (f64, f64)| (low / 1.3..high * 1.3).log_scale();
                lines(chart.build_cartesian_2d(axis(x), axis(y))?, panel)?;
            }
        }
    }
    root.present()?;
    Ok(())
}

fn range(panel: &Panel, of: impl Fn(&(f64, f64)) -> f64) -> Result<(f64, f64), Error> {
    let values = || panel.series.iter().flat_map(|series| &series.points).map(&of);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if low.is_finite() && high.is_finite() {
        Ok((low, if high > low { high } else { low + 1.0 }))
    } else {
        Err(format!("nothing to plot for {:?}", panel.title).into())
    }
}

/// A little room above and below.
fn padded((low, high): (f64, f64)) -> std::ops::Range<f64> {
    let room = 0.05 * (high - low);
    low - room..high + room
}

fn lines<'a, X, Y>(
    mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    panel: &Panel,
) -> Result<(), Error>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(&panel.x)
        .y_desc(&panel.y)
        .x_label_formatter(&|x| if panel.scale == Scale::Log { factor(*x) } else { whole(*x) })
        .y_label_formatter(&|y| if panel.scale == Scale::Log { factor(*y) } else { number(*y) })
        .label_style(("sans-serif", 13))
        .draw()?;
    for (series, color) in panel.series.iter().zip(COLORS.iter().cycle()) {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(series.points.iter().copied(), style))?
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        let dots = series.points.iter().map(|&point| Circle::new(point, 3, color.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 13))
        .position(if panel.scale == Scale::Log {
            SeriesLabelPosition::UpperLeft
        } else {
            SeriesLabelPosition::MiddleRight
        })
        .draw()?;
    Ok(())
}

/// Only 1, 2 and 5 of each decade: the rest would overlap.
fn factor(value: f64) -> String {
    let mantissa = value / 10f64.powf(value.log10().floor());
    let shown = [1.0, 2.0, 5.0, 10.0].iter().any(|wanted| (mantissa - wanted).abs() < 1e-3);
    if shown { number(value) } else { String::new() }
}

/// Epochs are whole.
fn whole(value: f64) -> String {
    if value.fract().abs() < 1e-9 { number(value) } else { String::new() }
}

/// As few digits as tell ticks apart.
fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}
