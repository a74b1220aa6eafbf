// out[part, column] = sum of x[row, column] over the rows of the part
//
//   workgroup   COLUMNS columns of one part of the rows
//   thread      one column, rows in order; no shared memory, no barriers
//
// Launched once over parts of the rows and once more over the parts' sums: a fixed order on every
// device.
struct Params { rows: u32, columns: u32, rows_per_part: u32, x_offset: u32 }

@group(0) @binding(0) var<storage, read> x: array<Elem>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const COLUMNS = 64u;

@compute @workgroup_size(COLUMNS)
fn sum_part(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let column = id.x;
    if column >= params.columns {
        return;
    }
    let first = group.y * params.rows_per_part;
    let end = min(first + params.rows_per_part, params.rows);
    var sum = 0.0;
    for (var row = first; row < end; row++) {
        sum += f32(x[params.x_offset + row * params.columns + column]);
    }
    out[group.y * params.columns + column] = sum;
}
