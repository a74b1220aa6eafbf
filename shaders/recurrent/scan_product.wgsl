// The product of a scan: a thread's share of h U or dz U^T, in registers. scan.wgsl draws who computes what.
override K_SPLITS: u32 = 4u;
// Blocks of four columns: forward HIDDEN, backward a fourth of it.
override BLOCKS: u32 = HIDDEN;
// Rows of U per thread and gate: a multiple of 4, of which those beyond HIDDEN are zero.
override TERMS: u32 = 8u;
// Copies in `tile`: forward of h, one, or with dropout one for each gate; backward of dz, one for each gate.
override HIDDEN_COPIES: u32 = 1u;
// Elements that a thread owns: with one row 1; else forward ROWS / K_SPLITS, and 2 where a block is four units.
override OWNED: u32 = 1u;
override RESIDENT: bool = false;
override THREADS: u32 = BLOCKS * K_SPLITS;
override COPY: u32 = TERMS * K_SPLITS;
override HALF: u32 = HIDDEN_COPIES * COPY;
override TILE: u32 = 2u * HALF;

// U packed for the threads at hand, by pack.wgsl.
@group(0) @binding(1) var<storage, read> recurrent: array<vec4<Elem>>;

// The left factor of the product with U, a value for each row; index (half, copy, k).
var<workgroup> tile: array<Rows, TILE>;

// Partial sums of a block's columns, each for all rows of the workgroup.
struct Sums { x: Rows, y: Rows, z: Rows, w: Rows }

// Eight weights of a thread, each for four columns.
struct Weights {
    a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>,
    e: vec4<f32>, f: vec4<f32>, g: vec4<f32>, h: vec4<f32>,
}

fn load_weight(at: u32) -> vec4<f32> {
    return vec4<f32>(recurrent[at]);
}

fn load_weights(at: u32) -> Weights {
    return Weights(
        load_weight(at), load_weight(at + THREADS),
        load_weight(at + 2u * THREADS), load_weight(at + 3u * THREADS),
        load_weight(at + 4u * THREADS), load_weight(at + 5u * THREADS),
        load_weight(at + 6u * THREADS), load_weight(at + 7u * THREADS));
}

// Adds one row of U; `at` is its place in `tile`. With dropout each gate sees a copy of its own.
fn add(sums: Sums, weight: vec4<f32>, at: u32, copies: u32) -> Sums {
    let h = tile[at];
    if copies == 1u {
        return Sums(
            sums.x + h * weight.x, sums.y + h * weight.y,
            sums.z + h * weight.z, sums.w + h * weight.w);
    }
    var result = sums;
    result.x += h * weight.x;
    result.y += tile[at + COPY] * weight.y;
    if GATES > 2u {
        result.z += tile[at + 2u * COPY] * weight.z;
    }
    if GATES > 3u {
        result.w += tile[at + 3u * COPY] * weight.w;
    }
    return result;
}

fn add_four(sums: Sums, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, at: u32, copies: u32) -> Sums {
    let first = add(sums, a, at, copies);
    let second = add(first, b, at + K_SPLITS, copies);
    let third = add(second, c, at + 2u * K_SPLITS, copies);
    return add(third, d, at + 3u * K_SPLITS, copies);
}

fn add_eight(sums: Sums, weights: Weights, at: u32, copies: u32) -> Sums {
    let of_four = add_four(sums, weights.a, weights.b, weights.c, weights.d, at, copies);
    let rest = at + 4u * K_SPLITS;
    return add_four(of_four, weights.e, weights.f, weights.g, weights.h, rest, copies);
}

// Adds the products of a thread's rows of U, without the first 8 `done`, for one gate of the backward pass or
// for all of the forward pass. `first` is the index of the first weight, `begin` the place of the copy in
// `tile`.
fn multiply(sums: Sums, done: u32, first: u32, begin: u32, thread: u32, copies: u32) -> Sums {
    var result = sums;
    var at = begin + thread % K_SPLITS + 8u * done * K_SPLITS;
    var weight = first + thread + 8u * done * THREADS;
    for (var j = 8u * done; j + 8u <= params.terms; j += 8u) {
        result = add_eight(result, load_weights(weight), at, copies);
        at += 8u * K_SPLITS;
        weight += 8u * THREADS;
    }
    if TERMS % 8u != 0u {
        let a = load_weight(weight);
        let b = load_weight(weight + THREADS);
        let c = load_weight(weight + 2u * THREADS);
        let d = load_weight(weight + 3u * THREADS);
        result = add_four(result, a, b, c, d, at, copies);
    }
    return result;
}
