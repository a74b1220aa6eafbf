//! What a run came to: a table for the terminal, and `report.html`, one file that needs no
//! network, no script and no other file of the run.

mod chart;
mod classification;
mod comparison;
mod film;
mod measure;
mod page;
mod run;
mod step;

pub use classification::{ClassificationReport, Scores, THRESHOLD};
pub use comparison::comparison;
pub use measure::{Classes, Measured, OpTime, describe, measure, time_step};
pub(crate) use run::flatten;
pub use run::write;
