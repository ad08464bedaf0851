//! [`Plot`]: lines and points over two axes, as SVG.

use std::fmt::Write as _;

use super::html::escaped;
use super::scale::{Scale, figure};

/// How a [`Series`] is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// A line from point to point. A point that is no number leaves a gap.
    #[default]
    Line,
    /// A thin, pale line, in the colour of the series after it.
    Faint,
    /// Points alone.
    Points,
    /// A dashed line to compare with.
    Guide,
}

/// Points of one colour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What it shows.
    pub name: String,
    /// Of each point x and y. What is NaN or infinite is not drawn.
    pub points: Vec<[f64; 2]>,
    /// How it is drawn.
    pub mark: Mark,
}

/// A chart of lines and points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What the horizontal axis is, with its unit.
    pub x: String,
    /// What the vertical axis is, with its unit.
    pub y: String,
    /// What is drawn, the first beneath the others.
    pub series: Vec<Series>,
}

/// Of the whole drawing, and where the axes lie in it.
const SIZE: [f64; 2] = [440.0, 290.0];
const LEFT: f64 = 74.0;
const RIGHT: f64 = 428.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 240.0;

/// The most points that a series draws, more than the pixels of a wide screen.
const MOST_POINTS: usize = 2000;

/// Both axes of a plot.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub x: Scale,
    pub y: Scale,
}

impl Frame {
    pub(super) fn place(self, [x, y]: [f64; 2]) -> [f64; 2] {
        [LEFT + self.x.place(x) * (RIGHT - LEFT), BOTTOM - self.y.place(y) * (BOTTOM - TOP)]
    }

    /// The drawing: axes, then `content`.
    pub(super) fn svg(self, [x, y]: [&str; 2], is_whole: bool, words: &str, content: &str) -> String {
        let [width, height] = SIZE;
        let mut out = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escaped(words)
        );
        for (value, words) in self.y.ticks(false) {
            let at = self.place([0.0, value])[1];
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
                LEFT - 6.0,
                at + 4.5
            );
        }
        for (value, words) in self.x.ticks(is_whole) {
            let at = LEFT + self.x.place(value) * (RIGHT - LEFT);
            let (end, below) = (BOTTOM + 4.0, BOTTOM + 19.0);
            let _ = writeln!(
                out,
                "<line class=\"axis\" x1=\"{at:.1}\" y1=\"{BOTTOM}\" x2=\"{at:.1}\" y2=\"{end}\"/>\
                 <text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{words}</text>"
            );
        }
        let (middle, across) = ((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0);
        let log = if self.y.is_log() { " (log scale)" } else { "" };
        let _ = writeln!(
            out,
            "{content}<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\n\
             <text class=\"name\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"name\" transform=\"translate(12 {across}) rotate(-90)\" text-anchor=\"middle\">{}{log}</text>\n</svg>",
            height - 10.0,
            escaped(x),
            escaped(y),
        );
        out
    }
}

fn is_drawn(point: &[f64; 2]) -> bool {
    point.iter().all(|value| value.is_finite())
}

impl Plot {
    /// The figure: title, legend and drawing; nothing where no point can be drawn.
    pub(super) fn html(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points).filter(|point| is_drawn(point));
        if points().next().is_none() {
            return String::new();
        }
        let are_points = self.series.iter().any(|series| series.mark == Mark::Points);
        // Also where there is no y, so that charts of the same steps have the same axis.
        let x =
            Scale::over(self.series.iter().flat_map(|series| &series.points).map(|point| point[0]), false);
        let y = Scale::over(points().map(|point| point[1]), !are_points).padded(0.05);
        let frame = Frame { x: if are_points { x.padded(0.03) } else { x }, y };
        // Steps and epochs are counted.
        let is_whole = !are_points && points().all(|point| point[0].fract() == 0.0);
        let (mut content, mut legend) = (String::new(), String::new());
        let mut color = 0;
        for series in &self.series {
            content.push_str(&series.svg(frame, color));
            if series.mark != Mark::Faint {
                let fill = if series.mark == Mark::Guide { "guide".to_owned() } else { color.to_string() };
                let said = series.last_value();
                let _ = write!(
                    legend,
                    "<li><i class=\"f{fill}\"></i><b>{}</b>{said}</li>",
                    escaped(&series.name)
                );
            }
            color = (color + usize::from(![Mark::Faint, Mark::Guide].contains(&series.mark))) % 6;
        }
        let words = format!("{}: {} over {}", self.title, self.y, self.x);
        let svg = frame.svg([&self.x, &self.y], is_whole, &words, &content);
        let title = escaped(&self.title);
        format!("<figure>\n<h3>{title}</h3>\n<ul class=\"legend\">{legend}</ul>\n{svg}</figure>\n")
    }
}

impl Series {
    /// The last value of a line, as words for the legend.
    fn last_value(&self) -> String {
        match (self.mark, self.points.last()) {
            (Mark::Line, Some([_, last])) => format!(" &nbsp;last {}", figure(*last)),
            _ => String::new(),
        }
    }

    fn svg(&self, frame: Frame, color: usize) -> String {
        let points = thinned(&self.points);
        let mut out = String::new();
        if self.mark == Mark::Points {
            for point in points.iter().filter(|point| is_drawn(point)) {
                let [x, y] = frame.place(*point);
                let _ = write!(
                    out,
                    "<circle class=\"f{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" opacity=\"0.6\"/>"
                );
            }
            out.push('\n');
            return out;
        }
        let class = match self.mark {
            Mark::Guide => "guide".to_owned(),
            Mark::Faint => format!("line faint c{color}"),
            _ => format!("line c{color}"),
        };
        let (mut path, mut dots) = (String::new(), String::new());
        for run in points.split(|point| !is_drawn(point)).filter(|run| !run.is_empty()) {
            for (i, point) in run.iter().enumerate() {
                let [x, y] = frame.place(*point);
                let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
                // A point between gaps has no line.
                if run.len() == 1 || (self.mark == Mark::Line && points.len() <= 30) {
                    let _ = write!(
                        dots,
                        "<circle class=\"f{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{}: {} at {}</title></circle>",
                        escaped(&self.name),
                        figure(point[1]),
                        figure(point[0])
                    );
                }
            }
        }
        let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\"/>{dots}");
        out
    }
}

/// At most [`MOST_POINTS`], each the mean of as many neighbours; one that is no number makes its mean none.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |run: &[[f64; 2]]| {
        [0, 1].map(|axis| run.iter().map(|point| point[axis]).sum::<f64>() / run.len() as f64)
    };
    points.chunks(every).map(mean).collect()
}
