//! Pictures of training runs and of measured times, as PNG files.

pub(crate) mod axis;
mod bars;
mod canvas;
mod curves;
mod errors;
mod font;
mod forecast;
pub(crate) mod histogram;
mod lines;
mod output;
mod style;
mod video;

pub use bars::{Bars, bars};
pub use curves::{Series, curves};
pub use errors::error_curves;
pub use forecast::forecast;
pub use histogram::probability_histogram;
pub use lines::{LinePanel, lines};
pub use video::{Video, draw_video};

use plotters::style::RGBColor;

// The Okabe-Ito palette, which colour-blind readers can tell apart.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILLION: RGBColor = RGBColor(213, 94, 0);
const PALETTE: [RGBColor; 8] = [
    BLUE,
    VERMILLION,
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(240, 228, 66),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use rnn::nn::Metrics;

    #[test]
    fn pictures_are_written_whole_and_without_leftovers() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let epoch = Metrics { loss: 0.6, accuracy: 0.7, ..Metrics::default() };
        let diverged = Metrics { loss: f64::NAN, ..epoch };
        let run = [("train", epoch), ("validation", diverged)]
            .map(|(name, epoch)| Series { name: name.into(), epochs: vec![epoch] });
        curves(&folder.path().join("curves.png"), "One epoch", ("loss", true), &run)?;
        curves(&folder.path().join("curves.png"), "None", ("loss", false), &[])?;
        let (few, none) = (
            rnn_run::measure::Histogram::new(&[(0.2, true)]),
            rnn_run::measure::Histogram::default(),
        );
        let path = folder.path().join("histogram.png");
        probability_histogram(&path, "Few", "examples", [("Train", &few), ("Test", &none)])?;

        let mut names = Vec::new();
        for entry in fs::read_dir(folder.path())? {
            let entry = entry?;
            let picture = image::load_from_memory(&fs::read(entry.path())?)?;
            assert_eq!((picture.width(), picture.height()), (2400, 960));
            names.push(entry.file_name());
        }
        names.sort();
        assert_eq!(names, ["curves.png", "histogram.png"]);
        Ok(())
    }

    /// A curve takes the room of its panel, however many names stand above it.
    #[test]
    fn a_legend_grows_with_its_names() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let epoch = Metrics { loss: 0.6, accuracy: 0.7, ..Metrics::default() };
        let heights = [1, 4, 12, 40].map(|count| -> anyhow::Result<u32> {
            let path = folder.path().join("curves.png");
            let name = |i| format!("run {i} of a series with a name that says all of its settings");
            let series = |i| Series { name: name(i), epochs: vec![epoch; 3] };
            let series: Vec<Series> = (0..count).map(series).collect();
            curves(&path, "Many", ("binary cross-entropy", true), &series)?;
            let picture = image::load_from_memory(&fs::read(path)?)?.into_rgb8();
            assert_eq!(picture.width(), 2400);
            // Nothing is cut off at the sides.
            let white =
                |x: u32| (0..picture.height()).all(|y| picture.get_pixel(x, y).0 == [255; 3]);
            assert!([0, 1, 2398, 2399].into_iter().all(white), "{count} names reach the edge");
            Ok(picture.height())
        });
        let heights = heights.into_iter().collect::<anyhow::Result<Vec<u32>>>()?;
        assert!(heights.is_sorted() && heights[0] == 960 && heights[3] > heights[2], "{heights:?}");
        Ok(())
    }

    #[test]
    fn errors_name_the_picture() {
        let path = Path::new("no such folder").join("curves.png");
        let error = curves(&path, "", ("loss", true), &[]).expect_err("the folder is missing");
        assert!(error.to_string().contains("curves.png"), "{error}");
    }
}
