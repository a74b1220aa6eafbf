// The running sums of an epoch: out += (loss * examples, right examples, examples).
struct Params { examples: u32, width: u32 }

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<f32>;
@group(0) @binding(2) var<storage, read> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

// 0: none is right or wrong, 1: logits, each on the right side of 0, 2: the largest of each example
override KIND: u32 = 0u;

// The share of an example that is right.
fn right(example: u32) -> f32 {
    let base = example * params.width;
    var correct = 0.0;
    var best = 0u;
    var best_label = 0u;
    for (var i = 0u; i < params.width; i++) {
        if (predictions[base + i] > 0.0) == (labels[base + i] > 0.5) {
            correct += 1.0;
        }
        best = select(best, i, predictions[base + i] > predictions[base + best]);
        best_label = select(best_label, i, labels[base + i] > labels[base + best_label]);
    }
    switch KIND {
        case 0u: { return 0.0; }
        case 1u: { return correct / f32(params.width); }
        default: { return select(0.0, 1.0, best == best_label); }
    }
}

@compute @workgroup_size(THREADS)
fn add(@builtin(local_invocation_index) thread: u32) {
    var correct = 0.0;
    if KIND != 0u {
        for (var example = thread; example < params.examples; example += THREADS) {
            correct += right(example);
        }
    }
    correct = tree_sum(thread, correct);
    if thread == 0u {
        out[0] += loss[0] * f32(params.examples);
        out[1] += correct;
        out[2] += f32(params.examples);
    }
}
