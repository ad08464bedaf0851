//! The report's page. Pages of made-up runs go into `WGRAD_REPORTS`, where `ci/report` opens them in a browser.

use wgrad_train::metrics::ConfusionMatrix;
use wgrad_train::report::{Mark, Plot, Report, Sample, Series, Surface};
use wgrad_train::{EpochRecord, Picture};

use crate::runs::{images, picture, plane};

#[test]
fn pages_hold_what_was_given() {
    let temporary = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("WGRAD_REPORTS").map(std::path::PathBuf::from);
    let folder = asked.unwrap_or_else(|| temporary.path().to_owned());
    for (name, report) in [("images", images()), ("plane", plane()), ("empty", Report::default())] {
        let page = report.html().unwrap();
        report.write(&folder.join(format!("{name}.html"))).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join(format!("{name}.html"))).unwrap(), page);
        // Nothing is loaded or run.
        for outside in ["http:", "https:", "<script", "<link", "url(", "@import"] {
            assert!(!page.contains(outside), "{name} has {outside}");
        }
    }
    let page = images().html().unwrap();
    for part in [
        "true class",
        "predicted class",
        "Learning rate",
        "Loss of each step",
        "validation",
        "Most wrong",
        "What the model looks at",
        "Filters of the first layer",
        "batch_size = 128",
        "ROC AUC",
        "not airplane",
        "undefined",
        "74.1% in epoch 17",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf "), "a coordinate that is no number");
    assert!(!page.contains("Black is"));
    let scaled = Report { range: Some([-1.234_56e-5, 1_234_567.0]), ..images() }.html().unwrap();
    assert_eq!(scaled.matches(" Black is -0.00001235, white 1235000.</p>").count(), 2);
    let page = plane().html().unwrap();
    for part in [
        "Decision surface",
        "width (cm)",
        "predicted price (kEUR)",
        "actual price (kEUR)",
        "Fitted line",
        "area (m²)",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }
}

#[test]
fn texts_are_no_markup() {
    let evil = "</style><script>alert(1)</script><img src=x onerror='alert(1)'>\"";
    let text = || evil.to_owned();
    let sample = Sample { picture: picture(0, 4), label: text(), guess: text(), probability: f64::NAN };
    let surface = Surface {
        x: text(),
        y: text(),
        x_range: [0.0, 1.0],
        y_range: [0.0, 1.0],
        values: vec![0.0, 1.0, f32::NAN, 0.5],
        columns: 2,
        points: vec![([0.5, 0.5], 1)],
        classes: vec![text(), text()],
    };
    let points = vec![[0.0, 1.0], [1.0, f64::INFINITY], [2.0, 3.0]];
    let series = |mark| Series { name: text(), points: points.clone(), mark };
    let report = Report {
        title: text(),
        facts: vec![(text(), text())],
        texts: vec![(text(), text())],
        epochs: vec![EpochRecord {
            epoch: 1,
            step: 1,
            figures: vec![(text(), 1.0), (format!("val_{evil}"), 2.0)],
            ..Default::default()
        }],
        plots: vec![Plot {
            title: text(),
            x: text(),
            y: text(),
            series: [Mark::Line, Mark::Faint, Mark::Points, Mark::Guide].map(series).to_vec(),
        }],
        confusion: Some(ConfusionMatrix::new(2, vec![1, 2, 3, 4]).unwrap()),
        classes: vec![text()],
        wrong: vec![sample.clone()],
        saliency: vec![(sample, picture(1, 4))],
        surface: Some(surface),
        target: text(),
        predictions: points.clone(),
        ..Report::default()
    };
    let page = report.html().unwrap();
    assert_eq!(page.matches("</style>").count(), 1);
    for markup in ["<script", "<img src=x", "onerror='"] {
        assert!(!page.contains(markup), "{markup} was taken over");
    }
    assert!(page.matches("&lt;script&gt;alert(1)").count() > 20);
}

#[test]
fn undefined_values_leave_gaps() {
    let points = vec![[1.0, 1.0], [2.0, 2.0], [3.0, f64::NAN], [4.0, 1.0], [5.0, 2.0]];
    let series = vec![Series { name: "a".to_owned(), points, mark: Mark::Line }];
    let plot = Plot { title: "t".to_owned(), x: "x".to_owned(), y: "y".to_owned(), series };
    let page = Report { plots: vec![plot.clone()], ..Report::default() }.html().unwrap();
    let path = page.split("class=\"line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 2), "{path}");
    // Without any value there is no chart.
    let series = vec![Series { name: "a".to_owned(), points: vec![[1.0, f64::NAN]], mark: Mark::Line }];
    let page = Report { plots: vec![Plot { series, ..plot }], ..Report::default() }.html().unwrap();
    assert!(!page.contains("<svg"));
}

#[test]
fn what_makes_no_picture_is_said() {
    let surface = Surface {
        values: vec![0.0; 5],
        columns: 2,
        x_range: [0.0, 1.0],
        y_range: [0.0, 1.0],
        ..Surface::default()
    };
    let error = Report { surface: Some(surface), ..Report::default() }.html().unwrap_err().to_string();
    assert!(error.contains("5 values in rows of 2"), "{error}");
    for wrong in [(0, 1, 1, 0), (2, 2, 1, 3), (2, 2, 4, 16), (usize::MAX, 2, 3, 6)] {
        let (width, height, channels, bytes) = wrong;
        assert!(Picture::new(width, height, channels, vec![0; bytes]).is_err(), "{wrong:?}");
    }
    assert!(Picture::from_planes([1, 2, 2], &[0.0; 3], 0.0, 1.0).is_err());
    assert!(Picture::signed([1, 0, 2], &[],).is_err());
    // Values beyond the range, and none.
    let picture = Picture::from_planes([1, 1, 4], &[-1.0, 0.5, 2.0, f32::NAN], 0.0, 1.0).unwrap();
    assert_eq!(picture.pixels(), [0, 128, 255, 0]);
    let picture = Picture::from_planes([2, 1, 1], &[0.0, 1.0], 0.0, 1.0).unwrap();
    assert_eq!((picture.channels(), picture.pixels()), (1, &[128][..]));
    let picture = Picture::signed([2, 1, 2], &[1.0, -1.0, 1.0, 0.0]).unwrap();
    assert_eq!(picture.pixels(), [178, 24, 43, 144, 179, 214]);
}
