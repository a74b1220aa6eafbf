// Rows to a workgroup of a scan.
const ROWS = 4u;
alias Rows = vec4<f32>;

fn rows_at(at: u32) -> Rows {
    return vec4<f32>(tile[at], tile[at + 1u], tile[at + 2u], tile[at + 3u]);
}

fn row_of(values: Rows, r: u32) -> f32 {
    return values[r];
}
