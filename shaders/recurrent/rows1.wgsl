// A scan with one batch row per workgroup (scan.wgsl): Rows holds one value per row, in a register.
const ROWS = 1u;
alias Rows = f32;

// The rows' values at `tile[at..]`.
fn rows_at(at: u32) -> Rows {
    return tile[at];
}

fn row_of(values: Rows, r: u32) -> f32 {
    return values;
}
