// One tile of a matrix product.
//
//   workgroup   a tile of TILE_ROWS x TILE_COLUMNS elements; ROW_THREADS x COLUMN_THREADS threads
//   thread      one, two or four blocks of 4 x 4 sums in registers (ROW_BLOCKS x COLUMN_BLOCKS)
//   shared      a_tile, b_tile: SLICE terms of A's rows and of B's columns
//   barriers    one when a slice is loaded, one when it is used up
//
//   the elements # of a block of thread (ty, tx); C = COLUMN_THREADS, R = ROW_THREADS
//
//                     tx   tx + C   tx + 2C   tx + 3C
//           ty        #      #         #         #       element [i][j] += a_tile[k][ty + i R]
//           ty + R    #      #         #         #                       * b_tile[k][tx + j C]
//           ty + 2R   #      #         #         #       for each term k of the slice
//           ty + 3R   #      #         #         #
//
// Neighbouring threads thus read neighbouring words. However a tile is divided, one thread sums an
// element, in the order of the terms: the bits are the same.
override ROW_THREADS: u32 = 16u;
override COLUMN_THREADS: u32 = 16u;
override ROW_BLOCKS: u32 = 1u;
override COLUMN_BLOCKS: u32 = 1u;
override TILE_THREADS: u32 = ROW_THREADS * COLUMN_THREADS;
override TILE_ROWS: u32 = 4u * ROW_BLOCKS * ROW_THREADS;
override TILE_COLUMNS: u32 = 4u * COLUMN_BLOCKS * COLUMN_THREADS;
// Terms per slice, such that each thread loads four elements of A.
override SLICE: u32 = COLUMN_THREADS / ROW_BLOCKS;
// A pitch of one more than needed puts threads of a subgroup on different memory banks.
override A_PITCH: u32 = TILE_ROWS + 1u;
override B_PITCH: u32 = TILE_COLUMNS + 1u;
override A_ELEMENTS: u32 = SLICE * A_PITCH;
override B_ELEMENTS: u32 = SLICE * B_PITCH;

var<workgroup> a_tile: array<f32, A_ELEMENTS>;
var<workgroup> b_tile: array<f32, B_ELEMENTS>;

// The blocks of a thread: element [i][j] of the first is row ty + i ROW_THREADS and column
// tx + j COLUMN_THREADS of the tile; the others lie four such steps on, in columns, rows and both.
struct Blocks {
    first: mat4x4<f32>,
    beside: mat4x4<f32>,
    below: mat4x4<f32>,
    across: mat4x4<f32>,
}

// Distance in rows between two blocks of a thread.
fn rows_on() -> u32 {
    return 4u * ROW_THREADS;
}

// Distance in columns between two blocks of a thread.
fn columns_on() -> u32 {
    return 4u * COLUMN_THREADS;
}

// Four rows of A for one term: a column of a thread's block.
fn left(at: u32) -> vec4<f32> {
    return vec4<f32>(
        a_tile[at], a_tile[at + ROW_THREADS],
        a_tile[at + 2u * ROW_THREADS], a_tile[at + 3u * ROW_THREADS]);
}

// Four columns of B for one term: a row of a thread's block.
fn right(at: u32) -> vec4<f32> {
    return vec4<f32>(
        b_tile[at], b_tile[at + COLUMN_THREADS],
        b_tile[at + 2u * COLUMN_THREADS], b_tile[at + 3u * COLUMN_THREADS]);
}

// Adds the outer product of a and b.
fn add_products(sums: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        sums[0] + a.x * b, sums[1] + a.y * b, sums[2] + a.z * b, sums[3] + a.w * b);
}

// Adds the products of the slice in shared memory to the thread's blocks.
fn add_slice(sums: ptr<function, Blocks>, tx: u32, ty: u32) {
    for (var k = 0u; k < SLICE; k++) {
        let a = left(k * A_PITCH + ty);
        let b = right(k * B_PITCH + tx);
        (*sums).first = add_products((*sums).first, a, b);
        if COLUMN_BLOCKS > 1u {
            let b_on = right(k * B_PITCH + tx + columns_on());
            (*sums).beside = add_products((*sums).beside, a, b_on);
            if ROW_BLOCKS > 1u {
                let a_on = left(k * A_PITCH + ty + rows_on());
                (*sums).across = add_products((*sums).across, a_on, b_on);
            }
        }
        if ROW_BLOCKS > 1u {
            let a_on = left(k * A_PITCH + ty + rows_on());
            (*sums).below = add_products((*sums).below, a_on, b);
        }
    }
}
