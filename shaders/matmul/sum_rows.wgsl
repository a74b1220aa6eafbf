// out[part, column] = the sum of x over the rows of that part. Run once to sum parts of the
// rows and once more to sum the parts: a fixed order, whatever the device. A workgroup has 64 columns
// of one part, a thread one column.
struct Params { rows: u32, columns: u32, rows_per_part: u32, x_offset: u32 }

@group(0) @binding(0) var<storage, read> x: array<Elem>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
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
