//! The ops, in a file or a folder each: equations, shape rule, kernels, gradient, reference
//! definition, cost and test cases.
//!
//! Sequences are time-major inside a graph: `[T, B, F]` (time, batch, features).
//!
//! # Ops by purpose
//!
//! A reshape or a slice along the leading axis needs no op: see [`Graph::reshape`] and [`Graph::view`].
//! The ops in parentheses are those of the backward pass, which [`gradients`] adds.
//!
//! | purpose | ops |
//! |---|---|
//! | add, subtract, multiply, divide; the larger or smaller; compare; add a bias | [`Binary`], which broadcasts the second operand along leading axes; choose by a condition: [`Select`] |
//! | absolute value, logarithm, root, sign, rounding | [`Unary`] |
//! | multiply by a constant; scale and offset of columns | [`Scale`], [`Affine`] |
//! | constants | [`Fill`] |
//! | change the precision | [`Cast`] |
//! | activations | [`Activate`] of an [`Activation`] ([`ActivateBackward`]), [`Rectify`] with arguments ([`RectifyBackward`]), [`Softmax`] ([`SoftmaxBackward`]), [`LogSoftmax`] ([`LogSoftmaxBackward`]) |
//! | matrix products | [`Matmul`] with bias and activation ([`MatmulWeights`]); one for each item [`BatchMatmul`]; [`DropoutMatmul`] with [`GateExtents`] for recurrent layers ([`DropoutMatmulInput`], [`DropoutMatmulWeights`]) |
//! | look up rows of a table | [`Embedding`] ([`EmbeddingBackward`], [`SortTokens`]) |
//! | one-hot rows | [`OneHot`] |
//! | repeat or tile | along new leading axes, `[..s] -> [T, ..s]`: [`Binary::Add`] of a [`Fill`] of 0 `[T, ..s]` and x; rows by index: [`Embedding`]; each pixel to a block: [`AveragePoolBackward`] and [`Scale`], as UpSampling of `rnn-nn` does |
//! | enlarge images between pixels | [`Interpolate`] ([`InterpolateBackward`]) |
//! | slice, flip, broadcast or spread along one axis | [`Slice`], [`Spread`] |
//! | join or slice columns | [`Concat`], [`Columns`] |
//! | transpose | [`TransposeLeading`] swaps the two leading axes, which also turns batch-major into time-major, and after a reshape two blocks of axes, from which Permute of `rnn-nn` makes any order; [`Matmul`] reads operands that are stored transposed |
//! | reverse in time | [`ReverseLeading`] |
//! | pad with zeros | [`Pad`] in memory order; [`Conv`] and the pooling ops pad by themselves |
//! | convolution over one to three axes | [`Conv`] ([`ConvInput`], [`ConvKernel`]); in groups, also depthwise, [`GroupedConv`] ([`GroupedConvInput`], [`GroupedConvKernel`]); transposed, [`ConvInput`]; over [`Windows`], each axis a [`Window`] with a [`Padding`]; [`Pixels`] describes the tensor |
//! | pooling over windows | [`MaxPool`] ([`MaxPoolBackward`]), [`AveragePool`] ([`AveragePoolBackward`]), over [`Windows`] |
//! | sums and means | over leading axes: [`SumRows`]; over unmasked steps: [`MaskedMean`] ([`MaskedMeanBackward`]); sums and maxima over any axis: [`Reduce`]; over all elements of an axis: a pooling op with one window, or [`Matmul`] with a [`Fill`] of 1 |
//! | recurrent layers | [`Lstm`] ([`LstmBackward`]), [`Gru`] ([`GruBackward`]), [`SimpleRnn`] ([`SimpleRnnBackward`]), with the optional inputs [`ScanInputs`]; [`LstmGates`] has an LSTM's activations |
//! | recurrent convolutional layers | [`ConvLstm`] ([`ConvLstmBackward`]) with [`ConvLstmExtents`] |
//! | normalization | over the last axis: [`Normalize`] ([`NormalizeBackward`]); over rows: [`BatchNormalize`] ([`BatchNormalizeBackward`]), [`MovingAverage`], [`InverseRoot`] |
//! | dropout and noise | [`Dropout`], [`GaussianNoise`]; inside recurrent products [`DropoutMatmul`] |
//! | masks | made by [`StepMask`]; applied by [`MaskItems`], and to the scores of an attention by [`MaskScores`], which leaves [`Hidden`] ones; accumulated over time by [`SeenMask`]; weights of a loss from them by [`MaskedWeights`] |
//! | losses | [`Loss`] of an [`ElementLoss`] ([`LossBackward`]), [`RowLosses`] of a [`RowLoss`] ([`RowLossesBackward`]), [`CategoricalCrossEntropy`] ([`CategoricalCrossEntropyBackward`]), with labels of [`HingeLabels`], [`Ctc`] ([`CtcBackward`]); [`LogOdds`] for metrics |
//! | metrics | [`UpdateMetricSums`] of [`MetricSums`] |
//! | write to a tensor that stays on the device | [`Assign`], [`MovingAverage`] |
//! | optimizers | [`Update`] with a [`Rule`] (an [`UpdateRule`] with [`RuleArgument`], [`RuleConstants`], [`SlotOrder`]) and [`StepParams`] |
//! | regularizers and constraints | [`Penalty`] ([`PenaltyBackward`]), [`Constrain`] with a [`Constraint`] |
//! | clipping and loss scaling of gradients | [`ClipByNorm`], [`Unscale`]; [`Update`] clips by value |
//!
//! A [`Definition`] is what an op is checked against, in each [`Case`] of a [`Tier`], on inputs from a
//! [`Sample`]; [`Rows`] and [`RowAxis`] let it compute a part of the rows alone.

#[macro_use]
mod common;
#[macro_use]
mod recurrent;
#[macro_use]
mod matmul;

mod activation;
mod affine;
mod axis;
mod case;
mod cast;
mod columns;
mod conv;
mod conv_lstm;
mod dropout;
mod elementwise;
mod embedding;
mod full;
mod gru;
mod interpolate;
mod layout;
mod log_softmax;
mod loss;
mod lstm;
mod mask;
mod mask_scores;
mod masked_mean;
mod noise;
mod normalization;
mod optimizer;
mod pool;
mod rectify;
mod rows;
mod simple_rnn;
mod softmax;
mod sum_rows;
mod unary;
mod window;

pub use activation::{Activate, ActivateBackward, Activation, FLUSH_THRESHOLD};
pub use affine::Affine;
pub use axis::{Reduce, Slice, Spread};
pub use case::{Case, Sample, Tier};
pub use cast::Cast;
pub use columns::{Columns, Concat};
pub use common::Definition;
pub use conv::{
    Conv, ConvInput, ConvKernel, GroupedConv, GroupedConvInput, GroupedConvKernel, Pixels, Windows,
};
pub use conv_lstm::backward::ConvLstmBackward;
pub use conv_lstm::{ConvLstm, ConvLstmExtents};
pub use dropout::{Dropout, drop_threshold};
pub use elementwise::{Binary, Scale, Select};
pub use embedding::sort_tokens::SortTokens;
pub use embedding::{Embedding, EmbeddingBackward};
pub use gru::Gru;
pub use gru::backward::GruBackward;
pub use interpolate::{Interpolate, InterpolateBackward};
pub use layout::{Assign, Fill, Pad, ReverseLeading, TransposeLeading};
pub use log_softmax::{LogSoftmax, LogSoftmaxBackward};
pub use loss::categorical::{CategoricalCrossEntropy, CategoricalCrossEntropyBackward, OneHot};
pub use loss::ctc::{Ctc, CtcBackward};
pub use loss::hinge_labels::HingeLabels;
pub use loss::log_odds::LogOdds;
pub use loss::masked_weights::MaskedWeights;
pub use loss::metric_sums::{MetricSums, UpdateMetricSums};
pub use loss::row::{RowLoss, RowLosses, RowLossesBackward};
pub use loss::{ElementLoss, Loss, LossBackward};
pub use lstm::Lstm;
pub use lstm::backward::LstmBackward;
pub use lstm::gates::LstmGates;
pub use mask::{MaskItems, SeenMask, StepMask};
pub use mask_scores::{Hidden, MaskScores};
pub use masked_mean::{MaskedMean, MaskedMeanBackward};
pub use matmul::Matmul;
pub use matmul::batch::BatchMatmul;
pub use matmul::dropout::{DropoutMatmul, DropoutMatmulInput, DropoutMatmulWeights, GateExtents};
pub use matmul::matrix_units_proof::prove_matrix_units;
pub use matmul::weights::MatmulWeights;
pub use noise::GaussianNoise;
pub use normalization::batch_normalize::{BatchNormalize, BatchNormalizeBackward};
pub use normalization::inverse_root::InverseRoot;
pub use normalization::moving_average::MovingAverage;
pub use normalization::normalize::{Normalize, NormalizeBackward};
pub use optimizer::clip_by_norm::ClipByNorm;
pub use optimizer::constrain::{Constrain, Constraint};
pub use optimizer::penalty::{Penalty, PenaltyBackward};
pub use optimizer::rules::*;
pub use optimizer::step_params::StepParams;
pub use optimizer::unscale::{FIRST_LOSS_SCALE, LOSS_SCALE, Unscale};
pub use optimizer::{Rule, RuleArgument, RuleConstants, SlotOrder, Update, UpdateRule};
pub use pool::{AveragePool, AveragePoolBackward, MaxPool, MaxPoolBackward};
pub use rectify::{Rectify, RectifyBackward};
pub use recurrent::ScanInputs;
pub use rows::{RowAxis, Rows};
pub use simple_rnn::SimpleRnn;
pub use simple_rnn::backward::SimpleRnnBackward;
pub use softmax::{Softmax, SoftmaxBackward};
pub use sum_rows::SumRows;
pub use unary::Unary;
pub use window::{Padding, Window};

use rnn_core::Shape;
use rnn_graph::{Algebra, Graph, GraphError, Op, TensorId};
use std::sync::Arc;

/// Returns the cases of all ops in [`Tier::Smoke`] and [`Tier::Standard`]. They check kernels
/// against the reference definitions, gradients against finite differences, and the compilation of
/// shaders. The cases of [`Tier::Full`] are not included; see [`Tier::cases`].
pub fn suite() -> Vec<Case> {
    let lists = [
        activation::cases,
        affine::cases,
        axis::cases,
        normalization::batch_normalize::cases,
        cast::cases,
        loss::categorical::cases,
        optimizer::clip_by_norm::cases,
        columns::cases,
        optimizer::constrain::cases,
        conv::cases,
        conv_lstm::cases,
        dropout::cases,
        matmul::dropout::cases,
        elementwise::cases,
        embedding::cases,
        gru::cases,
        normalization::inverse_root::cases,
        interpolate::cases,
        layout::cases,
        log_softmax::cases,
        loss::cases,
        lstm::cases,
        mask::cases,
        mask_scores::cases,
        masked_mean::cases,
        loss::masked_weights::cases,
        matmul::cases,
        matmul::batch::cases,
        matmul::weights::cases,
        noise::cases,
        normalization::moving_average::cases,
        normalization::normalize::cases,
        optimizer::cases,
        optimizer::penalty::cases,
        pool::cases,
        rectify::cases,
        simple_rnn::cases,
        softmax::cases,
        embedding::sort_tokens::cases,
        sum_rows::cases,
        unary::cases,
        loss::metric_sums::cases,
        loss::hinge_labels::cases,
        loss::ctc::cases,
        loss::log_odds::cases,
        loss::row::cases,
        optimizer::unscale::cases,
    ];
    lists.iter().flat_map(|cases| cases()).collect()
}

impl Tier {
    /// Returns the cases of all ops in this tier and in the tiers below it. The cases of
    /// [`Tier::Full`] come last.
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

/// Adds to `graph` the nodes that compute the gradients of L with respect to each tensor of `wrt`.
/// L is the sum of `sum(seed * tensor)` over all pairs `(tensor, seed)` in `seeds`; a seed has the
/// shape of its tensor. This is [`rnn_graph::gradients`] with this crate's ops for addition and
/// padding.
///
/// Returns one gradient for each tensor of `wrt`, of the same shape; `None` if L does not depend on
/// the tensor.
///
/// # Errors
/// Fails with [`GraphError`] if a gradient flows into an op that has none, or if an op returns a
/// gradient of the wrong shape.
pub fn gradients(
    graph: &mut Graph,
    seeds: &[(TensorId, TensorId)],
    wrt: &[TensorId],
) -> Result<Vec<Option<TensorId>>, GraphError> {
    rnn_graph::gradients(graph, seeds, wrt, &StandardAlgebra)
}

#[cfg(test)]
mod tests {
    /// Names of types in the exports of this file, such as `Matmul` and not `FLUSH_THRESHOLD`.
    fn exported(source: &str) -> Vec<&str> {
        let exports = source.split("\npub use ").skip(1).filter_map(|rest| rest.split(';').next());
        let names =
            exports.flat_map(|export| export.split(|c: char| !c.is_alphanumeric() && c != '_'));
        let is_type =
            |name: &&str| name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        names.filter(is_type).collect()
    }

    #[test]
    fn the_map_names_every_exported_type() {
        let source = include_str!("lib.rs");
        let map: String = source.lines().take_while(|line| line.starts_with("//!")).collect();
        let names = exported(source);
        assert!(names.contains(&"Matmul") && names.contains(&"CategoricalCrossEntropyBackward"));
        let missing: Vec<_> =
            names.into_iter().filter(|name| !map.contains(&format!("[`{name}`]"))).collect();
        assert_eq!(missing, Vec::<&str>::new(), "add them to the map in the documentation above");
    }
}
