// Rows to a workgroup of a scan.
const ROWS = 1u;
alias Rows = f32;

fn rows_at(at: u32) -> Rows {
    return tile[at];
}

fn row_of(values: Rows, r: u32) -> f32 {
    return values;
}
