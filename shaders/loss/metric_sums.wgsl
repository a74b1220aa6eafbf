// Adds a batch to the running sums of an epoch; crates/rnn-ops/src/loss/metric_sums.rs lists them.
//
//   workgroup   a single one, which loops over blocks of THREADS entries; an entry is a row, or one
//               prediction of a row for KIND 1
//   thread      classifies one entry of the block; after a barrier, counts over all entries of the
//               block for its counters (every THREADS-th); then a barrier
//   shared      predicted and true class and probability bucket of each entry of the block
struct Params {
    examples: u32,
    // Rows of `width` predictions each.
    rows: u32,
    width: u32,
    classes: u32,
    counters: u32,
    // Entries of this launch.
    first: u32,
    end: u32,
    mask_offset: u32,
}

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<storage, read> loss: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

// 0: no classes, 1: each prediction is a logit, 2: the largest prediction of a row is its class
override KIND: u32 = 0u;
override HAS_MASK: bool = false;

const NO_CLASS = 0xffffffffu;
const BUCKETS = 199u;

// Predicted class, true class and probability bucket of the threads' entries.
var<workgroup> predicted_class: array<u32, THREADS>;
var<workgroup> true_class: array<u32, THREADS>;
var<workgroup> buckets: array<u32, THREADS>;

// x > y, where NaN is less than all numbers.
fn exceeds(x: f32, y: f32) -> bool {
    return !is_nan(x) && (is_nan(y) || x > y);
}

fn load_logit(thread: u32, at: u32) {
    let logit = predictions[at];
    predicted_class[thread] = select(NO_CLASS, 0u, is_positive(logit));
    true_class[thread] = select(NO_CLASS, 0u, exceeds(labels[at], 0.5));
    let above = f32(BUCKETS) * sigmoid(logit);
    // NaN belongs to the first bucket.
    let bucket = u32(clamp(ceil(above), 1.0, f32(BUCKETS))) - 1u;
    buckets[thread] = select(bucket, 0u, is_nan(logit));
}

fn load_row(thread: u32, row: u32) {
    let base = row * params.width;
    var best = 0u;
    var best_label = 0u;
    for (var i = 1u; i < params.width; i++) {
        best = select(best, i, exceeds(predictions[base + i], predictions[base + best]));
        best_label = select(best_label, i, exceeds(labels[base + i], labels[base + best_label]));
    }
    predicted_class[thread] = best;
    true_class[thread] = best_label;
    // No counter asks for it, but FXC refuses to read what is never written.
    buckets[thread] = NO_CLASS;
}

// True if the row is unmasked; the mask is [T, B], rows are examples first.
fn is_unmasked(row: u32) -> bool {
    if HAS_MASK {
        let steps = params.rows / params.examples;
        let at = row % steps * params.examples + row / steps;
        return mask[params.mask_offset + at] != 0u;
    }
    return true;
}

// True if a thread's entry belongs to a counter.
fn belongs_to(thread: u32, counter: u32) -> bool {
    if counter < 3u * params.classes {
        let class_index = counter / 3u;
        let is_predicted = predicted_class[thread] == class_index;
        let is_member = true_class[thread] == class_index;
        switch counter % 3u {
            case 0u: { return is_predicted && is_member; }
            case 1u: { return is_predicted; }
            default: { return is_member; }
        }
    }
    let place = counter - 3u * params.classes;
    let positive = true_class[thread] != NO_CLASS;
    return buckets[thread] == place / 2u && positive == (place % 2u == 1u);
}

@compute @workgroup_size(THREADS)
fn add(@builtin(local_invocation_index) thread: u32) {
    var correct = 0.0;
    var counted = 0.0;
    // Entries per row.
    let entries_per_row = select(1u, params.width, KIND == 1u);
    for (var first = params.first; KIND != 0u && first < params.end; first += THREADS) {
        let held = min(THREADS, params.end - first);
        if thread < held {
            if !is_unmasked((first + thread) / entries_per_row) {
                predicted_class[thread] = NO_CLASS;
                true_class[thread] = NO_CLASS;
                buckets[thread] = NO_CLASS;
            } else {
                if KIND == 1u {
                    load_logit(thread, first + thread);
                } else {
                    load_row(thread, first + thread);
                }
                correct += select(0.0, 1.0, predicted_class[thread] == true_class[thread]);
                counted += 1.0;
            }
        }
        workgroupBarrier();
        for (var counter = thread; counter < params.counters; counter += THREADS) {
            var count = 0u;
            for (var other = 0u; other < held; other++) {
                count += select(0u, 1u, belongs_to(other, counter));
            }
            out[4u + counter] += f32(count);
        }
        workgroupBarrier();
    }
    correct = tree_sum(thread, correct);
    // All threads have read the first sum before the second overwrites it.
    workgroupBarrier();
    counted = tree_sum(thread, counted);
    if thread == 0u {
        if params.first == 0u {
            out[0] += loss[0] * f32(params.examples);
            out[2] += f32(params.examples);
        }
        out[1] += correct / f32(entries_per_row);
        out[3] += counted / f32(entries_per_row);
    }
}
