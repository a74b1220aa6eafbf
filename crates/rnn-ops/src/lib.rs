//! One file an op: equations, shape rule, kernels, gradient, definition, cost, cases.
//!
//! Sequences are time-major inside a graph: `[time, batch, features]`.

#[macro_use]
mod common;
#[macro_use]
mod cell_kernels;
#[macro_use]
mod product_kernels;

mod activation;
mod affine;
mod batch_normalize;
mod case;
mod cast;
mod categorical;
mod clip_by_norm;
mod columns;
mod constrain;
mod conv;
mod conv_lstm;
mod conv_lstm_backward;
mod dropout;
mod dropout_matmul;
mod elementwise;
mod embedding;
mod full;
mod gru;
mod gru_backward;
mod inverse_root;
mod layout;
mod loss;
mod lstm;
mod lstm_backward;
mod lstm_gates;
mod mask;
mod masked_mean;
mod masked_weights;
mod matmul;
mod matmul_weights;
mod matrix_units;
mod matrix_units_proof;
mod moving_average;
mod normalize;
mod optimizer;
mod penalty;
mod pool;
mod rows;
mod scan;
mod simple_rnn;
mod softmax;
mod sort_tokens;
mod source;
mod sum_rows;
mod tally;
mod tile;
mod unscale;
mod window;

pub use activation::{Activate, ActivateBackward, Activation, SMALLEST};
pub use affine::Affine;
pub use batch_normalize::{BatchNormalize, BatchNormalizeBackward};
pub use case::{Case, Sample, Tier};
pub use cast::Cast;
pub use categorical::{CategoricalCrossEntropy, CategoricalCrossEntropyBackward, OneHot};
pub use clip_by_norm::ClipByNorm;
pub use columns::{Columns, Concat};
pub use common::Definition;
pub use constrain::{Constrain, Constraint};
pub use conv::{Conv, ConvInput, ConvKernel, Pixels, Windows};
pub use conv_lstm::{ConvLstm, ConvLstmExtents};
pub use conv_lstm_backward::ConvLstmBackward;
pub use dropout::{Dropout, drop_threshold};
pub use dropout_matmul::{DropoutMatmul, DropoutMatmulInput, DropoutMatmulWeights, GateExtents};
pub use elementwise::{Binary, Scale};
pub use embedding::{Embedding, EmbeddingBackward};
pub use gru::Gru;
pub use gru_backward::GruBackward;
pub use inverse_root::InverseRoot;
pub use layout::{Assign, Fill, Pad, ReverseLeading, TransposeLeading};
pub use loss::{ElementLoss, Loss, LossBackward};
pub use lstm::Lstm;
pub use lstm_backward::LstmBackward;
pub use lstm_gates::LstmGates;
pub use mask::{MaskItems, SeenMask, StepMask};
pub use masked_mean::{MaskedMean, MaskedMeanBackward};
pub use masked_weights::MaskedWeights;
pub use matmul::Matmul;
pub use matmul_weights::MatmulWeights;
pub use matrix_units_proof::prove_matrix_units;
pub use moving_average::MovingAverage;
pub use normalize::{Normalize, NormalizeBackward};
pub use optimizer::{Rule, STEP_NUMBERS, Update};
pub use penalty::{Penalty, PenaltyBackward};
pub use pool::{AveragePool, AveragePoolBackward, MaxPool, MaxPoolBackward};
pub use rows::{RowAxis, Rows};
pub use scan::ScanInputs;
pub use simple_rnn::{SimpleRnn, SimpleRnnBackward};
pub use softmax::{Softmax, SoftmaxBackward};
pub use sort_tokens::SortTokens;
pub use source::Source;
pub use sum_rows::SumRows;
pub use tally::{Tally, UpdateTally};
pub use unscale::{FIRST_LOSS_SCALE, LOSS_SCALE, Unscale};
pub use window::{Padding, Window};

use rnn_core::Shape;
use rnn_graph::{Algebra, Graph, GraphError, Op, TensorId};
use std::sync::Arc;

/// The small cases of every op: one list for checking, gradients and timing.
pub fn suite() -> Vec<Case> {
    let lists = [
        activation::cases,
        affine::cases,
        batch_normalize::cases,
        cast::cases,
        categorical::cases,
        clip_by_norm::cases,
        columns::cases,
        constrain::cases,
        conv::cases,
        conv_lstm::cases,
        dropout::cases,
        dropout_matmul::cases,
        elementwise::cases,
        embedding::cases,
        gru::cases,
        inverse_root::cases,
        layout::cases,
        loss::cases,
        lstm::cases,
        mask::cases,
        masked_mean::cases,
        masked_weights::cases,
        matmul::cases,
        matmul_weights::cases,
        moving_average::cases,
        normalize::cases,
        optimizer::cases,
        penalty::cases,
        pool::cases,
        simple_rnn::cases,
        softmax::cases,
        sort_tokens::cases,
        sum_rows::cases,
        tally::cases,
        unscale::cases,
    ];
    lists.iter().flat_map(|cases| cases()).collect()
}

impl Tier {
    /// The cases of this tier and of those above it.
    pub fn cases(self) -> Vec<Case> {
        let mut cases = suite();
        if self == Self::Full {
            cases.extend(full::cases());
        }
        cases.retain(|case| case.tier <= self);
        cases
    }
}

struct StandardAlgebra;

impl Algebra for StandardAlgebra {
    fn add(&self) -> Arc<dyn Op> {
        Arc::new(Binary::Add)
    }

    fn pad(&self, offset: usize, full: Shape) -> Arc<dyn Op> {
        Arc::new(Pad { offset, full })
    }
}

/// [`rnn_graph::gradients`] with this crate's addition and padding.
pub fn gradients(
    graph: &mut Graph,
    seeds: &[(TensorId, TensorId)],
    wrt: &[TensorId],
) -> Result<Vec<Option<TensorId>>, GraphError> {
    rnn_graph::gradients(graph, seeds, wrt, &StandardAlgebra)
}
