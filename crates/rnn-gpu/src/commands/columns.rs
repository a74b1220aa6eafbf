//! Which columns of a table are asked for.

use rnn_run::arrays::ColumnChoice;

/// The arguments that choose columns of a table.
#[derive(clap::Args)]
pub struct ColumnArgs {
    /// Of a .csv file the column that holds the labels, by the name in its first line, or by its
    /// number from 0 on where that line has none; several for an output of several numbers
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "data")]
    pub target: Vec<String>,
    /// The columns that the model is fed [default: all others]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "target")]
    pub features: Vec<String>,
}

impl ColumnArgs {
    /// Returns the choice of columns that the arguments make.
    pub fn choice(self) -> ColumnChoice {
        ColumnChoice { target: self.target, features: self.features }
    }
}
