//! The WGSL texts of all kernels, in folders that mirror the ops of `rnn-ops`.
//!
//! A shader joins several of these texts in order: first those of [`shared`] that it needs, then
//! its own. WGSL has no imports, so a text may use names that an earlier one declares.

/// Returns the value of a constant that a WGSL text declares as `const NAME = 1u;`, so that the
/// code that launches a kernel repeats none of its numbers. In a Rust `const`, a missing name is a
/// compile-time error.
///
/// # Panics
/// Panics if the text declares no such constant.
pub const fn constant(text: &str, name: &str) -> usize {
    const BEFORE: &[u8] = b"const ";
    const BETWEEN: &[u8] = b" = ";
    let (text, name) = (text.as_bytes(), name.as_bytes());
    let mut at = 0;
    while at < text.len() {
        let value = at + BEFORE.len() + name.len() + BETWEEN.len();
        if is_at(text, at, BEFORE)
            && is_at(text, at + BEFORE.len(), name)
            && is_at(text, at + BEFORE.len() + name.len(), BETWEEN)
        {
            return number(text, value);
        }
        at += 1;
    }
    panic!("the text declares no such constant")
}

const fn is_at(text: &[u8], at: usize, part: &[u8]) -> bool {
    let mut i = 0;
    while i < part.len() {
        if at + i >= text.len() || text[at + i] != part[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Parses the number at an index of the text, which ends in `u`.
const fn number(text: &[u8], mut at: usize) -> usize {
    let mut value = 0;
    while at < text.len() && text[at].is_ascii_digit() {
        value = 10 * value + (text[at] - b'0') as usize;
        at += 1;
    }
    assert!(at < text.len() && text[at] == b'u', "the constant is no unsigned number");
    value
}

/// Declares the constant that holds the text of a file.
macro_rules! wgsl {
    ($name:ident, $path:literal, $about:literal) => {
        #[doc = concat!($about, " (`", $path, "`)")]
        pub const $name: &str = include_str!($path);
    };
}

wgsl!(ACTIVATION, "activation.wgsl", "Activations of all elements.");
wgsl!(AXIS, "axis.wgsl", "Slices and reductions along one axis.");
wgsl!(CAST, "cast.wgsl", "Conversions between f32 and f16.");
wgsl!(COLUMNS, "columns.wgsl", "Copies of ranges of columns.");
wgsl!(COPY, "copy.wgsl", "Copies to and from unaligned offsets.");
wgsl!(DROPOUT, "dropout.wgsl", "Dropout of elements.");
wgsl!(ELEMENTWISE, "elementwise.wgsl", "Functions of two elements.");
wgsl!(INTERPOLATE, "interpolate.wgsl", "Enlargement between pixels, and its gradient.");
wgsl!(LAYOUT, "layout.wgsl", "Transposes, reversals, padding and fills.");
wgsl!(PACE_PROBE, "pace_probe.wgsl", "A measure of how fast a device computes.");
wgsl!(LOOP_PROBE, "loop_probe.wgsl", "A count of the iterations that a driver lets a loop make.");
wgsl!(MASK, "mask.wgsl", "Masks of steps.");
wgsl!(MASK_SCORES, "mask_scores.wgsl", "Attention scores without what masks hide.");
wgsl!(MASKED_MEAN, "masked_mean.wgsl", "Means over the steps that a mask leaves.");
wgsl!(NOISE, "noise.wgsl", "Normally distributed noise.");
wgsl!(POOL, "pool.wgsl", "Pooling and its gradients.");
wgsl!(RECTIFY, "rectify.wgsl", "Rectifiers with arguments, and their gradients.");
wgsl!(
    SUBGROUP_PROBE,
    "subgroup_probe.wgsl",
    "The places of the threads of a subgroup in their workgroup."
);
wgsl!(SUM_ROWS, "sum_rows.wgsl", "Sums over the rows of a matrix.");
wgsl!(SOFTMAX, "softmax.wgsl", "The softmax of each row, its logarithm, and their gradients.");
wgsl!(UNARY, "unary.wgsl", "Functions of one element.");

/// Parts that many shaders begin with.
pub mod shared {
    wgsl!(
        ACTIVATIONS,
        "shared/activations.wgsl",
        "Activation functions and their slopes, by code."
    );
    wgsl!(BITS, "shared/bits.wgsl", "Tests of bits for NaN and infinity, which survive fast math.");
    wgsl!(
        ELEMENTWISE,
        "shared/elementwise.wgsl",
        "The index of a kernel that has a thread for each element."
    );
    wgsl!(
        EXPONENTIAL,
        "shared/exponential.wgsl",
        "Exponentials and logarithms with bounded errors."
    );
    wgsl!(LOGARITHM, "shared/logarithm.wgsl", "Logarithms and powers, of probabilities above all.");
    wgsl!(PHILOX, "shared/philox.wgsl", "Counter-based random numbers.");
    wgsl!(
        ROWWISE,
        "shared/rowwise.wgsl",
        "Reductions of a kernel that has a workgroup for each row."
    );
    wgsl!(
        STORAGE_F16,
        "shared/storage_f16.wgsl",
        "`Elem` is f16: sequences are stored in half precision."
    );
    wgsl!(
        STORAGE_F32,
        "shared/storage_f32.wgsl",
        "`Elem` is f32: sequences are stored as they are computed with."
    );
    wgsl!(TILE, "shared/tile.wgsl", "Tiles of a matrix product in workgroup memory.");
    wgsl!(TREE_SUM, "shared/tree_sum.wgsl", "The sum over a workgroup, in a fixed order.");
    wgsl!(WINDOWS, "shared/windows.wgsl", "Sliding windows over pixels.");
}

/// The schedules of recurrent cells.
pub mod recurrent {
    wgsl!(
        RECURRENCE,
        "recurrent/recurrence.wgsl",
        "Parameters, masks and factors of all recurrent kernels."
    );
    wgsl!(
        EXCHANGE_SHARED,
        "recurrent/exchange_shared.wgsl",
        "Exchange of the sums of a scan through shared memory."
    );
    wgsl!(
        EXCHANGE_SUBGROUP,
        "recurrent/exchange_subgroup.wgsl",
        "Exchange of the sums of a scan within a subgroup."
    );
    wgsl!(PACK, "recurrent/pack.wgsl", "U in the order in which a scan reads it.");
    wgsl!(ROWS1, "recurrent/rows1.wgsl", "One row to a workgroup of a scan.");
    wgsl!(ROWS4, "recurrent/rows4.wgsl", "Four rows to a workgroup of a scan.");
    wgsl!(SCAN, "recurrent/scan.wgsl", "All steps in one launch.");
    wgsl!(SCAN_PRODUCT, "recurrent/scan_product.wgsl", "The products with U of a scan.");
    wgsl!(STEP, "recurrent/step.wgsl", "One step to a launch.");
    wgsl!(STEP_PRODUCT, "recurrent/step_product.wgsl", "The products with U of one step.");
}

/// The LSTM, dense or convolutional.
pub mod lstm {
    wgsl!(CELL, "lstm/cell.wgsl", "The cell of an LSTM.");
}

/// The GRU.
pub mod gru {
    wgsl!(CELL, "gru/cell.wgsl", "The cell of a GRU.");
    wgsl!(
        RESET_BEFORE,
        "gru/reset_before.wgsl",
        "The steps of a GRU whose reset gate acts before the product with U."
    );
}

/// The SimpleRNN.
pub mod simple_rnn {
    wgsl!(CELL, "simple_rnn/cell.wgsl", "The cell of a SimpleRNN.");
}

/// Convolutions.
pub mod conv {
    wgsl!(CONV, "conv/conv.wgsl", "Convolutions and their gradients.");
    wgsl!(GROUPED, "conv/grouped.wgsl", "Convolutions in groups, and their gradients.");
}

/// Products of matrices.
pub mod matmul {
    wgsl!(BATCH_MATMUL, "matmul/batch_matmul.wgsl", "Products of two matrices for each item.");
    wgsl!(MATMUL, "matmul/matmul.wgsl", "Products of two matrices.");
    wgsl!(MATRIX_UNITS, "matmul/matrix_units.wgsl", "Products of half precision on matrix units.");
}

/// Normalization.
pub mod normalization {
    wgsl!(
        BATCH_NORMALIZE,
        "normalization/batch_normalize.wgsl",
        "Normalization of each column over a batch."
    );
    wgsl!(INVERSE_ROOT, "normalization/inverse_root.wgsl", "Inverse square roots of variances.");
    wgsl!(NORMALIZE, "normalization/normalize.wgsl", "Normalization of each row.");
}

/// Updates of weights, and transformations of gradients before them.
pub mod optimizer {
    wgsl!(CLIP_BY_NORM, "optimizer/clip_by_norm.wgsl", "Gradients clipped by their norm.");
    wgsl!(CONSTRAIN, "optimizer/constrain.wgsl", "Constraints of weights.");
    wgsl!(PENALTY, "optimizer/penalty.wgsl", "L1 and L2 penalties of weights.");
    wgsl!(STEP_PARAMS, "optimizer/step_params.wgsl", "Places of the numbers of a step.");
    wgsl!(
        UNSCALE,
        "optimizer/unscale.wgsl",
        "Loss scaling undone, with the search for infinities."
    );
    wgsl!(UPDATE, "optimizer/update.wgsl", "The parts that the updates of all optimizers share.");
    wgsl!(ADADELTA, "optimizer/adadelta.wgsl", "One step of Adadelta.");
    wgsl!(ADAGRAD, "optimizer/adagrad.wgsl", "One step of Adagrad.");
    wgsl!(ADAM, "optimizer/adam.wgsl", "One step of Adam.");
    wgsl!(ADAMAX, "optimizer/adamax.wgsl", "One step of Adamax.");
    wgsl!(LION, "optimizer/lion.wgsl", "One step of Lion.");
    wgsl!(NADAM, "optimizer/nadam.wgsl", "One step of Nadam.");
    wgsl!(RMSPROP, "optimizer/rmsprop.wgsl", "One step of RMSprop.");
    wgsl!(SGD, "optimizer/sgd.wgsl", "One step of gradient descent.");
}

/// Embeddings.
pub mod embedding {
    wgsl!(
        EMBEDDING,
        "embedding/embedding.wgsl",
        "Rows of a table by token, and the gradient of the table."
    );
    wgsl!(SORT_TOKENS, "embedding/sort_tokens.wgsl", "A stable sort of positions by token.");
}

/// Losses and metrics.
pub mod loss {
    wgsl!(CATEGORICAL, "loss/categorical.wgsl", "Cross-entropy of a softmax, and its gradient.");
    wgsl!(CTC, "loss/ctc.wgsl", "Connectionist temporal classification, and its gradient.");
    wgsl!(
        HINGE_LABELS,
        "loss/hinge_labels.wgsl",
        "Labels 0 and 1 as the -1 and 1 of hinge losses."
    );
    wgsl!(LOG_ODDS, "loss/log_odds.wgsl", "Logits of probabilities.");
    wgsl!(LOSS, "loss/loss.wgsl", "Mean losses of predictions, and their gradients.");
    wgsl!(
        MASKED_WEIGHTS,
        "loss/masked_weights.wgsl",
        "Weights of the losses of a masked sequence."
    );
    wgsl!(METRIC_SUMS, "loss/metric_sums.wgsl", "The running sums behind metrics.");
    wgsl!(ROW_LOSS, "loss/row_loss.wgsl", "Losses of rows of predictions, and their gradients.");
}

#[cfg(test)]
mod tests {
    use super::{constant, shared};

    #[test]
    fn constants_are_read_from_the_text() {
        assert_eq!(constant("const AB = 7u;\nconst A = 12u;", "A"), 12);
        assert_eq!(constant(shared::ROWWISE, "LANES"), 64);
    }

    #[test]
    #[should_panic = "no such constant"]
    fn a_constant_that_is_not_declared_is_refused() {
        constant("override A: u32 = 1u;", "A");
    }
}
