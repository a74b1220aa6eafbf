//! The arguments for the columns of a table.

use rnn_run::arrays::ColumnChoice;

/// The arguments that choose the columns of a `.csv` that are labels and features.
#[derive(clap::Args)]
pub struct ColumnArgs {
    /// The column of a .csv file that holds the labels, by its name in the first line, or by its
    /// number from 0 on if that line has no names; several for an output of several numbers
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "data")]
    pub target: Vec<String>,
    /// The columns of a .csv file that the model takes as inputs [default: all others]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "target")]
    pub features: Vec<String>,
}

impl ColumnArgs {
    /// Returns the columns that the arguments name.
    pub fn choice(self) -> ColumnChoice {
        ColumnChoice { target: self.target, features: self.features }
    }
}
