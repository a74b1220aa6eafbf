// The products with U of one time step, as a tiled matrix product with slices of K:
//
//   multiply        h(t-1) U        rows of the batch by columns (gate, unit)
//   multiply_back   dz(t+1) U^T     rows of the batch by units, one gate after another
//
//                64 columns: 16 units of gate 0 | of gate 1 | of gate 2 | of gate 3
//              +-------------------------------------------------------------------+
//   ROWS rows  |  thread (ty, tx): rows ty + n ROW_THREADS, unit tx of each gate    |
//              +-------------------------------------------------------------------+
//
//   workgroup   one tile of ROWS rows by 64 columns; 16 threads across, ROW_THREADS down
//   thread      a block of 4 x 4 sums in registers: rows ROW_THREADS apart; forward the four gates of
//               one unit, of which a tile has 16, or units 16 apart for a cell of one gate; backward
//               units 16 apart
//   shared      seen_tile     a slice of what rows see: h (a copy for each gate with dropout), or
//                             the gradients of a later step's pre-activations
//               weight_tile   the same slice of U
//   barriers    one when a slice is loaded, one when it is used up
//
// A row of a convolutional cell sees the pixels around it through windows, so that K runs over taps
// and units; a dense cell has one tap. Whatever ROW_THREADS is, one thread sums an element, in one
// order: the bits are the same.
override ROW_THREADS: u32 = 16u;
override THREADS: u32 = 16u * ROW_THREADS;
override ROWS: u32 = 4u * ROW_THREADS;
// One more than needed keeps threads of a subgroup on different memory banks.
override ROW_PITCH: u32 = ROWS + 1u;
override FIRST_GATE: u32 = 0u;
override GATE_COUNT: u32 = GATES;
// Copies of h: one, or with dropout one for each of four gates.
override HIDDEN_COPIES: u32 = 1u;
// Terms per slice.
override DEPTH: u32 = 16u;
override SEEN: u32 = HIDDEN_COPIES * DEPTH * ROW_PITCH;
// U is stored transposed; for multiply_back only.
override TRANSPOSED: bool = false;

const COLUMNS = 64u;
const SLICE = 16u;
const PITCH = COLUMNS + 1u;

@group(0) @binding(1) var<storage, read> recurrent: array<Elem>;

var<workgroup> seen_tile: array<f32, SEEN>;
var<workgroup> weight_tile: array<f32, SLICE * PITCH>;

fn rows() -> u32 {
    return params.items * SOURCE_D * SOURCE_H * SOURCE_W;
}

fn item_of(row: u32) -> u32 {
    return row / (SOURCE_D * SOURCE_H * SOURCE_W);
}

fn taps() -> u32 {
    return SIZE_D * SIZE_H * SIZE_W;
}

fn first_row(group: vec3<u32>) -> u32 {
    return (params.first_tile + group.y) * ROWS;
}

// The first row and the first unit of a tile.
fn corner(group: vec3<u32>) -> vec2<u32> {
    return vec2<u32>(first_row(group), group.x * select(16u, COLUMNS, GATE_COUNT == 1u));
}

// Gate and unit of one of the tile's 64 columns.
fn column_of(column: u32, unit0: u32) -> vec2<u32> {
    if GATE_COUNT == 1u {
        return vec2<u32>(FIRST_GATE, unit0 + column);
    }
    return vec2<u32>(FIRST_GATE + column / 16u, unit0 + column % 16u);
}

// Sums of h U: rows ROW_THREADS apart by the four columns of a thread.
fn multiply(first: vec2<u32>, thread: u32) -> mat4x4<f32> {
    let tx = thread % 16u;
    let ty = thread / 16u;
    let terms = taps() * HIDDEN;
    // Thread i loads column i % DEPTH of rows i / DEPTH + n * THREADS / DEPTH. `items` and `starts`
    // hold each row's window origin: two arrays, as HLSL takes no array of structs here.
    var items: array<u32, 4>;
    var starts: array<vec3<i32>, 4>;
    for (var i = 0u; i < DEPTH / 4u; i++) {
        let row = first.x + thread / DEPTH + i * (THREADS / DEPTH);
        let place = place_of(row, params.items, target_extents());
        items[i] = place.item;
        starts[i] = window_start(place.at);
    }
    var sums: mat4x4<f32>;
    for (var k0 = 0u; k0 < terms; k0 += DEPTH) {
        let own = thread % DEPTH;
        let k = k0 + own;
        for (var i = 0u; i < DEPTH / 4u; i++) {
            let row = thread / DEPTH + i * (THREADS / DEPTH);
            var source = NO_PIXEL;
            if first.x + row < rows() && k < terms {
                source = source_seen(Place(items[i], starts[i]), k / HIDDEN, params.items);
            }
            for (var copy = 0u; copy < HIDDEN_COPIES; copy++) {
                var h = 0.0;
                if source != NO_PIXEL && copy < GATE_COUNT {
                    h = seen(source, k % HIDDEN, FIRST_GATE + copy);
                }
                seen_tile[(own * HIDDEN_COPIES + copy) * ROW_PITCH + row] = h;
            }
        }
        for (var i = thread; i < DEPTH * COLUMNS; i += THREADS) {
            let column = column_of(i % COLUMNS, first.y);
            let term = k0 + i / COLUMNS;
            var weight = 0.0;
            if term < terms && column.x < FIRST_GATE + GATE_COUNT && column.y < HIDDEN {
                weight = f32(recurrent[(term * GATES + column.x) * HIDDEN + column.y]);
            }
            weight_tile[i / COLUMNS * PITCH + i % COLUMNS] = weight;
        }
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let at = i * PITCH + tx;
            let weights = vec4<f32>(
                weight_tile[at], weight_tile[at + 16u],
                weight_tile[at + 32u], weight_tile[at + 48u]);
            sums[0] += copies_of(i, ty) * weights;
            sums[1] += copies_of(i, ty + ROW_THREADS) * weights;
            sums[2] += copies_of(i, ty + 2u * ROW_THREADS) * weights;
            sums[3] += copies_of(i, ty + 3u * ROW_THREADS) * weights;
        }
        workgroupBarrier();
    }
    return sums;
}

// The values of h for one term that the four columns of a thread multiply.
fn copies_of(term: u32, row: u32) -> vec4<f32> {
    let at = term * HIDDEN_COPIES * ROW_PITCH + row;
    if HIDDEN_COPIES == 1u {
        return vec4<f32>(seen_tile[at]);
    }
    return vec4<f32>(
        seen_tile[at], seen_tile[at + ROW_PITCH],
        seen_tile[at + 2u * ROW_PITCH], seen_tile[at + 3u * ROW_PITCH]);
}

// Sums of dz U^T: the gradients of a later step's pre-activations (`gate_gradient` of the cell)
// times U transposed, multiplied by each gate's factors. Rows ROW_THREADS apart by units 16 apart.
fn multiply_back(t: u32, first: vec2<u32>, thread: u32) -> mat4x4<f32> {
    let tx = thread % 16u;
    let ty = thread / 16u;
    let terms = taps() * HIDDEN;
    var items: array<u32, 4>;
    var at: array<vec3<i32>, 4>;
    for (var i = 0u; i < 4u; i++) {
        let place = place_of(first.x + ty + ROW_THREADS * i, params.items, source_extents());
        items[i] = place.item;
        at[i] = place.at;
    }
    var total: mat4x4<f32>;
    for (var gate = FIRST_GATE; gate < FIRST_GATE + GATE_COUNT; gate++) {
        var sums: mat4x4<f32>;
        for (var k0 = 0u; k0 < terms; k0 += SLICE) {
            for (var i = 0u; i < 4u; i++) {
                let row = ty + ROW_THREADS * i;
                var dz = 0.0;
                if first.x + row < rows() && k0 + tx < terms {
                    let tap = (k0 + tx) / HIDDEN;
                    let sees = target_seeing(Place(items[i], at[i]), tap, params.items);
                    if sees != NO_PIXEL {
                        dz = gate_gradient(t, sees, gate, (k0 + tx) % HIDDEN);
                    }
                }
                seen_tile[tx * ROW_PITCH + row] = dz;
            }
            for (var i = thread; i < COLUMNS * SLICE; i += THREADS) {
                let term = select(i % SLICE, i / COLUMNS, TRANSPOSED);
                let column = select(i / SLICE, i % COLUMNS, TRANSPOSED);
                weight_tile[term * PITCH + column] = weight_back(gate, k0 + term, first.y + column);
            }
            workgroupBarrier();
            for (var i = 0u; i < SLICE; i++) {
                let seen_at = i * ROW_PITCH;
                let at = i * PITCH + tx;
                let weights = vec4<f32>(
                    weight_tile[at], weight_tile[at + 16u],
                    weight_tile[at + 32u], weight_tile[at + 48u]);
                sums[0] += seen_tile[seen_at + ty] * weights;
                sums[1] += seen_tile[seen_at + ty + ROW_THREADS] * weights;
                sums[2] += seen_tile[seen_at + ty + 2u * ROW_THREADS] * weights;
                sums[3] += seen_tile[seen_at + ty + 3u * ROW_THREADS] * weights;
            }
            workgroupBarrier();
        }
        for (var i = 0u; i < 4u; i++) {
            for (var j = 0u; j < 4u; j++) {
                let row = min(first.x + ty + ROW_THREADS * i, rows() - 1u);
                let unit = min(first.y + tx + 16u * j, HIDDEN - 1u);
                total[i][j] += sums[i][j] * factor(gate, row, unit);
            }
        }
    }
    return total;
}

// An element of U transposed; with windows, of each tap.
fn weight_back(gate: u32, term: u32, unit: u32) -> f32 {
    if term >= taps() * HIDDEN || unit >= HIDDEN {
        return 0.0;
    }
    if TRANSPOSED {
        return f32(recurrent[(gate * HIDDEN + term) * HIDDEN + unit]);
    }
    let row = term / HIDDEN * HIDDEN + unit;
    return f32(recurrent[(row * GATES + gate) * HIDDEN + term % HIDDEN]);
}
