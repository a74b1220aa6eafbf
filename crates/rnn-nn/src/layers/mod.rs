//! The layers, with Keras's names and defaults.

/// The three arguments of Keras's layers for one of their weights.
macro_rules! weight_arguments {
    ($($field:ident).+, $initializer:ident, $regularizer:ident, $constraint:ident) => {
        /// Sets the initializer of the weight that the method is named after, which draws its
        /// initial values, in place of the layer's default.
        pub fn $initializer(mut self, initializer: crate::Initializer) -> Self {
            self.$($field).+.initializer = initializer;
            self
        }

        /// Sets the penalty on the weight that the method is named after, which is added to the
        /// loss. There is none by default.
        pub fn $regularizer(mut self, regularizer: rnn_ops::Penalty) -> Self {
            self.$($field).+.regularizer = Some(regularizer);
            self
        }

        /// Sets the constraint that the weight that the method is named after is projected onto
        /// after each step. There is none by default.
        pub fn $constraint(mut self, constraint: rnn_ops::Constraint) -> Self {
            self.$($field).+.constraint = Some(constraint);
            self
        }
    };
}

mod activation;
mod array;
mod attention;
mod axes;
mod batch_normalization;
mod bidirectional;
mod boxed;
mod cell;
mod cells;
mod conv;
mod conv_lstm;
mod conv_transpose;
mod convolution;
mod dense;
mod dot;
mod dropout;
mod einsum_dense;
mod embedding;
mod extremum;
mod gamma_beta;
mod group_normalization;
mod identity;
mod inner_model;
mod layer_normalization;
mod margins;
mod masking;
mod merging;
mod noise;
mod normalization;
mod operations;
mod p_relu;
mod permute;
mod pool;
mod rectifiers;
mod recurrence;
mod recurrent;
mod repeat_vector;
mod rescaling;
mod reshaping;
mod rnn;
mod separable;
mod softmax;
mod spatial;
mod stacked_cells;
mod time_distributed;
mod unit_normalization;

pub use activation::OutputActivation;
pub use attention::{AdditiveAttention, Attention, MultiHeadAttention};
pub use batch_normalization::BatchNormalization;
pub use bidirectional::{Bidirectional, Merge};
pub use cell::{Cell, CellShapes, Scan};
pub use cells::{Gru, GruCell, Lstm, LstmCell, SimpleRnn, SimpleRnnCell};
pub use conv::{Conv, Conv1D, Conv2D, Conv3D};
pub use conv_lstm::{ConvLstm1D, ConvLstm2D, ConvLstm3D, ConvLstmCell};
pub use conv_transpose::{Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, ConvTranspose};
pub use dense::Dense;
pub use dot::Dot;
pub use dropout::{Dropout, SpatialDropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use einsum_dense::EinsumDense;
pub use embedding::Embedding;
pub use extremum::{Extremum, Maximum, Minimum};
pub use group_normalization::GroupNormalization;
pub use identity::{ActivityRegularization, Identity};
pub use inner_model::InnerModel;
pub(crate) use inner_model::is_model;
pub use layer_normalization::LayerNormalization;
pub use margins::{
    Cropping1D, Cropping2D, Cropping3D, Margins, PerEnd, ZeroPadding1D, ZeroPadding2D,
    ZeroPadding3D,
};
pub use masking::Masking;
pub use merging::{Add, Average, Concatenate, Elementwise, Multiply, Subtract};
pub use noise::{AlphaDropout, GaussianDropout, GaussianNoise};
pub use normalization::Normalization;
pub use p_relu::PRelu;
pub use permute::Permute;
pub use pool::{
    AveragePooling1D, AveragePooling2D, AveragePooling3D, GlobalAveragePooling1D,
    GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
    GlobalMaxPooling3D, MaxPooling1D, MaxPooling2D, MaxPooling3D, Pooling,
};
pub use rectifiers::{Elu, LeakyRelu, Relu};
pub use recurrence::Recurred;
pub use recurrent::Recurrent;
pub use repeat_vector::RepeatVector;
pub use rescaling::{PerFeature, Rescaling};
pub use reshaping::{Flatten, Reshape, UpSampling, UpSampling1D, UpSampling2D, UpSampling3D};
pub use rnn::{Rnn, RnnCell, StackedCell};
pub use separable::{
    DepthwiseConv, DepthwiseConv1D, DepthwiseConv2D, SeparableConv, SeparableConv1D,
    SeparableConv2D,
};
pub use softmax::Softmax;
pub use spatial::PerAxis;
pub use stacked_cells::StackedRnn;
pub use time_distributed::TimeDistributed;
pub use unit_normalization::UnitNormalization;

pub(crate) use permute::inverse;

pub(crate) use operations::{OPERANDS, OPERATIONS, is_tensor};

use crate::Layer;
use rnn_ops::{Activation, Penalty};

/// The constructor of a layer by Keras's class name.
pub(crate) type LayerEntry = (&'static str, fn() -> Box<dyn Layer>);

/// Constructors of layers by Keras's class names.
pub(crate) type LayerTable = [LayerEntry];

/// A layer of each class by Keras's name, with placeholders for the arguments that a description
/// must give.
pub(crate) static LAYERS: &LayerTable = &[
    ("Activation", || Box::new(OutputActivation::default())),
    ("ActivityRegularization", || {
        Box::new(ActivityRegularization::new(Penalty { l1: 0.0, l2: 0.0 }))
    }),
    ("Add", || Box::new(Add())),
    ("AdditiveAttention", || Box::new(AdditiveAttention())),
    ("AlphaDropout", || Box::new(AlphaDropout::new(0.0))),
    ("Attention", || Box::new(Attention::new())),
    ("Average", || Box::new(Average())),
    ("AveragePooling1D", || Box::new(AveragePooling1D(2))),
    ("AveragePooling2D", || Box::new(AveragePooling2D(2))),
    ("AveragePooling3D", || Box::new(AveragePooling3D(2))),
    ("BatchNormalization", || Box::new(BatchNormalization::new())),
    ("Concatenate", || Box::new(Concatenate::new())),
    ("Conv1D", || Box::new(Conv1D::new(1, 1))),
    ("Conv1DTranspose", || Box::new(Conv1DTranspose::new(1, 1))),
    ("Conv2D", || Box::new(Conv2D::new(1, 1))),
    ("Conv2DTranspose", || Box::new(Conv2DTranspose::new(1, 1))),
    ("Conv3D", || Box::new(Conv3D::new(1, 1))),
    ("Conv3DTranspose", || Box::new(Conv3DTranspose::new(1, 1))),
    ("ConvLSTM1D", || Box::new(ConvLstm1D::new(1, 1))),
    ("ConvLSTM2D", || Box::new(ConvLstm2D::new(1, 1))),
    ("ConvLSTM3D", || Box::new(ConvLstm3D::new(1, 1))),
    ("Cropping1D", || Box::new(Cropping1D(1))),
    ("Cropping2D", || Box::new(Cropping2D(0))),
    ("Cropping3D", || Box::new(Cropping3D(1))),
    ("Dense", || Box::new(Dense::new(1, Activation::Linear))),
    ("DepthwiseConv1D", || Box::new(DepthwiseConv1D::new(1))),
    ("DepthwiseConv2D", || Box::new(DepthwiseConv2D::new(1))),
    ("Dot", || Box::new(Dot::new([-1, -1]))),
    ("Dropout", || Box::new(Dropout::new(0.0))),
    ("ELU", || Box::new(Elu::new())),
    ("EinsumDense", || Box::new(EinsumDense::new("", []))),
    ("Embedding", || Box::new(Embedding::new(1, 1))),
    ("Flatten", || Box::new(Flatten)),
    ("GRU", || Box::new(Gru::new(1))),
    ("GaussianDropout", || Box::new(GaussianDropout::new(0.0))),
    ("GaussianNoise", || Box::new(GaussianNoise::new(0.0))),
    ("GlobalAveragePooling1D", || Box::new(GlobalAveragePooling1D())),
    ("GlobalAveragePooling2D", || Box::new(GlobalAveragePooling2D())),
    ("GlobalAveragePooling3D", || Box::new(GlobalAveragePooling3D())),
    ("GlobalMaxPooling1D", || Box::new(GlobalMaxPooling1D())),
    ("GlobalMaxPooling2D", || Box::new(GlobalMaxPooling2D())),
    ("GlobalMaxPooling3D", || Box::new(GlobalMaxPooling3D())),
    ("GroupNormalization", || Box::new(GroupNormalization::default())),
    ("Identity", || Box::new(Identity)),
    ("LSTM", || Box::new(Lstm::new(1))),
    ("LayerNormalization", || Box::new(LayerNormalization::new())),
    ("LeakyReLU", || Box::new(LeakyRelu::new())),
    ("Masking", || Box::new(Masking::new(0.0))),
    ("MaxPooling1D", || Box::new(MaxPooling1D(2))),
    ("MaxPooling2D", || Box::new(MaxPooling2D(2))),
    ("MaxPooling3D", || Box::new(MaxPooling3D(2))),
    ("Maximum", || Box::new(Maximum())),
    ("Minimum", || Box::new(Minimum())),
    ("MultiHeadAttention", || Box::new(MultiHeadAttention::new(1, 1))),
    ("Multiply", || Box::new(Multiply())),
    ("Normalization", || Box::new(Normalization::new())),
    ("PReLU", || Box::new(PRelu::new())),
    ("Permute", || Box::new(Permute::new([]))),
    ("ReLU", || Box::new(Relu::new())),
    ("RepeatVector", || Box::new(RepeatVector::new(1))),
    ("Rescaling", || Box::new(Rescaling::new(1.0, 0.0))),
    ("Reshape", || Box::new(Reshape::new([]))),
    ("SeparableConv1D", || Box::new(SeparableConv1D::new(1, 1))),
    ("SeparableConv2D", || Box::new(SeparableConv2D::new(1, 1))),
    ("SimpleRNN", || Box::new(SimpleRnn::new(1))),
    ("Softmax", || Box::new(Softmax::new())),
    ("SpatialDropout1D", || Box::new(SpatialDropout1D::new(0.0))),
    ("SpatialDropout2D", || Box::new(SpatialDropout2D::new(0.0))),
    ("SpatialDropout3D", || Box::new(SpatialDropout3D::new(0.0))),
    ("Subtract", || Box::new(Subtract())),
    ("UnitNormalization", || Box::new(UnitNormalization::new())),
    ("UpSampling1D", || Box::new(UpSampling1D(2))),
    ("UpSampling2D", || Box::new(UpSampling2D(2))),
    ("UpSampling3D", || Box::new(UpSampling3D(2))),
    ("ZeroPadding1D", || Box::new(ZeroPadding1D(1))),
    ("ZeroPadding2D", || Box::new(ZeroPadding2D(1))),
    ("ZeroPadding3D", || Box::new(ZeroPadding3D(1))),
];

/// Each recurrent layer in both directions, by the name of the layer within.
pub(crate) static BIDIRECTIONAL: &LayerTable = &[
    ("ConvLSTM1D", || Box::new(Bidirectional::new(ConvLstm1D::new(1, 1)))),
    ("ConvLSTM2D", || Box::new(Bidirectional::new(ConvLstm2D::new(1, 1)))),
    ("ConvLSTM3D", || Box::new(Bidirectional::new(ConvLstm3D::new(1, 1)))),
    ("GRU", || Box::new(Bidirectional::new(Gru::new(1)))),
    ("LSTM", || Box::new(Bidirectional::new(Lstm::new(1)))),
    ("SimpleRNN", || Box::new(Bidirectional::new(SimpleRnn::new(1)))),
];

/// Each recurrent layer around a cell, by the name of the cell.
pub(crate) static RNNS: &LayerTable = &[
    ("GRUCell", || Box::new(Rnn::new(Gru::new(1)))),
    ("LSTMCell", || Box::new(Rnn::new(Lstm::new(1)))),
    ("SimpleRNNCell", || Box::new(Rnn::new(SimpleRnn::new(1)))),
    ("StackedRNNCells", || Box::new(StackedRnn::new([Lstm::new(1).into()]))),
];
