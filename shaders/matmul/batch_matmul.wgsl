// out[item] = A[item] B[item], a product of two matrices for each item: M x K by K x N
//
//   thread      one element of the output: the sum over k = first_term .. end_term, added to what an
//               earlier launch left in `out`; neighbouring threads read neighbouring columns of B
//               no shared memory, no barriers
struct Params {
    count: u32,
    rows: u32,
    columns: u32,
    terms: u32,
    // Steps in memory from one k to the next, of A also from one row, of B from one column.
    a_row: u32,
    a_term: u32,
    b_term: u32,
    b_column: u32,
    first_term: u32,
    end_term: u32,
    a_offset: u32,
    b_offset: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(THREADS)
fn batch_matmul(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = flat_index(id, n);
    if i >= params.count {
        return;
    }
    let column = i % params.columns;
    let row = i / params.columns % params.rows;
    let item = i / (params.columns * params.rows);
    let of_a = params.a_offset + item * params.rows * params.terms + row * params.a_row;
    let of_b = params.b_offset + item * params.terms * params.columns + column * params.b_column;
    var sum = 0.0;
    if params.first_term > 0u {
        sum = out[i];
    }
    for (var k = params.first_term; k < params.end_term; k++) {
        sum = fma(a[of_a + k * params.a_term], b[of_b + k * params.b_term], sum);
    }
    out[i] = sum;
}
