// A scan with four batch rows per workgroup (scan.wgsl): Rows holds one value per row, in
// registers.
const ROWS = 4u;
alias Rows = vec4<f32>;

// The rows' values at `tile[at..]`.
fn rows_at(at: u32) -> Rows {
    return vec4<f32>(tile[at], tile[at + 1u], tile[at + 2u], tile[at + 3u]);
}

fn row_of(values: Rows, r: u32) -> f32 {
    return values[r];
}
